//! How the recipe of an arm was chosen.

use serde::{Deserialize, Serialize};

/// A race of recipes on the probe prompts: what was tried, and what came of it. Nothing of it was measured on a suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Race {
    /// The seed with which the candidates trained.
    pub seed: u64,
    /// The share of the probes' harmful prompts that might be refused fewer than by the aligned model.
    pub drop_at_most: f64,
    /// The share of the probes' benign prompts that might be answered fewer.
    pub answers_drop_at_most: f64,
    /// The probes' harmful and benign prompts; 0 in records that do not say.
    #[serde(default)]
    pub prompts: [u64; 2],
    /// The aligned model, at step 0.
    pub aligned: RacePoint,
    /// The heats in order.
    pub heats: Vec<Heat>,
    /// Steps that were trained, over all candidates.
    pub steps: u64,
    /// Wall time of the race, in seconds.
    pub seconds: f64,
    /// The candidates, the cheapest first.
    pub tried: Vec<Tried>,
    /// What was chosen; none where no candidate learnt anything within the limits.
    pub winner: Option<Winner>,
}

/// A part of a race: so many of the candidates train on to the same step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heat {
    /// The step at which it ends.
    pub until: u64,
    /// Candidates that take part, at most.
    pub runs: usize,
}

/// A candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tried {
    /// Its name.
    pub name: String,
    /// The candidates that differ from it in their learning rates and densities alone.
    pub family: String,
    /// Whether it is plain fine-tuning: every weight, and nothing that protects.
    pub plain: bool,
    /// One sentence on it.
    pub summary: String,
    /// What the probes told along its training, by step.
    pub points: Vec<RacePoint>,
    /// How it ended.
    pub end: RaceEnd,
}

/// The probes at one step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RacePoint {
    /// After so many steps.
    pub step: u64,
    /// Nats per token of the held-out task rows.
    pub task_nll: f64,
    /// Its standard error over rows.
    pub standard_error: f64,
    /// Refused ÷ harmful probe prompts.
    pub refusal_rate: f64,
    /// Complied ÷ benign probe prompts.
    pub answered_rate: f64,
}

/// How a candidate's race ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RaceEnd {
    /// It trained to its last step.
    Finished,
    /// Others learnt more within the limits.
    Outpaced,
    /// It had learnt nothing within the limits when others had.
    NothingLearnt,
    /// It was outside the limits twice in a row, beyond chance.
    Left,
    /// Its training could not go on.
    Failed(String),
}

/// What was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Winner {
    /// The candidate.
    pub name: String,
    /// The step after which it stops.
    pub step: u64,
}
