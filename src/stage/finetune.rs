//! finetune: one task of an arm, from the aligned model, or from what the task before it left, to a tuned one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::artifact::store::Workplace;
use crate::error::Failure;
use crate::model::decoder::{Decoder, Trained};
use crate::model::inventory::inventory;
use crate::model::verify;
use crate::model::weights::Weights;
use crate::pipeline::settings::{self, Arm, Train};
use crate::record::{EditSummary, Figure, TrainingSummary};
use crate::ticket::mask_set::MaskSet;
use crate::train::fit::{Fitted, Step, fit_with};
use crate::train::lora::{self, Lora};
use crate::train::may_move;
use crate::train::optimizer::Optimizer;

use super::fetch::Model;
use super::frame::{Frame, finite};
use super::restraint::{elastic, restraints};
use super::selection::{Job, frozen, selection};
use super::sequence::{Leg, digest, keep_ticket, of_task, taken};
use super::train::{erased_share, plan, rounding_warning, save};
use super::{Context, read_json, write_json};

/// Of this stage's result; raised when what it writes changes.
pub(super) const VERSION: u32 = 4;

/// Of the aligned model's own figures.
pub(super) const MEASURE_VERSION: u32 = 1;

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
    pub curve: Vec<(u64, BTreeMap<String, Figure>)>,
    /// Figures of the saved files.
    pub figures: BTreeMap<String, Figure>,
    /// In a sequence whose tasks have their own weights: those of this task and of all before it.
    pub taken: Option<MaskSet>,
}

#[derive(Serialize)]
struct Parts<'a> {
    aligned: &'a str,
    text: &'a str,
    data: &'a [String],
    train: Train,
    density: Option<f64>,
    ticket: Option<String>,
    calibration: Option<(u64, f64)>,
    training: &'a settings::Training,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<(&'a [String], f64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_tokens: Option<&'a settings::FirstTokens>,
    #[serde(skip_serializing_if = "Option::is_none")]
    anchor: Option<(&'a [String], f64, usize)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elastic: Option<(&'a [String], f64, usize)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<(&'a [String], usize)>,
    /// The aligned model, where restraints hold a later task to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lora: Option<&'a settings::Lora>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<&'a settings::Layers>,
    /// In a sequence whose tasks have their own weights: those of the earlier ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<Option<String>>,
    probes: Option<(&'a str, u64, &'a [settings::Probe])>,
    seed: u64,
    dtype: settings::Dtype,
    numerics: String,
}

#[derive(Serialize, Deserialize)]
struct Report {
    summary: TrainingSummary,
    curve: Vec<(u64, BTreeMap<String, Figure>)>,
    figures: BTreeMap<String, Figure>,
}

