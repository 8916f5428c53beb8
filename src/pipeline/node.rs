//! The pipeline file as a tree that knows where each of its parts stands.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A place in the pipeline file; line and column from 1, or 0 for a value that came from the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// One value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it begins.
    pub place: Place,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map in the order of the file: (key, where the key stands, value).
    Map(Vec<(String, Place, Node)>),
}

impl Node {
    /// Parses YAML. Duplicate keys are errors.
    ///
    /// # Errors
    /// What is wrong, with an excerpt of the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        // The reader's advice is for programmers.
        const ADVICE: [&str; 2] =
            [", set DuplicateKeyPolicy in Options if acceptable", "; use from_str_multiple or from_str_multiple_with_options"];
        let told = |error: serde_saphyr::Error| ADVICE.iter().fold(error.to_string(), |text, advice| text.replace(advice, ""));
        let spanned: Spanned<Raw> = serde_saphyr::from_str(text).map_err(told)?;
        Ok(spanned.into())
    }

    /// What kind of value it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a section",
        }
    }

    /// As JSON.
    pub fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(flag) => (*flag).into(),
            Value::Int(number) => (*number).into(),
            Value::Float(number) => (*number).into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::json).collect(),
            Value::Map(entries) => entries.iter().map(|(key, _, node)| (key.clone(), node.json())).collect(),
        }
    }

    /// Where the key at a path of keys and list numbers, joined by dots, stands; where there is none, the last section on the way to it.
    /// None where not even the first is there.
    pub fn place_of(&self, path: &str) -> Option<Place> {
        let (mut node, mut place) = (self, None);
        for part in path.split('.') {
            let found = match &node.value {
                Value::Map(entries) => entries.iter().find(|(key, _, _)| key == part).map(|(_, place, inside)| (*place, inside)),
                Value::List(items) => part.parse::<usize>().ok().and_then(|i| items.get(i)).map(|item| (item.place, item)),
                _ => None,
            };
            let Some((at, inside)) = found else { break };
            // What the command line put there has no place.
            (node, place) = (inside, Some(if inside.place == Place::default() { inside.place } else { at }));
        }
        place
    }

    /// Puts a value at a path of keys and list numbers; missing sections are made.
    ///
    /// # Errors
    /// When the path leads through something that is no section or list.
    pub fn set(&mut self, path: &[&str], value: Node) -> Result<(), String> {
        let Some((first, rest)) = path.split_first() else {
            *self = value;
            return Ok(());
        };
        if matches!(self.value, Value::Null) {
            self.value = Value::Map(Vec::new());
        }
        match &mut self.value {
            Value::Map(entries) => {
                let at = entries.iter().position(|(key, _, _)| key == first).unwrap_or_else(|| {
                    entries.push(((*first).to_owned(), Place::default(), Node { value: Value::Null, place: Place::default() }));
                    entries.len() - 1
                });
                entries[at].2.set(rest, value)
            }
            Value::List(items) => {
                let len = items.len();
                match first.parse::<usize>().ok().and_then(|i| items.get_mut(i)) {
                    Some(item) => item.set(rest, value),
                    None => Err(format!("{first:?} is no number from 0 to {}", len.saturating_sub(1))),
                }
            }
            // A short form, such as `data: my.csv`, becomes a section when one of its keys is set.
            Value::Text(text) if matches!(*first, "path" | "columns" | "format" | "limit" | "filter" | "split") => {
                let path = Node { value: Value::Text(text.clone()), place: self.place };
                self.value = Value::Map(vec![("path".into(), self.place, path)]);
                self.set(path_of(first, rest).as_slice(), value)
            }
            _ => Err(format!("{first:?} cannot be set inside {}", self.kind())),
        }
    }
}

fn path_of<'a>(first: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    std::iter::once(first).chain(rest.iter().copied()).collect()
}

/// What the YAML reader hands over before places are read off.
enum Raw {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn place<T>(spanned: &Spanned<T>) -> Place {
    Place { line: spanned.referenced.line() as usize, column: spanned.referenced.column() as usize }
}

impl From<Spanned<Raw>> for Node {
    fn from(spanned: Spanned<Raw>) -> Self {
        let at = place(&spanned);
        let value = match spanned.value {
            Raw::Null => Value::Null,
            Raw::Bool(flag) => Value::Bool(flag),
            Raw::Int(number) => Value::Int(number),
            Raw::Float(number) => Value::Float(number),
            Raw::Text(text) => Value::Text(text),
            Raw::List(items) => Value::List(items.into_iter().map(Node::from).collect()),
            Raw::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| {
                        let at = place(&key);
                        (key.value, at, Node::from(value))
                    })
                    .collect(),
            ),
        };
        Self { value, place: at }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Raw;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a YAML value")
            }
            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_none<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
                Raw::deserialize(deserializer)
            }
            fn visit_bool<E>(self, flag: bool) -> Result<Raw, E> {
                Ok(Raw::Bool(flag))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
                Ok(Raw::Int(number))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Raw, E> {
                Ok(i64::try_from(number).map_or(Raw::Float(number as f64), Raw::Int))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Raw, E> {
                Ok(Raw::Float(number))
            }
            fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
                Ok(Raw::Text(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Raw::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut entries: Vec<(Spanned<String>, Spanned<Raw>)> = Vec::new();
                while let Some(entry) = map.next_entry::<Spanned<String>, Spanned<Raw>>()? {
                    if entries.iter().any(|(key, _)| key.value == entry.0.value) {
                        return Err(serde::de::Error::custom(format!("duplicate key {:?}", entry.0.value)));
                    }
                    entries.push(entry);
                }
                Ok(Raw::Map(entries))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
