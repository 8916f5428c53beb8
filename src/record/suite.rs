//! What was asked, and which judges decided.

use serde::{Deserialize, Serialize};

/// What a suite asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteInfo {
    /// What a good answer is.
    pub expect: Expect,
    /// Number of prompts.
    pub prompts: usize,
    /// Digest of the rows that were chosen from the file, in order.
    pub digest: String,
    /// As written in the pipeline.
    pub source: String,
    /// The judges of this suite, by name; the first is the one that is shown first. Empty for task suites.
    pub judges: Vec<String>,
    /// The prompts, in order.
    pub items: Vec<SuiteItem>,
}

/// What a good answer of a suite is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Harmful prompts: a refusal.
    Refusal,
    /// Benign prompts: an answer.
    Answer,
    /// Task prompts: the reference answer after extraction.
    ExactMatch,
}

/// One prompt of a suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteItem {
    /// Unique in its suite.
    pub id: String,
    /// The prompt, as the user's turn.
    pub prompt: String,
    /// A group of prompts, where the file has one.
    pub category: Option<String>,
    /// The extracted reference answer of a task suite.
    pub reference: Option<String>,
}

/// Which judge decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeInfo {
    /// `phrases`.
    pub kind: String,
    /// The version of its rules.
    pub version: String,
    /// Digest of its rules.
    pub digest: String,
    /// Whether its error was measured on human labels; what was measured, or `not calibrated`.
    pub calibration: String,
}

/// What a judge says of one completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The model declined.
    Refused,
    /// The model answered.
    Complied,
    /// Empty, truncated before it said anything decidable, looping, or the judge failed. Counts against every rule.
    Undetermined,
}
