//! The tokenizer of a GGUF file as `tokenizer.json` and `tokenizer_config.json`: what both kinds of tokenizer share.

use std::collections::HashMap;

use serde_json::{Map, Value as Json, json};

use super::container::Gguf;
use super::{GgufError, byte_level, sentencepiece};

/// A token's kind in `tokenizer.ggml.token_type`. Source: `llama_token_type` in llama.cpp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Made by merging.
    Normal,
    /// Stands for what has no token.
    Unknown,
    /// Special: matched as a whole, left out when ids become text.
    Control,
    /// Matched as a whole, and shown.
    UserDefined,
    /// Fills a number.
    Unused,
    /// One byte, `<0x0A>`.
    Byte,
}

/// The tokens by their ids.
pub(super) struct Vocabulary<'a> {
    /// Their texts, each once.
    pub(super) tokens: Vec<&'a str>,
    /// Their kinds; the same length.
    pub(super) kinds: Vec<Kind>,
}

impl<'a> Vocabulary<'a> {
    fn read(gguf: &'a Gguf) -> Result<Self, GgufError> {
        let tokens = gguf.texts("tokenizer.ggml.tokens")?;
        let mut first = HashMap::new();
        for (id, token) in tokens.iter().enumerate() {
            if let Some(before) = first.insert(*token, id) {
                return Err(gguf.damaged(format!("token {token:?} is there twice: {before} and {id}")));
            }
        }
        let kinds = match gguf.get("tokenizer.ggml.token_type") {
            None => vec![Kind::Normal; tokens.len()],
            Some(_) => gguf.wholes("tokenizer.ggml.token_type")?.into_iter().map(|number| kind(gguf, number)).collect::<Result<_, _>>()?,
        };
        gguf.as_long_as_tokens("tokenizer.ggml.token_type", kinds.len(), tokens.len())?;
        Ok(Self { tokens, kinds })
    }

    /// Ids and texts of one kind.
    pub(super) fn of(&self, kind: Kind) -> impl Iterator<Item = (usize, &'a str)> {
        self.tokens.iter().zip(&self.kinds).enumerate().filter(move |(_, (_, found))| **found == kind).map(|(id, (token, _))| (id, *token))
    }

    /// The token that a key names by its id.
    fn special(&self, gguf: &Gguf, name: &str) -> Result<Option<&'a str>, GgufError> {
        let key = format!("tokenizer.ggml.{name}_token_id");
        let Some(id) = gguf.whole(&key)? else { return Ok(None) };
        let token = usize::try_from(id).ok().and_then(|id| self.tokens.get(id));
        token.copied().map(Some).ok_or_else(|| gguf.damaged(format!("{key} is {id}, and there are {} tokens", self.tokens.len())))
    }

    /// Tokens that are matched before everything else.
    fn added(&self) -> Vec<Json> {
        let special = |kind| matches!(kind, Kind::Unknown | Kind::Control);
        let all = self.tokens.iter().zip(&self.kinds).enumerate();
        all.filter(|(_, (_, kind))| special(**kind) || **kind == Kind::UserDefined)
            .map(|(id, (content, kind))| {
                json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                       "normalized": false, "special": special(*kind)})
            })
            .collect()
    }
}

fn kind(gguf: &Gguf, number: i128) -> Result<Kind, GgufError> {
    Ok(match number {
        1 => Kind::Normal,
        2 => Kind::Unknown,
        3 => Kind::Control,
        4 => Kind::UserDefined,
        5 => Kind::Unused,
        6 => Kind::Byte,
        other => return Err(gguf.unsupported("token type", other.to_string(), "1 to 6")),
    })
}

