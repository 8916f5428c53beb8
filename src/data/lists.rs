//! A row's values by column: single ones, and lists of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::json_rows;
use super::rows::Row;
use super::shape::text;

impl Row {
    /// A column's plain value.
    ///
    /// # Errors
    /// When the row has none, with the columns in which it has one.
    pub fn value(&self, column: &str) -> Result<&str, String> {
        self.fields.get(column).map(String::as_str).ok_or_else(|| missing("value", column, self.fields.keys()))
    }

    /// A column's list of plain values, also as JSON text.
    ///
    /// # Errors
    /// When the row has none, with the columns in which it has one.
    pub fn list(&self, column: &str) -> Result<Vec<String>, String> {
        let written = || self.fields.get(column).and_then(|cell| texts(&json_rows::value(cell).ok()?));
        self.lists.get(column).cloned().or_else(written).ok_or_else(|| missing("list", column, self.lists.keys()))
    }
}

/// Every list of plain values, and those one section deep.
pub(super) fn lists(values: &Map<String, Value>) -> BTreeMap<String, Vec<String>> {
    let mut lists = BTreeMap::new();
    for (name, value) in values {
        lists.extend(texts(value).map(|list| (name.clone(), list)));
        let inner = value.as_object().into_iter().flatten();
        lists.extend(inner.filter_map(|(part, value)| Some((format!("{name}.{part}"), texts(value)?))));
    }
    lists
}

/// A list of plain values as texts; none of anything else.
fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(text).collect()
}

fn missing<'a>(what: &str, column: &str, have: impl Iterator<Item = &'a String>) -> String {
    let have: Vec<&str> = have.map(String::as_str).collect();
    format!("it has no {what} in column {column:?}; it has {}", if have.is_empty() { "none".into() } else { have.join(", ") })
}
