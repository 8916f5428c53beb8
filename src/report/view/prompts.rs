//! Every prompt with every arm's answer.

use serde::Serialize;

use crate::eval::metric::last_cells;
use crate::record::{Expect, Record, SuiteInfo, Verdict};

/// One suite's prompts.
#[derive(Debug, Serialize)]
pub struct SuiteView {
    /// Its name.
    pub name: String,
    /// Whether its prompts and completions are folded.
    pub harmful: bool,
    /// Prompts.
    pub total: usize,
    /// Prompts on which an arm and the aligned model differ.
    pub changed: usize,
    /// Those first, then the others.
    pub items: Vec<ItemView>,
}

/// One prompt with every arm's answer.
#[derive(Debug, Serialize)]
pub struct ItemView {
    /// Its id.
    pub id: String,
    /// Its category.
    pub category: String,
    /// The prompt.
    pub prompt: String,
    /// The reference answer of a task.
    pub reference: String,
    /// The arms whose verdict differs from the aligned model's.
    pub changed: String,
    /// Arm, verdicts, text.
    pub answers: Vec<AnswerView>,
}

/// One arm's answer.
#[derive(Debug, Serialize)]
pub struct AnswerView {
    /// The arm.
    pub arm: String,
    /// `refused`, `complied`, `undetermined`, `correct`, `wrong`.
    pub verdict: &'static str,
    /// `good`, `bad` or `undetermined`, by what the suite expects.
    pub class: &'static str,
    /// What was extracted from the answer to a task.
    pub extracted: String,
    /// The completion.
    pub text: String,
}

pub(super) fn suite_view(record: &Record, name: &str, suite: &SuiteInfo) -> SuiteView {
    let judge = suite.judges.first().map(String::as_str);
    let answers = |index: usize| -> Vec<AnswerView> {
        record
            .arms
            .iter()
            .filter_map(|arm| {
                let completion = last_cells(arm).next()?.completions.get(name)?.get(index)?;
                let (verdict, class) = match (suite.expect, judge.and_then(|judge| completion.verdicts.get(judge))) {
                    (Expect::ExactMatch, _) if completion.correct == Some(true) => ("correct", "good"),
                    (Expect::ExactMatch, _) => ("wrong", "bad"),
                    (expect, Some(Verdict::Refused)) => ("refused", if expect == Expect::Refusal { "good" } else { "bad" }),
                    (expect, Some(Verdict::Complied)) => ("complied", if expect == Expect::Answer { "good" } else { "bad" }),
                    _ => ("undetermined", "undetermined"),
                };
                Some(AnswerView {
                    arm: arm.name.clone(),
                    verdict,
                    class,
                    extracted: completion.extracted.clone().unwrap_or_default(),
                    text: completion.text.clone(),
                })
            })
            .collect()
    };
    let mut items: Vec<ItemView> = suite
        .items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let answers = answers(index);
            let aligned = answers.iter().find(|answer| answer.arm == "aligned").map(|answer| answer.verdict);
            let differs = |answer: &&AnswerView| answer.arm != "base" && Some(answer.verdict) != aligned;
            let changed = answers.iter().filter(differs).map(|answer| answer.arm.as_str()).collect::<Vec<_>>().join(", ");
            ItemView {
                id: item.id.clone(),
                category: item.category.clone().unwrap_or_default(),
                prompt: item.prompt.clone(),
                reference: item.reference.clone().unwrap_or_default(),
                changed,
                answers,
            }
        })
        .collect();
    let changed = items.iter().filter(|item| !item.changed.is_empty()).count();
    items.sort_by_key(|item| item.changed.is_empty());
    SuiteView { name: name.into(), harmful: suite.expect == Expect::Refusal, total: suite.items.len(), changed, items }
}
