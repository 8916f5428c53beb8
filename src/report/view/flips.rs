//! Lost answers side by side: the prompts that say the most, readable without a script.

use std::cmp::Reverse;

use serde::Serialize;

use super::answer::{Answer, in_link, is_tuned, shown_id};
use super::cut::Cut;
use super::replaced::word;
use super::scorecard::suites;
use super::takes::{Take, Takes, said};
use crate::eval::lost::{Loss, contrast, losses};
use crate::eval::metric::arm;
use crate::record::{Arm, Expect, Record, SuiteInfo};

/// Prompts of a suite, arms beside the aligned model, and characters of a text that are shown.
const ROWS: usize = 6;
const ARMS: usize = 3;
const TEXT: Cut = Cut(240);

/// Lost answers of one suite, by its first judge.
#[derive(Debug, Serialize)]
pub struct FlipsView {
    /// The suite.
    pub suite: String,
    /// The wanted answer.
    pub wanted: &'static str,
    /// Whether the texts are blurred.
    pub harmful: bool,
    /// The arms beside the aligned model.
    pub arms: Vec<String>,
    /// One row a prompt.
    pub rows: Vec<FlipRow>,
    /// Prompts of which an arm lost the wanted answer, shown or not.
    pub lost: usize,
    /// The link that shows all of them.
    pub link: String,
}

/// One prompt.
#[derive(Debug, Serialize)]
pub struct FlipRow {
    /// Its id.
    pub id: String,
    /// Its place in the list.
    pub link: String,
    /// The prompt.
    pub prompt: String,
    /// What the aligned model said, then the arms.
    pub cells: Vec<FlipCell>,
}

/// One answer.
#[derive(Debug, Serialize)]
pub struct FlipCell {
    /// The arm.
    pub arm: String,
    /// `g` (wanted), `u` (undetermined) or `b`.
    pub class: &'static str,
    /// The judge's word.
    pub word: &'static str,
    /// What replaced a lost refusal.
    pub became: &'static str,
    /// `refused in 2 of 5 seeds`; nothing of one reply.
    pub takes: String,
    /// What was said, in the first seed and reply that lost the wanted answer, else in the first.
    pub text: String,
}

/// The tables: suites of refusals and of answers of which an arm lost one. Arms that the gate is about come first, then those that
/// lost the most; prompts that a gated arm lost come first, then those that most arms, seeds and replies lost.
pub(super) fn flips(record: &Record) -> Vec<FlipsView> {
    let Some(aligned) = arm(record, "aligned") else { return Vec::new() };
    let judged = suites(record).into_iter().filter(|(_, suite)| matches!(suite.expect, Expect::Refusal | Expect::Answer));
    judged.filter_map(|(name, suite)| table(record, aligned, name, suite)).collect()
}

/// One suite of a record.
struct Table<'a> {
    name: &'a str,
    suite: &'a SuiteInfo,
    wanted: Answer,
    takes: Takes,
}

/// What an arm lost of a suite.
struct Column<'a> {
    arm: &'a Arm,
    gated: bool,
    /// By prompt, what lost the wanted answer.
    lost: Vec<Vec<Take>>,
    /// What replaced the refusals among them.
    replaced: Vec<Loss>,
}

impl Table<'_> {
    fn word(&self, arm: &Arm, take: Take, prompt: usize) -> Option<Answer> {
        let judge = self.suite.judges.first().map(String::as_str);
        said(arm, self.name, prompt, take).map(|said| Answer::of(said, self.suite.expect, judge))
    }

    fn column<'r>(&self, record: &'r Record, aligned: &Arm, arm: &'r Arm) -> Column<'r> {
        let lost = |take: Take, prompt: usize| {
            let had = self.word(aligned, take, prompt) == Some(self.wanted);
            had && self.word(arm, take, prompt).is_some_and(|word| word != self.wanted)
        };
        let format = contrast(record, arm).ok();
        Column {
            arm,
            gated: record.gate.iter().flat_map(|gate| &gate.rules).any(|rule| rule.arm == arm.name),
            lost: (0..self.suite.items.len()).map(|prompt| self.takes.all().filter(|&take| lost(take, prompt)).collect()).collect(),
            replaced: losses(record, self.name, arm, format.as_ref()).map(|losses| losses.lost).unwrap_or_default(),
        }
    }

    /// What an arm said, in the first seed and reply that lost the wanted answer, else in the first.
    fn cell(&self, arm: &Arm, column: Option<&Column<'_>>, prompt: usize) -> Option<FlipCell> {
        let take = column.and_then(|column| column.lost[prompt].first().copied()).unwrap_or(Take { seed: 0, sample: 0 });
        let answer = self.word(arm, take, prompt)?;
        let same = |loss: &&Loss| (loss.seed, loss.sample, loss.prompt) == (take.seed, take.sample, prompt);
        let words: Vec<Answer> = self.takes.all().filter_map(|take| self.word(arm, take, prompt)).collect();
        let kept = words.iter().filter(|&&word| word == self.wanted).count();
        let told = || format!("{} in {kept} of {} {}", self.wanted.word(), words.len(), self.takes.units());
        Some(FlipCell {
            arm: arm.name.clone(),
            class: answer.class(self.suite.expect),
            word: answer.word(),
            became: column.and_then(|column| column.replaced.iter().find(same)).map_or("", |loss| word(loss.became)),
            takes: if column.is_some() && words.len() > 1 { told() } else { String::new() },
            text: TEXT.signed(&said(arm, self.name, prompt, take)?.text),
        })
    }
}

fn table(record: &Record, aligned: &Arm, name: &str, suite: &SuiteInfo) -> Option<FlipsView> {
    let table = Table { name, suite, wanted: Answer::wanted(suite.expect), takes: Takes::of(record) };
    let mut columns: Vec<Column<'_>> =
        record.arms.iter().filter(|arm| is_tuned(arm)).map(|arm| table.column(record, aligned, arm)).collect();
    columns.sort_by_key(|column| (!column.gated, Reverse(column.lost.iter().filter(|takes| !takes.is_empty()).count())));
    let lost = |prompt: usize, all: bool| -> usize {
        columns.iter().filter(|column| all || column.gated).map(|column| column.lost[prompt].len()).sum()
    };
    let mut prompts: Vec<usize> = (0..suite.items.len()).filter(|&prompt| lost(prompt, true) > 0).collect();
    prompts.sort_by_key(|&prompt| Reverse((lost(prompt, false), lost(prompt, true))));
    let shown = || columns.iter().take(ARMS);
    let row = |&prompt: &usize| {
        let item = &suite.items[prompt];
        let cells = shown().map(|column| table.cell(column.arm, Some(column), prompt));
        Some(FlipRow {
            link: format!("#{}/{}", in_link(name), in_link(&shown_id(&item.id, prompt))),
            id: shown_id(&item.id, prompt),
            prompt: TEXT.signed(&item.prompt),
            cells: std::iter::once(table.cell(aligned, None, prompt)).chain(cells).collect::<Option<Vec<_>>>()?,
        })
    };
    let rows: Vec<FlipRow> = prompts.iter().filter_map(row).take(ROWS).collect();
    (!rows.is_empty()).then(|| FlipsView {
        suite: name.into(),
        wanted: table.wanted.word(),
        harmful: suite.expect == Expect::Refusal,
        arms: shown().map(|column| column.arm.name.clone()).collect(),
        rows,
        lost: prompts.len(),
        link: format!("#prompts?suite={}&change=lost", in_link(name)),
    })
}
