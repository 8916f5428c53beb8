//! GGUF files through the public interface: block types, tokenizers, damage.

use std::path::Path;

use serde::Deserialize;
use steadfast::data::example::encode;
use steadfast::data::rows::{Message, Row};
use steadfast::data::template::DATE;
use steadfast::data::tokenizer::TextModel;
use steadfast::error::Failure;
use steadfast::hub::gguf::{Gguf, materialise};
use steadfast::model::config::ModelConfig;
use steadfast::model::weights::Weights;
use tokenizers::Tokenizer;

use crate::gguf_file::GgufFile;
use crate::tiny::{Home, TEMPLATE, byte_character, told};

#[derive(Deserialize)]
struct BlockVector {
    #[serde(rename = "type")]
    name: String,
    number: u32,
    block: usize,
    bytes: String,
    values: Vec<f32>,
}

/// Made by `tests/reference/gguf_blocks.py`.
#[test]
fn every_block_type_gives_the_reference_numbers() {
    let vectors: Vec<BlockVector> = serde_json::from_str(include_str!("../reference/gguf_blocks.json")).unwrap();
    assert_eq!(vectors.len(), 13);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blocks.gguf");
    for vector in vectors {
        let bytes = (0..vector.bytes.len()).step_by(2).map(|i| u8::from_str_radix(&vector.bytes[i..i + 2], 16).unwrap()).collect();
        let mut file = GgufFile::default();
        file.tensor("t", &[vector.values.len() / vector.block, vector.block], vector.number, bytes);
        file.write(&path);
        let found = Gguf::open(&path).unwrap().tensor("t").unwrap();
        assert_eq!(found, vector.values, "{}", vector.name);
    }
}

#[derive(Deserialize)]
struct Pieces {
    tokens: Vec<String>,
    scores: Vec<f32>,
    types: Vec<i32>,
    texts: Vec<Said>,
    bare: Vec<Said>,
    mixed: Vec<Said>,
    loose: Vec<Said>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    text: String,
    ids: Vec<u32>,
    #[serde(default)]
    decoded: String,
}

/// Made by `tests/reference/sentencepiece_bpe.py`.
fn pieces() -> Pieces {
    serde_json::from_str(include_str!("../reference/sentencepiece_bpe.json")).unwrap()
}

/// A GGUF file with a SentencePiece tokenizer.
fn sentencepiece(pieces: &Pieces) -> GgufFile {
    let mut file = GgufFile::llama(pieces.tokens.len());
    file.text("tokenizer.ggml.model", "llama");
    file.text("tokenizer.ggml.pre", "default");
    file.texts("tokenizer.ggml.tokens", &pieces.tokens);
    file.numbers("tokenizer.ggml.scores", &pieces.scores);
    file.wholes("tokenizer.ggml.token_type", &pieces.types);
    file.whole("tokenizer.ggml.bos_token_id", 1);
    file.whole("tokenizer.ggml.eos_token_id", 2);
    file.whole("tokenizer.ggml.unknown_token_id", 0);
    file.text("tokenizer.chat_template", LLAMA2);
    file
}

/// A template in the manner of Llama 2's.
const LLAMA2: &str = "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token + '[INST] ' + m.content + ' [/INST]' }}{% else %}{{ ' ' + m.content + ' ' + eos_token }}{% endif %}{% endfor %}";

/// The folder that a file becomes.
fn folder_of(file: &GgufFile) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.gguf");
    file.write(&path);
    materialise(&path, false, folder.path()).unwrap();
    folder
}

fn tokenizer(folder: &Path) -> Tokenizer {
    Tokenizer::from_file(folder.join("tokenizer.json")).unwrap()
}

fn ids(text: &TextModel, string: &str) -> Vec<u32> {
    text.encode(string).unwrap().into_iter().map(|(id, _)| id).collect()
}

