//! perplexity: how likely a model finds texts.

use serde::{Deserialize, Serialize};

use crate::data::rows::Row;
use crate::data::windows::{windows, words};
use crate::error::{Failure, Within};
use crate::model::backend::Backend;
use crate::model::batch::{Example, Packed};
use crate::model::decoder::Decoder;
use crate::record::{Completion, Likelihood, Window};

use super::evaluate::{Questions, backend_failed};
use super::fetch::Model;
use super::{Context, read_json, write_json};

/// Of this stage's result; raised when what it writes changes.
pub(super) const VERSION: u32 = 2;

/// Tokens of a forward pass at most, where one window does not have more.
const TOKENS_AT_ONCE: usize = 2048;

#[derive(Serialize)]
struct Parts<'a> {
    model: &'a str,
    text: &'a str,
    numerics: String,
    texts: &'a str,
    window: Window,
}

/// One text: negative log-likelihood, in nats, and number of the tokens that each window predicts. None where a sum is no number,
/// as of a model that diverged.
#[derive(Serialize, Deserialize)]
struct Scored(Option<Vec<(f64, u64)>>);

/// Reads every text of a suite. The result is remembered.
///
/// # Errors
/// When a window is longer than the model's context, a text has no token, the backend fails, or the store cannot be written.
pub(super) fn read(context: &Context<'_>, model: &Model, asked: &Questions, name: &str) -> Result<Vec<Completion>, Failure> {
    let window = asked.suite.window.unwrap_or_default();
    let parts =
        Parts { model: &model.digest, text: &model.text_digest, numerics: context.compute.numerics(), texts: &asked.info.digest, window };
    let entry = context.stage(name, VERSION, &parts, |place| {
        let mut decoder = context.compute.load(model)?;
        let scored = losses(&mut decoder, model, &asked.rows, window, &mut |done, total| context.progress(name, done, total, "windows"))?;
        let tokens: u64 = scored.iter().flatten().map(|(_, tokens)| tokens).sum();
        let number = |text: Vec<(f64, u64)>| Scored(text.iter().all(|(nll, _)| nll.is_finite()).then_some(text));
        write_json(place, "likelihoods.json", &scored.into_iter().map(number).collect::<Vec<_>>())?;
        Ok(format!("{} texts, {tokens} tokens", asked.rows.len()))
    })?;
    let scored: Vec<Scored> = read_json(&entry, "likelihoods.json")?;
    Ok(scored.into_iter().zip(&asked.rows).map(|(Scored(scored), row)| completion(scored, row)).collect())
}

/// Every text's windows: the summed negative log-likelihood of the tokens that each predicts, in nats, and their number.
///
/// # Errors
/// When a window is longer than the model's context, a text has no token, or the backend fails; names the text.
pub fn losses<B: Backend>(
    decoder: &mut Decoder<B>,
    model: &Model,
    rows: &[Row],
    window: Window,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Vec<(f64, u64)>>, Failure> {
    let mut texts = Vec::with_capacity(rows.len());
    for row in rows {
        texts.push(pieces(model, row, window)?);
    }
    let total = texts.iter().map(Vec::len).sum();
    let (mut found, mut waiting, mut tokens, mut done) = (vec![Vec::new(); rows.len()], Vec::new(), 0, 0);
    for (index, text) in texts.into_iter().enumerate() {
        for piece in text {
            if tokens + piece.tokens.len() > TOKENS_AT_ONCE {
                done += score(decoder, &mut waiting, &mut found)?;
                (tokens, _) = (0, progress(done, total));
            }
            tokens += piece.tokens.len();
            waiting.push((index, piece));
        }
    }
    score(decoder, &mut waiting, &mut found)?;
    progress(total, total);
    Ok(found)
}

/// A text in windows.
///
/// # Errors
/// When a window is longer than the model's context, or the text has no token.
pub(super) fn pieces(model: &Model, row: &Row, window: Window) -> Result<Vec<Example>, Failure> {
    let room = model.config.max_position_embeddings;
    let length = window.max_length.unwrap_or(room);
    if length > room {
        let message = format!("max_length is {length}, the model's context is {room}");
        return Err(Failure::new("too-long", message).remedy(format!("write expect: {{perplexity: {{max_length: {room}}}}}, or less")));
    }
    let content = row.plain_text().unwrap_or_default();
    windows(&model.text, content, length, window.stride.unwrap_or(length)).within(|| format!("text {}", row.id))
}

/// Scores the windows that wait, and adds each to its text. Returns how many there were.
fn score<B: Backend>(
    decoder: &mut Decoder<B>,
    waiting: &mut Vec<(usize, Example)>,
    found: &mut [Vec<(f64, u64)>],
) -> Result<usize, Failure> {
    let count = waiting.len();
    if count == 0 {
        return Ok(0);
    }
    let packed = Packed::from_examples(waiting.iter().map(|(_, piece)| piece));
    let mut losses = decoder.losses(&packed).map_err(backend_failed)?.into_iter().map(f64::from);
    for (index, piece) in waiting.drain(..) {
        let tokens = piece.supervised_tokens();
        found[index].push((losses.by_ref().take(tokens).sum(), tokens as u64));
    }
    Ok(count)
}

fn completion(scored: Option<Vec<(f64, u64)>>, row: &Row) -> Completion {
    let text = row.plain_text().unwrap_or_default();
    let likelihood = scored.map(|windows| Likelihood {
        nll: windows.iter().map(|(nll, _)| nll).sum(),
        tokens: windows.iter().map(|(_, tokens)| tokens).sum(),
        words: words(text),
        bytes: text.len() as u64,
        windows: if windows.len() > 1 { windows } else { Vec::new() },
    });
    Completion { ended: true, likelihood, ..Completion::default() }
}
