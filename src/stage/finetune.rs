//! finetune: one arm from the aligned model to a tuned one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::data::example::encode;
use crate::error::{Failure, Within};
use crate::eval::judge::Judge;
use crate::model::decoder::Trained;
use crate::model::inventory::{TensorSpec, inventory};
use crate::model::verify;
use crate::model::weights::Weights;
use crate::pipeline::settings::{self, Arm, ArmTicket, Finetune, Pipeline, Scope, Train};
use crate::record::{Expect, Figure, TrainingSummary};
use crate::ticket::mask_set::{MaskSet, maskable};
use crate::ticket::score::{Scores, task_vector};
use crate::ticket::select::select;
use crate::train::TrainError;
use crate::train::fit::{Fitted, fit};
use crate::train::may_move;

use super::evaluate::{Questions, backend_failed};
use super::extract::{Extracted, random_scores};
use super::fetch::Model;
use super::probe::{Measure, ProbeInput, Reference, reference};
use super::rows::{TrainingRows, load_rows, training_rows};
use super::train::{erased_share, plan, rewind, rounding_warning, save, snapshot};
use super::{Context, read_json, write_json};

/// Of this stage's result; raised when what it writes changes.
pub(super) const VERSION: u32 = 2;

/// Seeds of random tickets and of random arms are apart from each other and from the data order's.
const RANDOM_TICKET: u64 = 0x7469_636b;
const RANDOM_ARM: u64 = 0x61726d;

