//! An arm that is made of another arm's weights.

use serde::Serialize;

use crate::edit::Edit;

/// What an arm is made of that trains nothing itself: the tuned weights of another arm, as they were saved, seed by seed. It has no
/// hyperparameters of its own; those in its settings are the other arm's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Edited {
    /// The arm whose weights are edited.
    pub from: String,
    /// What is done to them.
    #[serde(flatten)]
    pub edit: Edit,
}
