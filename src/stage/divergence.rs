//! divergence: how far a model's next tokens are from the aligned model's, along the aligned model's own replies to a suite's prompts.

use serde::{Deserialize, Serialize};

use crate::artifact::digest::Key;
use crate::error::Failure;
use crate::model::batch::Example;
use crate::model::generate::generate;
use crate::pipeline::settings::Manner;

use super::along::Along;
use super::evaluate::{Questions, backend_failed};
use super::fetch::Model;
use super::manner::{beside_the_prompts, greedy, prompts, turn_end};
use super::probe::{continued, divergence};
use super::{Context, read_json, write_json};

/// Of the distances; raised when what is written changes.
pub(super) const VERSION: u32 = 3;

/// Of the aligned model's replies, likewise.
pub(super) const PATH_VERSION: u32 = 2;

/// Rows between two words of progress.
const ROWS_AT_ONCE: usize = 32;

/// How a greedy reply begins.
#[derive(Serialize, Deserialize)]
struct Path {
    tokens: Vec<u32>,
    /// Whether an end token stands behind them.
    ended: bool,
}

#[derive(Serialize)]
struct PathParts<'a> {
    model: &'a str,
    text: &'a str,
    numerics: String,
    prompts: &'a str,
    tokens: usize,
    /// Products of another number of sequences may round otherwise.
    batch_size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    manner: Option<Manner>,
    /// What ends a reply beside the model's own end tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    turn_end: Option<u32>,
}

#[derive(Serialize)]
struct Parts<'a> {
    model: &'a str,
    path: &'a str,
}

/// The aligned model's own replies to a suite, behind their prompts.
pub(super) struct Way {
    rows: Vec<Example>,
    /// The key of the stage that made them.
    key: String,
}

/// The first `tokens` tokens of the aligned model's greedy reply to each prompt of a suite. The result is remembered.
///
/// # Errors
/// When a prompt cannot be encoded, the backend fails, or the store cannot be written.
pub(super) fn way(context: &Context<'_>, aligned: &Model, asked: &Questions, tokens: usize, batch_size: usize) -> Result<Way, Failure> {
    let manner = &asked.suite.manner;
    // However often each is asked, the greedy reply is one.
    let prompts: Vec<Vec<u32>> = prompts(aligned, asked, &asked.rows)?.into_iter().step_by(manner.samples()).collect();
    let parts = PathParts {
        model: &aligned.digest,
        text: &aligned.text_digest,
        numerics: context.compute.numerics(),
        prompts: &asked.info.digest,
        tokens,
        batch_size,
        manner: beside_the_prompts(&Manner { sampled: None, ..manner.clone() }),
        turn_end: turn_end(aligned),
    };
    let name = format!("path aligned {}", asked.suite.name);
    let entry = context.stage(&name, PATH_VERSION, &parts, |place| {
        let mut decoder = context.compute.load(aligned)?;
        let mut progress = |done, total| context.progress(&name, done, total, "prompts");
        let replies = generate(&mut decoder, &prompts, &greedy(aligned, tokens), batch_size, &mut progress).map_err(backend_failed)?;
        let paths: Vec<Path> = replies.into_iter().map(|reply| Path { tokens: reply.tokens, ended: reply.ended }).collect();
        write_json(place, "paths.json", &paths)?;
        Ok(format!("{} replies", paths.len()))
    })?;
    let paths: Vec<Path> = read_json(&entry, "paths.json")?;
    let rows = prompts.iter().zip(&paths).map(|(prompt, path)| along(prompt, path)).collect();
    Ok(Way { rows, key: Key::new("path", PATH_VERSION, &parts).to_string() })
}

/// For each prompt, the mean of KL(aligned ‖ model) over the places of the aligned model's reply, in nats per token. Where the reply
/// ends before its limit, the place where it ends is the last one. None where it is no number, and where the reply has no token for
/// want of room. The result is remembered.
///
/// # Errors
/// When the backend fails, or the store cannot be written.
pub(super) fn measure(
    context: &Context<'_>,
    (aligned, model): (&Model, &Model),
    name: &str,
    Way { rows, key }: &Way,
) -> Result<Vec<Option<f64>>, Failure> {
    let entry = context.stage(name, VERSION, &Parts { model: &model.digest, path: key }, |place| {
        let found = distances(context, (aligned, model), rows, &mut |done| context.progress(name, done, rows.len(), "prompts"))?;
        let known: Vec<f64> = found.iter().flatten().copied().collect();
        write_json(place, "divergence.json", &found)?;
        Ok(format!("{:.4} nats per token", known.iter().sum::<f64>() / known.len().max(1) as f64))
    })?;
    read_json(&entry, "divergence.json")
}

/// A prompt with the reply behind it, of which every place is looked at; the last one is where the reply ends, if it does.
fn along(prompt: &[u32], path: &Path) -> Example {
    // Which token stands at the end does not matter: it is never read.
    let end = path.ended.then(|| prompt.first().copied().unwrap_or_default());
    continued(prompt, &path.tokens.iter().copied().chain(end).collect::<Vec<_>>())
}

/// The mean divergence of each row, a few rows at a time.
fn distances(
    context: &Context<'_>,
    (aligned, model): (&Model, &Model),
    rows: &[Example],
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Option<f64>>, Failure> {
    let (mut first, mut second) = (context.compute.load(aligned)?, context.compute.load(model)?);
    let head = first.head_weight().map_err(backend_failed)?.clone();
    let mut found = Vec::with_capacity(rows.len());
    for part in rows.chunks(ROWS_AT_ONCE) {
        let mut of_place = Vec::new();
        for along in Along::of(&mut first, part).map_err(backend_failed)? {
            of_place.extend(along.compared(&mut second, &head, divergence).map_err(backend_failed)?);
        }
        let mut places = of_place.into_iter();
        for row in part {
            let count = row.supervised_tokens();
            let mean = places.by_ref().take(count).sum::<f64>() / count as f64;
            found.push(mean.is_finite().then_some(mean));
        }
        progress(found.len());
    }
    Ok(found)
}
