//! Rows of a table as conversations, whatever shape the file has.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::lists::lists;
use super::spec::{Columns, DataSpec, Variant};
use super::table::{Table, read};
use super::{DataError, Emptiness};
use crate::artifact::digest::sha256;

/// The role of a row of plain text, which is no turn of anybody.
const TEXT: &str = "text";

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
                    row: row.id.clone(),
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
    let shape = Shape::of(&table, columns)?;
    let mut loaded = Loaded { rows: Vec::new(), total, empty: 0, file: table.file.clone() };
    for (number, values) in table.rows.iter().enumerate() {
        if spec.limit.is_some_and(|limit| loaded.rows.len() >= limit) {
            break;
        }
        let passes = |(column, wanted): &(String, Vec<String>)| text(&values[column]).is_some_and(|value| wanted.contains(&value));
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

/// The values that are let through, by column.
type Filter = Vec<(String, Vec<String>)>;

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

/// How a table's columns make a conversation.
enum Shape {
    /// A column of turns, with the names of role and text.
    Turns(String, &'static str, &'static str),
    /// Prompt, response, system.
    Pair(String, Option<String>, Option<String>),
    /// Instruction, input, output (Alpaca).
    Instruction,
    /// A column of plain text.
    Text(String),
}

impl Shape {
    fn of(table: &Table, columns: &Columns) -> Result<Self, DataError> {
        let named = [&columns.prompt, &columns.response, &columns.system, &columns.messages, &columns.text, &columns.id, &columns.category];
        for column in named.into_iter().flatten() {
            require(table, column)?;
        }
        let has = |name: &str| table.columns.iter().any(|column| column == name);
        if let Some(messages) = &columns.messages {
            return Ok(Self::Turns(messages.clone(), "role", "content"));
        }
        if let Some(prompt) = &columns.prompt {
            return Ok(Self::Pair(prompt.clone(), columns.response.clone(), columns.system.clone()));
        }
        if let Some(text) = &columns.text {
            return Ok(Self::Text(text.clone()));
        }
        let system = columns.system.clone().or_else(|| has("system").then(|| "system".to_owned()));
        if has("messages") {
            return Ok(Self::Turns("messages".into(), "role", "content"));
        }
        if has("conversations") {
            return Ok(Self::Turns("conversations".into(), "from", "value"));
        }
        if has("instruction") && has("output") {
            return Ok(Self::Instruction);
        }
        if has("prompt") {
            let response = ["response", "completion"].into_iter().find(|name| has(name)).map(str::to_owned);
            return Ok(Self::Pair("prompt".into(), columns.response.clone().or(response), system));
        }
        if has("question") && has("answer") {
            return Ok(Self::Pair("question".into(), Some("answer".into()), system));
        }
        if has("text") {
            return Ok(Self::Text("text".into()));
        }
        Err(DataError::Shape { file: table.file.clone(), have: table.columns.clone() })
    }

    fn row(&self, table: &Table, columns: &Columns, number: usize, values: &Map<String, Value>) -> Result<Row, DataError> {
        let fail = |problem: String| DataError::Row {
            file: table.file.clone(),
            row: (number + 1).to_string(),
            problem,
            remedy: Some("mend the row, or leave it out".into()),
        };
        let value = |column: &str| values.get(column).and_then(text).unwrap_or_default();
        let message = |role: &str, content: String| Message { role: role.into(), content };
        let plain = |column: &str| match values.get(column) {
            Some(Value::Array(_)) => Err(fail(format!("{column:?} is a list, expected text"))),
            Some(Value::Object(_)) => Err(fail(format!("{column:?} is an object, expected text"))),
            _ => Ok(value(column)),
        };
        // A prompt, or a reply, may be a list of turns.
        let said = |column: &str, role: &str| match values.get(column) {
            Some(list @ Value::Array(items)) if items.iter().all(Value::is_object) => {
                turns(list, "role", "content").map_err(|problem| fail(format!("{column:?}: {problem}")))
            }
            _ => Ok(vec![message(role, plain(column)?)]),
        };
        let messages = match self {
            Self::Turns(column, role, content) => turns(&values[column], role, content).map_err(fail)?,
            Self::Pair(prompt, response, system) => {
                let mut messages = Vec::new();
                if let Some(system) = system.as_ref().map(|system| plain(system)).transpose()?.filter(|text| !text.is_empty()) {
                    messages.push(message("system", system));
                }
                messages.extend(said(prompt, "user")?);
                if let Some(response) = response {
                    messages.extend(said(response, "assistant")?);
                }
                messages
            }
            Self::Text(column) => vec![message(TEXT, plain(column)?)],
            Self::Instruction => {
                let (instruction, input) = (value("instruction"), value("input"));
                let prompt = if input.is_empty() { instruction } else { format!("{instruction}\n\n{input}") };
                vec![message("user", prompt), message("assistant", value("output"))]
            }
        };
        let fields: BTreeMap<String, String> = values.iter().filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect();
        let id = match columns.id.as_deref().or(fields.contains_key("id").then_some("id")) {
            Some(column) => value(column),
            None => sha256(serde_json::to_string(&messages).unwrap_or_default().as_bytes())[..12].to_owned(),
        };
        let mut row = Row { id, number: number + 1, messages, fields, lists: lists(values) };
        if let Some(column) = &columns.category {
            row.fields.insert("category".into(), value(column));
        }
        Ok(row)
    }
}

fn require(table: &Table, column: &str) -> Result<(), DataError> {
    if table.columns.iter().any(|have| have == column) {
        return Ok(());
    }
    Err(DataError::Column { file: table.file.clone(), column: column.into(), have: table.columns.clone() })
}

/// A plain value as text; none for null, lists and objects.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A list of turns, also as JSON text inside a CSV cell.
fn turns(value: &Value, role: &str, content: &str) -> Result<Vec<Message>, String> {
    let parsed;
    let list = match value {
        Value::Array(list) => list,
        Value::String(text) => {
            parsed = serde_json::from_str::<Vec<Value>>(text).map_err(|error| format!("the turns are no JSON list: {error}"))?;
            &parsed
        }
        _ => return Err("the turns are no list".into()),
    };
    let mut messages = Vec::with_capacity(list.len());
    for (i, turn) in list.iter().enumerate() {
        // Files of either shape use either pair of names.
        let get = |names: [&str; 2]| names.iter().find_map(|name| turn[*name].as_str()).map(str::to_owned);
        let who = get([role, if role == "role" { "from" } else { "role" }]).ok_or_else(|| format!("turn {} has no {role:?}", i + 1))?;
        let what = get([content, if content == "content" { "value" } else { "content" }])
            .ok_or_else(|| format!("turn {} has no {content:?}", i + 1))?;
        let role = match who.as_str() {
            "human" | "user" => "user",
            "gpt" | "assistant" | "model" => "assistant",
            "system" => "system",
            other => return Err(format!("turn {} is by {other:?}; known: system, user (human), assistant (gpt)", i + 1)),
        };
        messages.push(Message { role: role.into(), content: what });
    }
    Ok(messages)
}
