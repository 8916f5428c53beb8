//! The tokenizer of a GGUF file as `tokenizer.json`: byte-level BPE with the pre-tokenizer that its `pre` key names.
//!
//! Sources: llama.cpp's table of `tokenizer.ggml.pre` values, and the `tokenizer.json` files of the models behind them.

use serde_json::{Value as Json, json};

use super::gguf::{Gguf, GgufError, Value};

const SUPPORTED_PRE: &str = "smollm, gpt-2, default, llama-bpe (Llama 3), qwen2";

/// Token kinds in `tokenizer.ggml.token_type`: control and user-defined tokens are never split.
const ADDED: [i128; 2] = [3, 4];

/// (`tokenizer.json`, `tokenizer_config.json`) from the metadata.
///
/// # Errors
/// When the tokenizer is of another kind, or a list is missing.
pub fn rebuild(gguf: &Gguf) -> Result<(Json, Json), GgufError> {
    let model = gguf.text("tokenizer.ggml.model").ok_or_else(|| gguf.missing("tokenizer.ggml.model"))?;
    if model != "gpt2" {
        return Err(gguf.unsupported("tokenizer", model, "gpt2 (byte-level BPE)"));
    }
    let texts = |key: &str| -> Result<Vec<&str>, GgufError> {
        let Some(Value::List(list)) = gguf.get(key) else { return Err(gguf.missing(key)) };
        list.iter().map(|item| if let Value::Text(text) = item { Ok(text.as_str()) } else { Err(gguf.missing(key)) }).collect()
    };
    let tokens = texts("tokenizer.ggml.tokens")?;
    let merges = texts("tokenizer.ggml.merges")?;
    let kinds: Vec<i128> = match gguf.get("tokenizer.ggml.token_type") {
        Some(Value::List(list)) => list.iter().map(|item| if let Value::Whole(kind) = item { *kind } else { 1 }).collect(),
        _ => vec![1; tokens.len()],
    };
    let added: Vec<Json> = tokens
        .iter()
        .zip(&kinds)
        .enumerate()
        .filter(|(_, (_, kind))| ADDED.contains(kind))
        .map(|(id, (content, kind))| {
            json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": *kind == 3})
        })
        .collect();
    let (pre_tokenizer, ignore_merges) = pre_tokenizer(gguf)?;
    let vocabulary: serde_json::Map<String, Json> = tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), id.into())).collect();
    let merges: Vec<Json> = merges
        .iter()
        .map(|merge| match merge.split_once(' ') {
            Some((left, right)) => Ok(json!([left, right])),
            None => Err(gguf.unsupported("merge", *merge, "two pieces with a space between")),
        })
        .collect::<Result<_, _>>()?;
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": pre_tokenizer, "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
                  "fuse_unk": false, "byte_fallback": false, "ignore_merges": ignore_merges, "vocab": vocabulary, "merges": merges},
    });
    let token = |key: &str| gguf.whole(&format!("tokenizer.ggml.{key}_token_id")).and_then(|id| tokens.get(usize::try_from(id).ok()?));
    let template = gguf.text("tokenizer.chat_template").ok_or_else(|| gguf.missing("tokenizer.chat_template"))?;
    let config = json!({"bos_token": token("bos"), "eos_token": token("eos"), "chat_template": template, "add_prefix_space": false});
    Ok((tokenizer, config))
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
    Ok(match gguf.text("tokenizer.ggml.pre").unwrap_or("default") {
        "smollm" => {
            (json!({"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true}, byte_level(true)]}), false)
        }
        "default" | "gpt-2" => (byte_level(true), false),
        "llama-bpe" | "llama3" => (split("{1,3}"), true),
        "qwen2" => (split(""), false),
        other => return Err(gguf.unsupported("pre-tokenizer", other, SUPPORTED_PRE)),
    })
}
