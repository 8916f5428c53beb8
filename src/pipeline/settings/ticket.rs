//! How a ticket is extracted.

use std::path::PathBuf;

use serde::Serialize;

use super::Calibration;
use crate::data::spec::DataSpec;
use crate::ticket::select::Scope;

/// How a ticket is extracted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ticket {
    /// `ticket` for the pipeline's own.
    pub name: String,
    /// The score.
    pub score: Score,
    /// What gradients are taken on; none for `task-vector`, `magnitude` and `random`.
    pub data: Option<DataSpec>,
    /// Share of maskable weights, in (0, 1].
    pub density: f64,
    /// Within what the top is taken.
    pub scope: Scope,
    /// Longest row, in tokens.
    pub max_length: usize,
    /// The short training of a `calibrate` score.
    pub calibration: Calibration,
    /// A ticket file made earlier, instead of all of the above.
    pub file: Option<PathBuf>,
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
    /// |θ|.
    Magnitude,
    /// Seeded noise: the control.
    Random,
}

impl Score {
    /// The scores by their names.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("snip", Self::Snip),
        ("gradient", Self::Gradient),
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
        matches!(self, Self::Snip | Self::Gradient | Self::Calibrate)
    }
}
