//! extract: the tickets.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::artifact::write::write_whole;
use crate::error::{Failure, Within};
use crate::model::batch::Packed;
use crate::model::inventory::{TensorSpec, inventory};
use crate::pipeline::settings::{self, Pipeline, Score};
use crate::record::TicketSummary;
use crate::ticket::compare::compare;
use crate::ticket::file::{Origin, Ticket};
use crate::ticket::mask_set::{MaskSet, maskable};
use crate::ticket::score::{Scores, magnitude, random, snip, task_vector};
use crate::ticket::select::{Scope, select};
use crate::train::fit::Plan;
use crate::train::schedule::Scheduler;
use crate::train::{may_move, optimizer};

use super::Context;
use super::calibrate::{Choice, calibrate};
use super::evaluate::backend_failed;
use super::fetch::Model;
use super::rows::{TrainingRows, training_rows};

/// Of this stage's result; raised when what it writes changes.
pub(super) const VERSION: u32 = 2;

/// Rows of one gradient pass.
const ROWS_AT_ONCE: usize = 8;

/// A ticket of the pipeline.
pub struct Extracted {
    /// Its name.
    pub name: String,
    /// The ticket.
    pub ticket: Ticket,
    /// What the record tells of it.
    pub summary: TicketSummary,
    /// Digest of its file's masks.
    pub digest: String,
}

#[derive(Serialize)]
struct Parts<'a> {
    aligned: &'a str,
    base: Option<&'a str>,
    text: &'a str,
    data: &'a [String],
    score: Score,
    density: f64,
    scope: Scope,
    max_length: usize,
    calibration: Option<settings::Calibration>,
    seed: u64,
    numerics: String,
}

/// Extracts, or reads, every ticket of the pipeline; by name.
///
/// # Errors
/// When data cannot be used, a score is no number, too few weights have a score, or a ticket file does not fit the model.
pub fn tickets(
    context: &Context<'_>,
    pipeline: &Pipeline,
    base: Option<&Model>,
    aligned: &Model,
) -> Result<BTreeMap<String, Extracted>, Failure> {
    let mut tickets: BTreeMap<String, Extracted> = BTreeMap::new();
    for settings in &pipeline.tickets {
        let ticket = ticket(context, settings, base, aligned, pipeline.seeds[0])?;
        let first = pipeline.tickets.first().and_then(|first| tickets.get(&first.name));
        let mut summary = summarise(&ticket);
        summary.overlap = first.map(|first| {
            let (all, _) = compare(&first.ticket.masks, &ticket.masks);
            (all.jaccard(), all.jaccard_by_chance())
        });
        let digest = ticket.origin.bits.clone();
        tickets.insert(settings.name.clone(), Extracted { name: settings.name.clone(), ticket, summary, digest });
    }
    Ok(tickets)
}

/// What the record tells of a ticket.
pub fn summarise(ticket: &Ticket) -> TicketSummary {
    TicketSummary {
        score: ticket.origin.score.clone(),
        scope: match ticket.origin.scope {
            Scope::Global => "global".into(),
            Scope::Layer => "layer".into(),
            Scope::Tensor => "tensor".into(),
        },
        density: ticket.masks.density(),
        count: ticket.masks.count() as u64,
        maskable: ticket.masks.len() as u64,
        data: ticket.origin.data.as_ref().map(|(source, _)| source.clone()),
        seed: ticket.origin.seed,
        digest: format!("sha256:{}", ticket.origin.bits),
        density_by_kind: ticket.masks.density_by_kind(),
        overlap: None,
    }
}

fn ticket(context: &Context<'_>, settings: &settings::Ticket, base: Option<&Model>, aligned: &Model, seed: u64) -> Result<Ticket, Failure> {
    let specs = inventory(&aligned.config);
    if let Some(file) = &settings.file {
        let named = || format!("ticket {}", settings.name);
        let ticket = Ticket::read(file).within(named)?;
        ticket.bind(&specs, &aligned.digest).within(named)?;
        return Ok(ticket);
    }
    let rows = match &settings.data {
        Some(spec) => {
            training_rows(context, &format!("ticket {}", settings.name), std::slice::from_ref(spec), aligned, settings.max_length)?
        }
        None => TrainingRows { sources: Vec::new(), digests: Vec::new(), truncated: 0 },
    };
    let parts = Parts {
        aligned: &aligned.digest,
        base: if settings.score == Score::TaskVector { base.map(|base| base.digest.as_str()) } else { None },
        text: &aligned.text_digest,
        data: &rows.digests,
        score: settings.score,
        density: settings.density,
        scope: settings.scope,
        max_length: settings.max_length,
        calibration: (settings.score == Score::Calibrate).then_some(settings.calibration),
        seed: if matches!(settings.score, Score::Random | Score::Calibrate) { seed } else { 0 },
        numerics: context.compute.numerics(),
    };
    let entry = context.stage(&format!("extract {}", settings.name), VERSION, &parts, |place| {
        let top = |scores: Vec<Scores>| select(&scores, settings.density, settings.scope, None);
        let masks = match settings.score {
            Score::Snip => top(gradient_scores(context, aligned, &specs, &rows, snip)?)?,
            Score::Gradient => top(gradient_scores(context, aligned, &specs, &rows, |_, gradient| magnitude(gradient))?)?,
            Score::Calibrate => calibrated(context, settings, aligned, &specs, &rows, seed)?,
            Score::TaskVector => top(task_vector_scores(base, aligned, &specs)?)?,
            Score::Magnitude => top(magnitude_scores(aligned, &specs)?)?,
            Score::Random => top(random_scores(&specs, seed)?)?,
        };
        let origin = Origin {
            version: 0,
            model: aligned.digest.clone(),
            base: parts.base.map(str::to_owned),
            score: settings.score.name().into(),
            density: settings.density,
            scope: settings.scope,
            data: settings.data.as_ref().zip(rows.digests.first()).map(|(spec, digest)| (spec.source.clone(), digest.clone())),
            seed: (settings.score == Score::Random).then_some(seed),
            sizes: BTreeMap::new(),
            bits: String::new(),
        };
        let ticket = Ticket::new(origin, masks);
        write_whole(&place.folder.join("ticket.safetensors"), |file| ticket.write(file))?;
        Ok(format!("{} of {} maskable weights", ticket.masks.count(), ticket.masks.len()))
    })?;
    Ok(Ticket::read(&entry.folder.join("ticket.safetensors"))?)
}

