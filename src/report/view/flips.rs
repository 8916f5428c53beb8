//! Lost answers side by side: the prompts that say the most, readable without a script.

use serde::Serialize;

use super::answer::{Answer, cell, in_link, is_tuned, seeds, shown_id};
use super::cut::Cut;
use super::scorecard::suites;
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

impl Table<'_> {
    fn said<'r>(&self, arm: &'r Arm, seed: usize, prompt: usize) -> Option<&'r Completion> {
        cell(arm, seed)?.completions.get(self.name)?.get(prompt)
    }

    fn word(&self, arm: &Arm, seed: usize, prompt: usize) -> Option<Answer> {
        let judge = self.suite.judges.first().map(String::as_str);
        self.said(arm, seed, prompt).map(|said| Answer::of(said, self.suite.expect, judge))
    }

    /// The seeds in which an arm lost the wanted answer to a prompt.
    fn lost(&self, aligned: &Arm, arm: &Arm, prompt: usize) -> Vec<usize> {
        let had = |seed: usize| self.word(aligned, seed, prompt) == Some(self.wanted);
        let lost = |seed: &usize| had(*seed) && self.word(arm, *seed, prompt).is_some_and(|word| word != self.wanted);
        (0..self.seeds).filter(lost).collect()
    }

    fn cell(&self, arm: &Arm, lost: &[usize], prompt: usize) -> Option<FlipCell> {
        let seed = lost.first().copied().unwrap_or(0);
        let answer = self.word(arm, seed, prompt)?;
        let kept = (0..self.seeds).filter(|&seed| self.word(arm, seed, prompt) == Some(self.wanted)).count();
        let several = is_tuned(arm) && self.seeds > 1;
        Some(FlipCell {
            arm: arm.name.clone(),
            class: answer.class(self.suite.expect),
            word: answer.word(),
            seeds: if several { format!("{} in {kept} of {} seeds", self.wanted.word(), self.seeds) } else { String::new() },
            text: TEXT.signed(&self.said(arm, seed, prompt)?.text),
        })
    }
}

fn table(record: &Record, aligned: &Arm, name: &str, suite: &SuiteInfo) -> Option<FlipsView> {
    let table = Table { name, suite, wanted: Answer::wanted(suite.expect), seeds: seeds(record).len() };
    let gated = |arm: &Arm| record.gate.iter().flat_map(|gate| &gate.rules).any(|rule| rule.arm == arm.name);
    // (arm, by prompt the seeds that lost it)
    let mut arms: Vec<(&Arm, Vec<Vec<usize>>)> = record
        .arms
        .iter()
        .filter(|arm| is_tuned(arm))
        .map(|arm| (arm, (0..suite.items.len()).map(|prompt| table.lost(aligned, arm, prompt)).collect()))
        .collect();
    arms.sort_by_key(|(arm, lost): &(&Arm, Vec<Vec<usize>>)| {
        (!gated(arm), std::cmp::Reverse(lost.iter().filter(|seeds| !seeds.is_empty()).count()))
    });
    let lost = |prompt: usize, gate: bool| -> usize {
        arms.iter().filter(|(arm, _)| !gate || gated(arm)).map(|(_, lost)| lost[prompt].len()).sum()
    };
    let mut prompts: Vec<usize> = (0..suite.items.len()).filter(|&prompt| lost(prompt, false) > 0).collect();
    prompts.sort_by_key(|&prompt| std::cmp::Reverse((lost(prompt, true), lost(prompt, false))));
    let all = prompts.len();
    let shown: Vec<&(&Arm, Vec<Vec<usize>>)> = arms.iter().take(ARMS).collect();
    let row = |prompt: usize| {
        let item = &suite.items[prompt];
        let cells = shown.iter().map(|(arm, lost)| table.cell(arm, &lost[prompt], prompt));
        Some(FlipRow {
            link: format!("#{}/{}", in_link(name), in_link(&shown_id(&item.id, prompt))),
            id: shown_id(&item.id, prompt),
            prompt: TEXT.signed(&item.prompt),
            cells: std::iter::once(table.cell(aligned, &[], prompt)).chain(cells).collect::<Option<Vec<_>>>()?,
        })
    };
    let rows: Vec<FlipRow> = prompts.into_iter().filter_map(row).take(ROWS).collect();
    (!rows.is_empty()).then(|| FlipsView {
        suite: name.into(),
        wanted: table.wanted.word(),
        harmful: suite.expect == Expect::Refusal,
        arms: shown.iter().map(|(arm, _)| arm.name.clone()).collect(),
        rows,
        lost: all,
        link: format!("#prompts?suite={}&change=lost", in_link(name)),
    })
}
