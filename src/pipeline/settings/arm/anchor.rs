//! Rows on which an arm is held to the aligned model.

use serde::Serialize;

use crate::data::spec::DataSpec;

/// weight · KL(aligned ‖ tuned) per token along the replies of these rows, added to the loss.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Anchor {
    /// The rows, such as refusals; all sources are one.
    pub data: Vec<DataSpec>,
    /// Above 0.
    pub weight: f64,
    /// Rows of every step, beside those that are learnt.
    pub rows: usize,
}