#[test]
fn sentencepiece_ids_and_texts_are_sentencepieces_own() {
    let pieces = pieces();
    let folder = folder_of(&sentencepiece(&pieces));
    let (text, tokenizer) = (TextModel::from_folder(folder.path(), DATE).unwrap(), tokenizer(folder.path()));
    for said in pieces.texts.iter().chain(&pieces.mixed) {
        assert_eq!(ids(&text, &said.text), said.ids, "{:?}", said.text);
    }
    for said in pieces.texts.iter().chain(&pieces.loose) {
        assert_eq!(tokenizer.decode(&said.ids, true).unwrap(), said.decoded, "{:?}", said.ids);
    }
    // The begin token is added where it is asked for, as by Llama 2's tokenizer.json.
    let asked = |tokenizer: &Tokenizer| tokenizer.encode("the", true).unwrap().get_ids().to_vec();
    let the = ids(&text, "the");
    assert_eq!(asked(&tokenizer), [&[1], &the[..]].concat());
    let mut other = sentencepiece(&pieces);
    other.flag("tokenizer.ggml.add_bos_token", false);
    other.flag("tokenizer.ggml.add_eos_token", true);
    assert_eq!(asked(&self::tokenizer(folder_of(&other).path())), [&the[..], &[2]].concat());
}

#[test]
fn sentencepiece_without_a_space_in_front() {
    let pieces = pieces();
    let mut file = sentencepiece(&pieces);
    file.flag("tokenizer.ggml.add_space_prefix", false);
    let folder = folder_of(&file);
    let (text, tokenizer) = (TextModel::from_folder(folder.path(), DATE).unwrap(), tokenizer(folder.path()));
    for said in &pieces.bare {
        assert_eq!(ids(&text, &said.text), said.ids, "{:?}", said.text);
        assert_eq!(tokenizer.decode(&said.ids, true).unwrap(), said.decoded, "{:?}", said.ids);
    }
}

#[test]
fn replies_in_byte_tokens_are_learnt_whole() {
    let pieces = pieces();
    let folder = folder_of(&sentencepiece(&pieces));
    let text = TextModel::from_folder(folder.path(), DATE).unwrap();
    let message = |role: &str, content: &str| Message { role: role.into(), content: content.into() };
    let messages = vec![message("user", "Où 🙂?"), message("assistant", "Yes 🙂, 你"), message("user", "the"), message("assistant", "No.")];
    let row = Row { id: "a".into(), number: 1, messages, fields: Default::default(), lists: Default::default() };
    let encoded = encode(&text, &[row], 512).unwrap();
    let example = &encoded.examples[0];
    assert_eq!(example.tokens, ids(&text, "<s>[INST] Où 🙂? [/INST] Yes 🙂, 你 </s><s>[INST] the [/INST] No. </s>"));
    let learnt: Vec<u32> = example.tokens.iter().zip(&example.supervised).filter(|(_, learn)| **learn).map(|(id, _)| *id).collect();
    // In the middle of a text: no space is put before the reply but the template's own.
    let reply = |said: &str| ids(&text, &format!(".{said}"))[2..].to_vec();
    assert_eq!(ids(&text, ".")[1..], [ids(&text, ".x")[1]], "the dot is a token of its own");
    assert_eq!(learnt, [reply(" Yes 🙂, 你 "), vec![2], reply(" No. "), vec![2]].concat());
}

/// A GGUF file with a byte-level tokenizer of a few tokens.
fn byte_level() -> GgufFile {
    let mut file = GgufFile::llama(6);
    file.text("tokenizer.ggml.model", "gpt2");
    file.text("tokenizer.ggml.pre", "smollm");
    file.texts("tokenizer.ggml.tokens", &["<s>", "</s>", "a", "b", "ab", "Ġ"]);
    file.texts("tokenizer.ggml.merges", &["a b"]);
    file.wholes("tokenizer.ggml.token_type", &[3, 3, 1, 1, 1, 1]);
    file.whole("tokenizer.ggml.bos_token_id", 0);
    file.whole("tokenizer.ggml.eos_token_id", 1);
    file.text("tokenizer.chat_template", TEMPLATE);
    file
}

