//! Several tasks: where each begins, which weights are its own, and its delta.
//!
//! In a sequence a task begins with the files that the one before it saved, in the type in which they are saved: what training in f32 held beyond
//! that type is gone, as it is for everybody who gets the files, and so is the optimizer's state. With `model.dtype: f32` nothing of
//! the weights is lost.
//!
//! Source: *Lottery Ticket Adaptation* (2406.16797), section 3, sequential training: each task is calibrated and trained outside the
//! union of all earlier tickets.

use std::path::{Path, PathBuf};

use crate::artifact::digest::sha256;
use crate::artifact::write::write_whole;
use crate::delta::DeltaError;
use crate::delta::make::make;
use crate::error::{Failure, Within};
use crate::mask::Mask;
use crate::model::backend::Selection;
use crate::model::decoder::Trained;
use crate::model::inventory::TensorSpec;
use crate::pipeline::settings::{Arm, Scope};
use crate::ticket::budget::Structure;
use crate::ticket::file::{Origin, Ticket};
use crate::ticket::mask_set::{MaskSet, maskable};

use super::Context;
use super::fetch::Model;
use super::finetune::Tuned;
use super::frame::Frame;

/// Of the stage that writes a task's delta; raised when what it writes changes.
pub(super) const DELTA_VERSION: u32 = 2;

/// The file with the weights of a task's own.
const TICKET: &str = "ticket.safetensors";

/// The file with what a task changed.
const DELTA: &str = "delta.safetensors";

/// One task of an arm.
#[derive(Clone, Copy)]
pub struct Leg<'a> {
    /// Its place among the tasks, from 0.
    pub task: usize,
    /// What the task before it left, with which it begins; none of the first, and of tasks side by side: they begin with the aligned
    /// model.
    pub before: Option<&'a Tuned>,
    /// The weights of all earlier tasks, where each has its own.
    pub taken: Option<&'a MaskSet>,
}

impl<'a> Leg<'a> {
    /// The model that the task begins with.
    pub(super) fn start<'b>(&self, frame: &'b Frame<'_>) -> &'b Model
    where
        'a: 'b,
    {
        self.before.map_or(frame.aligned, |before| &before.model)
    }
}

/// The name of an arm's task in a stage's name: `protected`, or `protected seed-1/sums` in a sequence.
pub(super) fn of_task(kind: &str, arm: &str, seed: u64, task: Option<&str>) -> String {
    let arm = super::finetune::of_seed(kind, arm, seed);
    task.map_or_else(|| arm.clone(), |task| format!("{arm}/{task}"))
}

/// What of a set of weights goes into a stage's key.
pub(super) fn digest(masks: &MaskSet) -> String {
    sha256(&masks.0.values().flat_map(Mask::to_bytes).collect::<Vec<u8>>())
}

/// Writes down which weights a task trained, for the later ones to leave alone: those that were chosen, whether or not they changed.
/// The file is a ticket, scored on the task.
///
/// # Errors
/// When it cannot be written.
pub(super) fn keep_ticket(
    folder: &Path,
    (arm, seed): (&Arm, u64),
    specs: &[TensorSpec],
    (start, data): (&Model, &[String]),
    trained: &Trained,
) -> Result<(), Failure> {
    let chosen = |spec: &TensorSpec| match trained.get(&spec.name) {
        Some(Selection::Everything) => Mask::full(spec.len()),
        Some(Selection::Subset(mask)) => mask.clone(),
        Some(Selection::Nothing) | None => Mask::empty(spec.len()),
    };
    let masks = MaskSet(maskable(specs).map(|spec| (spec.name.clone(), chosen(spec))).collect());
    let random = arm.train == crate::pipeline::settings::Train::Random;
    let origin = Origin {
        version: 0,
        model: start.digest.clone(),
        base: None,
        score: if random { "random" } else { "calibrate" }.into(),
        density: arm.density.unwrap_or(1.0),
        scope: Scope::Global,
        structure: Structure::Weight,
        minus: None,
        over: None,
        data: (!random).then(|| ("the task".to_owned(), sha256(data.join("\n").as_bytes()))),
        seed: random.then_some(seed),
        sizes: std::collections::BTreeMap::new(),
        bits: String::new(),
    };
    Ok(write_whole(&folder.join(TICKET), |file| Ticket::new(origin, masks).write(file))?)
}

/// The weights of a finished task and of all before it.
///
/// # Errors
/// When the task's ticket cannot be read.
pub(super) fn taken(folder: &Path, earlier: Option<&MaskSet>) -> Result<MaskSet, Failure> {
    let own = Ticket::read(&folder.join(TICKET))?.masks;
    Ok(earlier.map_or_else(|| own.clone(), |earlier| own.union(earlier)))
}

/// Writes what a task changed, as a delta of its model against the one that it began with: of tasks side by side the aligned one. Of a
/// sequence whose tasks have their own weights it can be applied to the aligned model alone or with any of the others, in any order,
/// unless the first one changed the type in which weights are stored (`model.dtype: f32` of a bf16 model); of every other sequence after
/// all earlier ones. Returns where it is; nothing is written where no weight changed.
///
/// # Errors
/// When the models cannot be compared or the store cannot be written.
pub fn task_delta(
    context: &Context<'_>,
    arm: &str,
    seed: u64,
    task: &str,
    start: &Model,
    tuned: &Model,
) -> Result<Option<PathBuf>, Failure> {
    // Saved files leave out copies of tied embeddings: digests may differ where no weight does.
    let has_copies = || start.weights.names().any(|name| start.weights.redundant(name));
    let same = || matches!(make(&start.weights, &tuned.weights, Default::default()), Err(DeltaError::Same(_)));
    if start.digest == tuned.digest || has_copies() && same() {
        return Ok(None);
    }
    let name = of_task("delta", arm, seed, Some(task));
    let entry = context.stage(&name, DELTA_VERSION, &(&start.digest, &tuned.digest), |place| {
        // Neutral names: the same delta belongs to every arm with these weights.
        let sources = ("before the task".to_owned(), "after it".to_owned());
        let made = make(&start.weights, &tuned.weights, sources).within(|| name.clone())?;
        write_whole(&place.folder.join(DELTA), |file| made.write(file))?;
        let changed: usize = made.origin.tensors.values().map(|facts| facts.changed).sum();
        Ok(format!("{changed} weights"))
    })?;
    Ok(Some(entry.folder.join(DELTA)))
}
