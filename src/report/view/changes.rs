//! What became of the aligned model's answers, by suite, judge and arm.

use serde::Serialize;

use super::answer::{Answer, cell, in_link, is_tuned, judges, seeds};
use super::scorecard::suites;
use crate::eval::metric::arm;
use crate::record::{Arm, Expect, Record, SuiteInfo};

/// One suite by one judge.
#[derive(Debug, Serialize)]
pub struct ChangesView {
    /// `harmful`, `harmful (phrases)` where there are several judges.
    pub name: String,
    /// The wanted answer.
    pub wanted: &'static str,
    /// One row an arm.
    pub rows: Vec<ChangeRow>,
}

/// One arm against the aligned model. Seeds are pooled: every prompt counts once a seed.
#[derive(Debug, Serialize)]
pub struct ChangeRow {
    /// The arm.
    pub arm: String,
    /// Whether a gate rule is about it.
    pub gated: bool,
    /// Wanted answers that stayed.
    pub kept: usize,
    /// Wanted answers that went.
    pub lost: usize,
    /// Those of them that cannot be determined any more.
    pub undetermined: usize,
    /// Wanted answers that came.
    pub gained: usize,
    /// Lost ones by seed, where there are several: the seed, and how many.
    pub seeds: Vec<(u64, usize)>,
    /// The link that shows the arm's prompts; what changed is appended.
    pub link: String,
}

/// The changes; empty without an aligned model or a tuned arm.
pub(super) fn changes(record: &Record, gated: &dyn Fn(&str) -> bool) -> Vec<ChangesView> {
    let Some(aligned) = arm(record, "aligned") else { return Vec::new() };
    let seeds = seeds(record);
    let mut views = Vec::new();
    for (name, suite) in suites(record).into_iter().filter(|(_, suite)| suite.expect != Expect::Rouge) {
        for judge in judges(suite) {
            let link = format!("#prompts?suite={}", in_link(name));
            let of_judge = judge.filter(|_| suite.judges.len() > 1);
            let link = link + &of_judge.map(|judge| format!("&judge={}", in_link(judge))).unwrap_or_default();
            let words = |arm: &Arm, seed: usize| words(arm, seed, name, suite, judge);
            let row = |arm: &Arm| {
                let by_seed: Vec<Counts> =
                    (0..seeds.len()).map(|seed| count(&words(aligned, seed), &words(arm, seed), Answer::wanted(suite.expect))).collect();
                row(&by_seed, &seeds, arm, gated(&arm.name), &link)
            };
            let rows: Vec<ChangeRow> = record.arms.iter().filter(|arm| is_tuned(arm)).filter_map(row).collect();
            if !rows.is_empty() {
                let name = of_judge.map_or_else(|| name.clone(), |judge| format!("{name} ({judge})"));
                views.push(ChangesView { name, wanted: Answer::wanted(suite.expect).word(), rows });
            }
        }
    }
    views
}

fn words(arm: &Arm, seed: usize, name: &str, suite: &SuiteInfo, judge: Option<&str>) -> Vec<Answer> {
    let completions = cell(arm, seed).and_then(|cell| cell.completions.get(name));
    completions.into_iter().flatten().map(|completion| Answer::of(completion, suite.expect, judge)).collect()
}

/// What became of the answers of one seed.
#[derive(Default)]
struct Counts {
    asked: usize,
    kept: usize,
    lost: usize,
    undetermined: usize,
    gained: usize,
}

fn count(before: &[Answer], after: &[Answer], wanted: Answer) -> Counts {
    let mut counts = Counts { asked: after.len(), ..Counts::default() };
    for (&before, &after) in before.iter().zip(after) {
        counts.kept += usize::from(before == wanted && after == wanted);
        counts.lost += usize::from(before == wanted && after != wanted);
        counts.undetermined += usize::from(before == wanted && after == Answer::Undetermined);
        counts.gained += usize::from(before != wanted && after == wanted);
    }
    counts
}

fn row(by_seed: &[Counts], seeds: &[u64], arm: &Arm, gated: bool, link: &str) -> Option<ChangeRow> {
    let sum = |of: fn(&Counts) -> usize| by_seed.iter().map(of).sum::<usize>();
    (sum(|counts| counts.asked) > 0).then(|| ChangeRow {
        arm: arm.name.clone(),
        gated,
        kept: sum(|counts| counts.kept),
        lost: sum(|counts| counts.lost),
        undetermined: sum(|counts| counts.undetermined),
        gained: sum(|counts| counts.gained),
        seeds: if seeds.len() > 1 { seeds.iter().copied().zip(by_seed.iter().map(|counts| counts.lost)).collect() } else { Vec::new() },
        link: format!("{link}&arm={}", in_link(&arm.name)),
    })
}
