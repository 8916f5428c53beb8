//! Rows of JSON text, exactly as written: `1` beside `2.5` stays `1`, and text stays text.
//!
//! JSON has types of its own. A table reader would give every column one type and rewrite the values that differ. A number whose own text
//! is another than the one it would be told by (`1.50`, `1e3`, an integer of 22 digits) is that text.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
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
        let bad = |error: serde_json::Error| at(&error, Some(i + 1));
        let Row(mut row) = serde_json::from_str(line).map_err(bad)?;
        entries_as_written(&mut row, line).map_err(bad)?;
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
    let bad = |error: serde_json::Error| at(&error, None);
    let mut rows: Vec<Row> = serde_json::from_str(text).map_err(bad)?;
    let texts: Vec<&RawValue> = serde_json::from_str(text).map_err(bad)?;
    for (Row(row), text) in rows.iter_mut().zip(texts) {
        entries_as_written(row, text.get()).map_err(bad)?;
    }
    Ok(complete(rows.into_iter().map(|Row(row)| row).collect()))
}

/// One value, as rows have them.
///
/// # Errors
/// When the text is no JSON.
pub(super) fn value(text: &str) -> serde_json::Result<Value> {
    let mut value = serde_json::from_str(text)?;
    as_written(&mut value, text.trim())?;
    Ok(value)
}

/// Puts the text of numbers in their place where they would be told by another; `text` is what the value was read from.
fn as_written(value: &mut Value, text: &str) -> serde_json::Result<()> {
    match value {
        Value::Number(number) if number.to_string() != text => *value = text.into(),
        Value::Array(items) if items.iter().any(has_number) => {
            let texts: Vec<&RawValue> = serde_json::from_str(text)?;
            for (item, text) in items.iter_mut().zip(texts) {
                as_written(item, text.get())?;
            }
        }
        Value::Object(entries) => entries_as_written(entries, text)?,
        _ => {}
    }
    Ok(())
}

fn entries_as_written(entries: &mut Map<String, Value>, text: &str) -> serde_json::Result<()> {
    if !entries.values().any(has_number) {
        return Ok(());
    }
    let texts: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
    for (key, value) in entries {
        if let Some(text) = texts.get(key) {
            as_written(value, text.get())?;
        }
    }
    Ok(())
}

fn has_number(value: &Value) -> bool {
    match value {
        Value::Number(_) => true,
        Value::Array(items) => items.iter().any(has_number),
        Value::Object(entries) => entries.values().any(has_number),
        _ => false,
    }
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
        // Numbers that would be told by other digits.
        let row =
            r#"{"long": 9999999999800000000001, "price": 1.50, "k": 1e3, "minus": -7, "in": {"a": [1.50, 2, {"b": 1E2}], "c": "1.50"}}"#;
        let kept = serde_json::json!({"long": "9999999999800000000001", "price": "1.50", "k": "1e3", "minus": -7,
            "in": {"a": ["1.50", 2, {"b": "1E2"}], "c": "1.50"}});
        assert_eq!(Value::Object(lines(&format!(" {row} \r\n")).unwrap().1.remove(0)), kept);
        assert_eq!(Value::Object(list(&format!("[\n{row}, {{\"k\": 1}}]")).unwrap().1.remove(0)), kept);
        assert_eq!(value(" [2.50, 1]\n").unwrap(), serde_json::json!(["2.50", 1]));
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
