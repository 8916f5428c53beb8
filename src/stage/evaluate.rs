//! evaluate: what a model says to every prompt of every suite, and how well it knows the task's answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::data::rows::{Message, Row};
use crate::error::{Failure, Within};
use crate::eval::extract::exact_match;
use crate::eval::judge::Judge;
use crate::model::generate::{Sampling, generate};
use crate::pipeline::settings::{Evaluate, Suite};
use crate::record::{Completion, Expect, SuiteInfo, SuiteItem};

use super::fetch::Model;
use super::rows::load_rows;
use super::{Context, endpoint_judge, read_json, write_json};

/// Of this stage's result; raised when what it writes changes.
pub(super) const VERSION: u32 = 1;

/// A suite with its prompts.
pub struct Questions {
    /// The suite's settings.
    pub suite: Suite,
    /// What the record tells of it.
    pub info: SuiteInfo,
    /// Its rows, in the order of [`SuiteInfo::items`].
    pub rows: Vec<Row>,
}

/// Loads every suite's prompts.
///
/// # Errors
/// When a file cannot be read, is empty, or lacks the answer column of a task.
pub fn questions(context: &Context<'_>, evaluate: &Evaluate) -> Result<Vec<Questions>, Failure> {
    evaluate.suites.iter().map(|suite| load_suite(context, evaluate, suite).within(|| format!("suite {}", suite.name))).collect()
}

fn load_suite(context: &Context<'_>, evaluate: &Evaluate, suite: &Suite) -> Result<Questions, Failure> {
    let loaded = load_rows(context, &format!("suite {}", suite.name), &suite.prompts)?;
    let mut items = Vec::with_capacity(loaded.rows.len());
    for row in &loaded.rows {
        let reference = match &suite.answer {
            None => None,
            Some(column) => Some(row.fields.get(column).cloned().ok_or_else(|| {
                let have = row.fields.keys().cloned().collect::<Vec<_>>().join(", ");
                Failure::new("unknown-column", format!("row {} has no column {column:?}; it has {have}", row.id)).remedy(format!(
                    "name the column with the answer: expect: {{exact_match: {}}}",
                    row.fields.keys().next().map_or("answer", String::as_str)
                ))
            })?),
        };
        items.push(SuiteItem {
            id: row.id.clone(),
            prompt: row.prompt().to_owned(),
            category: row.fields.get("category").cloned(),
            reference,
        });
    }
    let judges = if suite.expect == Expect::ExactMatch { Vec::new() } else { evaluate.judges.clone() };
    let info = SuiteInfo {
        expect: suite.expect,
        prompts: items.len(),
        digest: loaded.content_digest(),
        source: suite.prompts.source.clone(),
        max_new_tokens: suite.max_new_tokens,
        judges,
        items,
    };
    Ok(Questions { suite: suite.clone(), info, rows: loaded.rows })
}

#[derive(Serialize)]
struct Parts<'a> {
    model: &'a str,
    text: &'a str,
    numerics: String,
    prompts: &'a str,
    max_new_tokens: usize,
}

/// A reply before any judge has seen it.
#[derive(Serialize, Deserialize)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) ended: bool,
    pub(super) tokens: u32,
}

/// Asks the model every prompt of every suite, greedily. Each suite is remembered by itself.
///
/// # Errors
/// When the backend fails or the store cannot be written.
pub fn ask(
    context: &Context<'_>,
    who: &str,
    model: &Model,
    evaluate: &Evaluate,
    questions: &[Questions],
    judges: &[Judge],
) -> Result<BTreeMap<String, Vec<Completion>>, Failure> {
    let mut completions = BTreeMap::new();
    for asked in questions {
        let parts = Parts {
            model: &model.digest,
            text: &model.text_digest,
            numerics: context.compute.numerics(),
            prompts: &asked.info.digest,
            max_new_tokens: asked.suite.max_new_tokens,
        };
        let name = format!("evaluate {who} {}", asked.suite.name);
        let entry = context.stage(&name, VERSION, &parts, |place| {
            let said = say(context, model, asked, evaluate.batch_size, &name)?;
            write_json(place, "completions.json", &said)?;
            Ok(format!("{} completions", said.len()))
        })?;
        let said: Vec<Said> = read_json(&entry, "completions.json")?;
        let mut list: Vec<Completion> =
            said.into_iter().zip(&asked.info.items).map(|(said, item)| judged(said, item, asked, judges)).collect();
        endpoint_judge::judge(context, who, evaluate, asked, &mut list)?;
        completions.insert(asked.suite.name.clone(), list);
    }
    Ok(completions)
}

/// Generates a reply to every prompt of a suite.
fn say(context: &Context<'_>, model: &Model, asked: &Questions, batch_size: usize, name: &str) -> Result<Vec<Said>, Failure> {
    let mut prompts = Vec::with_capacity(asked.rows.len());
    for row in &asked.rows {
        prompts.push(asked_tokens(model, row.question()).within(|| format!("prompt {}", row.id))?);
    }
    let sampling = greedy(model, asked.suite.max_new_tokens);
    let mut decoder = context.compute.load(model)?;
    let replies =
        generate(&mut decoder, &prompts, &sampling, batch_size, &mut |done, total| context.progress(name, done, total, "prompts"))
            .map_err(backend_failed)?;
    replies
        .into_iter()
        .map(|reply| Ok(Said { text: model.text.decode(&reply.tokens)?, ended: reply.ended, tokens: reply.tokens.len() as u32 }))
        .collect()
}

/// The tokens of a conversation that a model is to answer.
///
/// # Errors
/// When they cannot be made, or fill the model's context.
pub fn asked_tokens(model: &Model, messages: &[Message]) -> Result<Vec<u32>, Failure> {
    let (tokens, room) = (model.text.encode_prompt(messages)?, model.config.max_position_embeddings);
    if tokens.len() >= room {
        let message = format!("it has {} tokens, and the model's context is {room}", tokens.len());
        return Err(Failure::new("too-long", message).remedy("shorten it, or leave it out"));
    }
    Ok(tokens)
}

/// Greedy decoding up to a number of tokens.
pub fn greedy(model: &Model, max_new_tokens: usize) -> Sampling {
    Sampling { max_new_tokens, temperature: 0.0, top_p: 1.0, seed: 0, end_tokens: model.config.end_tokens.clone() }
}

/// A backend's error as a failure.
pub fn backend_failed(error: crate::model::backend::BackendError) -> Failure {
    Failure::new("backend", error.to_string())
}

pub(super) fn judged(said: Said, item: &SuiteItem, asked: &Questions, judges: &[Judge]) -> Completion {
    let verdicts = if asked.suite.expect == Expect::ExactMatch {
        BTreeMap::new()
    } else {
        judges.iter().map(|judge| (judge.name().to_owned(), judge.judge(&said.text, said.ended))).collect()
    };
    let (extracted, correct) = match &item.reference {
        Some(reference) => {
            let (extracted, correct) = exact_match(reference, &said.text, asked.suite.extract);
            (extracted, Some(correct))
        }
        None => (None, None),
    };
    Completion { text: said.text, ended: said.ended, tokens: said.tokens, verdicts, extracted, correct }
}
