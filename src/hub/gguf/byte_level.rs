//! Byte-level BPE (`tokenizer.ggml.model = "gpt2"`) with the pre-tokenizer that the `pre` key names.
//!
//! Sources: llama.cpp's table of `tokenizer.ggml.pre` values, and the `tokenizer.json` files of the models behind them.

use serde_json::{Value as Json, json};

use super::GgufError;
use super::container::Gguf;
use super::tokenizer::Parts;

const SUPPORTED_PRE: &str = "smollm, gpt-2, default, llama-bpe (Llama 3), qwen2";

/// The parts of `tokenizer.json`.
///
/// # Errors
/// When the merges are missing or are none, or the pre-tokenizer is another.
pub(super) fn parts(gguf: &Gguf) -> Result<Parts, GgufError> {
    let (pre_tokenizer, ignore_merges) = pre_tokenizer(gguf)?;
    let merges = gguf
        .texts("tokenizer.ggml.merges")?
        .into_iter()
        .map(|merge| match merge.split_once(' ') {
            Some((left, right)) => Ok((left.to_owned(), right.to_owned())),
            None => Err(gguf.unsupported("merge", merge, "two pieces with a space between")),
        })
        .collect::<Result<_, _>>()?;
    Ok(Parts {
        normalizer: Json::Null,
        pre_tokenizer,
        decoder: json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
        options: vec![("ignore_merges", json!(ignore_merges))],
        merges,
        begins: false,
    })
}

/// The pre-tokenizer, and whether whole words in the vocabulary skip the merges.
fn pre_tokenizer(gguf: &Gguf) -> Result<(Json, bool), GgufError> {
    let byte_level =
        |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
    let split = |digits: &str| {
        let pattern = format!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        );
        json!({"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false}, byte_level(false)]})
    };
    Ok(match gguf.text("tokenizer.ggml.pre")?.unwrap_or("default") {
        "smollm" => {
            (json!({"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true}, byte_level(true)]}), false)
        }
        "default" | "gpt-2" => (byte_level(true), false),
        "llama-bpe" | "llama3" => (split("{1,3}"), true),
        "qwen2" => (split(""), false),
        other => return Err(gguf.unsupported("pre-tokenizer", other, SUPPORTED_PRE)),
    })
}
