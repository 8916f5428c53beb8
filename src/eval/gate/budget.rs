//! The error budget: how much of a measurement may have failed before nothing is decided from it.
//!
//! Counted is only what is no fault of the model: a judge's endpoint that gave no answer or one that cannot be read, and no reply of
//! the endpoint that the model itself is behind. An empty, looping or cut reply is the model's doing. It counts against every rule
//! and never against the budget: else a model that a fine-tuning broke would end as "could not be measured" instead of failing.

use crate::eval::metric::last_cells;
use crate::record::{Arm, Baseline, Completion, Kept, SuiteInfo};

/// Completions that something other than the model failed at, of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Errors {
    failed: usize,
    all: usize,
}

/// Of an arm's saved models, on the prompts at these places, or on all.
pub(super) fn errors(arm: &Arm, suite: &str, judge: Option<&str>, places: Option<&[usize]>) -> Errors {
    let failed = |said: &Completion| said.unanswered || judge.is_some_and(|judge| said.judge_errors.contains_key(judge));
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
pub(super) fn kept_errors(baseline: &Baseline, suite: &str, judge: Option<&str>) -> Errors {
    let failed = |kept: &Kept| kept.unanswered || judge.is_some_and(|judge| kept.judge_errors.contains_key(judge));
    count(baseline.suites.get(suite).into_iter().flat_map(|suite| &suite.seeds).flatten().flat_map(Kept::samples).map(failed))
}

fn count(failed: impl Iterator<Item = bool>) -> Errors {
    failed.fold(Errors { failed: 0, all: 0 }, |sum, failed| Errors { failed: sum.failed + usize::from(failed), all: sum.all + 1 })
}

impl Errors {
    /// Why nothing is decided, where more failed than the suite allows. `who` is the arm, or the baseline.
    pub(super) fn beyond(self, suite: (&str, &SuiteInfo), who: &str, judge: Option<&str>) -> Option<String> {
        let most = suite.1.errors_at_most?;
        let share = self.failed as f64 / self.all.max(1) as f64;
        (share > most).then(|| {
            format!(
                "suite {} could not be measured: {} failed at {} of {} completions of {who} ({:.1} %), errors_at_most is {:.1} %",
                suite.0,
                judge.map_or_else(|| "the endpoint".to_owned(), |judge| format!("judge {judge} or an endpoint")),
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
