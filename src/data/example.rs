//! Training examples: tokens of a whole conversation, with the assistant's turns to be learnt.

use super::DataError;
use super::rows::{Message, Row};
use super::tokenizer::TextModel;
use crate::model::batch::Example;

/// Encoded rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Encoded {
    /// One example a row, in order.
    pub examples: Vec<Example>,
    /// Rows that were cut to the longest length allowed.
    pub truncated: usize,
}

/// Encodes rows. A row that is longer than `max_length` tokens is cut on the right.
///
/// # Errors
/// When a row has nothing to learn, or the template rewrites what came before.
pub fn encode(text: &TextModel, rows: &[Row], max_length: usize) -> Result<Encoded, DataError> {
    let mut encoded = Encoded::default();
    for row in rows {
        let mut example = example(text, row).map_err(|error| of_row(text, row, error))?;
        if example.tokens.len() > max_length {
            example.tokens.truncate(max_length);
            example.supervised.truncate(max_length);
            encoded.truncated += 1;
        }
        if example.supervised_tokens() == 0 {
            let (problem, remedy) = if row.messages.iter().any(|message| message.role == "assistant" && !message.content.is_empty()) {
                (
                    format!("no token of the reply is within max_length {max_length}"),
                    format!("raise max_length above {max_length}, or shorten the prompt"),
                )
            } else {
                ("it has no reply to learn from".to_owned(), "name the column with the reply: columns: {response: …}".to_owned())
            };
            return Err(DataError::Row { file: "training data".into(), row: row.place(), problem, remedy: Some(remedy) });
        }
        encoded.examples.push(example);
    }
    Ok(encoded)
}

/// What a template says of one conversation is about that row; that there is no template is not.
fn of_row(text: &TextModel, row: &Row, error: DataError) -> DataError {
    match error {
        DataError::Template(_) if text.has_template() => DataError::Row {
            file: "training data".into(),
            row: row.place(),
            problem: error.to_string(),
            remedy: Some("mend the row, leave it out, or give another template: model.chat_template: my_template.jinja".into()),
        },
        other => other,
    }
}

/// Renders the conversation once, tokenises it once, and marks the tokens of every assistant turn: its text and the
/// token that ends the turn, found by their place in the text. That token may reach into white space behind it.
fn example(text: &TextModel, row: &Row) -> Result<Example, DataError> {
    if let Some(plain) = row.plain_text() {
        let (begin, tokens) = (text.begin_before(plain).len(), text.encode_text(plain)?);
        // Without a begin token the first token is predicted by nothing.
        return Ok(Example { supervised: (0..tokens.len()).map(|place| place >= begin).collect(), tokens });
    }
    let whole = text.render(&row.messages, false)?;
    let mut spans = Vec::new();
    for (i, message) in row.messages.iter().enumerate() {
        if message.role == "assistant" {
            spans.push(span(text, row, &whole, i)?);
        }
    }
    let tokens = text.encode(&whole)?;
    let supervised =
        tokens.iter().map(|(_, (start, end))| end > start && spans.iter().any(|(from, to)| start >= from && start < to)).collect();
    Ok(Example { tokens: tokens.into_iter().map(|(id, _)| id).collect(), supervised })
}

/// Bytes of an assistant turn in the whole render: from the end of its prompt to the end of its end-of-turn token.
fn span(text: &TextModel, row: &Row, whole: &str, turn: usize) -> Result<(usize, usize), DataError> {
    let before = text.render(&row.messages[..turn], true)?;
    let through = text.render(&row.messages[..=turn], false)?;
    let rewritten = |what: &str| DataError::Row {
        file: "training data".into(),
        row: row.place(),
        problem: format!("the chat template rewrites the conversation: {what} is no beginning of the whole text"),
        remedy: Some("train on single turns, or give a template that only appends: model.chat_template: my_template.jinja".into()),
    };
    if !through.starts_with(&before) && !starts_without_prompt(text, &row.messages[..turn], &through)? {
        return Err(rewritten(&format!("the prompt of turn {}", turn + 1)));
    }
    if !whole.starts_with(&through) {
        return Err(rewritten(&format!("turn {}", turn + 1)));
    }
    let start = if through.starts_with(&before) { before.len() } else { text.render(&row.messages[..turn], false)?.len() };
    // White space after the end-of-turn token belongs to the template, not to the reply.
    let end = through.trim_end().len().max(start);
    Ok((start, end))
}

/// Templates without a generation prompt render the same prefix with and without it.
fn starts_without_prompt(text: &TextModel, before: &[Message], through: &str) -> Result<bool, DataError> {
    let plain = text.render(before, false)?;
    let prompted = text.render(before, true)?;
    Ok(plain == prompted && through.starts_with(&plain))
}
