//! Which rows of the custom data pull against the refusals, as a table.

use serde::Serialize;

use super::words::{count, percent};
use crate::record::{AuditRow, Record};
use crate::report::Samples;

/// An audit.
#[derive(Debug, Serialize)]
pub struct AuditView {
    /// How many rows there are, and how they lie.
    pub caption: String,
    /// The rows that conflict most.
    pub rows: Vec<AuditedView>,
}

/// One row.
#[derive(Debug, Serialize)]
pub struct AuditedView {
    /// The last part of its file's path, and its number there.
    pub place: String,
    /// `-0.0312`.
    pub cosine: String,
    /// `-1.2e-4`.
    pub dot: String,
    /// What is asked and what is to be learnt; none where texts are not wanted.
    pub text: Option<[String; 2]>,
}

/// What was found of the custom data; none where it was not audited.
pub fn audit(record: &Record, samples: Samples) -> Option<AuditView> {
    let audit = record.audit.as_ref()?;
    let [least, low, middle, high, most] = audit.quartiles;
    let share = audit.conflicting as f64 / audit.rows.max(1) as f64;
    let caption = format!(
        "{} of {} rows ({}) have a cosine below 0 with the gradient of {}. Cosines lie from {least:+.4} to {most:+.4}, half of them between {low:+.4} and {high:+.4}, with the median {middle:+.4}.",
        count(audit.conflicting),
        count(audit.rows),
        percent(share),
        audit.safety.join(", ")
    );
    let shows = samples == Samples::All && !record.without_text;
    let row = |row: &AuditRow| AuditedView {
        place: format!("{} {}", row.source.rsplit('/').next().unwrap_or(&row.source), row.row),
        cosine: format!("{:+.4}", row.cosine),
        dot: format!("{:+.2e}", row.dot),
        text: shows.then(|| [row.prompt.clone(), row.reply.clone()]),
    };
    Some(AuditView { caption, rows: audit.top.iter().map(row).collect() })
}