/// What every arm starts from.
pub struct Frame<'a> {
    aligned: &'a Model,
    model_settings: &'a settings::Model,
    tickets: &'a BTreeMap<String, Extracted>,
    rows: TrainingRows,
    probes: Option<(Reference, String, &'a settings::Probes)>,
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
        let probes = match (&pipeline.evaluate.probes, judges.first()) {
            (Some(settings), Some(judge)) => {
                let harmful = load_rows(context, "probes.harmful", &settings.harmful)?;
                let benign = load_rows(context, "probes.benign", &settings.benign)?;
                let (task, task_digest) = task_rows(context, settings, aligned, asked, longest)?;
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
        Ok(Self { aligned, model_settings: &pipeline.model, tickets, rows, probes })
    }

    /// The aligned model's own figures: where every curve begins.
    ///
    /// # Errors
    /// When the backend fails.
    pub fn aligned_figures(&self, context: &Context<'_>) -> Result<Option<BTreeMap<String, Figure>>, Failure> {
        let Some((made, _, settings)) = &self.probes else { return Ok(None) };
        let mut decoder = context.compute.load(self.aligned)?;
        let measure = Measure::new(&mut decoder, made.clone(), &settings.of)?;
        Ok(Some(measure.measure(&mut decoder)?))
    }
}

/// Held-out task rows: those that the probes name, else the task suite's.
fn task_rows(
    context: &Context<'_>,
    settings: &settings::Probes,
    model: &Model,
    asked: &[Questions],
    max_length: usize,
) -> Result<(Vec<crate::model::batch::Example>, String), Failure> {
    if let Some(spec) = &settings.task {
        let rows = training_rows(context, "probes.task", std::slice::from_ref(spec), model, max_length)?;
        return Ok((rows.sources.into_iter().flatten().collect(), rows.digests.concat()));
    }
    match asked.iter().find(|questions| questions.suite.expect == Expect::ExactMatch) {
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
            .then_some((arm.calibration_steps, arm.calibration_learning_rate)),
        training: &arm.training,
        probes: frame.probes.as_ref().map(|(_, digest, settings)| (digest.as_str(), settings.every, settings.of.as_slice())),
        seed,
        dtype: frame.model_settings.dtype,
        numerics: context.compute.numerics(),
    };
    let name = if seed == 0 { format!("finetune {}", arm.name) } else { format!("finetune {} seed-{seed}", arm.name) };
    let entry = context.stage(&name, VERSION, &parts, |place| {
        let report = train(context, arm, frame, &specs, ticket.as_ref().map(|(masks, _)| masks), seed, place)?;
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
        Some(ArmTicket::Random { like }) => {
            let origin = &named(like)?.ticket.origin;
            let masks = select(&random_scores(specs, RANDOM_TICKET ^ seed)?, origin.density, origin.scope, None)?;
            Ok(Some((masks, format!("random {seed} {} {:?}", origin.density, origin.scope))))
        }
    }
}

#[allow(clippy::too_many_arguments)]
fn train(
    context: &Context<'_>,
    arm: &Arm,
    frame: &Frame<'_>,
    specs: &[TensorSpec],
    ticket: Option<&MaskSet>,
    seed: u64,
    place: &crate::artifact::store::Workplace,
) -> Result<Report, Failure> {
    let start = std::time::Instant::now();
    let mut decoder = context.compute.load(frame.aligned)?;
    let measure = match &frame.probes {
        Some((made, _, settings)) => Some((Measure::new(&mut decoder, made.clone(), &settings.of)?, settings.every)),
        None => None,
    };
    let trained = selection(context, arm, frame, specs, ticket, seed, &mut decoder)?;
    let examples: Vec<Vec<_>> =
        frame.rows.sources.iter().map(|rows| rows.iter().map(|row| cut(row, arm.training.max_length)).collect()).collect();
    let steps = if arm.train == Train::None { 0 } else { arm.training.max_steps };
    let plan = crate::train::fit::Plan { steps, ..plan(&arm.training, seed) };
    let checkpoint = place.folder.join("checkpoint.safetensors");
    // Figures of steps before a resume are kept beside the checkpoint.
    let curve_file = place.folder.join("checkpoint-curve.json");
    let mut curve: Vec<(u64, BTreeMap<String, Figure>)> =
        std::fs::read_to_string(&curve_file).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let what = format!("finetune {}", arm.name);
    let Fitted { progress, stopped } =
        fit::<_, Failure>(&mut decoder, &examples, &trained, &plan, Some(&checkpoint), &mut |step, decoder| {
            context.progress(&what, step.number as usize, steps as usize, format!("loss {:.3}", step.loss));
            if let Some((measure, every)) = &measure
                && step.number.is_multiple_of(*every)
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
    let frozen = frozen_of(specs, &trained);
    let compared = verify::compare(&frame.aligned.weights, &saved, &frozen);
    let figures = match &measure {
        Some((measure, _)) => {
            let model = Model::open(&place.folder, frame.model_settings)?;
            measure.measure(&mut context.compute.load(&model)?)?
        }
        None => BTreeMap::new(),
    };
    let finite = |figures: BTreeMap<String, Figure>| -> BTreeMap<String, Figure> {
        figures.into_iter().filter(|(_, figure)| figure.value.is_finite()).collect()
    };
    // A model that diverged has no figures rather than NaN ones.
    let (figures, curve) = (finite(figures), curve.into_iter().map(|(step, figures)| (step, finite(figures))).collect());
    let total: u64 = specs.iter().map(|spec| spec.len() as u64).sum();
    let count = may_move::count(specs, &trained);
    let summary = TrainingSummary {
        trained: count,
        trained_share: count as f64 / total as f64,
        steps: progress.steps,
        tokens: progress.tokens,
        supervised_tokens: progress.supervised_tokens,
        truncated_rows: frame.rows.truncated as u64,
        losses: progress.losses,
        gradient_norms: progress.gradient_norms,
        seconds: start.elapsed().as_secs_f64(),
        update_norm: rounding.saved_squares.sqrt(),
        erased_by_rounding: erased_share(&rounding),
        frozen_changed: compared.frozen_changed(),
        stopped: stopped.map(|error| error.to_string()),
    };
    if !compared.holds() {
        return Err(Failure::new(
            "frozen-changed",
            format!("{} frozen weights of arm {} changed: a defect of the program", compared.frozen_changed(), arm.name),
        ));
    }
    Ok(Report { summary, curve, figures })
}

/// Everything that an arm does not train, as masks.
fn frozen_of(specs: &[TensorSpec], trained: &Trained) -> BTreeMap<String, crate::mask::Mask> {
    use crate::mask::Mask;
    use crate::model::backend::Selection;
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

fn cut(row: &crate::model::batch::Example, max_length: usize) -> crate::model::batch::Example {
    let n = row.tokens.len().min(max_length);
    crate::model::batch::Example { tokens: row.tokens[..n].to_vec(), supervised: row.supervised[..n].to_vec() }
}

/// What the arm trains; for LoTTO found by a short dense training inside the complement, from which the weights are rewound.
fn selection(
    context: &Context<'_>,
    arm: &Arm,
    frame: &Frame<'_>,
    specs: &[TensorSpec],
    ticket: Option<&MaskSet>,
    seed: u64,
    decoder: &mut crate::model::decoder::Decoder<crate::model::backend::cpu::Cpu>,
) -> Result<Trained, Failure> {
    let none = MaskSet::empty(specs);
    let ticket = ticket.unwrap_or(&none);
    let inside = match arm.train {
        Train::All => return Ok(may_move::all(specs)),
        Train::None => return Ok(Trained::new()),
        Train::Random => {
            let masks = select(&random_scores(specs, RANDOM_ARM ^ seed)?, arm.density.unwrap_or(1.0), Scope::Global, None)?;
            return Ok(may_move::only(&masks));
        }
        Train::Maskable => MaskSet::full(specs),
        Train::Complement => ticket.complement(),
        Train::Ticket => ticket.clone(),
    };
    let Some(density) = arm.density.filter(|_| arm.train == Train::Complement) else { return Ok(may_move::only(&inside)) };
    let trained = may_move::only(&inside);
    let before = snapshot(decoder, &trained)?;
    let mut plan = plan(&arm.training, seed ^ 0x63616c);
    (plan.steps, plan.learning_rate, plan.save_every) = (arm.calibration_steps, arm.calibration_learning_rate, 0);
    let what = format!("calibrate {}", arm.name);
    let calibrated = fit::<_, TrainError>(decoder, &frame.rows.sources, &trained, &plan, None, &mut |step, _| {
        context.progress(&what, step.number as usize, plan.steps as usize, format!("loss {:.3}", step.loss));
        Ok(())
    })?;
    if let Some(error) = calibrated.stopped {
        return Err(error.into());
    }
    let scores = maskable(specs)
        .map(|spec| {
            let after = decoder.values(&spec.name).map_err(backend_failed)?;
            let zeros;
            let earlier = match before.get(&spec.name) {
                Some(values) => values,
                None => {
                    zeros = after.clone();
                    &zeros
                }
            };
            Ok(Scores::new(&spec.name, task_vector(earlier, &after))?)
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    rewind(decoder, &before)?;
    Ok(may_move::only(&select(&scores, density, Scope::Global, Some(&inside))?))
}
