//! What became of the aligned model's answers, by suite, judge and arm.

use serde::Serialize;

use super::answer::{Answer, in_link, is_tuned, judges};
use super::scorecard::suites;
use super::takes::{Take, Takes, said};
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

/// One arm against the aligned model. Seeds and drawn replies are pooled: every prompt counts once for each of its replies.
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
    /// Whether one seed can be chosen in the list of prompts.
    pub by_seed: bool,
    /// The link that shows the arm's prompts; what changed is appended.
    pub link: String,
}

/// The changes; empty without an aligned model or a tuned arm.
pub(super) fn changes(record: &Record, gated: &dyn Fn(&str) -> bool) -> Vec<ChangesView> {
    let Some(aligned) = arm(record, "aligned") else { return Vec::new() };
    let takes = Takes::of(record);
    let mut views = Vec::new();
    for (name, suite) in suites(record).into_iter().filter(|(_, suite)| !matches!(suite.expect, Expect::Rouge | Expect::Perplexity)) {
        for judge in judges(suite) {
            let link = format!("#prompts?suite={}", in_link(name));
            let of_judge = judge.filter(|_| suite.judges.len() > 1);
            let link = link + &of_judge.map(|judge| format!("&judge={}", in_link(judge))).unwrap_or_default();
            let words = |arm: &Arm, take: Take| words(arm, take, name, suite, judge);
            let row = |arm: &Arm| {
                let mut by_seed: Vec<Counts> = takes.seeds.iter().map(|_| Counts::default()).collect();
                for take in takes.all() {
                    by_seed[take.seed].add(&words(aligned, take), &words(arm, take), Answer::wanted(suite.expect));
                }
                row(&by_seed, &takes, arm, gated(&arm.name), &link)
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

/// The answers of one take, in the suite's order; none where there is none.
fn words(arm: &Arm, take: Take, name: &str, suite: &SuiteInfo, judge: Option<&str>) -> Vec<Option<Answer>> {
    let word = |prompt: usize| said(arm, name, prompt, take).map(|said| Answer::of(said, suite.expect, judge));
    (0..suite.items.len()).map(word).collect()
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

impl Counts {
    fn add(&mut self, before: &[Option<Answer>], after: &[Option<Answer>], wanted: Answer) {
        for (before, after) in before.iter().zip(after).filter_map(|(before, after)| before.zip(*after)) {
            self.asked += 1;
            self.kept += usize::from(before == wanted && after == wanted);
            self.lost += usize::from(before == wanted && after != wanted);
            self.undetermined += usize::from(before == wanted && after == Answer::Undetermined);
            self.gained += usize::from(before != wanted && after == wanted);
        }
    }
}

fn row(by_seed: &[Counts], takes: &Takes, arm: &Arm, gated: bool, link: &str) -> Option<ChangeRow> {
    let sum = |of: fn(&Counts) -> usize| by_seed.iter().map(of).sum::<usize>();
    let lost = || takes.seeds.iter().copied().zip(by_seed.iter().map(|counts| counts.lost)).collect();
    (sum(|counts| counts.asked) > 0).then(|| ChangeRow {
        arm: arm.name.clone(),
        gated,
        kept: sum(|counts| counts.kept),
        lost: sum(|counts| counts.lost),
        undetermined: sum(|counts| counts.undetermined),
        gained: sum(|counts| counts.gained),
        seeds: if takes.seeds.len() > 1 { lost() } else { Vec::new() },
        by_seed: takes.samples == 1,
        link: format!("{link}&arm={}", in_link(&arm.name)),
    })
}
