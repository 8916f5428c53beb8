//! What an arm trains, and what it must leave alone.

use std::collections::BTreeMap;

use crate::error::{Explain, Failure};
use crate::mask::Mask;
use crate::model::backend::{Backend, Selection};
use crate::model::decoder::{Decoder, Trained};
use crate::model::inventory::TensorSpec;
use crate::pipeline::settings::{Arm, Scope, Train};
use crate::ticket::TicketError;
use crate::ticket::mask_set::{MaskSet, maskable};
use crate::ticket::score::{Scores, task_vector};
use crate::ticket::select::{select, tied_share};
use crate::train::TrainError;
use crate::train::fit::fit;
use crate::train::may_move;

use super::Context;
use super::evaluate::backend_failed;
use super::extract::random_scores;
use super::rows::TrainingRows;
use super::train::{plan, rewind, snapshot};

/// Seeds of random arms are apart from those of random tickets and of the data order.
const RANDOM_ARM: u64 = 0x61726d;

/// A single adaptive step moves every weight alike, so that |Δ| says nothing: more ties than this are an error.
const MOST_TIED: f64 = 0.01;

/// One arm with one seed.
pub(super) struct Job<'a> {
    pub context: &'a Context<'a>,
    pub arm: &'a Arm,
    pub specs: &'a [TensorSpec],
    /// The arm's ticket; none for arms that use none.
    pub ticket: Option<&'a MaskSet>,
    pub seed: u64,
    /// The rows, cut to the arm's length.
    pub examples: TrainingRows,
}

/// What an arm trains, or why its calibration could not tell: that ends the arm, not the run.
pub(super) enum Choice {
    Trains(Trained),
    CannotTell(String),
}

impl From<TicketError> for Choice {
    fn from(error: TicketError) -> Self {
        let remedy = error.remedy().map(|remedy| format!(" ({remedy})")).unwrap_or_default();
        Self::CannotTell(format!("its calibration cannot choose what to train: {error}{remedy}"))
    }
}

/// What the arm trains; for LoTTO found by a short dense training inside the complement, from which the weights are rewound.
pub(super) fn selection<B: Backend>(job: &Job<'_>, decoder: &mut Decoder<B>) -> Result<Choice, Failure> {
    let Job { context, arm, specs, .. } = job;
    let none = MaskSet::empty(specs);
    let ticket = job.ticket.unwrap_or(&none);
    let inside = match arm.train {
        Train::All => return Ok(Choice::Trains(may_move::all(specs))),
        Train::None => return Ok(Choice::Trains(Trained::new())),
        Train::Random => {
            let masks = select(&random_scores(specs, RANDOM_ARM ^ job.seed)?, arm.density.unwrap_or(1.0), Scope::Global, None)?;
            return Ok(Choice::Trains(may_move::only(&masks)));
        }
        Train::Maskable => MaskSet::full(specs),
        Train::Complement => ticket.complement(),
        Train::Ticket => ticket.clone(),
    };
    let Some(density) = arm.density.filter(|_| arm.train == Train::Complement) else {
        return Ok(Choice::Trains(may_move::only(&inside)));
    };
    let trained = may_move::only(&inside);
    let before = snapshot(decoder, &trained)?;
    let mut plan = plan(&arm.training, job.seed ^ 0x63616c);
    (plan.steps, plan.learning_rate, plan.warmup_steps, plan.save_every) = (arm.calibration_steps, arm.calibration_learning_rate, 0, 0);
    let what = format!("calibrate {}", arm.name);
    let calibrated = fit::<_, TrainError>(decoder, &job.examples.sources, &trained, &plan, None, &mut |step, _| {
        context.progress(&what, step.number as usize, plan.steps as usize, format!("loss {:.3}", step.loss));
        Ok(())
    })?;
    if let Some(error) = calibrated.stopped {
        rewind(decoder, &before)?;
        return Ok(Choice::CannotTell(format!("its calibration stopped: {error}")));
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
    Ok(moved.collect::<Result<Vec<_>, _>>().and_then(|scores| chosen(&scores, density, &inside)).map_or_else(Choice::from, Choice::Trains))
}

fn chosen(scores: &[Scores], density: f64, inside: &MaskSet) -> Result<Trained, TicketError> {
    let chosen = select(scores, density, Scope::Global, Some(inside))?;
    let share = tied_share(scores, &chosen);
    if share > MOST_TIED {
        return Err(TicketError::Tied { share });
    }
    Ok(may_move::only(&chosen))
}

/// Everything that is not trained, as masks by tensor.
pub(super) fn frozen(specs: &[TensorSpec], trained: &Trained) -> BTreeMap<String, Mask> {
    specs
        .iter()
        .map(|spec| {
            let frozen = match trained.get(&spec.name) {
                None | Some(Selection::Nothing) => Mask::full(spec.len()),
                Some(Selection::Everything) => Mask::empty(spec.len()),
                Some(Selection::Subset(mask)) => mask.complement(),
            };
            (spec.name.clone(), frozen)
        })
        .collect()
}
