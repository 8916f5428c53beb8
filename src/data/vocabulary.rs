//! A tokenizer of one's own: byte-level BPE, learnt from texts.

use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, PreTokenizerWrapper, TokenizerBuilder};

use super::DataError;

/// The token that ends a text and a turn.
pub const END: &str = "<|end|>";

/// The chat template that goes with [`train`]: every turn begins with its role's token and ends with [`END`].
pub const TEMPLATE: &str = "{% for message in messages %}{{ '<|' + message.role + '|>' + message.content + '<|end|>' }}{% endfor %}\
                            {% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

const SPECIAL: [&str; 4] = [END, "<|user|>", "<|assistant|>", "<|system|>"];

/// Learns a tokenizer of at most `vocab_size` tokens, special ones, bytes and digits among them, and returns its
/// `tokenizer.json`. Every text has tokens, since every byte has one. Digits stand alone.
///
/// # Errors
/// When the texts give no tokenizer.
pub fn train<'a>(texts: impl Iterator<Item = &'a str> + Send, vocab_size: usize) -> Result<String, DataError> {
    let failed = |error: tokenizers::Error| DataError::Tokenizer(format!("cannot be learnt: {error}"));
    let special: Vec<AddedToken> = SPECIAL.iter().map(|&token| AddedToken::from(token, true)).collect();
    let mut trainer = BpeTrainer::builder()
        .vocab_size(vocab_size)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(special)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let byte_level = ByteLevel::new(false, true, true);
    let split = Sequence::new(vec![PreTokenizerWrapper::Digits(Digits::new(true)), PreTokenizerWrapper::ByteLevel(byte_level)]);
    let mut tokenizer = TokenizerBuilder::default()
        .with_model(BPE::default())
        .with_normalizer(None::<tokenizers::NormalizerWrapper>)
        .with_pre_tokenizer(Some(split))
        .with_post_processor(None::<tokenizers::PostProcessorWrapper>)
        .with_decoder(Some(byte_level))
        .build()
        .map_err(failed)?;
    tokenizer.train(&mut trainer, texts).map_err(failed)?;
    tokenizer.to_string(false).map_err(failed)
}
