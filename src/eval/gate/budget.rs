//! The error budget: how much of a measurement may have failed before nothing is decided from it.
//!
//! Counted is only what is no fault of the model: a judge that gave no answer, one that cannot be read, or one about a text that it did
//! not see; a comparison without an answer; and no reply of the endpoint that the model itself is behind. An empty, looping or cut reply is the model's doing. It counts against every rule
//! and never against the budget: else a model that a fine-tuning broke would end as "could not be measured" instead of failing.

use std::collections::BTreeMap;

use crate::eval::metric::last_cells;
use crate::record::{Arm, Baseline, Comparison, Completion, JudgeError, Kept, SuiteInfo};

/// Whose failures count, beside those of the endpoint that the model is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By<'a> {
    /// Nobody judges.
    Nobody,
    /// The judge of this name.
    Judge(&'a str),
    /// The one of this name that compares two replies.
    Comparer(&'a str),
}

impl By<'_> {
    fn failed(self, unanswered: bool, judges: &BTreeMap<String, JudgeError>, compared: Option<Comparison>) -> bool {
        unanswered
            || match self {
                Self::Nobody => false,
                Self::Judge(name) => judges.contains_key(name),
                Self::Comparer(_) => compared.is_some_and(|compared| compared.outcome().is_none()),
            }
    }
}

/// Completions that something other than the model failed at, of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Errors {
    failed: usize,
    all: usize,
}

/// Of an arm's saved models, on the prompts at these places, or on all.
pub(super) fn errors(arm: &Arm, suite: &str, by: By<'_>, places: Option<&[usize]>) -> Errors {
    let failed = |said: &Completion| by.failed(said.unanswered, &said.judge_errors, said.compared);
    let seeds = last_cells(arm).filter_map(|cell| cell.completions.get(suite));
    let of = |said: &[Completion]| -> Errors {
        match places {
            Some(places) => count(places.iter().filter_map(|&place| said.get(place)).flat_map(Completion::samples).map(failed)),
            None => count(said.iter().flat_map(Completion::samples).map(failed)),
        }
    };
    seeds
        .map(|said| of(said))
        .fold(Errors { failed: 0, all: 0 }, |sum, one| Errors { failed: sum.failed + one.failed, all: sum.all + one.all })
}

/// Of a baseline.
pub(super) fn kept_errors(baseline: &Baseline, suite: &str, by: By<'_>) -> Errors {
    let failed = |kept: &Kept| by.failed(kept.unanswered, &kept.judge_errors, kept.compared);
    count(baseline.suites.get(suite).into_iter().flat_map(|suite| &suite.seeds).flatten().flat_map(Kept::samples).map(failed))
}

fn count(failed: impl Iterator<Item = bool>) -> Errors {
    failed.fold(Errors { failed: 0, all: 0 }, |sum, failed| Errors { failed: sum.failed + usize::from(failed), all: sum.all + 1 })
}

impl Errors {
    /// Why nothing is decided, where more failed than the suite allows. `who` is the arm, or the baseline.
    pub(super) fn beyond(self, suite: (&str, &SuiteInfo), who: &str, by: By<'_>) -> Option<String> {
        let most = suite.1.errors_at_most?;
        let share = self.failed as f64 / self.all.max(1) as f64;
        (share > most).then(|| {
            let whose = match by {
                By::Nobody => "the endpoint".to_owned(),
                By::Judge(name) | By::Comparer(name) => format!("judge {name} or an endpoint"),
            };
            format!(
                "suite {} could not be measured: {whose} failed at {} of {} completions of {who} ({:.1} %), errors_at_most is {:.1} %",
                suite.0,
                self.failed,
                self.all,
                share * 100.0,
                most * 100.0
            )
        })
    }

    /// How many of those that count against a rule are no fault of the model; nothing where there are none.
    pub(super) fn told(self) -> String {
        match self.failed {
            0 => String::new(),
            failed => format!(", {failed} of which count against it because the judge or an endpoint failed"),
        }
    }
}
