//! A text and how it goes on, as tokens of which only the continuation is looked at.

use super::DataError;
use super::choices::is_space;
use super::tokenizer::TextModel;
use crate::model::batch::Example;

/// Tokens of `context` followed by `continuation`, without a chat template; at most `room` tokens, cut on the left. The continuation's
/// tokens are supervised, at least one of them.
///
/// White space at the end of the context belongs to the continuation. Both are tokenised together, and the continuation's tokens are
/// those behind as many as the context has alone. The tokenizer's begin token stands first where it adds one by itself; with nothing
/// as context, the begin (else the end) token is the context.
///
/// Source: lm-evaluation-harness 0.4.13, `TemplateLM._encode_pair`, `loglikelihood`, `HFLM._loglikelihood_tokens`. There a continuation
/// that is cut itself is scored without its first tokens too.
///
/// # Errors
/// When the tokenizer fails, the continuation has no token of its own, or there is neither context nor a begin or end token.
pub fn continued(text: &TextModel, context: &str, continuation: &str, room: usize) -> Result<Example, DataError> {
    let plain = |text_: &str| -> Result<Vec<u32>, DataError> { Ok(text.encode(text_)?.into_iter().map(|(id, _)| id).collect()) };
    let head = context.trim_end_matches(is_space);
    let (mut tokens, from) = if head.is_empty() {
        let whole = plain(&format!("{context}{continuation}"))?;
        let first = text.prefix_token().ok_or_else(|| DataError::Tokenizer("it has neither a begin nor an end token".into()))?;
        // A continuation that begins with that token has it once.
        let skipped = usize::from(whole.first() == Some(&first));
        (std::iter::once(first).chain(whole.into_iter().skip(skipped)).collect::<Vec<_>>(), 1)
    } else {
        let begin = text.begin_before(head);
        let from = begin.len() + plain(head)?.len();
        let whole = plain(&format!("{context}{continuation}"))?;
        (begin.iter().copied().chain(whole).collect(), from)
    };
    if tokens.len() <= from {
        return Err(DataError::Tokenizer(format!("{continuation:?} adds no token to the text before it")));
    }
    let cut = tokens.len().saturating_sub(room);
    tokens.drain(..cut);
    let from = from.saturating_sub(cut);
    let supervised = (0..tokens.len()).map(|i| i >= from).collect();
    Ok(Example { tokens, supervised })
}
