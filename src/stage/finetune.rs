//! finetune: one task of an arm, from the aligned model, or in a sequence from what the task before it left, to a tuned one.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::artifact::store::Workplace;
use crate::artifact::write::copy_whole;
use crate::error::Failure;
use crate::model::decoder::Trained;
use crate::model::inventory::inventory;
use crate::model::verify;
use crate::model::weights::Weights;
use crate::pipeline::settings::Arm;
use crate::record::{EditSummary, Figure, TrainingSummary};
use crate::ticket::mask_set::MaskSet;
use crate::train::fit::Next;

use super::fetch::Model;
use super::frame::Frame;
use super::learn::{Course, Curve, Learnt, learn};
use super::parts::Parts;
use super::selection::{Job, frozen};
use super::sequence::{Leg, keep_ticket, of_task, taken};
use super::train::{budget_warning, erased_share, rounding_warning, save};
use super::{Context, read_json, write_json};

/// Of this stage's result; raised when what it writes changes.
pub(super) const VERSION: u32 = 6;

/// Where a training leaves what a resume goes on from, in its workplace.
const CHECKPOINT: &str = "checkpoint.safetensors";
/// Figures of the steps behind the checkpoint.
const CHECKPOINT_CURVE: &str = "checkpoint-curve.json";

/// Of the aligned model's own figures.
pub(super) const MEASURE_VERSION: u32 = 2;

/// A tuned model and how it came about.
pub struct Tuned {
    /// The saved files, opened again.
    pub model: Model,
    /// Training steps behind its weights.
    pub steps: u64,
    /// What its training did; none where it was not trained itself.
    pub training: Option<TrainingSummary>,
    /// What was done to another arm's weights to make it.
    pub edit: Option<EditSummary>,
    /// Figures along the training, by step.
    pub curve: Curve,
    /// Figures of the saved files.
    pub figures: BTreeMap<String, Figure>,
    /// Where each of several tasks has its own weights: those of this task and of all before it.
    pub taken: Option<MaskSet>,
}

#[derive(Serialize, Deserialize)]
struct Report {
    summary: TrainingSummary,
    curve: Curve,
    figures: BTreeMap<String, Figure>,
}

/// Trains one task of an arm with one seed, saves it, proves that the weights it does not train kept their bits, and measures the saved
/// files. Steps and curve count on from the task before.
///
/// # Errors
/// When training fails (the last checkpoint stays), or the store cannot be written.
pub fn finetune(context: &Context<'_>, arm: &Arm, frame: &Frame<'_>, seed: u64, leg: Leg<'_>) -> Result<Tuned, Failure> {
    finetune_from(context, arm, frame, seed, leg, None)
}

/// [`finetune`], which goes on from the checkpoint and the figures that an equal training left elsewhere.
pub(super) fn finetune_from(
    context: &Context<'_>,
    arm: &Arm,
    frame: &Frame<'_>,
    seed: u64,
    leg: Leg<'_>,
    left: Option<(&Path, &Path)>,
) -> Result<Tuned, Failure> {
    let specs = inventory(&frame.aligned.config);
    let ticket = frame.ticket_of(arm, &specs, seed)?;
    let (task, rows) = &frame.tasks[leg.task];
    let own_weights = frame.has_tasks() && arm.has_own_weights();
    let parts = Parts::of(context, arm, frame, (seed, leg), ticket.as_ref().map(|(_, digest)| digest.clone()));
    let name = of_task("finetune", &arm.name, seed, frame.has_tasks().then_some(task));
    let entry = context.stage(&name, VERSION, &parts, |place| {
        let ticket = ticket.as_ref().map(|(masks, _)| masks);
        let examples = rows.cut(arm.training_of(leg.task).max_length)?;
        let taken = leg.taken.filter(|_| own_weights);
        if let Some((checkpoint, curve)) = left {
            // What is not there was lost in a kill: then it is trained again.
            for (from, name) in [(checkpoint, CHECKPOINT), (curve, CHECKPOINT_CURVE)].into_iter().filter(|(from, _)| from.is_file()) {
                copy_whole(from, &place.folder.join(name))?;
            }
        }
        let job = Job { context, arm, specs: &specs, ticket, seed, task: leg.task, taken, examples };
        let (report, trained) = train(&job, frame, leg.start(frame), place)?;
        if own_weights {
            keep_ticket(&place.folder, (arm, seed), &specs, (leg.start(frame), &rows.digests), &trained)?;
        }
        let last = report.summary.losses.last().copied().unwrap_or(f64::NAN);
        let note = format!("{} weights, loss {last:.3}, 0 of the frozen ones changed", report.summary.trained);
        write_json(place, "training.json", &report)?;
        Ok(note)
    })?;
    let Report { summary, curve, figures } = read_json(&entry, "training.json")?;
    let who = if frame.has_tasks() { format!("arm {}, task {task}", arm.name) } else { format!("arm {}", arm.name) };
    if let Some(why) = &summary.stopped {
        context.warn(format!("{who} stopped early: {why}"));
    }
    if let Some(warning) = rounding_warning(&who, summary.erased_by_rounding) {
        context.warn(warning);
    }
    if let Some(warning) = budget_warning(&who, arm.training_of(leg.task), summary.steps, summary.tokens) {
        context.warn(warning);
    }
    let model = Model::open(&entry.folder, frame.model_settings)?;
    let earlier = leg.before.map_or(0, |before| before.steps);
    let curve = curve.into_iter().map(|(step, figures)| (earlier + step, figures)).collect();
    let taken = if own_weights { Some(taken(&entry.folder, leg.taken)?) } else { None };
    Ok(Tuned { model, steps: earlier + summary.steps, training: Some(summary), edit: None, curve, figures, taken })
}

