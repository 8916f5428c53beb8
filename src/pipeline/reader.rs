//! Reading a tree into settings: every problem is collected with its place, none stops the others from being found.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::node::{Node, Place, Value};

/// One problem of a pipeline file.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// The key it is about: `finetune.arms.protected.density`.
    pub path: String,
    /// What is wrong, with both values.
    pub message: String,
    /// What to write instead.
    pub remedy: Option<String>,
}

/// What was found while reading.
#[derive(Debug, Default)]
pub struct Findings {
    /// What must be mended.
    pub problems: Vec<Problem>,
    /// What should be known.
    pub warnings: Vec<Problem>,
    /// Aliases that were made canonical: `max_seq_length is read as max_length`.
    pub notes: Vec<String>,
    /// What each section was asked for: the JSON schema of its keys by its path. The pipeline's schema is made from it.
    pub asked: BTreeMap<String, BTreeMap<&'static str, Json>>,
}

impl Findings {
    /// Adds a problem.
    pub fn problem(&mut self, place: Place, path: &str, message: impl Into<String>, remedy: Option<String>) {
        self.problems.push(Problem { place, path: path.into(), message: message.into(), remedy });
    }

    /// Adds a warning.
    pub fn warning(&mut self, place: Place, path: &str, message: impl Into<String>, remedy: Option<String>) {
        self.warnings.push(Problem { place, path: path.into(), message: message.into(), remedy });
    }
}

/// A section of the file while it is read.
pub struct Section<'a> {
    entries: Vec<(&'a str, Place, &'a Node)>,
    /// Its path: `finetune.arms.protected`.
    pub path: String,
    /// Where it begins.
    pub place: Place,
    known: BTreeMap<&'static str, Json>,
}

/// Old and foreign names of keys, with the canonical ones.
pub(super) const ALIASES: [(&str, &str); 10] = [
    ("max_seq_length", "max_length"),
    ("sequence_len", "max_length"),
    ("cutoff_len", "max_length"),
    ("micro_batch_size", "per_device_train_batch_size"),
    ("train_batch_size", "per_device_train_batch_size"),
    ("lr", "learning_rate"),
    ("lr_scheduler", "lr_scheduler_type"),
    ("weight-decay", "weight_decay"),
    ("save_every", "save_steps"),
    ("steps", "max_steps"),
];

/// Keys of inner sections that people write at the top, and where they belong.
pub(super) const ELSEWHERE: [(&str, &str); 2] = [
    ("sweep", "write finetune: {sweep: {learning_rate: [1e-4, 3e-4]}}"),
    ("protect", "write finetune: {arms: {protected: {train: all, protect: replay}}}"),
];

/// No count of rows, steps or tokens is larger: a guard against numbers that would exhaust memory.
const MOST: f64 = 1_000_000.0;

impl<'a> Section<'a> {
    /// Begins to read a section; a node that is none is a problem and reads as an empty section.
    pub fn new(node: &'a Node, path: &str, findings: &mut Findings) -> Self {
        Self::read(node, path, &ALIASES, findings)
    }

    /// Begins to read a section whose keys are names that the user chose: none of them is an alias.
    pub fn named(node: &'a Node, path: &str, findings: &mut Findings) -> Self {
        Self::read(node, path, &[], findings)
    }

