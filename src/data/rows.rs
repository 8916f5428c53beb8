//! Rows of a table as conversations, whatever shape the file has.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::shape::{Shape, require, text};
use super::spec::{Columns, DataSpec, Variant};
use super::table::{Table, read};
use super::{DataError, Emptiness};
use crate::artifact::digest::sha256;

/// The role of a row of plain text, which is no turn of anybody.
pub(super) const TEXT: &str = "text";

/// One turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user`, `assistant`; `text` for a row that is plain text.
    pub role: String,
    /// What is said.
    pub content: String,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The row's own id, or a hash of its content.
    pub id: String,
    /// Its number in the file, from 1; a header is not counted.
    pub number: usize,
    /// The conversation.
    pub messages: Vec<Message>,
    /// Every column that has a plain value, as text.
    pub fields: BTreeMap<String, String>,
    /// Every column that is a list of plain values, as texts; `a.b` is list b of section a.
    pub lists: BTreeMap<String, Vec<String>>,
}

impl Row {
    /// The last thing that the user says; empty when the user says nothing.
    pub fn prompt(&self) -> &str {
        self.messages.iter().rfind(|message| message.role == "user").map_or("", |message| message.content.as_str())
    }

    /// Everything that the user says, turn by turn.
    pub fn prompts(&self) -> impl Iterator<Item = &str> {
        self.messages.iter().filter(|message| message.role == "user").map(|message| message.content.as_str())
    }

    /// Where it stands in the file: its number, and its id where that is a value of the file's own.
    pub fn place(&self) -> String {
        let own = !self.id.is_empty() && self.fields.values().any(|value| *value == self.id);
        if own { format!("{} (id {})", self.number, self.id) } else { self.number.to_string() }
    }

    /// The text of a row that is no conversation.
    pub fn plain_text(&self) -> Option<&str> {
        self.messages.iter().find(|message| message.role == TEXT).map(|message| message.content.as_str())
    }

    /// The conversation up to the user's last turn: what a model is asked.
    pub fn question(&self) -> &[Message] {
        let end = self.messages.iter().rposition(|message| message.role == "user").map_or(0, |last| last + 1);
        &self.messages[..end]
    }
}

/// A loaded source.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The rows, in the file's order.
    pub rows: Vec<Row>,
    /// Rows of the file before filter, split and limit.
    pub total: usize,
    /// Rows that were left out because the user's turn is empty.
    pub empty: usize,
    /// The file as written.
    pub file: String,
}

impl Loaded {
    /// Digest of the rows that were chosen, in order: what a stage's result depends on.
    pub fn content_digest(&self) -> String {
        let text: Vec<_> = self.rows.iter().map(|row| (&row.id, &row.messages, &row.fields)).collect();
        sha256(serde_json::to_string(&text).unwrap_or_default().as_bytes())
    }

    /// What a reader of the report must know.
    pub fn warnings(&self) -> Vec<String> {
        if self.empty == 0 {
            Vec::new()
        } else {
            vec![format!("{} of {} rows of {} have an empty prompt and were left out", self.empty, self.total, self.file)]
        }
    }
}

impl Loaded {
    /// Checks that every row has a reply to learn from. Returns how many replies are blank: such rows teach silence.
    ///
    /// # Errors
    /// Names the first row in which the assistant says nothing at all.
    pub fn replies(&self) -> Result<usize, DataError> {
        let mut blank = 0;
        for row in self.rows.iter().filter(|row| row.plain_text().is_none()) {
            let mut replies = row.messages.iter().filter(|message| message.role == "assistant").peekable();
            if replies.peek().is_none() {
                return Err(DataError::Row {
                    file: self.file.clone(),
                    row: row.place(),
                    problem: "there is no reply to learn from".into(),
                    remedy: Some("name the column with the reply: columns: {prompt: prompt, response: answer}".into()),
                });
            }
            blank += usize::from(replies.all(|reply| reply.content.trim().is_empty()));
        }
        Ok(blank)
    }
}

/// Loads a source: reads the file, chooses rows by filter, split and limit, and makes conversations of them.
///
/// # Errors
/// When the file cannot be read, a column is missing, a row has no usable value, or no row is left.
pub fn load(spec: &DataSpec) -> Result<Loaded, DataError> {
    load_from(spec, &spec.source)
}

