//! audit: which rows of the custom data pull against the refusals.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::artifact::store::Entry;
use crate::error::Failure;
use crate::model::backend::{Backend, Done};
use crate::model::batch::Example;
use crate::model::decoder::{Decoder, Gradients};
use crate::model::inventory::{TensorSpec, inventory};
use crate::pipeline::settings::{Arm, DataSpec, Pipeline};
use crate::record;

use super::evaluate::backend_failed;
use super::fetch::Model;
use super::gradients::{Loss, each_gradient, maskable_weights, mean_gradient};
use super::rows::{load_rows, training_rows};
use super::{Context, read_json, write_json};

/// Of this stage's result; raised when what it writes changes.
pub(super) const VERSION: u32 = 2;

/// Weights of one sum in f64; the sums are added in their order, so that threads do not change a bit.
const CHUNK: usize = 1 << 16;

#[derive(Serialize)]
struct Parts<'a> {
    aligned: &'a str,
    text: &'a str,
    data: &'a [String],
    safety: &'a [String],
    max_length: usize,
    numerics: String,
}

/// How a row's gradient lies to the mean gradient of the refusals, both of the loss per supervised token at the maskable weights.
///
/// A step of gradient descent on the row alone, of learning rate η, changes the loss of the refusals by −η · `dot`, to the first
/// order: **below 0 the step raises that loss**, and teaches the row at the cost of the refusals; above 0 it lowers it too.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    /// ⟨row, refusals⟩, in nats² per weight².
    pub dot: f64,
    /// ‖row‖₂.
    pub norm: f64,
    /// `dot` ÷ the two norms, in [−1, 1]; 0 where either norm is 0.
    pub cosine: f64,
}

/// What rows are ranked by, the lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum By {
    /// The direction alone: how much of what the row teaches is against the refusals. A row that the model knows by heart has hardly any
    /// gradient, of which the direction means little.
    #[default]
    Cosine,
    /// What a step does, to the first order: rows with a large gradient count more.
    Dot,
}

/// An audited row.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditedRow {
    /// The place of its source among the sources of the custom data, see `Finetune::sources`.
    pub source: usize,
    /// Its number in the source's file, from 1, a header not counted.
    pub number: usize,
    /// Its id.
    pub id: String,
    /// The last thing that the user says.
    pub prompt: String,
    /// What is to be learnt.
    pub reply: String,
    /// What was found.
    pub conflict: Conflict,
}

/// Ranks the rows of the custom data by how much their gradient conflicts with that of the safety data: the lowest cosine (or dot
/// product) first, of equals the first of the data.
///
/// Weights are the aligned model's. The mean gradient of the safety data is found once; then every row has a pass of its own into one
/// buffer, so memory does not grow with the rows: the weights and two gradients.
///
/// Source: the gradient side of He et al. (2404.01099, "What is in your safe data?"), which picks the rows of benign data that break
/// safety by bi-directional anchoring: near the gradients of *harmful* examples and far from those of *safe* ones, over the first ten
/// tokens of the reply. Here is the second anchor alone: there are harmful requests with refusals, and no harmful completions to be
/// near to. All supervised tokens count, and the gradients are those of the maskable weights, without projection.
///
/// # Errors
/// When data cannot be used, the refusals have no gradient, a row's gradient is no number, or the backend fails.
pub fn audit(context: &Context<'_>, pipeline: &Pipeline, safety: &[DataSpec], aligned: &Model, by: By) -> Result<Vec<AuditedRow>, Failure> {
    let Some(finetune) = &pipeline.finetune else {
        return Err(Failure::new("no-data", "the pipeline has no finetune.data to audit").remedy("write finetune: {data: my.jsonl, …}"));
    };
    let max_length = finetune.recipes().map(Arm::longest).max().unwrap_or(512);
    let sources = finetune.sources();
    let safe = training_rows(context, "the audit's safety data", safety, aligned, max_length)?;
    let rows = training_rows(context, "finetune", &sources, aligned, max_length)?;
    if rows.sources.iter().all(Vec::is_empty) {
        return Err(
            Failure::new("empty-data", "the custom data has no row to audit").remedy("check filter, split and limit of finetune.data")
        );
    }
    let parts = Parts {
        aligned: &aligned.digest,
        text: &aligned.text_digest,
        data: &rows.digests,
        safety: &safe.digests,
        max_length,
        numerics: context.compute.numerics(),
    };
    let entry = context.stage("audit", VERSION, &parts, |place| {
        let mut decoder = context.compute.load(aligned)?;
        let (safe, rows): (Vec<&Example>, Vec<&Example>) =
            (safe.sources.iter().flatten().collect(), rows.sources.iter().flatten().collect());
        let specs = inventory(&aligned.config);
        let found = conflicts(&mut decoder, &specs, &safe, &rows, &mut |what, done, total| context.progress(what, done, total, "rows"))?;
        write_json(place, "audit.json", &found)?;
        Ok(format!("{} of {} rows pull against the refusals", found.iter().filter(|found| found.dot < 0.0).count(), found.len()))
    })?;
    ranked(context, &sources, &entry, by)
}

