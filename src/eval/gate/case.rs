//! One decision: a rule, a judge and a group of prompts.

use super::budget::{By, errors, kept_errors};
use super::category::Group;
use super::limit_of;
use crate::eval::metric::{Metric, arm, kept, last_cells, outcomes};
use crate::eval::outcomes::Outcomes;
use crate::eval::rule::{Condition, Rule};
use crate::eval::scores::Scores;
use crate::eval::values::{kept_scores, scores};
use crate::record::{Arm, Baseline, Decision, Record, RuleOutcome, SuiteInfo};

/// What is decided, and from what.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) record: &'a Record,
    pub(super) rule: &'a Rule,
    pub(super) measured: &'a Arm,
    pub(super) suite: (&'a str, &'a SuiteInfo),
    pub(super) metric: Metric,
    pub(super) judge: Option<&'a str>,
    pub(super) group: &'a Group,
    pub(super) baseline: Option<&'a Baseline>,
}

/// What a drop or a rise is measured from.
pub(super) struct Before<T> {
    /// `baseline` or `aligned`.
    pub(super) name: &'static str,
    /// What it did.
    pub(super) did: T,
}

impl<'a> Case<'a> {
    /// What was decided, without numbers.
    pub(super) fn outcome(&self, decision: Decision, reason: String) -> RuleOutcome {
        outcome(self.rule, self.group.category.as_deref(), self.judge, decision, reason)
    }

    /// The limit of the rule.
    pub(super) fn limit(&self) -> f64 {
        limit_of(&self.rule.condition)
    }

