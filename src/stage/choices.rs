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
    /// What the tokenizer puts before a context.
    #[serde(skip_serializing_if = "<[u32]>::is_empty")]
    begin: &'a [u32],
}

/// Summed log-likelihoods of a question's choices, in nats. None where one is no number, as of a model that diverged.
#[derive(Serialize, Deserialize)]
struct Scored(Vec<Option<f64>>);

/// Scores every choice of every question of a suite. The result is remembered.
///
/// # Errors
/// When a text cannot be tokenised, the backend fails, or the store cannot be written.
pub(super) fn choose(context: &Context<'_>, model: &Model, asked: &Questions, name: &str) -> Result<Vec<Completion>, Failure> {
    let parts = Parts {
        model: &model.digest,
        text: &model.text_digest,
        numerics: context.compute.numerics(),
        questions: &asked.info.digest,
        begin: model.text.begin_tokens(),
    };
    let entry = context.stage(name, VERSION, &parts, |place| {
        let mut decoder = context.compute.load(model)?;
        let ids: Vec<&str> = asked.rows.iter().map(|row| row.id.as_str()).collect();
        let scored = log_likelihoods(&mut decoder, model, &asked.choices, &ids, &mut |done, total| {
            context.progress(name, done, total, "questions");
        })?;
        let finite = |sums: Vec<f64>| Scored(sums.into_iter().map(|sum| sum.is_finite().then_some(sum)).collect());
        let scored: Vec<Scored> = scored.into_iter().map(finite).collect();
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

/// What a model chooses: nothing, which is wrong, where a choice has no likelihood.
fn chosen(Scored(sums): Scored, question: &Question, item: &SuiteItem) -> Completion {
    let Some(log_likelihoods) = sums.into_iter().collect::<Option<Vec<f64>>>() else {
        return Completion { ended: true, correct: Some(false), ..Completion::default() };
    };
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_question_without_likelihoods_is_answered_wrongly() {
        let words = || vec!["a".to_owned(), "bb".to_owned()];
        let question = Question { pairs: Vec::new(), choices: words(), lengths: vec![1, 2], gold: 0 };
        let item = SuiteItem { id: "q".into(), prompt: String::new(), category: None, reference: Some("a".into()), choices: words() };
        let of = |json: &str| chosen(serde_json::from_str(json).unwrap(), &question, &item);
        let right = of("[-1.0, -3.0]");
        assert!(right.correct == Some(true) && right.choice.unwrap().correct_norm && right.text == "a");
        // As serde_json writes what is no number.
        for json in ["[null, null]", "[null, -1.0]"] {
            let wrong = of(json);
            assert_eq!((wrong.correct, wrong.choice, wrong.text.as_str()), (Some(false), None, ""));
        }
    }
}
