//! Which rows of the custom data pull against the refusals.

use serde::{Deserialize, Serialize};

/// The rows of the custom data, ranked by how much their gradient conflicts with that of refusals at the aligned weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// The refusals that the rows are compared with.
    pub safety: Vec<String>,
    /// Rows of the custom data.
    pub rows: u64,
    /// Those whose cosine is below 0: a step on one of them raises the loss of the refusals, to the first order.
    pub conflicting: u64,
    /// The smallest cosine, the quartiles and the largest, in [−1, 1].
    pub quartiles: [f64; 5],
    /// The rows that conflict most, the smallest cosine first.
    pub top: Vec<AuditRow>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditRow {
    /// The file that it is from.
    pub source: String,
    /// Its number there, from 1, a header not counted.
    pub row: u64,
    /// Its id.
    pub id: String,
    /// Its gradient's cosine with that of the refusals, in [−1, 1].
    pub cosine: f64,
    /// Their dot product, in nats² per weight².
    pub dot: f64,
    /// What is asked, cut where it is long; empty in a record without texts.
    pub prompt: String,
    /// What is to be learnt, likewise.
    pub reply: String,
}