#[test]
fn llama_3_begins_with_the_begin_token_unless_the_file_says_otherwise() {
    let asked = |file: &GgufFile| tokenizer(folder_of(file).path()).encode("ab", true).unwrap().get_ids().to_vec();
    for pre in ["llama-bpe", "llama-v3", "llama3"] {
        let mut file = byte_level();
        file.text("tokenizer.ggml.pre", pre);
        assert_eq!(asked(&file), [0, 4], "{pre}");
        file.flag("tokenizer.ggml.add_bos_token", false);
        assert_eq!(asked(&file), [4], "{pre}");
    }
    assert_eq!(asked(&byte_level()), [4], "the others do not");
}

/// A GGUF file with a SentencePiece tokenizer of a few tokens.
fn few_pieces() -> GgufFile {
    let mut few = pieces();
    few.tokens = ["<unk>", "<s>", "</s>", "<0x0A>", "▁a", "▁", "a"].map(str::to_owned).into();
    few.scores = vec![0., 0., 0., 0., 0., -1., -2.];
    few.types = vec![2, 3, 3, 6, 1, 1, 1];
    sentencepiece(&few)
}

/// Materialises bytes: a folder that opens, or an error that says what is wrong and what to do.
fn try_bytes(folder: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let path = folder.join("m.gguf");
    std::fs::write(&path, bytes).unwrap();
    let outcome = materialise(&path, true, folder);
    match &outcome {
        Ok(()) => {
            let config = ModelConfig::from_json(&std::fs::read_to_string(folder.join("config.json")).unwrap(), None).unwrap();
            Weights::open(folder).unwrap().bind(&config).unwrap();
            TextModel::from_folder(folder, DATE).unwrap();
        }
        Err(error) => {
            assert!(["damaged-gguf", "unsupported-gguf", "unsupported-model", "bad-config"].contains(&error.code), "{error:?}");
            assert!(error.remedy.is_some() && error.to_string().contains("m.gguf"), "{error:?}");
        }
    }
    outcome
}

#[test]
fn a_file_cut_at_any_byte_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for file in [byte_level(), few_pieces()] {
        let (bytes, _) = file.bytes();
        for length in 0..bytes.len() {
            let error = try_bytes(folder.path(), &bytes[..length]).expect_err("it is cut");
            assert_eq!(error.code, "damaged-gguf", "{length}: {error}");
        }
        try_bytes(folder.path(), &bytes).unwrap();
    }
}

#[test]
fn flipped_bytes_in_the_header_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let (mut good, mut bad) = (0, 0);
    for file in [byte_level(), few_pieces()] {
        let (bytes, header) = file.bytes();
        let mut state = 9u64;
        for at in 0..header {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (state >> 61);
            if try_bytes(folder.path(), &flipped).is_ok() {
                good += 1
            } else {
                bad += 1
            }
            // A number that overflows whatever is added to it or multiplied by it, at every place.
            let mut huge = bytes.clone();
            let end = huge.len().min(at + 8);
            huge[at..end].fill(if at % 2 == 0 { 0xFF } else { 0x7F });
            if try_bytes(folder.path(), &huge).is_ok() { good += 1 } else { bad += 1 }
        }
    }
    assert!(good > 100 && bad > 1000, "{good} are models, {bad} are errors");
}

