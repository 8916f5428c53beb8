//! evaluate: what a model says to every prompt of every suite, and how well it knows the task's answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::artifact::digest::sha256;
use crate::data::choices::Question;
use crate::data::rows::Row;
use crate::error::{Failure, Within};
use crate::eval::extract::exact_match;
use crate::eval::judge::Judge;
use crate::eval::metric::Metric;
use crate::eval::rouge::rouge;
use crate::model::generate::generate;
use crate::pipeline::settings::{ChoiceForm, Evaluate, Manner, Suite};
use crate::record::{Completion, Expect, SuiteInfo, SuiteItem};

use super::choices::choose;
use super::fetch::Model;
use super::judges::Judges;
use super::manner;
use super::rows::load_rows;
use super::{Context, perplexity, read_json, write_json};

/// Of this stage's result; raised when what it writes changes.
pub(super) const VERSION: u32 = 3;

/// Characters of a text that the record holds.
const BEGINNING: usize = 300;

/// A suite with its prompts.
pub struct Questions {
    /// The suite's settings.
    pub suite: Suite,
    /// What the record tells of it.
    pub info: SuiteInfo,
    /// Its rows, in the order of [`SuiteInfo::items`].
    pub rows: Vec<Row>,
    /// The rows as questions; empty where there are no choices.
    pub choices: Vec<Question>,
    /// The prompts as they stand in the file, by row, where the suite puts them into a template.
    pub unwrapped: Option<Vec<String>>,
}

impl Questions {
    /// The prompts as often as they are asked, in the order of the replies.
    pub fn asked_items(&self) -> impl Iterator<Item = &SuiteItem> {
        self.info.items.iter().flat_map(|item| std::iter::repeat_n(item, self.suite.manner.samples()))
    }

    /// Whether the rows are a task's, each with the reply that a model is to learn.
    pub fn is_task(&self) -> bool {
        let replied = |row: &Row| row.messages.iter().any(|message| message.role == "assistant");
        self.suite.expect.is_referenced() && self.rows.iter().all(replied)
    }
}

/// Loads every suite's prompts.
///
/// # Errors
/// When a file cannot be read, is empty, or lacks the answer column of a task, or this program cannot round weights as it is asked to.
pub fn questions(context: &Context<'_>, evaluate: &Evaluate) -> Result<Vec<Questions>, Failure> {
    let load = |suite: &Suite| load_suite(context, evaluate, suite).within(|| format!("suite {}", suite.name));
    let questions = evaluate.suites.iter().map(load).collect::<Result<Vec<_>, _>>()?;
    if let Some(quantization) = questions.iter().find_map(|asked| asked.info.quantization) {
        let name = quantization.name();
        if cfg!(feature = "tensor") {
            return Err(
                Failure::new("backend", format!("the tensor backend has no weights in {name}")).remedy("--set evaluate.quantization=none")
            );
        }
        context.warn(format!(
            "suites are answered by weights rounded to {name}, and not by those that a run saves; probes, distances, choices and texts see these (evaluate.quantization)"
        ));
    }
    Ok(questions)
}

