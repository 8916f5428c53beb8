//! What was done to another arm's weights, as a table.

use serde::Serialize;

use super::words::count;
use crate::record::{Arm, Record};

/// One edited arm.
#[derive(Debug, Serialize)]
pub struct EditRow {
    /// The arm.
    pub arm: String,
    /// One cell for each of [`COLUMNS`].
    pub cells: Vec<String>,
    /// Whether a weight changed that the edit had to keep: a defect.
    pub broken: bool,
}

/// The heads of the table.
pub const COLUMNS: [&str; 8] = [
    "made of",
    "changed weights",
    "of all",
    "matrices projected",
    "distance from it",
    "distance from aligned",
    "erased by rounding",
    "kept ones changed",
];

/// The arms that are made of another one's weights.
pub(super) fn edits(record: &Record) -> Vec<EditRow> {
    let row = |arm: &Arm| {
        let edit = arm.edit.as_ref()?;
        Some(EditRow {
            arm: arm.name.clone(),
            cells: vec![
                edit.from.clone(),
                count(edit.changed),
                format!("{:.2} %", edit.changed_share * 100.0),
                edit.projected.map(|(projected, all)| format!("{projected} of {all}")).unwrap_or_default(),
                format!("{:.3}", edit.distance),
                format!("{:.3}", edit.update_norm),
                format!("{:.2} %", edit.erased_by_rounding * 100.0),
                count(edit.kept_changed),
            ],
            broken: edit.kept_changed > 0,
        })
    };
    record.arms.iter().filter_map(row).collect()
}