/// A stage's name for an arm and a seed.
pub(super) fn of_seed(kind: &str, arm: &str, seed: u64) -> String {
    if seed == 0 { format!("{kind} {arm}") } else { format!("{kind} {arm} seed-{seed}") }
}

/// Trains from the weights of `from`; also returns what was trained.
fn train(job: &Job<'_>, frame: &Frame<'_>, from: &Model, place: &Workplace) -> Result<(Report, Trained), Failure> {
    let Job { context, arm, specs, .. } = job;
    let start = std::time::Instant::now();
    let course = Course {
        until: arm.until,
        to_the_end: false,
        checkpoint: &place.folder.join(CHECKPOINT),
        // Figures of steps before a resume are kept beside the checkpoint.
        curve: &place.folder.join(CHECKPOINT_CURVE),
    };
    let Learnt { decoder, trained, count, progress, stopped, curve, truncated } =
        learn(job, frame, from, &course, &mut |_| Next::default())?;
    let rounding = save(from, &decoder, &trained, frame.model_settings.dtype, &place.folder)?;
    drop(decoder);
    let saved = Weights::open(&place.folder)?;
    let frozen = frozen(specs, &trained);
    let compared = verify::compare(&from.weights, &saved, &frozen);
    let figures = frame.figures_of(context, &Model::open(&place.folder, frame.model_settings)?)?;
    // A last step too large leaves no loss behind it that would tell.
    let finite_weights = rounding.saved_squares.is_finite() && rounding.update_sum.is_finite();
    let not_finite = (!finite_weights).then(|| format!("a weight is no finite number after step {}", progress.steps));
    let total: u64 = specs.iter().map(|spec| spec.len() as u64).sum();
    let summary = TrainingSummary {
        trained: count,
        trained_share: count as f64 / total as f64,
        steps: progress.steps,
        tokens: progress.tokens,
        supervised_tokens: progress.supervised_tokens,
        truncated_rows: truncated,
        projected: arm.project.as_ref().map(|_| progress.projected),
        losses: progress.losses,
        gradient_norms: progress.gradient_norms,
        seconds: start.elapsed().as_secs_f64(),
        update_norm: if finite_weights { rounding.saved_squares.sqrt() } else { 0.0 },
        erased_by_rounding: if finite_weights { erased_share(&rounding) } else { 0.0 },
        frozen_changed: compared.frozen_changed(),
        stopped: stopped.or(not_finite),
    };
    if !compared.holds() {
        return Err(Failure::new(
            "frozen-changed",
            format!("{} frozen weights of arm {} changed: a defect of the program", compared.frozen_changed(), arm.name),
        ));
    }
    Ok((Report { summary, curve, figures }, trained))
}
