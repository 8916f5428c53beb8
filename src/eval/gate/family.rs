//! A rule that is decided for each category looks many times: what fails then must not be chance.

use crate::eval::interval::{holm, p_text};
use crate::record::{Decision, RuleOutcome};

/// The level of a fail: the one side of a 95 % interval.
const LEVEL: f64 = 0.025;

/// Adjusts the drops and rises of one rule over its categories and judges (Holm): of categories that are all at the limit, one fails by
/// chance in one of forty gates, however many there are. What would fail alone but not among so many is inconclusive. A pass needs
/// no adjustment, since every category must pass.
pub(super) fn adjust(decided: &mut [RuleOutcome]) {
    let values: Vec<f64> = decided.iter().filter_map(|outcome| outcome.p_margin).collect();
    let adjusted = holm(&values);
    for (outcome, p) in decided.iter_mut().filter(|outcome| outcome.p_margin.is_some()).zip(adjusted) {
        outcome.p_margin = Some(p);
        if outcome.decision != Decision::Fail {
            continue;
        }
        let told = format!("beyond the limit {} (Holm over {} decisions)", p_text(p), values.len());
        if p > LEVEL {
            outcome.decision = Decision::Inconclusive;
            outcome.reason.push_str(&format!("; alone it would fail, among the others it may be chance: {told}"));
        } else {
            outcome.reason.push_str(&format!("; {told}"));
        }
    }
}