/// Trains one task of an arm with one seed, saves it, proves that the weights it does not train kept their bits, and measures the saved
/// files. Steps and curve count on from the task before.
///
/// # Errors
/// When training fails (the last checkpoint stays), or the store cannot be written.
pub fn finetune(context: &Context<'_>, arm: &Arm, frame: &Frame<'_>, seed: u64, leg: Leg<'_>) -> Result<Tuned, Failure> {
    let specs = inventory(&frame.aligned.config);
    let ticket = frame.ticket_of(arm, &specs, seed)?;
    let (task, rows) = &frame.tasks[leg.task];
    let own_weights = frame.is_sequence() && arm.has_own_weights();
    let beside = |key| frame.beside(arm, key).map(|rows| rows.digests.as_slice());
    let parts = Parts {
        aligned: &leg.start(frame).digest,
        text: &frame.aligned.text_digest,
        data: &rows.digests,
        train: arm.train,
        density: arm.density,
        ticket: ticket.as_ref().map(|(_, digest)| digest.clone()),
        calibration: (arm.train == Train::Complement && arm.density.is_some())
            .then_some((arm.calibration.steps, arm.calibration.learning_rate)),
        training: arm.training_of(leg.task),
        replay: arm.replay.as_ref().zip(beside("replay")).map(|(replay, data)| (data, replay.share)),
        first_tokens: arm.first_tokens.as_ref(),
        anchor: arm.anchor.as_ref().zip(beside("anchor")).map(|(anchor, data)| (data, anchor.weight, anchor.rows)),
        elastic: arm.elastic.as_ref().zip(beside("elastic")).map(|(elastic, data)| (data, elastic.strength, elastic.rows)),
        project: arm.project.as_ref().zip(beside("project")).map(|(project, data)| (data, project.rows)),
        held_to: (leg.before.is_some() && (arm.first_tokens.is_some() || arm.anchor.is_some() || arm.elastic.is_some()))
            .then_some(frame.aligned.digest.as_str()),
        lora: arm.lora.as_ref(),
        layers: arm.layers.as_ref(),
        sequence: own_weights.then(|| leg.taken().map(digest)),
        probes: frame.probes.as_ref().map(|(_, digest, settings)| (digest.as_str(), settings.every, settings.of.as_slice())),
        seed,
        dtype: frame.model_settings.dtype,
        numerics: context.compute.numerics(),
    };
    let name = of_task("finetune", &arm.name, seed, frame.is_sequence().then_some(task));
    let entry = context.stage(&name, VERSION, &parts, |place| {
        let ticket = ticket.as_ref().map(|(masks, _)| masks);
        let examples = rows.cut(arm.training_of(leg.task).max_length)?;
        let taken = leg.taken().filter(|_| own_weights);
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
    let who = if frame.is_sequence() { format!("arm {}, task {task}", arm.name) } else { format!("arm {}", arm.name) };
    if let Some(why) = &summary.stopped {
        context.warn(format!("{who} stopped early: {why}"));
    }
    if let Some(warning) = rounding_warning(&who, summary.erased_by_rounding) {
        context.warn(warning);
    }
    let model = Model::open(&entry.folder, frame.model_settings)?;
    let earlier = leg.before.map_or(0, |before| before.steps);
    let curve = curve.into_iter().map(|(step, figures)| (earlier + step, figures)).collect();
    let taken = if own_weights { Some(taken(&entry.folder, leg.taken())?) } else { None };
    Ok(Tuned { model, steps: earlier + summary.steps, training: Some(summary), edit: None, curve, figures, taken })
}

/// A stage's name for an arm and a seed.
pub(super) fn of_seed(kind: &str, arm: &str, seed: u64) -> String {
    if seed == 0 { format!("{kind} {arm}") } else { format!("{kind} {arm} seed-{seed}") }
}

/// Trains from the weights of `from`; also returns what was trained.
fn train(job: &Job<'_>, frame: &Frame<'_>, from: &Model, place: &Workplace) -> Result<(Report, Trained), Failure> {
    let Job { context, arm, specs, examples, .. } = job;
    let training = arm.training_of(job.task);
    let start = std::time::Instant::now();
    if from.digest != frame.aligned.digest {
        frame.ready(context)?;
    }
    let mut decoder = context.compute.load(from)?;
    let measure = frame.measure(&mut decoder)?;
    let mut restraints = restraints(job, frame, from, &mut decoder)?;
    let (trained, impossible) = match selection(job, &mut decoder)? {
        Ok(trained) => (trained, None),
        Err(why) => (Trained::new(), Some(why)),
    };
    restraints.elastic = elastic(job, frame, from, (&mut decoder, &trained))?;
    let steps = if arm.train == Train::None || impossible.is_some() { 0 } else { training.max_steps };
    // The arm's own ticket was found on the task alone.
    let replay = frame.beside(arm, "replay").map(|rows| rows.cut(training.max_length)).transpose()?;
    let mut sources = examples.sources.clone();
    sources.extend(replay.iter().flat_map(|rows| rows.sources.clone()));
    let replay_share = arm.replay.as_ref().map(|replay| (examples.sources.len(), replay.share));
    let plan = crate::train::fit::Plan { steps, replay_share, ..plan(training, job.seed) };
    let checkpoint = place.folder.join("checkpoint.safetensors");
    // Figures of steps before a resume are kept beside the checkpoint.
    let curve_file = place.folder.join("checkpoint-curve.json");
    let mut curve: Vec<(u64, BTreeMap<String, Figure>)> =
        std::fs::read_to_string(&curve_file).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let what = format!("finetune {}", arm.name);
    let mut after = |step: Step, decoder: &mut Decoder<_>| -> Result<(), Failure> {
        context.progress(&what, step.number as usize, steps as usize, format!("loss {:.3}", step.loss));
        if let Some((measure, every)) = measure
            && step.number.is_multiple_of(every)
            && step.number < steps
        {
            curve.retain(|(earlier, _)| *earlier < step.number);
            curve.push((step.number, measure.measure(decoder)?));
            let text = serde_json::to_vec(&curve).unwrap_or_default();
            crate::artifact::write::write_bytes(&curve_file, &text)?;
        }
        Ok(())
    };
    let mut count = may_move::count(specs, &trained);
    let Fitted { progress, stopped } = match &arm.lora {
        None => {
            let mut optimizer = Optimizer::new(&mut decoder, specs, &trained, plan.optimizer)?;
            fit_with(&mut decoder, &sources, &trained, &plan, &mut restraints, &mut optimizer, Some(&checkpoint), &mut after)?
        }
        Some(settings) => {
            let shape = lora::Shape { rank: settings.rank, alpha: settings.alpha, seed: job.seed };
            let mut factors = Lora::new(&mut decoder, &trained, shape, plan.optimizer)?;
            count = factors.count();
            fit_with(&mut decoder, &sources, &trained, &plan, &mut restraints, &mut factors, Some(&checkpoint), &mut after)?
        }
    };
    let rounding = save(from, &decoder, &trained, frame.model_settings.dtype, &place.folder)?;
    drop(decoder);
    let saved = Weights::open(&place.folder)?;
    let frozen = frozen(specs, &trained);
    let compared = verify::compare(&from.weights, &saved, &frozen);
    let figures = frame.figures_of(context, &Model::open(&place.folder, frame.model_settings)?)?;
    let curve = curve.into_iter().map(|(step, figures)| (step, finite(figures))).collect();
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
        projected: arm.project.as_ref().map(|_| progress.projected),
        truncated_rows: (examples.truncated + replay.as_ref().map_or(0, |rows| rows.truncated)) as u64,
        losses: progress.losses,
        gradient_norms: progress.gradient_norms,
        seconds: start.elapsed().as_secs_f64(),
        update_norm: if finite_weights { rounding.saved_squares.sqrt() } else { 0.0 },
        erased_by_rounding: if finite_weights { erased_share(&rounding) } else { 0.0 },
        frozen_changed: compared.frozen_changed(),
        stopped: impossible.or(stopped.map(|error| error.to_string())).or(not_finite),
    };
    if !compared.holds() {
        return Err(Failure::new(
            "frozen-changed",
            format!("{} frozen weights of arm {} changed: a defect of the program", compared.frozen_changed(), arm.name),
        ));
    }
    Ok((Report { summary, curve, figures }, trained))
}
