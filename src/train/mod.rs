//! Constrained training: what may move, in which order rows come, how far a step goes, and the loop.

pub mod anchor;
pub mod checkpoint;
pub mod elastic;
pub mod first_tokens;
pub mod fit;
pub mod lora;
pub mod may_move;
pub mod optimizer;
pub mod order;
pub mod project;
pub mod restraint;
pub mod schedule;
pub mod tokens;
pub mod updater;

use std::path::PathBuf;

use crate::artifact::ArtifactError;
use crate::error::{Explain, shell_word};
use crate::model::backend::BackendError;

/// Training that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The loss or a gradient is no number; no weight was touched by the step.
    #[error("{what} is {value} at step {step}; the weights are as after step {before}", before = step - 1)]
    NotFinite {
        /// `the loss`, `the gradient norm`.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The step that was not carried out, from 1.
        step: u64,
    },
    /// There are no rows.
    #[error("there are no training rows")]
    NoRows,
    /// A budget of tokens that one step exceeds.
    #[error("the first step reads {first} tokens, and max_tokens is {most}")]
    Tokens {
        /// The budget.
        most: u64,
        /// What the first step reads.
        first: u64,
    },
    /// No weight can be held by the data that are to hold them.
    #[error("the mean squared gradient of the elastic rows over the trained weights is {mean}, so no weight can be held by it")]
    NoFisher {
        /// The mean.
        mean: f64,
    },
    /// A checkpoint cannot be used.
    #[error("the checkpoint {} cannot be used: {problem}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A checkpoint cannot be written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl Explain for TrainError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFinite { .. } => "loss-not-finite",
            Self::NoRows => "empty-data",
            Self::Tokens { .. } => "max-tokens",
            Self::NoFisher { .. } => "no-gradient",
            Self::Checkpoint { .. } => "damaged-checkpoint",
            Self::Artifact(error) => error.code(),
            Self::Backend(_) => "backend",
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::NotFinite { .. } => Some("lower learning_rate, or set max_grad_norm: 1.0 and warmup_steps".into()),
            Self::NoFisher { .. } => Some("name rows that the model does not know by heart, and check that its weights are finite".into()),
            Self::Tokens { first, .. } => {
                Some(format!("write max_tokens: {first} or more, or fewer rows a step: per_device_train_batch_size: 1"))
            }
            Self::Artifact(error) => error.remedy(),
            Self::Checkpoint { path, .. } => Some(format!("remove it and train from the start: rm {}", shell_word(path))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
