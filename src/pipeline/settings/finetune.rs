//! The custom task and the arms.

use serde::Serialize;

use super::Arm;
use crate::data::spec::DataSpec;

/// The custom task and the arms.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finetune {
    /// The user's rows.
    pub data: Vec<DataSpec>,
    /// The arms, in order.
    pub arms: Vec<Arm>,
}