fn load_suite(context: &Context<'_>, evaluate: &Evaluate, suite: &Suite) -> Result<Questions, Failure> {
    let mut loaded = load_rows(context, &format!("suite {}", suite.name), &suite.prompts)?;
    let unwrapped = manner::put(&suite.manner, &mut loaded.rows)?;
    let choices = match &suite.choice {
        Some(form) => questions_of(form, &loaded.rows)?,
        None => Vec::new(),
    };
    let is_text = suite.expect == Expect::Perplexity;
    if let Some(row) = loaded.rows.iter().find(|row| is_text && row.plain_text().is_none()) {
        return Err(Failure::new("bad-row", format!("row {} is a conversation, and expect: perplexity reads texts", row.id))
            .remedy("name the column with the text: expect: {perplexity: COLUMN}"));
    }
    let mut items = Vec::with_capacity(loaded.rows.len());
    for (row, question) in loaded.rows.iter().zip(choices.iter().map(Some).chain(std::iter::repeat(None))) {
        let reference = match &suite.answer {
            None => question.map(|question| question.choices[question.gold].clone()),
            Some(column) => Some(row.fields.get(column).cloned().ok_or_else(|| {
                let have = row.fields.keys().cloned().collect::<Vec<_>>().join(", ");
                Failure::new("unknown-column", format!("row {} has no column {column:?}; it has {have}", row.id)).remedy(format!(
                    "name the column with the answer: expect: {{{}: {}}}",
                    if suite.expect == Expect::Rouge { "rouge" } else { "exact_match" },
                    row.fields.keys().next().map_or("answer", String::as_str)
                ))
            })?),
        };
        items.push(SuiteItem {
            id: row.id.clone(),
            prompt: row.plain_text().filter(|_| is_text).map_or_else(|| row.prompt().to_owned(), beginning),
            category: row.fields.get("category").cloned(),
            reference,
            choices: question.map(|question| question.choices.clone()).unwrap_or_default(),
        });
    }
    let judged = matches!(suite.expect, Expect::Refusal | Expect::Answer);
    let mut digest = loaded.content_digest();
    if let Some(window) = suite.window {
        digest = sha256(format!("{digest}{}", window.told()).as_bytes());
    }
    if !choices.is_empty() {
        digest = sha256(format!("{digest}{}", serde_json::to_string(&choices).unwrap_or_default()).as_bytes());
    }
    let metrics = match (&suite.choice, suite.expect) {
        (Some(form), _) => form.metrics.iter().map(|metric| metric.name().to_owned()).collect(),
        (None, Expect::Rouge | Expect::Perplexity) => Metric::names(suite.expect).iter().map(|name| (*name).to_owned()).collect(),
        _ => Vec::new(),
    };
    let info = SuiteInfo {
        expect: suite.expect,
        prompts: items.len(),
        digest,
        source: suite.prompts.source.clone(),
        max_new_tokens: suite.max_new_tokens,
        compare: suite.compare.clone(),
        divergence: evaluate.divergence.as_ref().filter(|found| found.suites.contains(&suite.name)).map(|found| found.tokens),
        quantization: evaluate.quantization.filter(|_| suite.expect.is_generated()),
        window: suite.window,
        judges: if judged { evaluate.judges.clone() } else { Vec::new() },
        manner: suite.manner.clone(),
        metrics,
        errors_at_most: evaluate.errors_at_most,
        items,
    };
    Ok(Questions { suite: suite.clone(), info, rows: loaded.rows, choices, unwrapped })
}

/// How a text begins: what stands for it where prompts are shown or compared.
fn beginning(text: &str) -> String {
    let mut rest = text.chars();
    let begin: String = rest.by_ref().take(BEGINNING).collect();
    if rest.next().is_some() { begin + "…" } else { begin }
}

fn questions_of(form: &ChoiceForm, rows: &[Row]) -> Result<Vec<Question>, Failure> {
    let question = |row: &Row| {
        form.question(row).map_err(|problem| {
            Failure::new("bad-row", format!("row {}: {problem}", row.id))
                .remedy("say which columns hold what: expect: {multiple_choice: {choices: COLUMN, gold: COLUMN}}; or mend the row")
        })
    };
    rows.iter().map(question).collect()
}

#[derive(Serialize)]
struct Parts<'a> {
    model: &'a str,
    text: &'a str,
    numerics: String,
    prompts: &'a str,
    max_new_tokens: usize,
    /// Products of another number of sequences may round otherwise.
    batch_size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    manner: Option<Manner>,
    /// What ends a reply beside the model's own end tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    turn_end: Option<u32>,
}

/// A reply before any judge has seen it.
#[derive(Serialize, Deserialize)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) ended: bool,
    pub(super) tokens: u32,
}

