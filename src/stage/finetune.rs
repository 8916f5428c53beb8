//! finetune: one arm from the aligned model to a tuned one.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::artifact::digest::sha256;
use crate::artifact::store::Workplace;
use crate::data::example::encode;
use crate::error::{Failure, Within};
use crate::eval::judge::Judge;
use crate::model::backend::Backend;
use crate::model::batch::Example;
use crate::model::decoder::{Decoder, Trained};
use crate::model::inventory::{TensorSpec, inventory};
use crate::model::verify;
use crate::model::weights::Weights;
use crate::pipeline::settings::{self, Arm, ArmTicket, Finetune, Pipeline, Train};
use crate::record::{Figure, ProbeReference, TrainingSummary};
use crate::ticket::mask_set::MaskSet;
use crate::train::fit::{Fitted, fit};
use crate::train::may_move;

use super::evaluate::Questions;
use super::extract::{Extracted, random_masks};
use super::fetch::Model;
use super::probe::{Measure, ProbeInput, Reference, reference};
use super::rows::{TrainingRows, load_rows, training_rows};
use super::selection::{Job, frozen, selection};
use super::train::{erased_share, plan, rounding_warning, save};
use super::{Context, read_json, write_json};

/// Of this stage's result; raised when what it writes changes.
pub(super) const VERSION: u32 = 4;

/// Of the aligned model's own figures.
pub(super) const MEASURE_VERSION: u32 = 1;

/// Seeds of random tickets are apart from those of random arms and of the data order.
const RANDOM_TICKET: u64 = 0x7469_636b;

/// What every arm starts from.
pub struct Frame<'a> {
    aligned: &'a Model,
    model_settings: &'a settings::Model,
    tickets: &'a BTreeMap<String, Extracted>,
    rows: TrainingRows,
    /// What an arm rehearses, by the arm's name.
    replays: BTreeMap<String, TrainingRows>,
    probes: Option<(Reference, String, &'a settings::Probes)>,
    measure: OnceCell<Measure>,
}

/// A tuned model and what its training showed.
pub struct Tuned {
    /// The saved files, opened again.
    pub model: Model,
    /// What the training did.
    pub summary: TrainingSummary,
    /// Figures along the training, by step.
    pub curve: Vec<(u64, BTreeMap<String, Figure>)>,
    /// Figures of the saved files.
    pub figures: BTreeMap<String, Figure>,
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

impl<'a> Frame<'a> {
    /// Loads the task's rows and makes the probes' reference.
    ///
    /// # Errors
    /// When data cannot be used or the backend fails.
    pub fn new(
        context: &Context<'_>,
        pipeline: &'a Pipeline,
        finetune: &Finetune,
        aligned: &'a Model,
        tickets: &'a BTreeMap<String, Extracted>,
        asked: &[Questions],
        judges: &[Judge],
    ) -> Result<Self, Failure> {
        let longest = finetune.arms.iter().map(|arm| arm.training.max_length).max().unwrap_or(512);
        let rows = training_rows(context, "finetune", &finetune.data, aligned, longest)?;
        let mut replays = BTreeMap::new();
        for (arm, replay) in finetune.arms.iter().filter_map(|arm| Some((arm, arm.replay.as_ref()?))) {
            let what = format!("replay of {}", arm.name);
            let rows = training_rows(context, &what, &replay.data, aligned, arm.training.max_length)?;
            replays.insert(arm.name.clone(), rows);
        }
        let probes = match (&pipeline.evaluate.probes, judges.first()) {
            (Some(settings), Some(judge)) => {
                let harmful = load_rows(context, "probes.harmful", &settings.harmful)?;
                let benign = load_rows(context, "probes.benign", &settings.benign)?;
                let (task, task_digest) = task_rows(context, settings, aligned, asked, longest)?;
                // The encoded rows: what max_length cuts is another measure.
                let encoded = serde_json::to_string(&task).map_err(|error| Failure::new("internal", error.to_string()))?;
                let task_digest = sha256(format!("{task_digest}\n{encoded}").as_bytes());
                let input = ProbeInput {
                    harmful: &harmful.rows,
                    benign: &benign.rows,
                    task,
                    tokens: settings.tokens,
                    batch_size: pipeline.evaluate.batch_size,
                    digests: vec![harmful.content_digest(), benign.content_digest(), task_digest],
                };
                let (made, digest) = reference(context, aligned, &input, judge)?;
                Some((made, digest, settings))
            }
            _ => None,
        };
        Ok(Self { aligned, model_settings: &pipeline.model, tickets, rows, replays, probes, measure: OnceCell::new() })
    }