/// [`load`] from a file that stands for the source: what was downloaded from it.
///
/// # Errors
/// As [`load`].
pub fn load_from(spec: &DataSpec, file: &str) -> Result<Loaded, DataError> {
    let table = Table { file: spec.source.clone(), ..read(file, spec.format)? };
    let total = table.rows.len();
    if total == 0 {
        return Err(DataError::Empty { file: table.file, why: Emptiness::NoRows });
    }
    let (columns, filter) = chosen(spec, &table)?;
    for (column, _) in &filter {
        require(&table, column)?;
    }
    let shape = Shape::of(&table, columns, &filter)?;
    let mut loaded = Loaded { rows: Vec::new(), total, empty: 0, file: table.file.clone() };
    for (number, values) in table.rows.iter().enumerate() {
        if spec.limit.is_some_and(|limit| loaded.rows.len() >= limit) {
            break;
        }
        let passes = |(column, wanted): &(String, Vec<String>)| {
            text(&values[column]).is_some_and(|value| wanted.iter().any(|wanted| is_same(wanted, &value)))
        };
        if !filter.iter().all(passes) {
            continue;
        }
        let row = shape.row(&table, columns, number, values)?;
        if let Some((from, to)) = spec.split {
            let place = share(&row.messages);
            if place < from || place >= to {
                continue;
            }
        }
        if row.plain_text().unwrap_or_else(|| row.prompt()).trim().is_empty() {
            loaded.empty += 1;
            continue;
        }
        loaded.rows.push(row);
    }
    if loaded.rows.is_empty() {
        let why = if loaded.empty > 0 { Emptiness::Prompts } else { Emptiness::Filtered };
        return Err(DataError::Empty { file: table.file, why });
    }
    let mut seen = BTreeMap::new();
    for row in &mut loaded.rows {
        let copies = seen.entry(row.id.clone()).or_insert(0);
        *copies += 1;
        if *copies > 1 {
            row.id = format!("{}#{copies}", row.id);
        }
    }
    Ok(loaded)
}

/// Whether two values are the same text, or the same number otherwise written: 1.5 and 1.50, but no 7 and 007.
fn is_same(wanted: &str, value: &str) -> bool {
    let number = |text: &str| {
        let digits = text.trim_start_matches('-').as_bytes();
        let padded = digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit();
        text.parse::<f64>().ok().filter(|number| number.is_finite() && !padded)
    };
    wanted == value || number(wanted).zip(number(value)).is_some_and(|(wanted, value)| wanted == value)
}

/// The values that are let through, by column.
pub(super) type Filter = Vec<(String, Vec<String>)>;

/// The columns and the filter of a source: those of the first variant whose columns are all there, where it has variants.
fn chosen<'a>(spec: &'a DataSpec, table: &Table) -> Result<(&'a Columns, Filter), DataError> {
    if spec.variants.is_empty() {
        return Ok((&spec.columns, spec.filter.clone()));
    }
    let needed = |variant: &Variant| -> Vec<String> {
        let Columns { prompt, response, system, id, category, .. } = &variant.columns;
        let named = [prompt, response, system, id, category].into_iter().flatten();
        named.chain(variant.filter.iter().map(|(column, _)| column)).cloned().collect()
    };
    let whole = |variant: &&Variant| needed(variant).iter().all(|column| table.columns.contains(column));
    match spec.variants.iter().find(whole) {
        Some(variant) => Ok((&variant.columns, variant.filter.iter().chain(&spec.filter).cloned().collect())),
        None => {
            let known = spec.variants.iter().map(|variant| needed(variant).join(", ")).collect();
            Err(DataError::Variants { file: table.file.clone(), have: table.columns.clone(), known })
        }
    }
}

/// Where a row lies in 0..1 by its content, so that a split does not depend on the file's order.
fn share(messages: &[Message]) -> f64 {
    let digest = sha256(serde_json::to_string(messages).unwrap_or_default().as_bytes());
    u64::from_str_radix(&digest[..13], 16).unwrap_or(0) as f64 / (1u64 << 52) as f64
}
