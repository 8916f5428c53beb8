//! Rows of other data that an arm rehearses.

use serde::Serialize;

use crate::data::spec::DataSpec;

/// Rows of other data, such as refusals, in an arm's batches: what they teach is rehearsed while the task is learnt. The number of rows of
/// a step stays, so that the arm sees the task less often. Source: Qi et al. (2310.03693), section 5; Bianchi et al. (2309.07875).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replay {
    /// The rows; several sources take turns.
    pub data: Vec<DataSpec>,
    /// Their share of all rows, in (0, 1), evenly spread.
    pub share: f64,
}
