//! What each arm's training did, as a table.

use serde::Serialize;

use super::words::{count, duration};
use crate::record::Record;

/// One arm's training.
#[derive(Debug, Serialize)]
pub struct TrainingRow {
    /// The arm.
    pub arm: String,
    /// One cell for each of [`COLUMNS`].
    pub cells: Vec<String>,
    /// Whether a frozen weight changed: a defect.
    pub broken: bool,
    /// Why it stopped early.
    pub stopped: Option<String>,
}

/// The heads of the table.
pub const COLUMNS: [&str; 10] = [
    "trained weights",
    "of all",
    "steps",
    "time",
    "tokens (learnt)",
    "rows cut",
    "last loss",
    "update norm",
    "erased by rounding",
    "frozen changed",
];

/// The arms that trained, with the time that each took.
pub(super) fn training(record: &Record) -> Vec<TrainingRow> {
    let row = |arm: &crate::record::Arm| {
        let training = arm.training.as_ref()?;
        Some(TrainingRow {
            arm: arm.name.clone(),
            cells: vec![
                count(training.trained),
                format!("{:.2} %", training.trained_share * 100.0),
                count(training.steps),
                duration(training.seconds),
                format!("{} ({})", count(training.tokens), count(training.supervised_tokens)),
                count(training.truncated_rows),
                training.losses.last().map(|loss| format!("{loss:.3}")).unwrap_or_default(),
                format!("{:.3}", training.update_norm),
                format!("{:.2} %", training.erased_by_rounding * 100.0),
                count(training.frozen_changed),
            ],
            broken: training.frozen_changed > 0,
            stopped: training.stopped.clone(),
        })
    };
    record.arms.iter().filter_map(row).collect()
}