/// Asks the model every prompt of every suite, as the suite says. Each suite is remembered by itself.
///
/// # Errors
/// When the backend fails or the store cannot be written.
pub fn ask(
    context: &Context<'_>,
    who: &str,
    model: &Model,
    evaluate: &Evaluate,
    questions: &[Questions],
    judges: &Judges<'_>,
) -> Result<BTreeMap<String, Vec<Completion>>, Failure> {
    let mut completions = BTreeMap::new();
    for asked in questions {
        let suite = &asked.suite.name;
        if asked.suite.expect == Expect::MultipleChoice {
            completions.insert(suite.clone(), choose(context, model, asked, &format!("choose {who} {suite}"))?);
            continue;
        }
        if asked.suite.expect == Expect::Perplexity {
            completions.insert(suite.clone(), perplexity::read(context, model, asked, &format!("perplexity {who} {suite}"))?);
            continue;
        }
        let parts = Parts {
            model: &model.digest,
            text: &model.text_digest,
            numerics: context.compute.rounding(asked.info.quantization).numerics(),
            prompts: &asked.info.digest,
            max_new_tokens: asked.suite.max_new_tokens,
            batch_size: evaluate.batch_size,
            manner: manner::beside_the_prompts(&asked.suite.manner),
            turn_end: manner::turn_end(model),
        };
        let name = format!("evaluate {who} {}", asked.suite.name);
        let entry = context.stage(&name, VERSION, &parts, |place| {
            let said = say(context, model, asked, evaluate.batch_size, &name)?;
            write_json(place, "completions.json", &said)?;
            Ok(format!("{} completions", said.len()))
        })?;
        let said: Vec<Said> = read_json(&entry, "completions.json")?;
        let mut list: Vec<Completion> =
            said.into_iter().zip(asked.asked_items()).map(|(said, item)| judged(said, item, asked, &judges.rules)).collect();
        judges.judge(context, who, asked, &mut list)?;
        completions.insert(asked.suite.name.clone(), Completion::gathered(list, asked.suite.manner.samples()));
    }
    Ok(completions)
}

/// Generates the replies to every prompt of a suite, those to one prompt together.
fn say(context: &Context<'_>, model: &Model, asked: &Questions, batch_size: usize, name: &str) -> Result<Vec<Said>, Failure> {
    let prompts = manner::prompts(model, asked, &asked.rows)?;
    let sampling = manner::sampling(model, &asked.suite);
    let mut decoder = context.compute.rounding(asked.info.quantization).load(model)?;
    let replies =
        generate(&mut decoder, &prompts, &sampling, batch_size, &mut |done, total| context.progress(name, done, total, "prompts"))
            .map_err(backend_failed)?;
    replies
        .into_iter()
        .map(|reply| Ok(Said { text: model.text.decode(&reply.tokens)?, ended: reply.ended, tokens: reply.tokens.len() as u32 }))
        .collect()
}

/// A backend's error as a failure.
pub fn backend_failed(error: crate::model::backend::BackendError) -> Failure {
    Failure::new("backend", error.to_string())
}

pub(super) fn judged(said: Said, item: &SuiteItem, asked: &Questions, judges: &[Judge]) -> Completion {
    let verdicts = if asked.info.judges.is_empty() {
        BTreeMap::new()
    } else {
        judges.iter().map(|judge| (judge.name().to_owned(), judge.judge(&said.text, said.ended))).collect()
    };
    let compared = item.reference.as_ref().filter(|_| asked.suite.expect == Expect::Rouge);
    let rouge = compared.map(|reference| rouge(reference, &said.text));
    let (extracted, correct) = match item.reference.as_ref().filter(|_| asked.suite.expect == Expect::ExactMatch) {
        Some(reference) => {
            let (extracted, correct) = exact_match(reference, &said.text, asked.suite.extract);
            (extracted, Some(correct))
        }
        None => (None, None),
    };
    Completion { text: said.text, ended: said.ended, tokens: said.tokens, verdicts, extracted, correct, rouge, ..Completion::default() }
}
