//! Rows of JSON text, exactly as written: `1` beside `2.5` stays `1`, and text stays text.
//!
//! JSON has types of its own. A table reader would give every column one type and rewrite the values that differ.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

/// Rows with every column, null where the text has none, and the column names in the order in which they first stand there.
pub type Rows = (Vec<String>, Vec<Map<String, Value>>);

/// One object a line; blank lines are passed over.
///
/// # Errors
/// Names the line and column of what is no object, or has a key twice.
pub fn lines(text: &str) -> Result<Rows, String> {
    let mut rows = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let Row(row) = serde_json::from_str(line).map_err(|error| at(&error, Some(i + 1)))?;
        rows.push(row);
    }
    Ok(complete(rows))
}

/// A list of objects.
///
/// # Errors
/// Names the line and column of what is no object, or has a key twice; of one object around the list, the key.
pub fn list(text: &str) -> Result<Rows, String> {
    if let Ok(Value::Object(whole)) = serde_json::from_str::<Value>(text) {
        let inside = whole.iter().find_map(|(key, value)| Some((key, value.as_array()?.len())));
        return Err(match inside {
            Some((key, count)) => format!("it is one object, expected a list of rows; its {key:?} is a list of {count}: write that alone"),
            None => "it is one object, expected a list of rows: [{…}, {…}]".into(),
        });
    }
    let rows: Vec<Row> = serde_json::from_str(text).map_err(|error| at(&error, None))?;
    Ok(complete(rows.into_iter().map(|Row(row)| row).collect()))
}

/// serde_json's words with the place in front; `line` where the text was one line of several.
fn at(error: &serde_json::Error, line: Option<usize>) -> String {
    let text = error.to_string();
    let problem = text.split(" at line ").next().unwrap_or_default();
    format!("line {}, column {}: {problem}", line.unwrap_or(error.line()), error.column())
}

fn complete(mut rows: Vec<Map<String, Value>>) -> Rows {
    let mut all = Map::new();
    for key in rows.iter().flat_map(Map::keys) {
        if !all.contains_key(key) {
            all.insert(key.clone(), Value::Null);
        }
    }
    for row in &mut rows {
        for key in all.keys() {
            if !row.contains_key(key) {
                row.insert(key.clone(), Value::Null);
            }
        }
    }
    (all.into_iter().map(|(key, _)| key).collect(), rows)
}

/// An object whose keys stand in it once.
struct Row(Map<String, Value>);

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Row;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Row, A::Error> {
                let mut row = Map::new();
                while let Some((key, value)) = entries.next_entry::<String, Value>()? {
                    if row.contains_key(&key) {
                        return Err(A::Error::custom(format!("the key {key:?} stands there twice")));
                    }
                    row.insert(key, value);
                }
                Ok(Row(row))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_stay_as_written() {
        let (columns, rows) = lines("{\"a\": 1, \"b\": \"007\"}\n\n{\"c\": null, \"a\": 2.5}\n").unwrap();
        assert_eq!(columns, ["a", "b", "c"]);
        assert_eq!(rows[0]["a"].to_string(), "1");
        assert_eq!(rows[0]["b"], "007");
        assert_eq!(rows[1]["a"].to_string(), "2.5");
        assert_eq!(rows[1]["b"], Value::Null);
        assert_eq!(list("[{\"a\": [1, \"x\"]}]").unwrap().1[0]["a"], serde_json::json!([1, "x"]));
    }

    #[test]
    fn what_is_no_row_is_named_with_its_place() {
        assert!(lines("{\"a\": 1}\n[1]\n").unwrap_err().starts_with("line 2, column 0: invalid type: sequence, expected an object"));
        assert!(lines("{\"a\": 1, \"a\": 2}").unwrap_err().contains("the key \"a\" stands there twice"));
        assert!(list("[{\"a\": 1},\n {\"a\": }]").unwrap_err().starts_with("line 2, column 8"));
        assert!(list("[1]").unwrap_err().contains("expected an object"));
        assert!(list("{\n\"data\": [{}, {}]}").unwrap_err().contains("its \"data\" is a list of 2"));
        assert!(list("{\n\"a\": 1}").unwrap_err().contains("it is one object, expected a list of rows"));
    }
}
