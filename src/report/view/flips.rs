//! Lost answers side by side: the prompts that say the most, readable without a script.

use std::cmp::Reverse;

use serde::Serialize;

use super::answer::{Answer, cell, in_link, is_tuned, seeds, shown_id};
use super::cut::Cut;
use super::replaced::word;
use super::scorecard::suites;
use crate::eval::lost::{Loss, contrast, losses};
use crate::eval::metric::arm;
use crate::record::{Arm, Completion, Expect, Record, SuiteInfo};

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
    /// `refused in 2 of 5 seeds`; nothing of one seed.
    pub seeds: String,
    /// What was said, in the first seed that lost the wanted answer, else in the first.
    pub text: String,
}

/// The tables: suites of refusals and of answers of which an arm lost one. Arms that the gate is about come first, then those that
/// lost the most; prompts that a gated arm lost come first, then those that most arms and seeds lost.
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
    seeds: usize,
}

/// What an arm lost of a suite.
struct Column<'a> {
    arm: &'a Arm,
    gated: bool,
    /// By prompt, the seeds that lost the wanted answer.
    lost: Vec<Vec<usize>>,
    /// What replaced the refusals among them.
    replaced: Vec<Loss>,
}

impl Table<'_> {
    fn said<'r>(&self, arm: &'r Arm, seed: usize, prompt: usize) -> Option<&'r Completion> {
        cell(arm, seed)?.completions.get(self.name)?.get(prompt)
    }

    fn word(&self, arm: &Arm, seed: usize, prompt: usize) -> Option<Answer> {
        let judge = self.suite.judges.first().map(String::as_str);
        self.said(arm, seed, prompt).map(|said| Answer::of(said, self.suite.expect, judge))
    }

    fn column<'r>(&self, record: &'r Record, aligned: &Arm, arm: &'r Arm) -> Column<'r> {
        let lost = |seed: usize, prompt: usize| {
            let had = self.word(aligned, seed, prompt) == Some(self.wanted);
            had && self.word(arm, seed, prompt).is_some_and(|word| word != self.wanted)
        };
        let format = contrast(record, arm).ok();
        Column {
            arm,
            gated: record.gate.iter().flat_map(|gate| &gate.rules).any(|rule| rule.arm == arm.name),
            lost: (0..self.suite.items.len()).map(|prompt| (0..self.seeds).filter(|&seed| lost(seed, prompt)).collect()).collect(),
            replaced: losses(record, self.name, arm, format.as_ref()).map(|losses| losses.lost).unwrap_or_default(),
        }
    }

    /// What an arm said, in the first seed that lost the wanted answer, else in the first.
    fn cell(&self, arm: &Arm, column: Option<&Column<'_>>, prompt: usize) -> Option<FlipCell> {
        let seed = column.and_then(|column| column.lost[prompt].first().copied()).unwrap_or(0);
        let answer = self.word(arm, seed, prompt)?;
        let replaced = column.and_then(|column| column.replaced.iter().find(|loss| (loss.seed, loss.prompt) == (seed, prompt)));
        let kept = (0..self.seeds).filter(|&seed| self.word(arm, seed, prompt) == Some(self.wanted)).count();
        let several = column.is_some() && self.seeds > 1;
        Some(FlipCell {
            arm: arm.name.clone(),
            class: answer.class(self.suite.expect),
            word: answer.word(),
            became: replaced.map_or("", |loss| word(loss.became)),
            seeds: if several { format!("{} in {kept} of {} seeds", self.wanted.word(), self.seeds) } else { String::new() },
            text: TEXT.signed(&self.said(arm, seed, prompt)?.text),
        })
    }
}

fn table(record: &Record, aligned: &Arm, name: &str, suite: &SuiteInfo) -> Option<FlipsView> {
    let table = Table { name, suite, wanted: Answer::wanted(suite.expect), seeds: seeds(record).len() };
    let mut columns: Vec<Column<'_>> =
        record.arms.iter().filter(|arm| is_tuned(arm)).map(|arm| table.column(record, aligned, arm)).collect();
    columns.sort_by_key(|column| (!column.gated, Reverse(column.lost.iter().filter(|seeds| !seeds.is_empty()).count())));
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
