//! Rules on means: of scores (ROUGE, StrongREJECT, wins), of losses and of distances.

use super::{limit_of, outcome, retained};
use crate::eval::beside::beside;
use crate::eval::metric::{Metric, arm};
use crate::eval::rule::{Bound, Condition, Rule};
use crate::eval::scores::Mean;
use crate::eval::values::{kept_scores, scores};
use crate::record::{Arm, Baseline, Decision, Record, RuleOutcome};

/// A drop or rise is that of the mean on the same prompts, in [`Metric::unit`]; a gain is a rise where more is better, else a fall.
pub(super) fn decide_mean(
    record: &Record,
    rule: &Rule,
    measured: &Arm,
    (suite, metric, judge): (&str, Metric, Option<&str>),
    baseline: Option<&Baseline>,
) -> RuleOutcome {
    let limit = limit_of(&rule.condition);
    let error = |reason: String| outcome(rule, judge, limit, Decision::Error, reason);
    let prompts = record.suites.get(suite).map_or(0, |suite| suite.prompts);
    let mine = scores(measured, suite, metric, judge);
    if !mine.has_prompts(prompts) {
        return error(format!("arm {} has {} scores of the {prompts} prompts of suite {suite}", rule.arm, mine.prompts));
    }
    let Some(Mean { value: raw, low, high, prompts: units }) = mine.mean() else {
        let pieces =
            if metric.unit().is_some() { "; a text of several windows has one: expect: {perplexity: {max_length: 512}}" } else { "" };
        return error(format!("suite {suite} has {prompts} prompts: fewer than two have no interval{pieces}"));
    };
    let [value, low, high] = [raw, low, high].map(|mean| metric.shown_as(mean));
    let over = if units == prompts { "prompts" } else { "windows" };
    let notes = Some(beside(measured, suite, metric, judge)).filter(|notes| !notes.is_empty()).map(|notes| format!(" ({notes})"));
    let told = format!("mean {value:.3} [{low:.3}, {high:.3}] over {units} {over}{}", notes.unwrap_or_default());
    let aligned = || arm(record, "aligned").map(|aligned| scores(aligned, suite, metric, judge)).filter(|found| found.has_prompts(prompts));
    match &rule.condition {
        Condition::AtLeast(_) | Condition::AtMost(_) => {
            let compared = match rule.bound {
                Bound::Point => value,
                Bound::Lower => low,
                Bound::Upper => high,
            };
            let holds = if matches!(rule.condition, Condition::AtLeast(_)) { compared >= limit } else { compared <= limit };
            let decision = if holds { Decision::Pass } else { Decision::Fail };
            RuleOutcome { value: Some(value), interval: Some((low, high)), ..outcome(rule, judge, limit, decision, told) }
        }
        Condition::DropAtMost(_) | Condition::RiseAtMost(_) => {
            if let Some(why) = baseline.and_then(|baseline| baseline.differs(record, suite, judge.or(compared_by(record, suite, metric)))) {
                return error(why);
            }
            let (name, before) = match baseline {
                Some(baseline) => {
                    ("baseline", Some(kept_scores(baseline, suite, metric, judge)).filter(|found| found.has_prompts(prompts)))
                }
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
                "{told}, {name} {:.3}: {} {:.3} [{:.3}, {:.3}]{}",
                metric.shown_as(before.value().unwrap_or(0.0)),
                if drop { "drop" } else { "rise" },
                change.value,
                change.low,
                change.high,
                metric.unit().map(|unit| format!(" {unit}")).unwrap_or_default()
            );
            if let Some(needed) = needed {
                reason.push_str(&format!("; about {needed} {over} would decide"));
            }
            RuleOutcome {
                value: Some(change.value),
                interval: Some((change.low, change.high)),
                needed_prompts: needed,
                ..outcome(rule, judge, limit, decision, reason)
            }
        }
        Condition::RetainAtLeast { of, .. } => {
            let other = arm(record, of).and_then(|other| scores(other, suite, metric, judge).value());
            match (other, aligned().and_then(|found| found.value())) {
                (Some(other), Some(before)) => {
                    let gain = |mean: f64| if metric.lower_is_better() { before - mean } else { mean - before };
                    retained(rule, judge, limit, gain(raw), gain(other), of, metric.unit().unwrap_or("of the mean"))
                }
                _ => error(format!("arm {of:?} or the aligned model has no scores of suite {suite}")),
            }
        }
    }
}

/// The judge whose rules a baseline must share, of a comparison.
fn compared_by<'a>(record: &'a Record, suite: &str, metric: Metric) -> Option<&'a str> {
    (metric == Metric::WinRate).then(|| record.suites.get(suite)?.compare.as_deref()).flatten()
}
