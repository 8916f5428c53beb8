//! Rules on figures: losses and distances.

use super::case::{holds, outcome};
use super::retain::decide_ratio;
use crate::eval::metric::{arm, figure, figure_interval};
use crate::eval::rule::{Bound, Condition, Rule};
use crate::record::{Arm, Decision, Record, RuleOutcome};

/// Figures are losses and distances: lower is better, and a gain is a fall.
pub(super) fn decide_figure(record: &Record, rule: &Rule, measured: &Arm) -> RuleOutcome {
    let error = |reason: String| outcome(rule, None, None, Decision::Error, reason);
    if !rule.among.is_all() {
        return error(format!("{} is no rate of a suite: it has no categories", rule.metric));
    }
    let Some(value) = figure(measured, &rule.metric) else {
        let mut have: Vec<&str> = measured.cells.iter().flat_map(|cell| cell.figures.keys().map(String::as_str)).collect();
        have.sort_unstable();
        have.dedup();
        return error(format!("arm {} has no figure {:?}; it has {}", rule.arm, rule.metric, have.join(", ")));
    };
    match &rule.condition {
        Condition::AtLeast(_) | Condition::AtMost(_) => {
            let interval = figure_interval(measured, &rule.metric);
            let compared = match rule.bound {
                Bound::Point => Some(value),
                Bound::Lower => interval.map(|(low, _)| low),
                Bound::Upper => interval.map(|(_, high)| high),
            };
            let Some(compared) = compared else { return error(format!("{} has one value and no interval: leave bound out", rule.metric)) };
            let mut reason = format!("{} is {value:.4}", rule.metric);
            if let Some((low, high)) = interval {
                reason += &format!(" [{low:.4}, {high:.4}]");
            }
            RuleOutcome { value: Some(value), interval, ..outcome(rule, None, None, holds(&rule.condition, compared), reason) }
        }
        Condition::DropAtMost(_) | Condition::RiseAtMost(_) => {
            error("drop_at_most and rise_at_most compare rates; use at_most or retain_at_least for a figure".into())
        }
        Condition::RetainAtLeast { .. } if rule.bound != Bound::Point => {
            error("the ratio of two figures has no interval: leave bound out".into())
        }
        Condition::RetainAtLeast { of, .. } => {
            let other = arm(record, of).and_then(|other| figure(other, &rule.metric));
            let before = arm(record, "aligned").and_then(|aligned| figure(aligned, &rule.metric));
            match (other, before) {
                (Some(other), Some(before)) => {
                    let made = |decision, reason| outcome(rule, None, None, decision, reason);
                    decide_ratio(rule, (before - value, before - other), None, of, "nats", made)
                }
                _ => error(format!("arm {of:?} or the aligned model has no figure {}", rule.metric)),
            }
        }
    }
}
