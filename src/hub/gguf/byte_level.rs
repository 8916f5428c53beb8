//! Byte-level BPE (`tokenizer.ggml.model = "gpt2"`) with the pre-tokenizer that the `pre` key names.
//!
//! Sources: llama.cpp's table of `tokenizer.ggml.pre` values, and the `tokenizer.json` files of the models behind them.

use serde_json::{Value as Json, json};

use super::GgufError;
use super::container::Gguf;
use super::tokenizer::Parts;

const SUPPORTED_PRE: &str = "smollm, gpt-2, llama-bpe (Llama 3), qwen2";

/// The parts of `tokenizer.json`.
///
/// # Errors
/// When the merges are missing or are none, or the pre-tokenizer is another or not named.
pub(super) fn parts(gguf: &Gguf) -> Result<Parts, GgufError> {
    let (pre_tokenizer, ignore_merges, begins) = pre_tokenizer(gguf)?;
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
        begins,
    })
}

/// The pre-tokenizer, whether whole words in the vocabulary skip the merges, and whether a text begins with the begin token where
/// the file does not say.
fn pre_tokenizer(gguf: &Gguf) -> Result<(Json, bool, bool), GgufError> {
    let byte_level =
        |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
    let split = |digits: &str| {
        let pattern = format!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        );
        json!({"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false}, byte_level(false)]})
    };
    // What llama.cpp calls `default`, and takes where none is named, splits as none of these models does.
    Ok(match gguf.text("tokenizer.ggml.pre")?.ok_or_else(|| gguf.missing("tokenizer.ggml.pre"))? {
        "smollm" => {
            let digits = json!({"type": "Digits", "individual_digits": true});
            (json!({"type": "Sequence", "pretokenizers": [digits, byte_level(true)]}), false, false)
        }
        "gpt-2" => (byte_level(true), false, false),
        "llama-bpe" | "llama-v3" | "llama3" => (split("{1,3}"), true, true),
        "qwen2" => (split(""), false, false),
        other => return Err(gguf.unsupported("pre-tokenizer", other, SUPPORTED_PRE)),
    })
}
