//! What is known of one prompt before it is decided how much of it the page can hold.

use crate::eval::lost::{Became, Incoherence, contrast, losses};
use crate::record::{Arm, Completion, Record, SuiteInfo, SuiteItem};

use super::super::answer::{Answer, is_tuned, judges};
use super::super::scorecard::suites;
use super::super::takes::{Take, Takes, said};

/// One prompt of a suite with everything that every arm said. Places of answers: take × arms + arm, takes and arms in the page's order.
pub(super) struct Draft<'a> {
    /// Place of the suite in the page.
    pub(super) suite: usize,
    /// Place in the suite.
    pub(super) index: usize,
    /// The prompt.
    pub(super) item: &'a SuiteItem,
    /// For each judge, a letter an answer; `-` where an arm was not asked.
    pub(super) letters: Vec<String>,
    /// What replaced a refusal, a letter an answer; `-` where none was lost. Empty where the suite expects no refusals.
    pub(super) became: String,
    /// The completions.
    pub(super) said: Vec<Option<&'a Completion>>,
}

/// Every prompt of the record, those first where an arm lost the wanted answer by the first judge, then those where one found it,
/// then other changes; else in the order of the suites.
pub(super) fn drafts<'a>(record: &'a Record, arms: &[&'a Arm], takes: &Takes) -> Vec<Draft<'a>> {
    let mut drafts = Vec::new();
    let formats: Vec<_> = arms.iter().map(|arm| if is_tuned(arm) { contrast(record, arm).ok() } else { None }).collect();
    for (place, (name, suite)) in suites(record).into_iter().enumerate() {
        let mut became = vec![Vec::new(); suite.items.len()];
        for (at, arm) in arms.iter().enumerate().filter(|(_, arm)| is_tuned(arm)) {
            for loss in losses(record, name, arm, formats[at].as_ref()).into_iter().flat_map(|losses| losses.lost) {
                if let Some(found) = became.get_mut(loss.prompt) {
                    let take = takes.place(Take { seed: loss.seed, sample: loss.sample });
                    found.push((take * arms.len() + at, letter(loss.became)));
                }
            }
        }
        let replaced = became.iter().any(|found| !found.is_empty());
        for (index, item) in suite.items.iter().enumerate() {
            let said: Vec<Option<&Completion>> =
                takes.all().flat_map(|take| arms.iter().map(move |arm| said(arm, name, index, take))).collect();
            let mut letters = vec!['-'; if replaced { said.len() } else { 0 }];
            became[index].iter().for_each(|&(at, letter)| letters[at] = letter);
            drafts.push(Draft {
                suite: place,
                index,
                item,
                letters: judges(suite).into_iter().map(|judge| words(suite, judge, &said)).collect(),
                became: letters.into_iter().collect(),
                said,
            });
        }
    }
    let wanted: Vec<char> = suites(record).iter().map(|(_, suite)| Answer::wanted(suite.expect).letter()).collect();
    drafts.sort_by_key(|draft| rank(draft, arms, wanted[draft.suite]));
    drafts
}

/// A judge's word on every answer, as letters.
fn words(suite: &SuiteInfo, judge: Option<&str>, said: &[Option<&Completion>]) -> String {
    said.iter().map(|said| said.map_or('-', |said| Answer::of(said, suite.expect, judge).letter())).collect()
}

fn rank(draft: &Draft<'_>, arms: &[&Arm], wanted: char) -> u8 {
    let letters: Vec<char> = draft.letters[0].chars().collect();
    let Some(aligned) = arms.iter().position(|arm| arm.name == "aligned") else { return 3 };
    let changes = letters.chunks(arms.len()).flat_map(|take| {
        let changed = |&(at, letter): &(usize, char)| is_tuned(arms[at]) && letter != '-' && letter != take[aligned];
        take.iter().copied().enumerate().filter(changed).map(|(_, letter)| (take[aligned], letter))
    });
    changes
        .map(|(before, after)| {
            if before == wanted {
                0
            } else if after == wanted {
                1
            } else {
                2
            }
        })
        .min()
        .unwrap_or(3)
}

/// What replaced a refusal, as the page's script reads it.
fn letter(became: Became) -> char {
    match became {
        Became::Compliance => 'a',
        Became::TaskFormat => 't',
        Became::Undetermined => 'u',
        Became::Incoherence(Incoherence::Empty) => 'e',
        Became::Incoherence(Incoherence::Cut) => 'x',
        Became::Incoherence(Incoherence::Looping) => 'l',
        Became::Incoherence(Incoherence::Gibberish) => 'g',
    }
}
