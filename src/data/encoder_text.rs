//! Text for an encoder: one text or a pair, with the special tokens of its tokenizer, cut on the right.

use std::path::Path;

use tokenizers::{Encoding, PostProcessor, Tokenizer, TruncationDirection};

use super::DataError;
use super::tokenizer::open;
use crate::artifact::digest::sha256;
use crate::model::encoder::Row;

/// A text as an encoder reads it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EncoderRow {
    /// Token ids, special tokens included.
    pub tokens: Vec<u32>,
    /// The token type of each: 0, or 1 for the second text of a pair.
    pub types: Vec<u32>,
    /// Whether something was cut.
    pub cut: bool,
}

impl EncoderRow {
    /// As the encoder takes it.
    pub fn row(&self) -> Row<'_> {
        Row { tokens: &self.tokens, types: &self.types }
    }
}

/// The tokenizer of an encoder.
pub struct EncoderText {
    tokenizer: Tokenizer,
    digest: String,
}

impl EncoderText {
    /// Reads `tokenizer.json` of a Hugging Face folder. Truncation and padding that the file may ask for are switched off.
    ///
    /// # Errors
    /// When it is missing or invalid.
    pub fn from_folder(folder: &Path) -> Result<Self, DataError> {
        let (mut tokenizer, text) = open(folder)?;
        tokenizer.with_truncation(None).map_err(failed)?;
        Ok(Self { tokenizer, digest: sha256(text.as_bytes()) })
    }

    /// sha256 of `tokenizer.json`.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Tokens of special meaning that are put around one text, or around a pair.
    pub fn added(&self, pair: bool) -> usize {
        self.tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(pair))
    }

    /// The tokens of a text, or of a pair, at most `max_length` of them: what is longer is cut on the right, of a pair the longer text
    /// first (transformers' `longest_first`). A special token that is written out in a text counts as one, as in transformers.
    ///
    /// # Errors
    /// When `max_length` leaves no place for text, or the tokenizer fails.
    pub fn encode(&self, text: &str, second: Option<&str>, max_length: usize) -> Result<EncoderRow, DataError> {
        let added = self.added(second.is_some());
        let room = max_length.saturating_sub(added);
        if room == 0 {
            return Err(DataError::Tokenizer(format!("{added} special tokens leave no place for text in {max_length} tokens")));
        }
        let plain = |text: &str| self.tokenizer.encode(text, false).map_err(failed);
        let (mut first, mut second) = (plain(text)?, second.map(plain).transpose()?);
        let (a, b) = (first.len(), second.as_ref().map_or(0, Encoding::len));
        let cut = a + b > room;
        if cut {
            let (a, b) = match &second {
                None => (room, 0),
                Some(_) => shares(a, b, room),
            };
            shorten(&mut first, a);
            if let Some(second) = &mut second {
                shorten(second, b);
            }
        }
        let encoding = self.tokenizer.post_process(first, second, true).map_err(failed)?;
        Ok(EncoderRow { tokens: encoding.get_ids().to_vec(), types: encoding.get_type_ids().to_vec(), cut })
    }
}

/// How many tokens of two texts are kept, where together they have more than `room`: the shorter one whole where it fits into half.
fn shares(a: usize, b: usize, room: usize) -> (usize, usize) {
    let half = room / 2;
    if a.min(b) <= half {
        if a <= b { (a, room - a) } else { (room - b, b) }
    } else if a <= b {
        (half, room - half)
    } else {
        (room - half, half)
    }
}

fn shorten(encoding: &mut Encoding, most: usize) {
    if encoding.len() > most {
        encoding.truncate(most, 0, TruncationDirection::Right);
        // What was cut off is kept there.
        drop(encoding.take_overflowing());
    }
}

fn failed(error: impl ToString) -> DataError {
    DataError::Tokenizer(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::shares;

    #[test]
    fn the_longer_text_is_cut_first() {
        for (a, b, room, kept) in [
            (3, 9, 10, (3, 7)),
            (9, 3, 10, (7, 3)),
            (9, 9, 10, (5, 5)),
            (9, 9, 5, (2, 3)),
            (8, 9, 5, (2, 3)),
            (9, 8, 5, (3, 2)),
            (0, 9, 5, (0, 5)),
        ] {
            assert_eq!(shares(a, b, room), kept, "{a} and {b} in {room}");
        }
    }
}
