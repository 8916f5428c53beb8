//! Rules on figures: losses and distances.

use super::{limit_of, outcome, retained};
use crate::eval::metric::{arm, figure};
use crate::eval::rule::{Condition, Rule};
use crate::record::{Arm, Decision, Record, RuleOutcome};

/// Figures are losses and distances: lower is better, and a gain is a fall.
pub(super) fn decide_figure(record: &Record, rule: &Rule, measured: &Arm) -> RuleOutcome {
    let limit = limit_of(&rule.condition);
    let Some(value) = figure(measured, &rule.metric) else {
        let mut have: Vec<&str> = measured.cells.iter().flat_map(|cell| cell.figures.keys().map(String::as_str)).collect();
        have.sort_unstable();
        have.dedup();
        return outcome(
            rule,
            None,
            limit,
            Decision::Error,
            format!("arm {} has no figure {:?}; it has {}", rule.arm, rule.metric, have.join(", ")),
        );
    };
    let simple = |holds: bool| RuleOutcome {
        value: Some(value),
        ..outcome(rule, None, limit, if holds { Decision::Pass } else { Decision::Fail }, format!("{} is {value:.4}", rule.metric))
    };
    match &rule.condition {
        Condition::AtLeast(_) => simple(value >= limit),
        Condition::AtMost(_) => simple(value <= limit),
        Condition::DropAtMost(_) | Condition::RiseAtMost(_) => outcome(
            rule,
            None,
            limit,
            Decision::Error,
            "drop_at_most and rise_at_most compare rates; use at_most or retain_at_least for a figure".into(),
        ),
        Condition::RetainAtLeast { of, .. } => {
            let other = arm(record, of).and_then(|other| figure(other, &rule.metric));
            let before = arm(record, "aligned").and_then(|aligned| figure(aligned, &rule.metric));
            match (other, before) {
                (Some(other), Some(before)) => retained(rule, None, limit, before - value, before - other, of, "nats"),
                _ => outcome(rule, None, limit, Decision::Error, format!("arm {of:?} or the aligned model has no figure {}", rule.metric)),
            }
        }
    }
}
