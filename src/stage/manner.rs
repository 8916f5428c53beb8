//! How prompts are put: what a suite's [`Manner`] makes of its rows, of the tokens that a model goes on with, and of the sampler.

use crate::data::fill::fill;
use crate::data::rows::{Message, Row};
use crate::data::tokenizer::TextModel;
use crate::data::turn_end;
use crate::error::{Failure, Within};
use crate::model::generate::Sampling;
use crate::pipeline::settings::{Manner, Suite, System};

use super::evaluate::Questions;
use super::fetch::Model;

/// The column that stands for the user's turn in a template, where a file has none of this name.
const PROMPT: &str = "prompt";

/// Puts rows into a suite's template and behind its system message. Returns the prompts as they were, where a template wraps them
/// (`{prompt}`).
///
/// # Errors
/// Names the row that the template cannot be filled from.
pub(super) fn put(manner: &Manner, rows: &mut [Row]) -> Result<Option<Vec<String>>, Failure> {
    let mut unwrapped = None;
    if let Some(template) = &manner.template {
        let wraps = template.contains("{prompt}") || template.contains("{prompt|");
        unwrapped = wraps.then(|| rows.iter().map(|row| row.prompt().to_owned()).collect());
        for row in &mut *rows {
            let turn = filled(template, row)?;
            if let Some(message) = row.messages.iter_mut().rfind(|message| message.role == "user") {
                message.content = turn;
            }
        }
    }
    if let Some(system) = &manner.system {
        for row in rows {
            row.messages.retain(|message| message.role != "system");
            if let System::Message(content) = system {
                row.messages.insert(0, Message { role: "system".into(), content: content.clone() });
            }
        }
    }
    Ok(unwrapped)
}

fn filled(template: &str, row: &Row) -> Result<String, Failure> {
    let mut row = row.clone();
    let turn = row.prompt().to_owned();
    row.fields.entry(PROMPT.into()).or_insert(turn);
    fill(template, &row).map_err(|problem| {
        Failure::new("bad-row", format!("row {}: {problem}", row.id))
            .remedy("name columns of the file in template: \"{column}\"; {prompt} is the user's turn")
    })
}

/// What of a manner decides the replies beside the prompts themselves; none where that is plain.
pub(super) fn beside_the_prompts(manner: &Manner) -> Option<Manner> {
    let Manner { template: _, system, prefill, sampled } = manner.clone();
    // A system message stands in the rows; that there is none does not.
    let rest = Manner { template: None, system: system.filter(|system| *system == System::Nothing), prefill, sampled };
    (!rest.is_plain()).then_some(rest)
}

/// The tokens of some rows' conversations that a model is to answer, as often as the suite asks each.
///
/// # Errors
/// Names the row whose conversation cannot be made, or fills the model's context.
pub fn prompts(model: &Model, asked: &Questions, rows: &[Row]) -> Result<Vec<Vec<u32>>, Failure> {
    let manner = &asked.suite.manner;
    let silent = matches!(manner.system, Some(System::Nothing)).then(|| model.text.clone().with_system(None));
    let (text, prefill) = (silent.as_ref().unwrap_or(&model.text), manner.prefill.as_deref().unwrap_or_default());
    let room = model.config.max_position_embeddings;
    let mut prompts = Vec::with_capacity(rows.len() * manner.samples());
    for row in rows {
        let tokens = tokens(text, room, row.question(), prefill).within(|| format!("prompt {}", row.id))?;
        prompts.extend(std::iter::repeat_n(tokens, manner.samples()));
    }
    Ok(prompts)
}

/// The tokens of a conversation that a model is to answer.
///
/// # Errors
/// When they cannot be made, or fill the model's context.
pub fn asked_tokens(model: &Model, messages: &[Message]) -> Result<Vec<u32>, Failure> {
    tokens(&model.text, model.config.max_position_embeddings, messages, "")
}

fn tokens(text: &TextModel, room: usize, messages: &[Message], prefill: &str) -> Result<Vec<u32>, Failure> {
    let tokens = text.encode_prompt(messages, prefill)?;
    if tokens.len() >= room {
        let message = format!("it has {} tokens, and the model's context is {room}", tokens.len());
        return Err(Failure::new("too-long", message).remedy("shorten it, or leave it out"));
    }
    Ok(tokens)
}

/// How a suite's replies are drawn.
pub fn sampling(model: &Model, suite: &Suite) -> Sampling {
    let plain = greedy(model, suite.max_new_tokens);
    match suite.manner.sampled {
        None => plain,
        Some(sampled) => Sampling { temperature: sampled.temperature, top_p: sampled.top_p, ..plain },
    }
}

/// Greedy decoding up to a number of tokens.
pub fn greedy(model: &Model, max_new_tokens: usize) -> Sampling {
    Sampling { max_new_tokens, temperature: 0.0, top_p: 1.0, seed: 0, end_tokens: end_tokens(model) }
}

/// What ends a reply: the model's own end tokens, and what its template ends a turn with, which training teaches it to write.
pub fn end_tokens(model: &Model) -> Vec<u32> {
    model.config.end_tokens.iter().copied().chain(turn_end(model)).collect()
}

/// The token that a model's template ends a turn with, where that is none of its own end tokens.
pub(super) fn turn_end(model: &Model) -> Option<u32> {
    turn_end::turn_end(&model.text).filter(|token| !model.config.end_tokens.contains(token))
}
