//! How the columns of a table make conversations: by the columns that a pipeline names, or by those that are there.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::DataError;
use super::lists::lists;
use super::rows::{Filter, Message, Row, TEXT};
use super::spec::Columns;
use super::table::Table;
use crate::artifact::digest::sha256;

/// How a table's columns make a conversation.
pub(super) enum Shape {
    /// A column of turns, with the names of role and text, and the column with the system message.
    Turns(String, &'static str, &'static str, Option<String>),
    /// Prompt, response, system.
    Pair(String, Option<String>, Option<String>),
    /// Instruction, input, output (Alpaca), and the column with the system message.
    Instruction(Option<String>),
    /// A column of plain text.
    Text(String),
}

impl Shape {
    /// The shape by the columns that are named, else by those that are there. Each that is named must be there and be read.
    pub(super) fn of(table: &Table, columns: &Columns, filter: &Filter) -> Result<Self, DataError> {
        let Columns { prompt, response, system, messages, text, id, category } = columns;
        for column in [prompt, response, system, messages, text, id, category].into_iter().flatten() {
            require(table, column)?;
        }
        let shape = Self::found(table, columns, filter)?;
        let named = [("prompt", prompt), ("response", response), ("system", system), ("messages", messages), ("text", text)];
        for (what, column) in named {
            if let Some(column) = column.as_ref().filter(|column| shape.column(what) != Some(column.as_str())) {
                let (file, column) = (table.file.clone(), column.clone());
                return Err(DataError::Unused { file, what, column, shape: shape.told() });
            }
        }
        Ok(shape)
    }

    fn found(table: &Table, columns: &Columns, filter: &Filter) -> Result<Self, DataError> {
        let Columns { prompt, response, system, messages, text, id, category } = columns;
        let has = |name: &str| table.columns.iter().any(|column| column == name);
        // A column that is named for something else is no system message.
        let other = [prompt, response, id, category].into_iter().flatten().chain(filter.iter().map(|(column, _)| column));
        let other = { other }.any(|column| column == "system");
        let system = system.clone().or_else(|| (has("system") && !other).then(|| "system".to_owned()));
        if let Some(messages) = messages {
            return Ok(Self::Turns(messages.clone(), "role", "content", system));
        }
        if let Some(prompt) = prompt {
            return Ok(Self::Pair(prompt.clone(), response.clone(), system));
        }
        if let Some(text) = text {
            return Ok(Self::Text(text.clone()));
        }
        if has("messages") {
            return Ok(Self::Turns("messages".into(), "role", "content", system));
        }
        if has("conversations") {
            return Ok(Self::Turns("conversations".into(), "from", "value", system));
        }
        if has("instruction") && has("output") {
            return Ok(Self::Instruction(system));
        }
        if has("prompt") {
            let usual = ["response", "completion"].into_iter().find(|name| has(name)).map(str::to_owned);
            return Ok(Self::Pair("prompt".into(), response.clone().or(usual), system));
        }
        if has("question") && has("answer") {
            return Ok(Self::Pair("question".into(), response.clone().or_else(|| Some("answer".into())), system));
        }
        if has("text") {
            return Ok(Self::Text("text".into()));
        }
        Err(DataError::Shape { file: table.file.clone(), have: table.columns.clone() })
    }

    /// The column that is read as what a pipeline's `columns` call so.
    fn column(&self, what: &str) -> Option<&str> {
        match (self, what) {
            (Self::Turns(column, ..), "messages") | (Self::Text(column), "text") | (Self::Pair(column, ..), "prompt") => Some(column),
            (Self::Pair(_, column, _), "response") => column.as_deref(),
            (Self::Pair(_, _, column) | Self::Instruction(column) | Self::Turns(.., column), "system") => column.as_deref(),
            (Self::Instruction(_), "response") => Some("output"),
            _ => None,
        }
    }

    /// How the rows are read, for messages.
    fn told(&self) -> String {
        match self {
            Self::Turns(column, ..) => format!("turns from {column:?}"),
            Self::Pair(prompt, Some(response), _) => format!("prompts from {prompt:?} and replies from {response:?}"),
            Self::Pair(prompt, None, _) => format!("prompts from {prompt:?}"),
            Self::Instruction(_) => "prompts from \"instruction\" and replies from \"output\"".into(),
            Self::Text(column) => format!("plain text from {column:?}"),
        }
    }

    pub(super) fn row(&self, table: &Table, columns: &Columns, number: usize, values: &Map<String, Value>) -> Result<Row, DataError> {
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
        // A column that is called so by chance may hold anything; one that a pipeline names holds text.
        let said_first = |system: &String| if columns.system.is_some() { plain(system) } else { Ok(value(system)) };
        let instructed = |system: &Option<String>| -> Result<Vec<Message>, DataError> {
            let system = system.as_ref().map(said_first).transpose()?.filter(|text| !text.is_empty());
            Ok(system.map(|system| message("system", system)).into_iter().collect())
        };
        let messages = match self {
            Self::Turns(column, role, content, system) => {
                let turns = turns(&values[column], role, content).map_err(fail)?;
                let own = turns.first().is_some_and(|turn| turn.role == "system");
                let mut messages = if own { Vec::new() } else { instructed(system)? };
                messages.extend(turns);
                messages
            }
            Self::Pair(prompt, response, system) => {
                let mut messages = instructed(system)?;
                messages.extend(said(prompt, "user")?);
                if let Some(response) = response {
                    messages.extend(said(response, "assistant")?);
                }
                messages
            }
            Self::Text(column) => vec![message(TEXT, plain(column)?)],
            Self::Instruction(system) => {
                let (instruction, input) = (value("instruction"), value("input"));
                let prompt = if input.is_empty() { instruction } else { format!("{instruction}\n\n{input}") };
                let mut messages = instructed(system)?;
                messages.extend([message("user", prompt), message("assistant", value("output"))]);
                messages
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

pub(super) fn require(table: &Table, column: &str) -> Result<(), DataError> {
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
