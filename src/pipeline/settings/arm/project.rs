//! Rows whose loss no step of an arm may raise.

use serde::Serialize;

use crate::data::spec::DataSpec;

/// Each step's gradient is projected where it points against that of a few of these rows; see [`train::project`](crate::train::project).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Project {
    /// The rows, such as refusals; all sources are one.
    pub data: Vec<DataSpec>,
    /// Rows of every step, beside those that are learnt.
    pub rows: usize,
}
