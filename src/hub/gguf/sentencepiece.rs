//! SentencePiece BPE (`tokenizer.ggml.model = "llama"`), as the files of Llama 2 and Mistral have it.
//!
//! Sources: `SentencePieceExtractor` and `LlamaConverter` in transformers (the order of the merges, the normaliser and the
//! decoder, which are those of Llama 2's `tokenizer.json`); `tests/reference/sentencepiece_bpe.py` for ids.
//!
//! Text after an added token begins with ▁ again, as with Llama 2's `tokenizer.json` and in llama.cpp: `<s>Hi` is `<s>`, `▁Hi`.
//! Where one token can be made of two overlapping pairs (`ab·aba` and `aba·ba` in `abababa`), sentencepiece takes the leftmost
//! and this one the pair with the longer left part, as transformers does.

use std::cmp::Reverse;
use std::collections::HashSet;

use serde_json::{Value as Json, json};

use super::GgufError;
use super::container::Gguf;
use super::tokenizer::{Kind, Parts, Vocabulary};

/// What stands for a space.
const SPACE: &str = "\u{2581}";

/// The parts of `tokenizer.json`.
///
/// # Errors
/// When the scores or types are missing or do not go with the tokens, or a byte token is none.
pub(super) fn parts(gguf: &Gguf, vocabulary: &Vocabulary<'_>) -> Result<Parts, GgufError> {
    let scores = gguf.numbers("tokenizer.ggml.scores")?;
    gguf.as_long_as_tokens("tokenizer.ggml.scores", scores.len(), vocabulary.tokens.len())?;
    if gguf.get("tokenizer.ggml.token_type").is_none() {
        return Err(gguf.missing("tokenizer.ggml.token_type"));
    }
    let bytes: Vec<&str> = vocabulary.of(Kind::Byte).map(|(_, token)| token).collect();
    if let Some(other) = bytes.iter().find(|token| !(0..=255u8).any(|byte| format!("<0x{byte:02X}>") == **token)) {
        return Err(gguf.damaged(format!("the byte token {other:?} is not of the form <0x0A>")));
    }
    let unknown = vocabulary.of(Kind::Unknown).map(|(_, token)| token).next();
    if unknown.is_none() && bytes.len() < 256 {
        let problem = format!("it has {} of 256 byte tokens and no unknown token: some texts would have no tokens", bytes.len());
        return Err(gguf.damaged(problem));
    }
    let spaces = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
    let prefixed = gguf.whole("tokenizer.ggml.add_space_prefix")? != Some(0);
    let (normalizer, strip) = if prefixed {
        let prefix = json!({"type": "Prepend", "prepend": SPACE});
        (
            json!({"type": "Sequence", "normalizers": [prefix, spaces]}),
            Some(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0})),
        )
    } else {
        (spaces, None)
    };
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    decoders.extend(strip);
    Ok(Parts {
        normalizer,
        pre_tokenizer: Json::Null,
        decoder: json!({"type": "Sequence", "decoders": decoders}),
        options: vec![("unk_token", json!(unknown)), ("fuse_unk", json!(true)), ("byte_fallback", json!(!bytes.is_empty()))],
        merges: merges(vocabulary, &scores),
        begins: true,
    })
}

/// Every way to make a token of two others, the best score first; then the longer left part, then the longer right part,
/// then the lower id.
fn merges(vocabulary: &Vocabulary<'_>, scores: &[f64]) -> Vec<(String, String)> {
    // Special tokens, bytes and fillers are neither merged nor made by merging.
    let mergeable = |kind: Kind| matches!(kind, Kind::Normal | Kind::UserDefined);
    let all = || vocabulary.tokens.iter().zip(&vocabulary.kinds).enumerate().filter(|(_, (_, kind))| mergeable(**kind));
    let known: HashSet<&str> = all().map(|(_, (token, _))| *token).collect();
    let mut found = Vec::new();
    for (id, (token, _)) in all() {
        let splits = token.char_indices().enumerate().skip(1).map(|(characters, (at, _))| (characters, token.split_at(at)));
        for (length, pair) in splits.filter(|(_, (left, right))| known.contains(left) && known.contains(right)) {
            found.push((scores[id], length, pair.1.chars().count(), pair));
        }
    }
    // A stable sort: equals stay in the order of their ids. Scores are finite; adding 0 makes −0 the 0 that it equals.
    found.sort_by(|a, b| (b.0 + 0.0).total_cmp(&(a.0 + 0.0)).then(Reverse((a.1, a.2)).cmp(&Reverse((b.1, b.2)))));
    found.into_iter().map(|(_, _, _, (left, right))| (left.to_owned(), right.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_are_ordered_by_score_then_by_the_length_of_the_left_part() {
        let tokens = vec!["<unk>", "a", "b", "aa", "ab", "aab", "<0x61>", "aaa"];
        let mut kinds = vec![Kind::Normal; tokens.len()];
        kinds[0] = Kind::Unknown;
        kinds[6] = Kind::Byte;
        let scores = [0.0, -9.0, -9.0, -0.0, 0.0, -1.0, 0.0, -1.0];
        let found = merges(&Vocabulary { tokens, kinds }, &scores);
        let found: Vec<String> = found.into_iter().map(|(left, right)| format!("{left} {right}")).collect();
        assert_eq!(found, ["a a", "a b", "aa b", "aa a", "a ab", "a aa"]);
    }
}