    fn read(node: &'a Node, path: &str, aliases: &[(&str, &'static str)], findings: &mut Findings) -> Self {
        let mut section = Self { entries: Vec::new(), path: path.into(), place: node.place, known: BTreeMap::new() };
        match &node.value {
            Value::Map(entries) => {
                for (key, place, value) in entries {
                    let canonical = aliases.iter().find(|(alias, _)| alias == key).map(|(_, canonical)| *canonical);
                    if let Some(canonical) = canonical {
                        findings.notes.push(format!("{}: {key} is read as {canonical}", if path.is_empty() { "pipeline" } else { path }));
                    }
                    let name = canonical.unwrap_or(key);
                    if section.entries.iter().any(|(have, _, _)| *have == name) {
                        findings.problem(*place, &section.join(name), format!("{name} is given twice"), Some(format!("remove {key}")));
                        continue;
                    }
                    section.entries.push((name, *place, value));
                }
            }
            Value::Null => {}
            _ => {
                let what = if path.is_empty() { "the pipeline" } else { path };
                findings.problem(node.place, path, format!("{what} is {}, expected a section of keys", node.kind()), None);
            }
        }
        section
    }

    /// `path.key`.
    pub fn join(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The node of a key, which from now on is known; null counts as not given.
    pub fn get(&mut self, key: &'static str) -> Option<&'a Node> {
        self.known.entry(key).or_insert_with(|| json!({}));
        self.entries.iter().find(|(name, _, _)| *name == key).map(|(_, _, node)| *node).filter(|node| node.value != Value::Null)
    }

    /// All entries: for sections whose keys are names that the user chose.
    pub fn entries(&self) -> &[(&'a str, Place, &'a Node)] {
        &self.entries
    }

    /// The given keys that are known and none of `but`, with their places.
    pub fn given_but(&self, but: &[&str]) -> Vec<(&'a str, Place)> {
        let others = self.entries.iter().filter(|(key, _, _)| self.known.contains_key(*key) && !but.contains(key));
        others.map(|(key, place, _)| (*key, *place)).collect()
    }

    /// Where a key stands; the section's place where it is not given.
    pub fn place_of(&self, key: &str) -> Place {
        self.entries.iter().find(|(name, _, _)| *name == key).map_or(self.place, |(_, place, _)| *place)
    }

    /// Reports every key that was not asked for.
    pub fn finish(self, findings: &mut Findings) {
        for (key, place, _) in &self.entries {
            if self.known.contains_key(*key) {
                continue;
            }
            let near = self.known.keys().max_by(|a, b| strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key)));
            let near = near.filter(|near| strsim::jaro_winkler(near, key) > 0.8);
            let section = if self.path.is_empty() { "a pipeline".into() } else { self.path.clone() };
            let remedy = match near {
                Some(near) => format!("did you mean {near}?"),
                None => {
                    let elsewhere = |key: &str| self.path.is_empty() && ELSEWHERE.iter().any(|(other, _)| *other == key);
                    let here: Vec<&str> = self.known.keys().copied().filter(|key| !elsewhere(key)).collect();
                    format!("known here: {}", here.join(", "))
                }
            };
            findings.problem(*place, &self.join(key), format!("unknown key {key:?} in {section}"), Some(remedy));
        }
        findings.asked.insert(self.path, self.known);
    }

    /// What the key's value must be, as JSON schema.
    pub fn describe(&mut self, key: &'static str, schema: Json) {
        self.known.insert(key, schema);
    }

    /// Text.
    pub fn text(&mut self, key: &'static str, findings: &mut Findings) -> Option<String> {
        self.describe(key, json!({"type": ["string", "number", "boolean"]}));
        let path = self.join(key);
        let node = self.get(key)?;
        match text(node) {
            Some(text) => Some(text),
            None => {
                findings.problem(node.place, &path, format!("{path} is {}, expected text", node.kind()), None);
                None
            }
        }
    }

    /// A number for which `fits` holds; `expected` says which.
    pub fn number(&mut self, key: &'static str, expected: &str, fits: impl Fn(f64) -> bool, findings: &mut Findings) -> Option<f64> {
        self.describe(key, json!({"type": "number", "description": expected}));
        let path = self.join(key);
        let node = self.get(key)?;
        let number = match &node.value {
            Value::Int(number) => *number as f64,
            Value::Float(number) => *number,
            // `3e-5` is text to some readers of YAML.
            Value::Text(text) => text.parse().unwrap_or(f64::NAN),
            _ => f64::NAN,
        };
        if number.is_finite() && fits(number) {
            return Some(number);
        }
        let remedy = format!("write {expected}, or leave {key} out for its default");
        findings.problem(node.place, &path, format!("{path} is {}, expected {expected}", show(node)), Some(remedy));
        None
    }

    /// A whole number of at least `least`.
    pub fn whole(&mut self, key: &'static str, least: u64, findings: &mut Findings) -> Option<u64> {
        let fits = |number: f64| number >= least as f64 && number.fract() == 0.0 && number <= MOST;
        let number = self.number(key, &format!("a whole number from {least} to {MOST}"), fits, findings);
        self.describe(key, json!({"type": "integer", "minimum": least, "maximum": MOST as u64}));
        number.map(|number| number as u64)
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &'static str, findings: &mut Findings) -> Option<bool> {
        self.describe(key, json!({"type": "boolean"}));
        let path = self.join(key);
        let node = self.get(key)?;
        if let Value::Bool(flag) = node.value {
            return Some(flag);
        }
        findings.problem(node.place, &path, format!("{path} is {}, expected true or false", show(node)), None);
        None
    }

    /// One of a few words.
    pub fn choice<T: Clone>(&mut self, key: &'static str, choices: &[(&str, T)], findings: &mut Findings) -> Option<T> {
        self.describe(key, json!({"enum": choices.iter().map(|(name, _)| *name).collect::<Vec<_>>()}));
        let path = self.join(key);
        let node = self.get(key)?;
        choose(node, &path, choices, findings)
    }
}

/// One of a few words.
pub fn choose<T: Clone>(node: &Node, path: &str, choices: &[(&str, T)], findings: &mut Findings) -> Option<T> {
    let found = text(node).unwrap_or_default();
    if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == found) {
        return Some(choice.clone());
    }
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let near = names.iter().max_by(|a, b| strsim::jaro_winkler(a, &found).total_cmp(&strsim::jaro_winkler(b, &found)));
    let remedy = near.filter(|near| strsim::jaro_winkler(near, &found) > 0.7).map(|near| format!("did you mean {near}?"));
    findings.problem(node.place, path, format!("{path} is {}, expected one of {}", show(node), names.join(", ")), remedy);
    None
}

/// A plain value as text.
pub fn text(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// A list; a single value counts as a list of one.
pub fn list(node: &Node) -> Vec<&Node> {
    match &node.value {
        Value::List(items) => items.iter().collect(),
        _ => vec![node],
    }
}

/// A value as it is shown in messages.
pub fn show(node: &Node) -> String {
    match &node.value {
        Value::Text(text) => format!("{text:?}"),
        _ => text(node).unwrap_or_else(|| node.kind().into()),
    }
}
