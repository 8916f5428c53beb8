//! The data sets that the project wrote, inside the program.

/// Their names, without `builtin:`.
pub const NAMES: [&str; 0] = [];

/// A data set as JSONL text.
pub fn text(_name: &str) -> Option<&'static str> {
    None
}