/// Rows that the record keeps.
const TOP: usize = 20;

/// Characters of a prompt or reply in the record.
const EXCERPT: usize = 300;

/// What the record keeps of an audit by [`By::Cosine`]; `rows` holds at least one.
pub fn summary(rows: &[AuditedRow], sources: &[DataSpec], safety: &[DataSpec]) -> record::Audit {
    let cosine = |share: f64| rows[((rows.len() - 1) as f64 * share).round() as usize].conflict.cosine;
    let excerpt = |text: &str| match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    };
    let row = |row: &AuditedRow| record::AuditRow {
        source: sources[row.source].source.clone(),
        row: row.number as u64,
        id: row.id.clone(),
        cosine: row.conflict.cosine,
        dot: row.conflict.dot,
        prompt: excerpt(&row.prompt),
        reply: excerpt(&row.reply),
    };
    record::Audit {
        safety: safety.iter().map(|spec| spec.source.clone()).collect(),
        rows: rows.len() as u64,
        conflicting: rows.iter().filter(|row| row.conflict.cosine < 0.0).count() as u64,
        quartiles: [0.0, 0.25, 0.5, 0.75, 1.0].map(cosine),
        top: rows.iter().take(TOP).map(row).collect(),
    }
}

/// What was found of each row, with the row.
fn ranked(context: &Context<'_>, sources: &[DataSpec], entry: &Entry, by: By) -> Result<Vec<AuditedRow>, Failure> {
    let mut found = read_json::<Vec<Conflict>>(entry, "audit.json")?.into_iter();
    let mut audited = Vec::new();
    for (source, spec) in sources.iter().enumerate() {
        for row in load_rows(context, "finetune", spec)?.rows {
            let Some(conflict) = found.next() else { break };
            let said = row.messages.iter().rfind(|message| message.role == "assistant").map(|message| message.content.as_str());
            let reply = said.or(row.plain_text()).unwrap_or_default().to_owned();
            audited.push(AuditedRow { source, number: row.number, prompt: row.prompt().to_owned(), reply, id: row.id, conflict });
        }
    }
    let key = |row: &AuditedRow| match by {
        By::Cosine => row.conflict.cosine,
        By::Dot => row.conflict.dot,
    };
    audited.sort_by(|a, b| key(a).total_cmp(&key(b)));
    Ok(audited)
}

/// [`Conflict`]s of rows with the mean gradient of `safe`, in the rows' order.
///
/// # Errors
/// When the refusals have no gradient, a gradient is no number, or the backend fails.
pub fn conflicts<B: Backend>(
    decoder: &mut Decoder<B>,
    specs: &[TensorSpec],
    safe: &[&Example],
    rows: &[&Example],
    tell: &mut dyn FnMut(&str, usize, usize),
) -> Result<Vec<Conflict>, Failure> {
    let gradients = mean_gradient(decoder, specs, safe, &mut |done| tell("refusals", done, safe.len())).map_err(backend_failed)?;
    let mut anchor: Vec<(String, Vec<f32>)> = Vec::with_capacity(gradients.len());
    for (name, gradient) in &gradients {
        anchor.push((name.clone(), decoder.backend().download(gradient).map_err(backend_failed)?));
    }
    drop(gradients);
    let length = anchor.iter().map(|(_, values)| product(values, values)).sum::<f64>().sqrt();
    if !(length.is_finite() && length > 0.0) {
        return Err(Failure::new("no-gradient", format!("the mean gradient of the safety data has length {length}"))
            .remedy("name refusals that the model does not know by heart: --safety builtin:refusals"));
    }
    let mut found = Vec::with_capacity(rows.len());
    let mut each = |_: usize, decoder: &Decoder<B>, gradients: &Gradients<B>| -> Done<()> {
        let (mut dot, mut square) = (0.0, 0.0);
        for (name, anchor) in &anchor {
            let Some(gradient) = gradients.get(name) else { continue };
            let values = decoder.backend().download(gradient)?;
            dot += product(&values, anchor);
            square += product(&values, &values);
        }
        let norm = square.sqrt();
        let cosine = if norm > 0.0 { (dot / (norm * length)).clamp(-1.0, 1.0) } else { 0.0 };
        found.push(Conflict { dot, norm, cosine });
        Ok(())
    };
    let trained = maskable_weights(specs);
    each_gradient(decoder, &trained, rows, Loss::Mean, &mut each, &mut |done| tell("audit", done, rows.len())).map_err(backend_failed)?;
    match found.iter().position(|found| !(found.dot.is_finite() && found.norm.is_finite())) {
        None => Ok(found),
        Some(row) => Err(Failure::new("gradient-not-finite", format!("the gradient of row {} of the data is no finite number", row + 1))
            .remedy("look at the row, and whether the model's weights are finite")),
    }
}

/// Σ a·b in f64, over fixed chunks.
fn product(a: &[f32], b: &[f32]) -> f64 {
    let sums: Vec<f64> = a
        .par_chunks(CHUNK)
        .zip(b.par_chunks(CHUNK))
        .map(|(a, b)| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum())
        .collect();
    sums.iter().sum()
}
