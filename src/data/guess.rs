//! What a file of rows looks like: which column is what, how long replies are, how answers are told.

use super::DataError;
use super::rows::{Row, load};
use super::spec::{Columns, DataFormat, DataSpec};
use super::table::{Table, read};

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Guess {
    /// Rows with a prompt.
    pub rows: usize,
    /// Prompt and response, where the file's shape does not tell them by itself.
    pub columns: Option<(String, String)>,
    /// The longest row, in characters.
    pub longest: usize,
    /// How the answer is taken from a reply, as a pipeline's `extract` names it; none where replies are free text.
    pub extract: Option<&'static str>,
}

/// Names that columns with prompts and with replies often have.
const PROMPTS: [&str; 9] = ["prompt", "question", "instruction", "query", "input", "user", "request", "source", "message"];
const RESPONSES: [&str; 9] = ["response", "answer", "output", "completion", "reply", "target", "assistant", "solution", "result"];

/// Replies of at most this many characters are answers, not texts.
const SHORT: usize = 24;

/// Looks at a file of rows; `columns` are prompt and reply, where the user says so.
///
/// # Errors
/// When it cannot be read, or no two columns look like prompts and replies.
pub fn guess(file: &str, columns: Option<(String, String)>) -> Result<Guess, DataError> {
    let table = read(file, DataFormat::Auto)?;
    let mut spec = DataSpec::new(file);
    let columns = columns.or_else(|| pair(&table));
    if let Some((prompt, response)) = &columns {
        spec.columns = Columns { prompt: Some(prompt.clone()), response: Some(response.clone()), ..Columns::default() };
    }
    let loaded = load(&spec)?;
    loaded.replies()?;
    let length = |row: &Row| row.messages.iter().map(|message| message.content.chars().count()).sum::<usize>();
    let replies: Vec<&str> =
        loaded.rows.iter().filter_map(|row| Some(row.messages.iter().rfind(|m| m.role == "assistant")?.content.trim())).collect();
    let extract = if replies.is_empty() {
        None
    } else if replies.iter().all(|reply| reply.contains("####")) {
        Some("gsm8k")
    } else if replies.iter().all(|reply| !reply.is_empty() && reply.chars().count() <= SHORT) {
        Some("text")
    } else {
        None
    };
    Ok(Guess { rows: loaded.rows.len(), columns, longest: loaded.rows.iter().map(length).max().unwrap_or(0), extract })
}

/// The columns that look like prompt and reply; none where there is none, or the file has turns.
fn pair(table: &Table) -> Option<(String, String)> {
    let named = |wanted: &[&str]| {
        wanted
            .iter()
            .find_map(|name| table.columns.iter().find(|column| column.to_lowercase() == *name))
            .or_else(|| wanted.iter().find_map(|name| table.columns.iter().find(|column| column.to_lowercase().contains(name))))
    };
    if table.columns.iter().any(|column| column == "messages" || column == "conversations") {
        return None;
    }
    let (prompt, response) = (named(&PROMPTS)?, named(&RESPONSES)?);
    // Alpaca's shape has an input beside its instruction.
    let alpaca = table.columns.iter().any(|column| column == "instruction") && table.columns.iter().any(|column| column == "input");
    (prompt != response && !alpaca).then(|| (prompt.clone(), response.clone()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(name: &str, content: &str) -> Result<Guess, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        guess(&file.to_string_lossy(), None)
    }

    #[test]
    fn columns_are_recognised_by_their_names() {
        let found = of("a.csv", "id,User question,Best answer\n1,What is it?,A bird\n2,And that?,A tree\n").unwrap();
        assert_eq!(found.columns, Some(("User question".into(), "Best answer".into())));
        assert_eq!((found.rows, found.longest, found.extract), (2, 17, Some("text")));
        let found = of("a.jsonl", "{\"question\": \"1 + 1\", \"answer\": \"It is two. #### 2\"}\n").unwrap();
        assert_eq!(found.extract, Some("gsm8k"));
        let found = of("a.jsonl", "{\"instruction\": \"Add\", \"input\": \"1, 2\", \"output\": \"A long and winding text about sums.\"}\n")
            .unwrap();
        assert_eq!((found.columns, found.extract), (None, None));
        assert!(of("a.csv", "x,y\n1,2\n").is_err());
    }
}
