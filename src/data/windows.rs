//! A text in windows, every token of it predicted once: what a perplexity is made from.

use super::DataError;
use super::choices::is_space;
use super::tokenizer::TextModel;
use crate::model::batch::Example;

/// The windows of a text, in order. The first reads the begin (else the end) token and then the text, and predicts at most
/// `max_length` tokens of it; each later one reads `max_length` tokens and predicts the `stride` tokens behind those that were predicted
/// before it. With a stride of `max_length` windows do not overlap, but for the last: it reaches back as far as it may. A window's last
/// token is predicted and never read, so a row has at most `max_length` + 1 tokens; those that it predicts are supervised.
///
/// Source: lm-evaluation-harness 0.4.13, `get_rolling_token_windows` with `context_len` = `max_length` − `stride` + 1; it scores
/// `wikitext` with a stride of `max_length`. There a tokenizer that adds a begin token by itself adds it once more, and it is predicted;
/// here no token is predicted but the text's own.
///
/// # Errors
/// When the tokenizer fails, has neither a begin nor an end token, or makes no token of the text.
pub fn windows(text: &TextModel, content: &str, max_length: usize, stride: usize) -> Result<Vec<Example>, DataError> {
    let first = text.prefix_token().ok_or_else(|| DataError::Tokenizer("it has neither a begin nor an end token".into()))?;
    let mut tokens: Vec<u32> = text.encode(content)?.into_iter().map(|(id, _)| id).collect();
    // A text that begins with that token has it once.
    if tokens.first() != Some(&first) {
        tokens.insert(0, first);
    }
    if tokens.len() < 2 {
        return Err(DataError::Tokenizer("it makes no token of the text".into()));
    }
    let (max_length, stride) = (max_length.max(1), stride.clamp(1, max_length.max(1)));
    let (mut windows, mut predicted) = (Vec::new(), 1);
    while predicted < tokens.len() {
        let most = if predicted == 1 { max_length } else { stride };
        let end = (predicted + most).min(tokens.len());
        let start = end.saturating_sub(max_length + 1);
        let supervised = (start..end).map(|place| place >= predicted).collect();
        windows.push(Example { tokens: tokens[start..end].to_vec(), supervised });
        predicted = end;
    }
    Ok(windows)
}

/// The words of a text: the pieces that white space splits it into, an empty one at an end that is white space.
///
/// Source: lm-evaluation-harness 0.4.13, `PerplexityTask.count_words`: `len(re.split(r"\s+", text))`.
pub fn words(text: &str) -> u64 {
    let mut words = 1;
    let mut inside = false;
    for character in text.chars() {
        let space = is_space(character);
        words += u64::from(space && !inside);
        inside = space;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_are_pythons() {
        // len(re.split(r"\s+", text)) of CPython 3.11.
        for (text, expected) in
            [("", 1), ("a", 1), ("a b", 2), (" a  b\n", 4), ("\n\t ", 2), ("a\u{a0}b\u{2003}c\u{1f}d", 4), ("a\u{200b}b", 1)]
        {
            assert_eq!(words(text), expected, "{text:?}");
        }
    }
}
