//! How far the judges of a suite agree: their errors depend on the model, so by arm too.

use serde::Serialize;

use super::answer::Answer;
use super::scorecard::suites;
use super::words::percent;
use crate::eval::metric::last_cells;
use crate::record::{Arm, Record, SuiteInfo};

const WORDS: [Answer; 3] = [Answer::Refused, Answer::Complied, Answer::Undetermined];

/// Two judges of one suite.
#[derive(Debug, Serialize)]
pub struct AgreementView {
    /// The suite.
    pub suite: String,
    /// One judge.
    pub first: String,
    /// Another.
    pub second: String,
    /// One row an arm, and one of all.
    pub rows: Vec<AgreementRow>,
    /// The words, as heads of [`counts`](Self::counts).
    pub words: [&'static str; 3],
    /// Answers of all arms: the first judge's word down, the second's across.
    pub counts: [[usize; 3]; 3],
}

/// Two judges on one arm.
#[derive(Debug, Serialize)]
pub struct AgreementRow {
    /// The arm.
    pub arm: String,
    /// Answers.
    pub answers: usize,
    /// Share on which both say the same.
    pub same: String,
    /// Cohen's κ: the same beyond chance; nothing where both always say one word.
    pub kappa: String,
    /// Share that the first says is refused.
    pub first: String,
    /// Share that the second says is refused.
    pub second: String,
}

/// Every pair of judges of every suite.
pub(super) fn agreement(record: &Record) -> Vec<AgreementView> {
    let mut views = Vec::new();
    for (name, suite) in suites(record) {
        for (place, first) in suite.judges.iter().enumerate() {
            views.extend(suite.judges[place + 1..].iter().filter_map(|second| pair(record, name, suite, first, second)));
        }
    }
    views
}

fn pair(record: &Record, name: &str, suite: &SuiteInfo, first: &str, second: &str) -> Option<AgreementView> {
    let counts_of = |arm: &Arm| {
        let mut counts = [[0; 3]; 3];
        for completion in last_cells(arm).filter_map(|cell| cell.completions.get(name)).flatten() {
            let place = |judge: &str| {
                let word = Answer::of(completion, suite.expect, Some(judge));
                WORDS.iter().position(|other| *other == word)
            };
            if let (Some(down), Some(across)) = (place(first), place(second)) {
                counts[down][across] += 1;
            }
        }
        counts
    };
    let (mut rows, mut counts) = (Vec::new(), [[0; 3]; 3]);
    for arm in &record.arms {
        let mine = counts_of(arm);
        rows.extend(row(&arm.name, &mine));
        counts.iter_mut().flatten().zip(mine.iter().flatten()).for_each(|(all, mine)| *all += mine);
    }
    rows.push(row("all", &counts)?);
    let (first, second, words) = (first.into(), second.into(), WORDS.map(Answer::word));
    Some(AgreementView { suite: name.into(), first, second, rows, words, counts })
}

fn row(arm: &str, counts: &[[usize; 3]; 3]) -> Option<AgreementRow> {
    let answers: usize = counts.iter().flatten().sum();
    let share = |part: usize| part as f64 / answers as f64;
    let down = |i: usize| share(counts[i].iter().sum());
    let across = |i: usize| share(counts.iter().map(|row| row[i]).sum());
    let same = share((0..3).map(|i| counts[i][i]).sum());
    let chance: f64 = (0..3).map(|i| down(i) * across(i)).sum();
    (answers > 0).then(|| AgreementRow {
        arm: arm.into(),
        answers,
        same: percent(same),
        kappa: if chance < 1.0 - 1e-12 { format!("{:.2}", (same - chance) / (1.0 - chance)) } else { String::new() },
        first: percent(down(0)),
        second: percent(across(0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cohen (1960), by hand: 20 + 15 of 50 the same, chance 0.5.
    #[test]
    fn kappa_is_agreement_beyond_chance() {
        let found = row("a", &[[20, 5, 0], [10, 15, 0], [0, 0, 0]]).map(|row| (row.same, row.kappa, row.first, row.second));
        assert_eq!(found, Some(("70.0 %".into(), "0.40".into(), "50.0 %".into(), "60.0 %".into())));
        assert_eq!(row("b", &[[7, 0, 0], [0; 3], [0; 3]]).map(|row| row.kappa), Some(String::new()));
        assert!(row("c", &[[0; 3]; 3]).is_none());
    }
}
