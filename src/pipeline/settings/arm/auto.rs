//! An arm whose recipe is chosen by a race.

use serde::Serialize;

use super::Arm;

/// How the recipe of an arm is chosen: candidates race on the probe prompts, and the one that learns most of the task within the limits
/// becomes the arm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Auto {
    /// The recipes that race, the cheapest first; of one family those that differ in their learning rates and densities alone. At least one, all
    /// with the steps of the arm itself.
    pub candidates: Vec<Arm>,
    /// The share of the probes' harmful prompts that may be refused fewer than by the aligned model, in [0, 1].
    pub drop_at_most: f64,
    /// The share of the probes' benign prompts that may be answered fewer than by the aligned model, in [0, 1].
    pub answers_drop_at_most: f64,
    /// What all trainings of the race may take together.
    pub budget: Option<RaceBudget>,
}

/// What a race may take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RaceBudget {
    /// Optimizer steps, over all candidates.
    MaxSteps(u64),
    /// Minutes, by the pace of every recipe on this machine, which is measured once and then kept in the store, as if the slowest trained on after
    /// each heat. No clock stops a race: the same paces give the same race.
    Minutes(f64),
}