    /// The aligned model's own figures: where every curve begins. None without probes.
    ///
    /// # Errors
    /// When the backend fails or the store cannot be written.
    pub fn aligned_figures(&self, context: &Context<'_>) -> Result<Option<BTreeMap<String, Figure>>, Failure> {
        let Some((_, reference, settings)) = &self.probes else { return Ok(None) };
        // The reference's digest stands for the prompts and the task rows.
        let parts = (&self.aligned.digest, reference, &settings.of, context.compute.numerics());
        let entry = context.stage("measure aligned", MEASURE_VERSION, &parts, |place| {
            let mut decoder = context.compute.load(self.aligned)?;
            let figures = match self.measure(&mut decoder)? {
                Some((measure, _)) => measure.measure_saved(&mut decoder)?,
                None => BTreeMap::new(),
            };
            write_json(place, "figures.json", &figures)?;
            Ok(format!("{} figures", figures.len()))
        })?;
        Ok(Some(read_json(&entry, "figures.json")?))
    }

    /// The probes' measure and its interval in steps, made once from a decoder that holds the aligned weights.
    fn measure<B: Backend>(&self, aligned: &mut Decoder<B>) -> Result<Option<(&Measure, u64)>, Failure> {
        let Some((made, _, settings)) = &self.probes else { return Ok(None) };
        if self.measure.get().is_none() {
            // Nobody else can have set it meanwhile: stages run one after another.
            let _ = self.measure.set(Measure::new(aligned, made.clone(), &settings.of)?);
        }
        Ok(self.measure.get().map(|measure| (measure, settings.every)))
    }