#[test]
fn odd_tokens_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    for odd in ["", " ", "\0", "\u{2581}\u{2581}", "a\u{301}", "<0x0a>", "\"", "🙂"] {
        for kind in 1..=6 {
            let mut file = byte_level();
            file.texts("tokenizer.ggml.tokens", &["<s>", "</s>", "a", "b", "ab", odd]);
            file.wholes("tokenizer.ggml.token_type", &[3, 3, 1, 1, 1, kind]);
            let byte_level = try_bytes(folder.path(), &file.bytes().0);
            let mut file = few_pieces();
            file.texts("tokenizer.ggml.tokens", &["<unk>", "<s>", "</s>", "<0x0A>", "▁a", odd, "a"]);
            file.wholes("tokenizer.ggml.token_type", &[2, 3, 3, 6, 1, kind, 1]);
            let pieces = try_bytes(folder.path(), &file.bytes().0);
            assert!(odd.is_empty() || byte_level.is_ok(), "{odd:?} of type {kind}: {byte_level:?}");
            assert!(odd.is_empty() || pieces.is_ok() == (kind != 6), "{odd:?} of type {kind}: {pieces:?}");
        }
    }
}

/// What is wrong, a good file, how it is spoilt, and what the error must say.
type Case = (&'static str, fn() -> GgufFile, fn(&mut GgufFile), &'static [&'static str]);

#[test]
fn contradictions_are_errors_that_name_both_sides() {
    let cases: [Case; 21] = [
        ("fewer tokens than rows", byte_level, |f| short(f, 5), &["5 tokens", "6 rows"]),
        ("more tokens than rows", byte_level, |f| short(f, 7), &["7 tokens", "6 rows"]),
        ("a token twice", byte_level, |f| f.texts("tokenizer.ggml.tokens", &["<s>", "</s>", "a", "b", "ab", "a"]), &["\"a\"", "2 and 5"]),
        ("types for other tokens", byte_level, |f| f.wholes("tokenizer.ggml.token_type", &[3, 3, 1]), &["token_type has 3", "6 tokens"]),
        ("a type that is none", byte_level, |f| f.wholes("tokenizer.ggml.token_type", &[3, 3, 1, 1, 9, 1]), &["token type", "9"]),
        ("an end token that is none", byte_level, |f| f.whole("tokenizer.ggml.eos_token_id", 6), &["eos_token_id is 6", "6 tokens"]),
        ("an end of turn that is none", byte_level, |f| f.whole("tokenizer.ggml.eot_token_id", u32::MAX), &["eot_token_id", "6 tokens"]),
        ("a merge of no tokens", byte_level, |f| f.texts("tokenizer.ggml.merges", &["a c"]), &["tokenizer cannot be loaded", "c"]),
        ("a merge that is none", byte_level, |f| f.texts("tokenizer.ggml.merges", &["ab"]), &["merge", "\"ab\""]),
        ("no merges", byte_level, |f| f.without("tokenizer.ggml.merges"), &["no tokenizer.ggml.merges"]),
        ("no pre-tokenizer", byte_level, |f| f.without("tokenizer.ggml.pre"), &["no tokenizer.ggml.pre"]),
        ("llama.cpp's own", byte_level, |f| f.text("tokenizer.ggml.pre", "default"), &["pre-tokenizer \"default\"", "llama-bpe"]),
        ("no scores", few_pieces, |f| f.without("tokenizer.ggml.scores"), &["no tokenizer.ggml.scores"]),
        ("no types", few_pieces, |f| f.without("tokenizer.ggml.token_type"), &["no tokenizer.ggml.token_type"]),
        ("scores for other tokens", few_pieces, |f| f.numbers("tokenizer.ggml.scores", &[0.0]), &["scores has 1", "7 tokens"]),
        ("a score that is no number", few_pieces, |f| f.numbers("tokenizer.ggml.scores", &[f32::NAN; 7]), &["scores", "finite"]),
        ("another byte token", few_pieces, |f| f.wholes("tokenizer.ggml.token_type", &[2, 3, 3, 6, 6, 1, 1]), &["▁a", "<0x0A>"]),
        ("nothing for unknown text", few_pieces, |f| f.wholes("tokenizer.ggml.token_type", &[3, 3, 3, 6, 1, 1, 1]), &["1 of 256 byte"]),
        ("another kind of tokenizer", few_pieces, |f| f.text("tokenizer.ggml.model", "t5"), &["\"t5\"", "llama (SentencePiece BPE)"]),
        ("an eps that is none", byte_level, |f| f.number("llama.attention.layer_norm_rms_epsilon", 0.0), &["epsilon is 0", "above 0"]),
        ("more layers than tensors", byte_level, |f| f.whole("llama.block_count", 1 << 24), &["16777216", "11 tensors"]),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (what, file, change, expected) in cases {
        let mut file = file();
        change(&mut file);
        let error = try_bytes(folder.path(), &file.bytes().0).expect_err(what).to_string();
        for part in expected {
            assert!(error.contains(part), "{what}: {part:?} is not in\n{error}");
        }
    }
}

/// Another number of tokens, each with its type.
fn short(file: &mut GgufFile, count: usize) {
    let tokens = ["<s>", "</s>", "a", "b", "ab", "Ġ", "c"];
    file.texts("tokenizer.ggml.tokens", &tokens[..count]);
    file.wholes("tokenizer.ggml.token_type", &[3, 3, 1, 1, 1, 1, 1][..count]);
}

#[test]
fn a_gguf_without_a_chat_template_runs_with_the_users() {
    let home = Home::new();
    let mut file = GgufFile::llama(258);
    let tokens: Vec<String> = (0..=255u8).map(|byte| byte_character(byte).to_string()).chain(["<s>".into(), "</s>".into()]).collect();
    file.text("tokenizer.ggml.model", "gpt2");
    file.text("tokenizer.ggml.pre", "gpt-2");
    file.texts("tokenizer.ggml.tokens", &tokens);
    file.texts("tokenizer.ggml.merges", &[""; 0]);
    file.wholes("tokenizer.ggml.token_type", &[&[1; 256][..], &[3, 3]].concat());
    file.whole("tokenizer.ggml.bos_token_id", 256);
    file.whole("tokenizer.ggml.eos_token_id", 257);
    file.write(&home.path("m.gguf"));
    let (text, code) = told(&home.run(&["run", "p.yaml", "--set", "model.base=m.gguf"]));
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("has none") && text.contains("--set model.chat_template=FILE"), "{text}");
    home.write("mine.jinja", TEMPLATE);
    let given = ["run", "p.yaml", "--set", "model.base=m.gguf", "--set", "model.chat_template=mine.jinja"];
    let (text, code) = told(&home.run(&given));
    assert_ne!(code, 2, "{text}");
    // What ships has the template that it was trained with.
    let shipped = home.path("runs/tiny/latest/arms/protected");
    assert_eq!(std::fs::read_to_string(shipped.join("chat_template.jinja")).unwrap(), TEMPLATE);
    TextModel::from_folder(&shipped, DATE).unwrap().encode_prompt(&[Message { role: "user".into(), content: "hi".into() }], "").unwrap();
    let chat = |more: &[&str]| {
        std::fs::write(home.path("said"), "Hello\n").unwrap();
        let mut command = home.command(&["chat", "m.gguf", "--max-new-tokens", "2"]);
        told(&command.args(more).stdin(std::fs::File::open(home.path("said")).unwrap()).output().unwrap())
    };
    let (text, code) = chat(&[]);
    assert!(code == 2 && text.contains("--chat-template FILE"), "{text}");
    let (text, code) = chat(&["--chat-template", "mine.jinja"]);
    assert_eq!(code, 0, "{text}");
    // One that does not compile is found at the first conversation, too, and the user's goes before it.
    file.text("tokenizer.chat_template", "{% for %}");
    file.write(&home.path("m.gguf"));
    let (text, code) = told(&home.run(&given[..4]));
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("chat template") && text.contains("--set model.chat_template=FILE"), "{text}");
    let (text, code) = told(&home.run(&given));
    assert_ne!(code, 2, "{text}");
}