/// What differs between the kinds of tokenizer.
pub(super) struct Parts {
    pub(super) normalizer: Json,
    pub(super) pre_tokenizer: Json,
    pub(super) decoder: Json,
    /// Options of the BPE model that are not the usual ones.
    pub(super) options: Vec<(&'static str, Json)>,
    /// Pairs, the first to be merged first.
    pub(super) merges: Vec<(String, String)>,
    /// Whether a text begins with the begin token where the file does not say.
    pub(super) begins: bool,
}

impl Gguf {
    /// A list that goes with the tokens has their length.
    pub(super) fn as_long_as_tokens(&self, key: &str, length: usize, tokens: usize) -> Result<(), GgufError> {
        if length == tokens { Ok(()) } else { Err(self.damaged(format!("{key} has {length} values for {tokens} tokens"))) }
    }
}

/// (`tokenizer.json`, `tokenizer_config.json`) from the metadata, for a model whose embedding has `rows` rows. The
/// `tokenizers` crate has loaded the former, and gives every token its id.
///
/// # Errors
/// When the tokenizer is of another kind, or its lists are missing or contradict each other or the embedding.
pub(super) fn rebuild(gguf: &Gguf, rows: usize) -> Result<(Json, Json), GgufError> {
    let model = gguf.text("tokenizer.ggml.model")?.ok_or_else(|| gguf.missing("tokenizer.ggml.model"))?;
    let vocabulary = Vocabulary::read(gguf)?;
    if vocabulary.tokens.len() != rows {
        return Err(gguf.damaged(format!("the tokenizer has {} tokens, token_embd.weight has {rows} rows", vocabulary.tokens.len())));
    }
    let parts = match model {
        "gpt2" => byte_level::parts(gguf)?,
        "llama" => sentencepiece::parts(gguf, &vocabulary)?,
        other => return Err(gguf.unsupported("tokenizer", other, "gpt2 (byte-level BPE), llama (SentencePiece BPE)")),
    };
    let (bos, eos) = (vocabulary.special(gguf, "bos")?, vocabulary.special(gguf, "eos")?);
    for name in ["eot", "eom"] {
        vocabulary.special(gguf, name)?;
    }
    let flag =
        |name: &str, default| gguf.whole(&format!("tokenizer.ggml.add_{name}_token")).map(|flag| flag.map_or(default, |flag| flag != 0));
    let begin = bos.zip(gguf.whole("tokenizer.ggml.bos_token_id")?);
    let end = eos.zip(gguf.whole("tokenizer.ggml.eos_token_id")?);
    let (add_bos, add_eos) = (flag("bos", parts.begins)? && bos.is_some(), flag("eos", false)? && eos.is_some());
    let mut bpe = Map::from_iter(
        [
            ("type", json!("BPE")),
            ("dropout", Json::Null),
            ("unk_token", Json::Null),
            ("continuing_subword_prefix", Json::Null),
            ("end_of_word_suffix", Json::Null),
            ("fuse_unk", json!(false)),
            ("byte_fallback", json!(false)),
            ("ignore_merges", json!(false)),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    bpe.extend(parts.options.into_iter().map(|(key, value)| (key.to_owned(), value)));
    let unknown = bpe["unk_token"].clone();
    bpe.insert("vocab".into(), vocabulary.tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), json!(id))).collect());
    bpe.insert("merges".into(), parts.merges.into_iter().map(|(left, right)| json!([left, right])).collect());
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": vocabulary.added(),
        "normalizer": parts.normalizer, "pre_tokenizer": parts.pre_tokenizer,
        "post_processor": post_processor(begin.filter(|_| add_bos), end.filter(|_| add_eos)),
        "decoder": parts.decoder, "model": bpe,
    });
    prove(gguf, &tokenizer, &vocabulary)?;
    let mut config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": bos, "eos_token": eos, "unk_token": unknown, "add_bos_token": add_bos,
        "add_eos_token": add_eos, "add_prefix_space": false, "clean_up_tokenization_spaces": false,
    });
    if let Some(template) = gguf.text("tokenizer.chat_template")? {
        config["chat_template"] = template.into();
    }
    Ok((tokenizer, config))
}

/// Loads it as it will be loaded, and asks it for every token.
fn prove(gguf: &Gguf, tokenizer: &Json, vocabulary: &Vocabulary<'_>) -> Result<(), GgufError> {
    let loaded = tokenizers::Tokenizer::from_bytes(tokenizer.to_string());
    let loaded = loaded.map_err(|error| gguf.damaged(format!("its tokenizer cannot be loaded: {error}")))?;
    match vocabulary.tokens.iter().enumerate().find(|(id, token)| loaded.token_to_id(token) != Some(*id as u32)) {
        Some((id, token)) => Err(gguf.damaged(format!("token {token:?} has the id {id}, and would get {:?}", loaded.token_to_id(token)))),
        None => Ok(()),
    }
}

/// What puts the begin and end tokens around a text, when asked to add special tokens.
fn post_processor(begin: Option<(&str, u64)>, end: Option<(&str, u64)>) -> Json {
    if begin.is_none() && end.is_none() {
        return Json::Null;
    }
    let around = |sequence: &str, number: u32| {
        let token = |(token, _): (&str, u64)| json!({"SpecialToken": {"id": token, "type_id": number}});
        let text = json!({"Sequence": {"id": sequence, "type_id": number}});
        begin.map(token).into_iter().chain([text]).chain(end.map(token)).collect::<Vec<_>>()
    };
    let tokens: Map<String, Json> =
        begin.into_iter().chain(end).map(|(token, id)| (token.to_owned(), json!({"id": token, "ids": [id], "tokens": [token]}))).collect();
    let pair = [around("A", 0), around("B", 1)].concat();
    json!({"type": "TemplateProcessing", "single": around("A", 0), "pair": pair, "special_tokens": tokens})
}
