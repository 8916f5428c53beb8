//! Rules on means of scores: ROUGE.

use super::{limit_of, outcome, retained};
use crate::eval::metric::{Metric, arm, kept_scores, scores};
use crate::eval::rule::{Bound, Condition, Rule};
use crate::eval::scores::Mean;
use crate::record::{Arm, Baseline, Decision, Record, RuleOutcome};

/// Higher is better; a drop is a fall of the mean on the same prompts.
pub(super) fn decide_mean(
    record: &Record,
    rule: &Rule,
    measured: &Arm,
    (suite, metric): (&str, Metric),
    baseline: Option<&Baseline>,
) -> RuleOutcome {
    let limit = limit_of(&rule.condition);
    let error = |reason: String| outcome(rule, None, limit, Decision::Error, reason);
    let prompts = record.suites.get(suite).map_or(0, |suite| suite.prompts);
    let mine = scores(measured, suite, metric);
    if !mine.has_prompts(prompts) {
        let found = mine.0.iter().map(Vec::len).min().unwrap_or(0);
        return error(format!("arm {} has {found} scores of the {prompts} prompts of suite {suite}", rule.arm));
    }
    let Some(Mean { value, low, high, .. }) = mine.mean() else {
        return error(format!("suite {suite} has {prompts} prompts: fewer than two have no interval"));
    };
    let told = format!("mean {value:.3} [{low:.3}, {high:.3}] over {prompts} prompts");
    let aligned = || arm(record, "aligned").map(|aligned| scores(aligned, suite, metric)).filter(|found| found.has_prompts(prompts));
    match &rule.condition {
        Condition::AtLeast(_) | Condition::AtMost(_) => {
            let compared = match rule.bound {
                Bound::Point => value,
                Bound::Lower => low,
                Bound::Upper => high,
            };
            let holds = if matches!(rule.condition, Condition::AtLeast(_)) { compared >= limit } else { compared <= limit };
            let decision = if holds { Decision::Pass } else { Decision::Fail };
            RuleOutcome { value: Some(value), interval: Some((low, high)), ..outcome(rule, None, limit, decision, told) }
        }
        Condition::DropAtMost(_) | Condition::RiseAtMost(_) => {
            if let Some(why) = baseline.and_then(|baseline| baseline.differs(record, suite, None)) {
                return error(why);
            }
            let (name, before) = match baseline {
                Some(baseline) => ("baseline", Some(kept_scores(baseline, suite, metric)).filter(|found| found.has_prompts(prompts))),
                None => ("aligned", aligned()),
            };
            let Some(before) = before else { return error(format!("{name} has no scores of suite {suite}")) };
            let drop = matches!(rule.condition, Condition::DropAtMost(_));
            let change = if drop { before.minus(&mine) } else { mine.minus(&before) };
            let Some(change) = change else { return error("there are no pairs of prompts".into()) };
            let decision = if change.high <= limit {
                Decision::Pass
            } else if change.low > limit {
                Decision::Fail
            } else {
                Decision::Inconclusive
            };
            let needed = change.needed_prompts(limit).filter(|_| decision == Decision::Inconclusive);
            let mut reason = format!(
                "{told}, {name} {:.3}: {} {:.3} [{:.3}, {:.3}]",
                before.mean().map_or(0.0, |mean| mean.value),
                if drop { "drop" } else { "rise" },
                change.value,
                change.low,
                change.high
            );
            if let Some(needed) = needed {
                reason.push_str(&format!("; about {needed} prompts would decide"));
            }
            RuleOutcome {
                value: Some(change.value),
                interval: Some((change.low, change.high)),
                needed_prompts: needed,
                ..outcome(rule, None, limit, decision, reason)
            }
        }
        Condition::RetainAtLeast { of, .. } => {
            let other = arm(record, of).and_then(|other| scores(other, suite, metric).mean());
            match (other, aligned().and_then(|found| found.mean())) {
                (Some(other), Some(before)) => {
                    retained(rule, None, limit, value - before.value, other.value - before.value, of, "of the mean")
                }
                _ => error(format!("arm {of:?} or the aligned model has no scores of suite {suite}")),
            }
        }
    }
}
