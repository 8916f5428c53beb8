//! How a ticket is extracted.

use std::path::PathBuf;

use serde::Serialize;

use super::Calibration;
use crate::data::spec::DataSpec;
use crate::ticket::budget::{Scope, Structure};

/// What the first of some tickets that has data is scored on: the refusals of a pipeline that names none for an audit.
pub fn safety_rows(tickets: &[Ticket]) -> Option<&DataSpec> {
    tickets.iter().find_map(|ticket| ticket.data.as_ref())
}

/// How a ticket is extracted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ticket {
    /// `ticket` for the pipeline's own.
    pub name: String,
    /// The score.
    pub score: Score,
    /// What it is scored on; none for `task-vector`, `magnitude` and `random`.
    pub data: Option<DataSpec>,
    /// Share of maskable weights, in (0, 1].
    pub density: f64,
    /// Within what the top is taken.
    pub scope: Scope,
    /// In which pieces it is taken.
    #[serde(skip_serializing_if = "Structure::is_weight")]
    pub structure: Structure,
    /// What is taken away from the candidates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minus: Option<Minus>,
    /// What its scores are divided by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over: Option<Over>,
    /// The ticket that this one differs from in its data alone. It is a control: an arm around it that keeps as many refusals shows
    /// that the other ticket's weights are sensitive, not that they carry safety.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub twin_of: Option<String>,
    /// Longest row, in tokens.
    pub max_length: usize,
    /// The short training of a `calibrate` score.
    pub calibration: Calibration,
    /// A ticket file made earlier, instead of all of the above.
    pub file: Option<PathBuf>,
}

/// The set difference of Wei et al. (2402.05162, section 3.2): the top of the same score on utility data is no candidate. The ticket
/// still takes its whole density, outside of it; there it is the safety top less the overlap, and smaller.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Minus {
    /// Rows that show what the model is useful for.
    pub data: DataSpec,
    /// Share of maskable weights that is taken away, in (0, 1), within the ticket's scope and in its pieces.
    pub density: f64,
}

/// The same score on utility data, by which a ticket's scores are divided; see [`ratio`](crate::ticket::ratio::ratio).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Over {
    /// Rows that show what the model is useful for, or is to learn.
    pub data: DataSpec,
    /// ε, in mean scores on these rows over all maskable weights; above 0.
    pub epsilon: f64,
}

/// How much a weight matters, larger = more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Score {
    /// |θ_aligned − θ_base|.
    TaskVector,
    /// |θ_after − θ_aligned| after a short training on the data.
    Calibrate,
    /// |mean gradient|.
    Gradient,
    /// |θ · mean gradient|.
    Snip,
    /// Mean over rows of the squared gradient: the empirical Fisher information.
    Fisher,
    /// |θ_ij| · ‖x_j‖₂, x the input of the matrix over the replies' tokens.
    Wanda,
    /// |θ|.
    Magnitude,
    /// Seeded noise: the control.
    Random,
}

impl Score {
    /// The scores by their names.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("snip", Self::Snip),
        ("gradient", Self::Gradient),
        ("fisher", Self::Fisher),
        ("wanda", Self::Wanda),
        ("calibrate", Self::Calibrate),
        ("task-vector", Self::TaskVector),
        ("magnitude", Self::Magnitude),
        ("random", Self::Random),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, score)| *score == self).map_or("", |(name, _)| name)
    }

    /// Whether it is taken on data.
    pub fn needs_data(self) -> bool {
        !matches!(self, Self::TaskVector | Self::Magnitude | Self::Random)
    }
}