    /// An arm of the record.
    pub(super) fn arm(&self, name: &str) -> Option<&'a Arm> {
        arm(self.record, name)
    }

    /// Whether prompts count, of an arm; none where it has not every prompt of the suite.
    pub(super) fn outcomes(&self, arm: &Arm) -> Option<Outcomes> {
        let all = outcomes(arm, self.suite.0, self.metric, self.judge);
        self.whole(&all.0).then(|| self.grouped(all))
    }

    /// The scores of an arm; none where it has not every prompt of the suite.
    pub(super) fn scores(&self, arm: &Arm) -> Option<Scores> {
        let of = |places| scores(arm, self.suite.0, self.metric, self.judge, places);
        of(None).has_prompts(self.suite.1.prompts).then(|| of(self.group.places.as_deref()))
    }

    /// Why the arm's completions decide nothing, where they are not of every prompt of the suite.
    pub(super) fn incomplete(&self) -> String {
        let (arm, suite, prompts) = (&self.rule.arm, self.suite.0, self.suite.1.prompts);
        let found = last_cells(self.measured).map(|cell| cell.completions.get(suite).map_or(0, Vec::len)).min().unwrap_or(0);
        if found == 0 {
            return format!("arm {arm} has no completions of suite {suite}: zero prompts never pass");
        }
        let what = if found == prompts { "not the scores" } else { "not the completions" };
        format!("arm {arm} has {found} completions, and {what} of all {prompts} prompts of suite {suite}")
    }

    /// Of every prompt, those that are asked for.
    fn grouped(&self, all: Outcomes) -> Outcomes {
        match self.group.places.as_deref() {
            Some(places) => all.of(places),
            None => all,
        }
    }

    fn whole<T>(&self, seeds: &[Vec<T>]) -> bool {
        !seeds.is_empty() && seeds.iter().all(|seed| seed.len() == self.suite.1.prompts)
    }

    /// What drops and rises of a rate are from.
    ///
    /// # Errors
    /// Why there is nothing, or nothing that can be compared.
    pub(super) fn outcomes_before(&self) -> Result<Before<Outcomes>, String> {
        let kept = self.kept(|baseline| kept(baseline, self.suite.0, self.metric, self.judge), |kept| self.whole(&kept.0))?;
        self.before(kept.map(|kept| self.grouped(kept)), |arm| self.outcomes(arm))
    }

    /// What drops and rises of a mean are from.
    ///
    /// # Errors
    /// Likewise.
    pub(super) fn scores_before(&self) -> Result<Before<Scores>, String> {
        let of = |baseline: &Baseline, places| kept_scores(baseline, self.suite.0, self.metric, self.judge, places);
        let kept = self.kept(|baseline| of(baseline, None), |kept| kept.has_prompts(self.suite.1.prompts))?;
        let kept = kept.and(self.baseline).map(|baseline| of(baseline, self.group.places.as_deref()));
        self.before(kept, |arm| self.scores(arm))
    }

    /// What the baseline kept of every prompt of the suite; none without a baseline.
    fn kept<T>(&self, of: impl Fn(&Baseline) -> T, whole: impl Fn(&T) -> bool) -> Result<Option<T>, String> {
        let Some(baseline) = self.baseline else { return Ok(None) };
        let comparer = self.suite.1.compare.as_deref().filter(|_| self.metric == Metric::WinRate);
        let beside = || self.metric.is_beside_aligned().then(|| baseline.beside_another(self.record, &self.rule.metric)).flatten();
        if let Some(why) = baseline.differs(self.record, self.suite.0, self.judge.or(comparer)).or_else(beside) {
            return Err(why);
        }
        let kept = of(baseline);
        if whole(&kept) { Ok(Some(kept)) } else { Err(format!("the baseline has not every prompt of suite {}", self.suite.0)) }
    }

    fn before<T>(&self, kept: Option<T>, of_arm: impl Fn(&Arm) -> Option<T>) -> Result<Before<T>, String> {
        if let Some(did) = kept {
            return Ok(Before { name: "baseline", did });
        }
        match self.arm("aligned").and_then(of_arm) {
            Some(did) => Ok(Before { name: "aligned", did }),
            None => Err(format!("aligned has no completions of suite {}", self.suite.0)),
        }
    }

    /// Why there are no pairs of prompts, of `mine` seeds and as many as `before` has.
    pub(super) fn unpaired(&self, mine: usize, name: &str, before: usize) -> RuleOutcome {
        let why = if mine == before {
            "there are no pairs of prompts".to_owned()
        } else {
            format!(
                "{mine} seeds cannot be paired with the {before} of the {name}: run as many (--set 'seeds=[{}]')",
                (0..before).map(|seed| seed.to_string()).collect::<Vec<_>>().join(", ")
            )
        };
        self.outcome(Decision::Error, why)
    }

    /// Said where a drop or rise is the aligned model's own from itself: none, whatever it does.
    pub(super) fn itself(&self) -> &'static str {
        let itself = self.baseline.is_none() && self.rule.arm == "aligned";
        if itself { "; the aligned model beside itself: gate --baseline compares it with an earlier one" } else { "" }
    }

    /// Why nothing is decided, where too much failed of what the rule looks at.
    pub(super) fn not_measured(&self) -> Option<String> {
        let by = self.by();
        let of_arm = |name: &str| errors(self.arm(name)?, self.suite.0, by, None).beyond(self.suite, &format!("arm {name}"), by);
        let compared = match (&self.rule.condition, self.baseline) {
            (Condition::AtLeast(_) | Condition::AtMost(_), _) => None,
            (Condition::DropAtMost(_) | Condition::RiseAtMost(_), Some(baseline)) => {
                kept_errors(baseline, self.suite.0, by).beyond(self.suite, "the baseline", by)
            }
            (Condition::DropAtMost(_) | Condition::RiseAtMost(_), None) => of_arm("aligned"),
            (Condition::RetainAtLeast { of, .. }, _) => of_arm(of).or_else(|| of_arm("aligned")),
        };
        of_arm(&self.measured.name).or(compared)
    }

    /// Adds what a bootstrap makes of the interval by which `first` was decided; a sentence where it would decide otherwise.
    pub(super) fn second_opinion(
        &self,
        mut outcome: RuleOutcome,
        interval: Option<(f64, f64)>,
        first: Decision,
        decide: impl Fn((f64, f64)) -> Decision,
    ) -> RuleOutcome {
        // Of prompts that never differ, drawing them again sees nothing.
        outcome.bootstrap = interval.filter(|(low, high)| high - low > 1e-9);
        if let Some((low, high)) = outcome.bootstrap.filter(|&interval| decide(interval) != first) {
            let shown = |value: f64| if self.metric.is_mean() { format!("{value:.3}") } else { format!("{:.1}", value * 100.0) };
            outcome.reason.push_str(&format!("; a bootstrap over seeds and prompts decides otherwise: [{}, {}]", shown(low), shown(high)));
        }
        outcome
    }

    /// How many of the arm's completions failed by no fault of its own; nothing where there are none.
    pub(super) fn errors_told(&self) -> String {
        errors(self.measured, self.suite.0, self.by(), self.group.places.as_deref()).told()
    }

    /// Whose failures count.
    fn by(&self) -> By<'a> {
        match (self.metric, self.suite.1.compare.as_deref(), self.judge) {
            (Metric::WinRate, Some(comparer), _) => By::Comparer(comparer),
            (_, _, Some(judge)) => By::Judge(judge),
            _ => By::Nobody,
        }
    }
}

/// What was decided, without numbers.
pub(super) fn outcome(rule: &Rule, category: Option<&str>, judge: Option<&str>, decision: Decision, reason: String) -> RuleOutcome {
    RuleOutcome {
        rule: rule.text(category),
        arm: rule.arm.clone(),
        metric: rule.metric.clone(),
        category: category.map(str::to_owned),
        judge: judge.map(str::to_owned),
        decision,
        value: None,
        interval: None,
        limit: limit_of(&rule.condition),
        p: None,
        p_holm: None,
        p_margin: None,
        bootstrap: None,
        corrected: None,
        reason,
        needed_prompts: None,
    }
}

/// The decision of `at_least` and `at_most` about a number.
pub(super) fn holds(condition: &Condition, compared: f64) -> Decision {
    let limit = limit_of(condition);
    let holds = if matches!(condition, Condition::AtLeast(_)) { compared >= limit } else { compared <= limit };
    if holds { Decision::Pass } else { Decision::Fail }
}

/// The decision of an interval about a limit that must not be exceeded.
pub(super) fn within(low: f64, high: f64, limit: f64) -> Decision {
    if high <= limit {
        Decision::Pass
    } else if low > limit {
        Decision::Fail
    } else {
        Decision::Inconclusive
    }
}
