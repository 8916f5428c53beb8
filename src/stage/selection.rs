//! What an arm trains, and what it must leave alone.

use std::collections::BTreeMap;

use crate::error::Failure;
use crate::mask::Mask;
use crate::model::backend::{Backend, Selection};
use crate::model::decoder::{Decoder, Trained};
use crate::model::inventory::TensorSpec;
use crate::pipeline::settings::{Arm, Train};
use crate::ticket::budget::Budget;
use crate::ticket::mask_set::MaskSet;
use crate::train::may_move;

use super::Context;
use super::calibrate::{Choice, calibrate};
use super::extract::random_masks;
use super::rows::TrainingRows;
use super::train::plan;

/// Seeds of random arms are apart from those of random tickets and of the data order.
const RANDOM_ARM: u64 = 0x61726d;

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

/// What the arm trains, or why its calibration could not tell: that ends the arm, not the run. For LoTTO it is found by a short
/// dense training inside the complement, from which the weights are rewound.
pub(super) fn selection<B: Backend>(job: &Job<'_>, decoder: &mut Decoder<B>) -> Result<Result<Trained, String>, Failure> {
    let Job { context, arm, specs, .. } = job;
    let none = MaskSet::empty(specs);
    let ticket = job.ticket.unwrap_or(&none);
    let inside = match arm.train {
        Train::All => return Ok(Ok(may_move::all(specs))),
        Train::None => return Ok(Ok(Trained::new())),
        Train::Random => {
            let masks = random_masks(specs, RANDOM_ARM ^ job.seed, Budget::of(arm.density.unwrap_or(1.0)))?;
            return Ok(Ok(may_move::only(&masks)));
        }
        Train::Maskable => MaskSet::full(specs),
        Train::Complement => ticket.complement(),
        Train::Ticket => ticket.clone(),
    };
    let Some(density) = arm.density.filter(|_| arm.train == Train::Complement) else { return Ok(Ok(may_move::only(&inside))) };
    let mut plan = plan(&arm.training, job.seed ^ 0x63616c);
    (plan.steps, plan.learning_rate, plan.warmup_steps, plan.save_every) = (arm.calibration.steps, arm.calibration.learning_rate, 0, 0);
    let what = format!("calibrate {}", arm.name);
    Ok(match calibrate(context, &what, decoder, &job.examples.sources, &inside, &plan, (specs, density))? {
        Choice::Chosen(masks) => Ok(may_move::only(&masks)),
        Choice::CannotTell(why) => Err(why),
    })
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