    /// What the record tells of the probes.
    ///
    /// # Errors
    /// When a token is not in the vocabulary.
    pub fn told(&self, judges: &[Judge]) -> Result<Option<ProbeReference>, Failure> {
        match (&self.probes, judges.first()) {
            (Some((made, _, _)), Some(judge)) => Ok(Some(made.told(self.aligned, judge)?)),
            _ => Ok(None),
        }
    }
}

/// Held-out task rows: those that the probes name, else the task suite's.
fn task_rows(
    context: &Context<'_>,
    settings: &settings::Probes,
    model: &Model,
    asked: &[Questions],
    max_length: usize,
) -> Result<(Vec<Example>, String), Failure> {
    if let Some(spec) = &settings.task {
        let rows = training_rows(context, "probes.task", std::slice::from_ref(spec), model, max_length)?;
        return Ok((rows.sources.into_iter().flatten().collect(), rows.digests.concat()));
    }
    match asked.iter().find(|questions| questions.is_task()) {
        Some(questions) => {
            let encoded = encode(&model.text, &questions.rows, max_length).within(|| format!("suite {} as probe", questions.suite.name))?;
            Ok((encoded.examples, questions.info.digest.clone()))
        }
        None => Ok((Vec::new(), String::new())),
    }
}

/// Trains one arm with one seed, saves it, proves that the frozen weights kept their bits, and measures the saved files.
///
/// # Errors
/// When training fails (the last checkpoint stays), or the store cannot be written.
pub fn finetune(context: &Context<'_>, arm: &Arm, frame: &Frame<'_>, seed: u64) -> Result<Tuned, Failure> {
    let specs = inventory(&frame.aligned.config);
    let ticket = ticket_of(arm, frame, &specs, seed)?;
    let parts = Parts {
        aligned: &frame.aligned.digest,
        text: &frame.aligned.text_digest,
        data: &frame.rows.digests,
        train: arm.train,
        density: arm.density,
        ticket: ticket.as_ref().map(|(_, digest)| digest.clone()),
        calibration: (arm.train == Train::Complement && arm.density.is_some())
            .then_some((arm.calibration.steps, arm.calibration.learning_rate)),
        training: &arm.training,
        replay: arm.replay.as_ref().zip(frame.replays.get(&arm.name)).map(|(replay, rows)| (rows.digests.as_slice(), replay.share)),
        probes: frame.probes.as_ref().map(|(_, digest, settings)| (digest.as_str(), settings.every, settings.of.as_slice())),
        seed,
        dtype: frame.model_settings.dtype,
        numerics: context.compute.numerics(),
    };
    let name = if seed == 0 { format!("finetune {}", arm.name) } else { format!("finetune {} seed-{seed}", arm.name) };
    let entry = context.stage(&name, VERSION, &parts, |place| {
        let ticket = ticket.as_ref().map(|(masks, _)| masks);
        let examples = frame.rows.cut(arm.training.max_length)?;
        let report = train(&Job { context, arm, specs: &specs, ticket, seed, examples }, frame, place)?;
        let last = report.summary.losses.last().copied().unwrap_or(f64::NAN);
        let note = format!("{} weights, loss {last:.3}, 0 of the frozen ones changed", report.summary.trained);
        write_json(place, "training.json", &report)?;
        Ok(note)
    })?;
    let Report { summary, curve, figures } = read_json(&entry, "training.json")?;
    if let Some(why) = &summary.stopped {
        context.warn(format!("arm {} stopped early: {why}", arm.name));
    }
    if let Some(warning) = rounding_warning(&format!("arm {}", arm.name), summary.erased_by_rounding) {
        context.warn(warning);
    }
    Ok(Tuned { model: Model::open(&entry.folder, frame.model_settings)?, summary, curve, figures })
}

/// The arm's ticket with what identifies it; none for arms that use none.
fn ticket_of(arm: &Arm, frame: &Frame<'_>, specs: &[TensorSpec], seed: u64) -> Result<Option<(MaskSet, String)>, Failure> {
    let named =
        |name: &String| frame.tickets.get(name).ok_or_else(|| Failure::new("unknown-ticket", format!("there is no ticket {name:?}")));
    match &arm.ticket {
        None => Ok(None),
        Some(ArmTicket::Named(name)) => {
            let extracted = named(name)?;
            Ok(Some((extracted.ticket.masks.clone(), extracted.digest.clone())))
        }
        Some(ArmTicket::Random { like, draw }) => {
            let origin = &named(like)?.ticket.origin;
            // Draws are apart from seeds.
            let drawn = RANDOM_TICKET ^ seed ^ (u64::from(*draw) << 48);
            Ok(Some((random_masks(specs, drawn, origin.budget())?, format!("random {drawn} {}", origin.budget().told()))))
        }
    }
}

fn train(job: &Job<'_>, frame: &Frame<'_>, place: &Workplace) -> Result<Report, Failure> {
    let Job { context, arm, specs, examples, .. } = job;
    let start = std::time::Instant::now();
    let mut decoder = context.compute.load(frame.aligned)?;
    let measure = frame.measure(&mut decoder)?;
    let (trained, impossible) = match selection(job, &mut decoder)? {
        Ok(trained) => (trained, None),
        Err(why) => (Trained::new(), Some(why)),
    };
    let steps = if arm.train == Train::None || impossible.is_some() { 0 } else { arm.training.max_steps };
    // The arm's own ticket was found on the task alone.
    let replay = frame.replays.get(&arm.name);
    let mut sources = examples.sources.clone();
    sources.extend(replay.iter().flat_map(|rows| rows.sources.clone()));
    let replay_share = arm.replay.as_ref().map(|replay| (examples.sources.len(), replay.share));
    let plan = crate::train::fit::Plan { steps, replay_share, ..plan(&arm.training, job.seed) };
    let checkpoint = place.folder.join("checkpoint.safetensors");
    // Figures of steps before a resume are kept beside the checkpoint.
    let curve_file = place.folder.join("checkpoint-curve.json");
    let mut curve: Vec<(u64, BTreeMap<String, Figure>)> =
        std::fs::read_to_string(&curve_file).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let what = format!("finetune {}", arm.name);
    let Fitted { progress, stopped } =
        fit::<_, Failure>(&mut decoder, &sources, &trained, &plan, Some(&checkpoint), &mut |step, decoder| {
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
        })?;
    let rounding = save(frame.aligned, &decoder, &trained, frame.model_settings.dtype, &place.folder)?;
    drop(decoder);
    let saved = Weights::open(&place.folder)?;
    let frozen = frozen(specs, &trained);
    let compared = verify::compare(&frame.aligned.weights, &saved, &frozen);
    let figures = match measure {
        Some((measure, _)) => {
            let model = Model::open(&place.folder, frame.model_settings)?;
            measure.measure_saved(&mut context.compute.load(&model)?)?
        }
        None => BTreeMap::new(),
    };
    let finite = |figures: BTreeMap<String, Figure>| -> BTreeMap<String, Figure> {
        figures.into_iter().filter(|(_, figure)| figure.value.is_finite()).collect()
    };
    // A model that diverged has no figures rather than NaN ones.
    let (figures, curve) = (finite(figures), curve.into_iter().map(|(step, figures)| (step, finite(figures))).collect());
    // A last step too large leaves no loss behind it that would tell.
    let finite_weights = rounding.saved_squares.is_finite() && rounding.update_sum.is_finite();
    let not_finite = (!finite_weights).then(|| format!("a weight is no finite number after step {}", progress.steps));
    let total: u64 = specs.iter().map(|spec| spec.len() as u64).sum();
    let count = may_move::count(specs, &trained);
    let summary = TrainingSummary {
        trained: count,
        trained_share: count as f64 / total as f64,
        steps: progress.steps,
        tokens: progress.tokens,
        supervised_tokens: progress.supervised_tokens,
        truncated_rows: (examples.truncated + replay.map_or(0, |rows| rows.truncated)) as u64,
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
    Ok(Report { summary, curve, figures })
}
