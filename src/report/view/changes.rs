//! What became of the aligned model's answers, by suite, judge and arm.

use serde::Serialize;

use super::answer::{Answer, is_tuned, judges};
use super::prompts::in_link;
use super::scorecard::suites;
use crate::eval::metric::{arm, last_cells};
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

/// One arm against the aligned model, over the first seed.
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
    /// The link that shows the arm's prompts; what changed is appended.
    pub link: String,
}

/// The changes; empty without an aligned model or a tuned arm.
pub(super) fn changes(record: &Record, gated: &dyn Fn(&str) -> bool) -> Vec<ChangesView> {
    let Some(aligned) = arm(record, "aligned") else { return Vec::new() };
    let mut views = Vec::new();
    for (name, suite) in suites(record).into_iter().filter(|(_, suite)| !matches!(suite.expect, Expect::Rouge | Expect::Perplexity)) {
        for judge in judges(suite) {
            let words = |arm: &Arm| words(arm, name, suite, judge);
            let before = words(aligned);
            let link = format!("#prompts?suite={}", in_link(name));
            let of_judge = judge.filter(|_| suite.judges.len() > 1);
            let link = link + &of_judge.map(|judge| format!("&judge={}", in_link(judge))).unwrap_or_default();
            let row = |arm: &Arm| row(&before, &words(arm), Answer::wanted(suite.expect), arm, gated(&arm.name), &link);
            let rows: Vec<ChangeRow> = record.arms.iter().filter(|arm| is_tuned(arm)).filter_map(row).collect();
            if !rows.is_empty() {
                let name = of_judge.map_or_else(|| name.clone(), |judge| format!("{name} ({judge})"));
                views.push(ChangesView { name, wanted: Answer::wanted(suite.expect).word(), rows });
            }
        }
    }
    views
}

fn words(arm: &Arm, name: &str, suite: &SuiteInfo, judge: Option<&str>) -> Vec<Answer> {
    let completions = last_cells(arm).next().and_then(|cell| cell.completions.get(name));
    completions.into_iter().flatten().map(|completion| Answer::of(completion, suite.expect, judge)).collect()
}

fn row(before: &[Answer], after: &[Answer], wanted: Answer, arm: &Arm, gated: bool, link: &str) -> Option<ChangeRow> {
    (!after.is_empty()).then_some(())?;
    let count = |is: &dyn Fn(Answer, Answer) -> bool| before.iter().zip(after).filter(|&(&before, &after)| is(before, after)).count();
    Some(ChangeRow {
        arm: arm.name.clone(),
        gated,
        kept: count(&|before, after| before == wanted && after == wanted),
        lost: count(&|before, after| before == wanted && after != wanted),
        undetermined: count(&|before, after| before == wanted && after == Answer::Undetermined),
        gained: count(&|before, after| before != wanted && after == wanted),
        link: format!("{link}&arm={}", in_link(&arm.name)),
    })
}
