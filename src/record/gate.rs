//! The verdict with its reasons.

use serde::{Deserialize, Serialize};

use super::EqualUtility;

/// The verdict of a rule or a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Holds.
    Pass,
    /// Does not hold.
    Fail,
    /// The sample cannot decide, or there was nothing to preserve.
    Inconclusive,
    /// A step it needs could not run.
    Error,
}

/// The gate's reasoning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateOutcome {
    /// The worst of its rules: error, else fail, else inconclusive, else pass.
    pub decision: Decision,
    /// The one sentence that a reader sees first, controls included.
    pub headline: String,
    /// Further sentences: what the controls did, whether any erosion was seen at all.
    pub findings: Vec<String>,
    /// One entry a rule and judge.
    pub rules: Vec<RuleOutcome>,
    /// Every arm at the utility of each arm that is to be protected, where curves or a sweep's ends allow it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at_equal_utility: Vec<EqualUtility>,
}

/// One rule's reasoning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleOutcome {
    /// The rule as a person would write it: `protected harmful.refusal_rate drop ≤ 5 points`.
    pub rule: String,
    /// The arm.
    pub arm: String,
    /// `suite.metric`.
    pub metric: String,
    /// The category of the prompts that it is about; none: every prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The judge, for judged suites.
    pub judge: Option<String>,
    /// What was decided.
    pub decision: Decision,
    /// The measured value: a rate, a drop, a ratio.
    pub value: Option<f64>,
    /// Its 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// The limit.
    pub limit: f64,
    /// Two-sided exact McNemar p-value of a drop or rise, where both sides have one seed.
    pub p: Option<f64>,
    /// The same, adjusted for the number of rules (Holm).
    pub p_holm: Option<f64>,
    /// Of a drop or rise that is decided for each category: how likely so large a one is where the true one is at the limit,
    /// one-sided, adjusted for the number of categories and judges (Holm).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_margin: Option<f64>,
    /// Where an interval decides, of means and over several seeds: the same interval by a bootstrap over seeds and prompts, to
    /// compare. It decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<(f64, f64)>,
    /// The value and its interval behind the judge's measured error (Rogan and Gladen): what drops and rises are decided by, where
    /// the judge was measured.
    pub corrected: Option<(f64, f64, f64)>,
    /// Why, in one sentence with the numbers.
    pub reason: String,
    /// For an inconclusive margin: about how many prompts would decide.
    pub needed_prompts: Option<u64>,
}
