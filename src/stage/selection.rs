//! What an arm trains, and what it must leave alone.

use std::collections::BTreeMap;

use crate::error::Failure;
use crate::mask::Mask;
use crate::model::backend::{Backend, Selection};
use crate::model::decoder::{Decoder, Trained};
use crate::model::inventory::TensorSpec;
use crate::pipeline::settings::{Arm, Train};
use crate::ticket::budget::Budget;
use crate::ticket::mask_set::{MaskSet, kind};
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
    /// The task, from 0.
    pub task: usize,
    /// Where each of several tasks has its own weights: those of the earlier ones, which this one leaves alone.
    pub taken: Option<&'a MaskSet>,
    /// The rows, cut to the arm's length.
    pub examples: TrainingRows,
}

/// The maskable weights among which an arm trains; all of them, or a share that [`selection`] finds. Empty for `all`, which trains more
/// than these, and for `none`.
pub(super) fn inside(arm: &Arm, specs: &[TensorSpec], ticket: Option<&MaskSet>) -> MaskSet {
    let ticket = || ticket.cloned().unwrap_or_else(|| MaskSet::empty(specs));
    let targets = arm.lora.as_ref().map_or(&[][..], |lora| &lora.targets);
    let inside = match arm.train {
        Train::All | Train::None => MaskSet::empty(specs),
        Train::Maskable | Train::Random => MaskSet::full(specs),
        Train::Complement => ticket().complement(),
        Train::Ticket => ticket(),
        Train::Lora => MaskSet::full(specs).inside(specs, |spec| targets.contains(&kind(&spec.name))),
    };
    inside.inside(specs, |spec| in_layers(arm, spec))
}

/// Whether a tensor is in the layers of an arm. What belongs to no layer is in none, where the arm names any.
pub(super) fn in_layers(arm: &Arm, spec: &TensorSpec) -> bool {
    arm.layers.as_ref().is_none_or(|layers| spec.layer.is_some_and(|layer| layers.contains(layer)))
}

/// What the arm trains in a task, or why its calibration could not tell: that ends the task, not the run. For LoTTO it is found by a
/// short dense training inside the complement, from the weights that the task begins with and to which they are rewound: in a sequence
/// those that the task before left, not the aligned ones.
pub(super) fn selection<B: Backend>(job: &Job<'_>, decoder: &mut Decoder<B>) -> Result<Result<Trained, String>, Failure> {
    let Job { context, arm, specs, .. } = job;
    let mut inside = inside(arm, specs, job.ticket);
    if let Some(taken) = job.taken {
        inside = inside.difference(taken);
    }
    match (arm.train, arm.density) {
        (Train::All, _) => {
            let mine: Vec<TensorSpec> = specs.iter().filter(|spec| in_layers(arm, spec)).cloned().collect();
            Ok(Ok(may_move::all(&mine)))
        }
        (Train::Random, density) => {
            // One order for every task: a later one takes its next share.
            let budget = Budget::of(density.unwrap_or(1.0));
            Ok(Ok(may_move::only(&random_masks(specs, RANDOM_ARM ^ job.seed, budget, Some(&inside))?)))
        }
        (Train::Complement, Some(density)) => {
            let mut plan = plan(arm.training_of(job.task), job.seed ^ 0x63616c);
            (plan.steps, plan.learning_rate, plan.warmup_steps, plan.save_every) =
                (arm.calibration.steps, arm.calibration.learning_rate, 0, 0);
            let what = format!("calibrate {}", arm.name);
            let own = calibrate(context, &what, decoder, &job.examples.sources, &inside, &plan, (specs, density))?;
            Ok(match own {
                Choice::Chosen(masks) => Ok(may_move::only(&masks)),
                Choice::CannotTell(why) => Err(why),
            })
        }
        _ => Ok(Ok(may_move::only(&inside))),
    }
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
