//! Tickets: which weights carry a behaviour. Scores, exact selection, sets of masks, files. Pure tensor maths.

pub mod budget;
pub mod compare;
pub mod file;
pub mod groups;
pub mod mask_set;
pub mod ratio;
pub mod score;
pub mod select;

use std::path::PathBuf;

use self::budget::Structure;
use crate::error::Explain;

/// A ticket that cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum TicketError {
    /// A score is not a number.
    #[error("the score of {tensor}[{index}] is {value}")]
    NotANumber {
        /// The tensor.
        tensor: String,
        /// Row-major index.
        index: usize,
        /// The score.
        value: f32,
    },
    /// Fewer weights have a score than are to be selected.
    #[error("{scope}: {}", too_few(*wanted, *scored, *structure))]
    TooFew {
        /// `all maskable weights`, or a tensor.
        scope: String,
        /// k; with rows or columns the weights that the density asks for.
        wanted: usize,
        /// Candidates with a score above 0; with rows or columns the weights in them.
        scored: usize,
        /// In which pieces.
        structure: Structure,
    },
    /// The same, after the top of other data was taken away.
    #[error("{scope}: {wanted} weights are to be selected, but outside of what minus takes away only {scored} have a score above 0")]
    TooFewRemain {
        /// `all maskable weights`, or a tensor.
        scope: String,
        /// k; with rows or columns the weights that the density asks for.
        wanted: usize,
        /// Weights with a score above 0 that may be selected.
        scored: usize,
    },
    /// The density rounds to nothing in every scope.
    #[error("density {density} selects nothing: within scope {scope} it is less than half of one {structure}")]
    Nothing {
        /// The density.
        density: f64,
        /// `tensor`, ….
        scope: &'static str,
        /// `weight`, `row`, `column`.
        structure: &'static str,
    },
    /// Most of a selection was decided by place, not by score.
    #[error("{:.0} % of the selected weights have the same score as the last of their scope, at most 1 % may", share * 100.0)]
    Tied {
        /// The share of the selection that ties with the last weight of its scope.
        share: f64,
    },
    /// The density is not in (0, 1].
    #[error("density {0} is not in (0, 1]")]
    Density(f64),
    /// The file is no ticket, or damaged.
    #[error("{} is no valid ticket: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The ticket belongs to another model; every problem is listed.
    #[error("the ticket does not fit the model:\n{}", problems.join("\n"))]
    OtherModel {
        /// One line each.
        problems: Vec<String>,
    },
}

fn too_few(wanted: usize, scored: usize, structure: Structure) -> String {
    match structure {
        Structure::Weight => format!("{wanted} weights are to be selected, but only {scored} have a score above 0"),
        other => {
            format!("whole {}s of {wanted} weights are to be selected, but those with a score above 0 have only {scored}", other.name())
        }
    }
}

impl TicketError {
    /// The same error where candidates were taken away by a ticket's `minus`.
    #[must_use]
    pub fn after_minus(self) -> Self {
        match self {
            Self::TooFew { scope, wanted, scored, .. } => Self::TooFewRemain { scope, wanted, scored },
            other => other,
        }
    }
}

impl Explain for TicketError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotANumber { .. } => "score-not-finite",
            Self::TooFew { .. } | Self::TooFewRemain { .. } => "too-few-scores",
            Self::Nothing { .. } => "empty-ticket",
            Self::Tied { .. } => "tied-scores",
            Self::Density(_) => "bad-density",
            Self::Damaged { .. } => "damaged-ticket",
            Self::Io { .. } => "file",
            Self::OtherModel { .. } => "ticket-of-another-model",
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::NotANumber { .. } => Some("the gradient exploded: check the data, or that the model's weights are finite".into()),
            Self::TooFew { .. } => Some("lower the density, or score on more data".into()),
            Self::TooFewRemain { .. } => Some("lower density or minus.density: what one takes, the other cannot".into()),
            Self::Nothing { .. } => Some("raise the density, or widen the scope: scope: global".into()),
            Self::Density(_) => Some("write a share above 0, for example density: 0.5".into()),
            Self::OtherModel { .. } => Some("extract a ticket from this model: steadfast ticket extract".into()),
            Self::Tied { .. } => Some("train longer before weights are compared: calibration_steps: 12".into()),
            Self::Damaged { .. } => Some("extract it again: steadfast ticket extract PIPELINE --out FILE".into()),
            Self::Io { .. } => Some("check the path and who may read it".into()),
        }
    }
}
