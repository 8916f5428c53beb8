//! choices: how likely a model finds each choice of a question.

use serde::{Deserialize, Serialize};

use crate::data::choices::Question;
use crate::data::continuation::continued;
use crate::error::{Failure, Within};
use crate::model::backend::Backend;
use crate::model::batch::{Example, Packed};
use crate::model::decoder::Decoder;
use crate::record::{Chosen, Completion, SuiteItem};

use super::evaluate::{Questions, backend_failed};
use super::fetch::Model;
use super::{Context, read_json, write_json};

/// Of this stage's result; raised when what it writes changes.
pub(super) const VERSION: u32 = 2;

/// Tokens of a forward pass at most, where one row does not have more.
const TOKENS_AT_ONCE: usize = 2048;

#[derive(Serialize)]
struct Parts<'a> {
    model: &'a str,
    text: &'a str,
    numerics: String,
    questions: &'a str,
}

/// Summed log-likelihoods of a question's choices, in nats.
#[derive(Serialize, Deserialize)]
struct Scored(Vec<f64>);

/// Scores every choice of every question of a suite. The result is remembered.
///
/// # Errors
/// When a text cannot be tokenised, the backend fails, or the store cannot be written.
pub(super) fn choose(context: &Context<'_>, model: &Model, asked: &Questions, name: &str) -> Result<Vec<Completion>, Failure> {
    let parts =
        Parts { model: &model.digest, text: &model.text_digest, numerics: context.compute.numerics(), questions: &asked.info.digest };
    let entry = context.stage(name, VERSION, &parts, |place| {
        let mut decoder = context.compute.load(model)?;
        let ids: Vec<&str> = asked.rows.iter().map(|row| row.id.as_str()).collect();
        let scored = log_likelihoods(&mut decoder, model, &asked.choices, &ids, &mut |done, total| {
            context.progress(name, done, total, "questions");
        })?;
        let scored: Vec<Scored> = scored.into_iter().map(Scored).collect();
        write_json(place, "choices.json", &scored)?;
        Ok(format!("{} questions", scored.len()))
    })?;
    let scored: Vec<Scored> = read_json(&entry, "choices.json")?;
    Ok(scored
        .into_iter()
        .zip(&asked.choices)
        .zip(&asked.info.items)
        .map(|((scored, question), item)| chosen(scored, question, item))
        .collect())
}

/// The summed log-likelihood of every question's choices in nats, by question and choice.
///
/// # Errors
/// When a text cannot be tokenised or the backend fails; names the question.
pub fn log_likelihoods<B: Backend>(
    decoder: &mut Decoder<B>,
    model: &Model,
    questions: &[Question],
    ids: &[&str],
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Vec<f64>>, Failure> {
    // The last token of a row is predicted and never read.
    let room = model.config.max_position_embeddings + 1;
    let (mut found, mut waiting, mut tokens) = (vec![Vec::new(); questions.len()], Vec::new(), 0);
    for (index, question) in questions.iter().enumerate() {
        for (context, continuation) in &question.pairs {
            let row = continued(&model.text, context, continuation, room)
                .within(|| format!("question {}", ids.get(index).copied().unwrap_or_default()))?;
            if tokens + row.tokens.len() > TOKENS_AT_ONCE {
                score(decoder, &mut waiting, &mut found)?;
                (tokens, _) = (0, progress(index, questions.len()));
            }
            tokens += row.tokens.len();
            waiting.push((index, row));
        }
    }
    score(decoder, &mut waiting, &mut found)?;
    progress(questions.len(), questions.len());
    Ok(found)
}

/// Scores the rows that wait, and adds each to its question.
fn score<B: Backend>(decoder: &mut Decoder<B>, waiting: &mut Vec<(usize, Example)>, found: &mut [Vec<f64>]) -> Result<(), Failure> {
    if waiting.is_empty() {
        return Ok(());
    }
    let packed = Packed::from_examples(waiting.iter().map(|(_, row)| row));
    let mut losses = decoder.losses(&packed).map_err(backend_failed)?.into_iter().map(f64::from);
    for (index, row) in waiting.drain(..) {
        found[index].push(-losses.by_ref().take(row.supervised_tokens()).sum::<f64>());
    }
    Ok(())
}

fn chosen(Scored(log_likelihoods): Scored, question: &Question, item: &SuiteItem) -> Completion {
    let by_length: Vec<f64> = log_likelihoods.iter().zip(&question.lengths).map(|(sum, &length)| sum / length as f64).collect();
    let (index, index_norm) = (highest(&log_likelihoods), highest(&by_length));
    Completion {
        text: item.choices.get(index).cloned().unwrap_or_default(),
        ended: true,
        correct: Some(index == question.gold),
        choice: Some(Chosen { index, index_norm, correct_norm: index_norm == question.gold, log_likelihoods }),
        ..Completion::default()
    }
}

/// Where the highest number stands, the first of equals.
fn highest(values: &[f64]) -> usize {
    let mut best = 0;
    for (place, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = place;
        }
    }
    best
}
