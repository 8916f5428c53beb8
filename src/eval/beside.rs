//! What a reader of a mean must know beside it: what could not be read, and how far the order of two replies decided.

use super::metric::{Metric, last_cells};
use super::values::chosen;
use crate::record::{Arm, Completion, Preferred};

/// How an arm's replies did beside the aligned model's, over all seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Both orders prefer the arm's reply.
    pub wins: usize,
    /// Neither is better, or the two orders do not agree.
    pub ties: usize,
    /// Both orders prefer the aligned model's.
    pub losses: usize,
    /// An answer is missing; it counts as a loss.
    pub missing: usize,
    /// Pairs of different replies of which both orders were answered.
    pub asked: usize,
    /// Those of them whose two answers are not the same: the order decided.
    pub by_order: usize,
}

/// Counts a suite's comparisons; with `places`, those on these prompts alone.
pub fn tally(arm: &Arm, suite: &str, places: Option<&[usize]>) -> Tally {
    let mut tally = Tally::default();
    for compared in completions(arm, suite, places).filter_map(|said| said.compared) {
        match compared.outcome() {
            Some(Preferred::Arm) => tally.wins += 1,
            Some(Preferred::Tie) => tally.ties += 1,
            Some(Preferred::Aligned) => tally.losses += 1,
            None => tally.missing += 1,
        }
        if let Some(by_order) = compared.by_order() {
            tally.asked += 1;
            tally.by_order += usize::from(by_order);
        }
    }
    tally
}

fn completions<'a>(arm: &'a Arm, suite: &'a str, places: Option<&'a [usize]>) -> impl Iterator<Item = &'a Completion> {
    let seeds = last_cells(arm).filter_map(move |cell| cell.completions.get(suite));
    seeds.flat_map(move |said| chosen(said, places)).flat_map(Completion::samples)
}

/// What stands beside an arm's mean, over these prompts or all; nothing where there is nothing to say.
pub fn beside(arm: &Arm, suite: &str, metric: Metric, judge: Option<&str>, places: Option<&[usize]>) -> String {
    match (metric, judge) {
        (Metric::WinRate, _) => {
            let Tally { wins, ties, losses, missing, asked, by_order } = tally(arm, suite, places);
            let mut told = format!("{wins} wins, {ties} ties, {losses} losses");
            if missing > 0 {
                told += &format!(", {missing} without an answer: losses too");
            }
            if asked > 0 {
                told += &format!("; the order decided {by_order} of {asked}");
            }
            told
        }
        (Metric::StrongReject, Some(judge)) => {
            let without = completions(arm, suite, places).filter(|said| !said.scores.contains_key(judge)).count();
            if without > 0 { format!("{without} without a score: each counts as 1") } else { String::new() }
        }
        _ => String::new(),
    }
}
