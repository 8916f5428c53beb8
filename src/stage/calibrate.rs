//! Calibration: how far a short dense training moves each weight, after which the model is as before.

use std::collections::BTreeMap;

use crate::error::{Explain, Failure};
use crate::model::backend::Backend;
use crate::model::batch::Example;
use crate::model::decoder::{Decoder, Trained};
use crate::model::inventory::TensorSpec;
use crate::ticket::TicketError;
use crate::ticket::budget::Budget;
use crate::ticket::mask_set::{MaskSet, maskable};
use crate::ticket::score::{Scores, task_vector};
use crate::ticket::select::{Chosen, select};
use crate::train::TrainError;
use crate::train::fit::{Next, Plan, fit};
use crate::train::may_move;

use super::Context;
use super::evaluate::backend_failed;
use super::train::{rewind, snapshot};

/// A single adaptive step moves every weight alike, so that |Δ| says nothing: more ties than this are an error.
const MOST_TIED: f64 = 0.01;

/// What a calibration found, or why it cannot tell.
pub(super) enum Choice {
    /// The weights that moved most.
    Chosen(MaskSet),
    /// With a remedy.
    CannotTell(String),
}

impl From<TicketError> for Choice {
    fn from(error: TicketError) -> Self {
        Self::CannotTell(cannot_choose(&error))
    }
}

/// Why no weights can be chosen, with what to do.
pub(super) fn cannot_choose(error: &TicketError) -> String {
    let remedy = error.remedy().map(|remedy| format!(" ({remedy})")).unwrap_or_default();
    format!("its calibration cannot choose weights: {error}{remedy}")
}

/// The choice, unless too much of it was decided by place alone.
///
/// # Errors
/// When more than 1 % of it tie.
pub(super) fn told_apart(chosen: Chosen) -> Result<MaskSet, TicketError> {
    if chosen.tied > MOST_TIED { Err(TicketError::Tied { share: chosen.tied }) } else { Ok(chosen.masks) }
}

/// Trains the weights `inside` for a few steps, rewinds, and takes the `density` of all maskable weights that moved most.
///
/// # Errors
/// When the backend fails or there are no rows.
pub(super) fn calibrate<B: Backend>(
    context: &Context<'_>,
    what: &str,
    decoder: &mut Decoder<B>,
    sources: &[Vec<Example>],
    inside: &MaskSet,
    plan: &Plan,
    (specs, density): (&[TensorSpec], f64),
) -> Result<Choice, Failure> {
    let scores: BTreeMap<String, Scores> = match moved(context, what, decoder, sources, inside, plan, specs)? {
        Ok(moved) => moved.into_iter().map(|scores| (scores.tensor.clone(), scores)).collect(),
        Err(why) => return Ok(Choice::CannotTell(why)),
    };
    let chosen = select(specs, Budget::of(density), Some(inside), |spec| -> Result<Scores, TicketError> { Ok(scores[&spec.name].clone()) });
    Ok(chosen.and_then(told_apart).map_or_else(Choice::from, Choice::Chosen))
}

/// Trains the weights `inside` for a few steps, rewinds, and tells how far every maskable weight moved; or why it cannot tell.
///
/// # Errors
/// When the backend fails or there are no rows.
pub(super) fn moved<B: Backend>(
    context: &Context<'_>,
    what: &str,
    decoder: &mut Decoder<B>,
    sources: &[Vec<Example>],
    inside: &MaskSet,
    plan: &Plan,
    specs: &[TensorSpec],
) -> Result<Result<Vec<Scores>, String>, Failure> {
    let trained: Trained = may_move::only(inside);
    let before = snapshot(decoder, &trained)?;
    let calibrated = fit::<_, TrainError>(decoder, sources, &trained, plan, None, &mut |step, _| {
        context.progress(what, step.number as usize, plan.steps as usize, format!("loss {:.3}", step.loss));
        Ok(Next::default())
    })?;
    if let Some(error) = calibrated.stopped {
        rewind(decoder, &before)?;
        return Ok(Err(format!("its calibration stopped: {error}")));
    }
    let mut after = BTreeMap::new();
    for spec in maskable(specs) {
        after.insert(spec.name.as_str(), decoder.values(&spec.name).map_err(backend_failed)?);
    }
    rewind(decoder, &before)?;
    let moved = maskable(specs).map(|spec| {
        let after = &after[spec.name.as_str()];
        Scores::new(&spec.name, task_vector(before.get(&spec.name).unwrap_or(after), after))
    });
    Ok(moved.collect::<Result<Vec<_>, _>>().map_err(|error| cannot_choose(&error)))
}