/// A score of weights and the gradient of the mean loss over the supervised tokens of all rows.
fn gradient_scores(
    context: &Context<'_>,
    aligned: &Model,
    specs: &[TensorSpec],
    rows: &TrainingRows,
    score: impl Fn(&[f32], &[f32]) -> Vec<f32>,
) -> Result<Vec<Scores>, Failure> {
    let mut decoder = context.compute.load(aligned)?;
    let trained = may_move::only(&MaskSet::full(specs));
    let mut gradients = decoder.new_gradients(&trained).map_err(backend_failed)?;
    let examples: Vec<_> = rows.sources.iter().flatten().collect();
    let learnt: usize = examples.iter().map(|example| example.supervised_tokens()).sum();
    for (i, part) in examples.chunks(ROWS_AT_ONCE).enumerate() {
        let batch = Packed::from_examples(part.iter().copied());
        decoder.gradients(&batch, 1.0 / learnt as f32, &trained, &mut gradients).map_err(backend_failed)?;
        context.progress("extract", ((i + 1) * ROWS_AT_ONCE).min(examples.len()), examples.len(), "rows");
    }
    maskable(specs)
        .map(|spec| {
            use crate::model::backend::Backend;
            let gradient = decoder.backend().download(&gradients[&spec.name]).map_err(backend_failed)?;
            let weights = decoder.values(&spec.name).map_err(backend_failed)?;
            Ok(Scores::new(&spec.name, score(&weights, &gradient))?)
        })
        .collect()
}

/// The weights that a short training on the data moves most.
fn calibrated(
    context: &Context<'_>,
    settings: &settings::Ticket,
    aligned: &Model,
    specs: &[TensorSpec],
    rows: &TrainingRows,
    seed: u64,
) -> Result<MaskSet, Failure> {
    let plan = Plan {
        steps: settings.calibration.steps,
        learning_rate: settings.calibration.learning_rate,
        batch_rows: ROWS_AT_ONCE,
        accumulation: 1,
        scheduler: Scheduler::Constant,
        warmup_steps: 0,
        optimizer: optimizer::Settings { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, max_grad_norm: 1.0 },
        seed,
        save_every: 0,
        replay_share: None,
        checkpointing: false,
    };
    let mut decoder = context.compute.load(aligned)?;
    let full = MaskSet::full(specs);
    match calibrate(context, "extract", &mut decoder, &rows.sources, &full, &plan, (specs, settings.density, settings.scope))? {
        Choice::Chosen(masks) => Ok(masks),
        Choice::CannotTell(why) => Err(Failure::new("calibration", why)
            .remedy("train longer, or more gently, before weights are compared: calibration_steps: 12, calibration_learning_rate: 3e-5")),
    }
}

/// |θ|.
fn magnitude_scores(aligned: &Model, specs: &[TensorSpec]) -> Result<Vec<Scores>, Failure> {
    maskable(specs).map(|spec| Ok(Scores::new(&spec.name, magnitude(&aligned.weights.widened(&spec.name)?))?)).collect()
}

/// |θ_aligned − θ_base|.
fn task_vector_scores(base: Option<&Model>, aligned: &Model, specs: &[TensorSpec]) -> Result<Vec<Scores>, Failure> {
    let base = base.ok_or_else(|| Failure::new("no-base", "a task-vector ticket needs a base model").remedy("write model.base"))?;
    maskable(specs)
        .map(|spec| Ok(Scores::new(&spec.name, task_vector(&base.weights.widened(&spec.name)?, &aligned.weights.widened(&spec.name)?))?))
        .collect()
}

/// Seeded noise.
pub fn random_scores(specs: &[TensorSpec], seed: u64) -> Result<Vec<Scores>, Failure> {
    maskable(specs).map(|spec| Ok(Scores::new(&spec.name, random(seed, &spec.name, spec.len()))?)).collect()
}
