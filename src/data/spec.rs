//! Where rows come from and how their columns are read.

use serde::{Deserialize, Serialize};

/// A source of rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataSpec {
    /// `builtin:NAME`, `hf://datasets/OWNER/NAME@REVISION/FILE`, or an absolute path.
    pub source: String,
    /// `auto` looks at the file's ending.
    pub format: DataFormat,
    /// Which column is what; empty: the shape is recognised.
    pub columns: Columns,
    /// For copies of a published suite, whose columns have several names: the first of these whose columns are all there is taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
    /// Only rows whose column has one of these values, as text.
    pub filter: Vec<(String, Vec<String>)>,
    /// At most this many rows, from the top, after the filter and the split.
    pub limit: Option<usize>,
    /// Part of the rows, by a hash of their content: `[from, to)` within 0..=1.
    pub split: Option<(f64, f64)>,
}

impl DataSpec {
    /// A source with everything recognised and nothing left out.
    pub fn new(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            format: DataFormat::Auto,
            columns: Columns::default(),
            variants: Vec::new(),
            filter: Vec::new(),
            limit: None,
            split: None,
        }
    }
}

/// One way in which the columns of a file may be named.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Variant {
    /// Which column is what.
    pub columns: Columns,
    /// Added to the filter.
    pub filter: Vec<(String, Vec<String>)>,
}

/// A file's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataFormat {
    /// By the file's ending.
    Auto,
    /// One JSON object a line.
    Jsonl,
    /// One JSON array of objects.
    Json,
    /// Comma-separated, with a header; every column is text.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// Plain text: the whole file is one row, its text in the column `text`.
    Text,
}

/// Column names by what they hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Columns {
    /// The user's turn.
    pub prompt: Option<String>,
    /// The assistant's turn.
    pub response: Option<String>,
    /// The system message.
    pub system: Option<String>,
    /// A list of `{role, content}`.
    pub messages: Option<String>,
    /// Plain text, all of it to be learnt.
    pub text: Option<String>,
    /// A row's id.
    pub id: Option<String>,
    /// A row's category.
    pub category: Option<String>,
}
