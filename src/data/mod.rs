//! A file becomes examples: tables, rows of conversations, chat templates, tokens with their supervised spans.

pub mod builtin;
pub mod catalogue;
pub mod choices;
pub mod continuation;
pub mod encoder_text;
pub mod example;
pub mod family;
pub mod fill;
pub mod guess;
pub mod json_rows;
mod lists;
pub mod overlap;
pub mod python_json;
pub mod rows;
mod shape;
pub mod spec;
pub mod subset;
pub mod table;
pub mod template;
pub mod tokenizer;
pub mod turn_end;
pub mod vocabulary;
pub mod windows;
mod world;

use std::path::PathBuf;

use crate::error::Explain;

/// Data that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file's content is not what its format says.
    #[error("{file} is no valid {format} file: {problem}")]
    Format {
        /// The file.
        file: String,
        /// `JSONL`, `CSV`, ….
        format: &'static str,
        /// What is wrong, with the line where one is known.
        problem: String,
    },
    /// A column is not in the table.
    #[error("{file} has no column {column:?}; it has {}", have.join(", "))]
    Column {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// The columns that are there.
        have: Vec<String>,
    },
    /// The columns have no shape that is known, and none is named.
    #[error("the columns of {file} are not recognised: {}", have.join(", "))]
    Shape {
        /// The file.
        file: String,
        /// The columns that are there.
        have: Vec<String>,
    },
    /// A column is named, and the rows are read from others.
    #[error("{file}: columns names {column:?} as {what}, and nothing reads it: the rows are {shape}")]
    Unused {
        /// The file.
        file: String,
        /// `prompt`, `response`, ….
        what: &'static str,
        /// The column.
        column: String,
        /// How the rows are read.
        shape: String,
    },
    /// The columns are those of no known copy of a published suite.
    #[error("{file} has the columns {}; known copies of this suite have {}", have.join(", "), known.join("; or "))]
    Variants {
        /// The file.
        file: String,
        /// The columns that are there.
        have: Vec<String>,
        /// The columns of each known copy.
        known: Vec<String>,
    },
    /// One row cannot be used.
    #[error("{file}, row {row}: {problem}")]
    Row {
        /// The file.
        file: String,
        /// The row's number in the file, with its id where it has one.
        row: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: Option<String>,
    },
    /// Nothing is left.
    #[error("{file} has no rows{}", why.tail())]
    Empty {
        /// The file.
        file: String,
        /// Why.
        why: Emptiness,
    },
    /// No data set of this name is built in.
    #[error("there is no builtin data set {0:?}; there are {names}", names = builtin::names().collect::<Vec<_>>().join(", "))]
    Builtin(String),
    /// The chat template is missing or failed.
    #[error("chat template: {0}")]
    Template(String),
    /// The tokenizer is missing or failed.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
}

/// Why no row is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emptiness {
    /// The file has none.
    NoRows,
    /// None passes filter, split and limit.
    Filtered,
    /// Every one that does has an empty prompt.
    Prompts,
}

impl Emptiness {
    fn tail(self) -> &'static str {
        match self {
            Self::NoRows => "",
            Self::Filtered => " that pass filter, split and limit",
            Self::Prompts => " with a prompt: every prompt is empty",
        }
    }
}

impl Explain for DataError {
    fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "file",
            Self::Format { .. } => "bad-data-file",
            Self::Column { .. } => "unknown-column",
            Self::Shape { .. } | Self::Variants { .. } => "unknown-columns",
            Self::Unused { .. } => "unused-column",
            Self::Row { .. } => "bad-row",
            Self::Empty { .. } => "empty-data",
            Self::Builtin(_) => "unknown-builtin",
            Self::Template(_) => "chat-template",
            Self::Tokenizer(_) => "tokenizer",
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::Column { column, have, .. } => {
                let near = have.iter().max_by(|a, b| strsim::jaro_winkler(a, column).total_cmp(&strsim::jaro_winkler(b, column)))?;
                Some(format!("did you mean {near:?}?"))
            }
            // One column whose name holds another separator.
            Self::Shape { have, .. } if have.len() == 1 && have[0].contains([';', '\t', '|']) => {
                Some("columns must be separated by commas: save the file as CSV with commas, or as JSONL".into())
            }
            Self::Shape { have, .. } => {
                let first = have.first().map_or("question", String::as_str);
                let last = have.last().map_or("answer", String::as_str);
                Some(format!("say which column is what: columns: {{prompt: {first:?}, response: {last:?}}}"))
            }
            Self::Variants { .. } => Some("say which column is what: prompts: {path: FILE, columns: {prompt: COLUMN}}".into()),
            Self::Unused { what, .. } => Some(format!(
                "name columns that are read together, {{prompt: COLUMN, response: COLUMN, system: COLUMN}}, {{messages: COLUMN, system: COLUMN}} or {{text: COLUMN}}; or leave {what} out"
            )),
            Self::Row { remedy, .. } => remedy.clone(),
            Self::Io { .. } => Some("check the name and who may read it; in a pipeline, paths are relative to its file".into()),
            Self::Format { format, .. } => Some(format!("mend the file, or say what it is: format: jsonl (it was read as {format})")),
            Self::Empty { why: Emptiness::NoRows, .. } => Some("give a file with at least one row".into()),
            Self::Empty { why: Emptiness::Filtered, .. } => Some("loosen filter, split or limit".into()),
            Self::Empty { why: Emptiness::Prompts, .. } => Some("name the column with the prompt: columns: {prompt: question}".into()),
            Self::Tokenizer(_) => Some("give a model folder with the tokenizer.json that it was trained with".into()),
            Self::Template(_) => Some(
                "give one: in the pipeline `model: {chat_template: FILE.jinja}`, with --set model.chat_template=FILE.jinja, \
                 or in a chat with --chat-template FILE.jinja"
                    .into(),
            ),
            Self::Builtin(name) => {
                let near = builtin::names().max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)))?;
                Some(format!("did you mean builtin:{near}?"))
            }
        }
    }
}
