//! Encoders with labels beside transformers' numbers (`tests/reference/encoders.py`).

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use steadfast::data::encoder_text::{EncoderRow, EncoderText};
use steadfast::error::Explain;
use steadfast::model::encoder::{Encoder, EncoderConfig, EncoderError, Row};
use steadfast::model::weights::Weights;

/// Logits apart, at most. Measured: 2e-6.
const LIMIT: f64 = 2e-5;

pub const NAMES: [&str; 3] = ["bert", "modernbert-cls", "modernbert-mean"];

pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/encoders").join(name)
}

/// What transformers makes of the texts.
pub fn expected() -> Value {
    serde_json::from_str(include_str!("../reference/encoders/expected.json")).unwrap()
}

/// A copy of a reference folder, to be changed.
pub fn copied(name: &str, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(folder(name)).unwrap() {
        let file = file.unwrap().path();
        std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

/// Changes a JSON file.
pub fn edit(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut json = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    change(&mut json);
    std::fs::write(file, json.to_string()).unwrap();
}

fn opened(folder: &Path) -> Result<Encoder, EncoderError> {
    let config = EncoderConfig::from_json(&std::fs::read_to_string(folder.join("config.json")).unwrap())?;
    Encoder::new(config, &Weights::open(folder)?)
}

fn one(encoder: &Encoder, row: &EncoderRow) -> Vec<f32> {
    encoder.logits(&[row.row()]).unwrap().remove(0)
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

/// The largest distance of the logits from transformers', over every text in every form.
fn farthest(encoder: &Encoder, text: &EncoderText, name: &str) -> f64 {
    let expected = expected();
    let most = expected["max_length"].as_u64().unwrap() as usize;
    let mut farthest: f64 = 0.0;
    let mut cut = 0;
    for (form, rows) in expected["models"][name].as_object().unwrap() {
        for (said, wanted) in expected["texts"].as_array().unwrap().iter().zip(rows.as_array().unwrap()) {
            let (prompt, completion) = (said[0].as_str().unwrap(), said[1].as_str().unwrap());
            let single = expected["input"].as_str().unwrap().replace("{prompt}", prompt).replace("{completion}", completion);
            let (first, second) = match form.as_str() {
                "single" => (single.as_str(), None),
                "alone" => (completion, None),
                _ => (prompt, Some(completion)),
            };
            let row = text.encode(first, second, most).unwrap();
            assert_eq!(row.tokens, ids(&wanted["ids"]), "{name}, {form}: {first}");
            if name == "bert" {
                assert_eq!(row.types, ids(&wanted["types"]), "{name}, {form}: {first}");
            }
            cut += usize::from(row.cut);
            let found = one(encoder, &row);
            assert_eq!(found.len(), wanted["logits"].as_array().unwrap().len());
            for (found, wanted) in found.iter().zip(wanted["logits"].as_array().unwrap()) {
                farthest = farthest.max((f64::from(*found) - wanted.as_f64().unwrap()).abs());
            }
        }
    }
    assert!(cut > 0, "no text was cut");
    farthest
}

#[test]
fn logits_are_transformers() {
    for name in NAMES {
        let folder = folder(name);
        let far = farthest(&opened(&folder).unwrap(), &EncoderText::from_folder(&folder).unwrap(), name);
        eprintln!("{name}: logits {far:.1e} apart");
        assert!(far < LIMIT, "{name}: logits {far:e} apart");
    }
}

/// A safetensors file with other names, and further tensors.
fn renamed(from: &Path, to: &Path, name: impl Fn(&str) -> String, more: &[(&str, Vec<u8>, safetensors::Dtype, Vec<usize>)]) {
    use safetensors::tensor::TensorView;
    let bytes = std::fs::read(from).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let own = file.iter().map(|(old, view)| (name(old), TensorView::new(view.dtype(), view.shape().to_vec(), view.data()).unwrap()));
    let more = more.iter().map(|(name, data, dtype, shape)| ((*name).to_owned(), TensorView::new(*dtype, shape.clone(), data).unwrap()));
    safetensors::serialize_to_file(own.chain(more), None, to).unwrap();
}

#[test]
fn tensors_go_by_older_names_too() {
    let home = tempfile::tempdir().unwrap();
    for (name, prefix) in [("bert", "bert."), ("modernbert-cls", "model.")] {
        let to = home.path().join(name);
        copied(name, &to);
        let older = |old: &str| {
            let bare = old.strip_prefix(prefix).unwrap_or(old);
            bare.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        };
        // A buffer of counting numbers, which transformers saved until 4.31.
        let positions: Vec<u8> = (0..64i64).flat_map(i64::to_le_bytes).collect();
        let buffer = ("embeddings.position_ids", positions, safetensors::Dtype::I64, vec![1, 64]);
        let more = if name == "bert" { vec![buffer] } else { Vec::new() };
        renamed(&folder(name).join("model.safetensors"), &to.join("model.safetensors"), older, &more);
        let far = farthest(&opened(&to).unwrap(), &EncoderText::from_folder(&to).unwrap(), name);
        assert!(far < LIMIT, "{name}: logits {far:e} apart");
    }
}

/// A row's logits have the same bits whatever runs beside it, on however many threads.
#[test]
fn neighbours_and_threads_change_no_bit() {
    let expected = expected();
    for name in NAMES {
        let (encoder, text) = (opened(&folder(name)).unwrap(), EncoderText::from_folder(&folder(name)).unwrap());
        let rows: Vec<EncoderRow> =
            expected["texts"].as_array().unwrap().iter().map(|said| text.encode(said[1].as_str().unwrap(), None, 64).unwrap()).collect();
        let bits = |logits: Vec<f32>| -> Vec<u32> { logits.iter().map(|x| x.to_bits()).collect() };
        let alone: Vec<_> = rows.iter().map(|row| bits(one(&encoder, row))).collect();
        let packed: Vec<Row<'_>> = rows.iter().map(EncoderRow::row).collect();
        for threads in [1, 2, 4] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for count in [1, 2, 3, 5, rows.len()] {
                let together: Vec<_> =
                    pool.install(|| packed.chunks(count).flat_map(|part| encoder.logits(part).unwrap()).map(bits).collect());
                assert_eq!(together, alone, "{name}, {threads} threads, {count} at once");
            }
        }
    }
}

#[test]
fn what_cannot_be_an_encoder_is_told() {
    let home = tempfile::tempdir().unwrap();
    let told = |name: &str, change: &dyn Fn(&mut Value)| {
        let to = home.path().join(name);
        copied(name, &to);
        edit(&to.join("config.json"), |json| change(json));
        let error = opened(&to).err().unwrap_or_else(|| panic!("{name} was opened"));
        format!("{}: {error}; {}", error.code(), error.remedy().unwrap_or_default())
    };
    let set = |key: &'static str, value: Value| move |json: &mut Value| json[key] = value.clone();
    let modern = "modernbert-cls";
    for (name, change, expected) in [
        (
            "bert",
            set("architectures", json!(["RobertaForSequenceClassification"])),
            "\"RobertaForSequenceClassification\" is not supported as a classifier; supported: BertForSequenceClassification, ModernBertForSequenceClassification",
        ),
        ("bert", set("architectures", json!(null)), "\"missing\" is not supported"),
        (modern, set("architectures", json!(["ModernBertForMaskedLM"])), "ModernBertForMaskedLM"),
        (
            "bert",
            set("position_embedding_type", json!("relative_key")),
            "position_embedding_type = \"relative_key\" is not supported; supported: absolute",
        ),
        ("bert", set("hidden_act", json!("silu")), "hidden_act = silu"),
        ("bert", set("problem_type", json!("regression")), "problem_type = regression"),
        ("bert", set("num_attention_heads", json!(5)), "a divisor of hidden_size"),
        ("bert", set("num_attention_heads", json!(0)), "num_attention_heads is 0"),
        ("bert", set("hidden_size", json!(1u64 << 40)), "hidden_size is 1099511627776"),
        ("bert", set("num_hidden_layers", json!(5000)), "at most 1024"),
        ("bert", set("num_hidden_layers", json!(4)), "missing: encoder.layer.3.attention.self.query.weight [32, 32]"),
        ("bert", set("num_hidden_layers", json!(2)), "extra: bert.encoder.layer.2."),
        ("bert", set("vocab_size", json!(500)), "shape of bert.embeddings.word_embeddings.weight: [181, 32], expected [500, 32]"),
        ("bert", set("id2label", json!({"0": "a", "2": "b"})), "without a gap"),
        ("bert", set("id2label", json!({"0": "a", "1": "b", "2": "c"})), "shape of classifier.weight: [2, 32], expected [3, 32]"),
        (modern, set("norm_bias", json!(true)), "missing: model.embeddings.norm.bias [32]"),
        (modern, set("num_attention_heads", json!(32)), "leaves heads of an even size"),
        (modern, set("hidden_activation", json!("silu")), "hidden_activation"),
        (modern, set("classifier_pooling", json!("max")), "classifier_pooling = max"),
        (modern, set("rope_scaling", json!({"type": "yarn"})), "rope_scaling"),
        (modern, set("classifier_bias", json!(true)), "missing: head.dense.bias"),
        (
            "modernbert-mean",
            set("layer_types", json!(["full_attention", "sliding_attention", "linear_attention", "full_attention"])),
            "layer_types",
        ),
        ("modernbert-mean", set("layer_types", json!(["sliding_attention"])), "layer_types"),
        ("modernbert-mean", set("rope_parameters", json!({"full_attention": {"rope_type": "linear"}})), "rope_type = linear"),
    ] {
        let text = told(name, &change);
        assert!(text.contains(expected), "{expected}: {text}");
    }
    // A tokenizer of another model, and a row that is too long, are no panic.
    let encoder = opened(&folder("bert")).unwrap();
    let logits = |encoder: &Encoder, tokens: &[u32], types: &[u32]| encoder.logits(&[Row { tokens, types }]);
    assert!(matches!(logits(&encoder, &[2, 181], &[0, 0]), Err(EncoderError::Unknown { what: "token", found: 181, most: 181 })));
    assert!(matches!(logits(&encoder, &[2, 5], &[0, 7]), Err(EncoderError::Unknown { what: "token type", found: 7, most: 2 })));
    assert!(matches!(logits(&encoder, &[2; 65], &[0; 65]), Err(EncoderError::Length { tokens: 65, most: 64 })));
    assert!(logits(&encoder, &[], &[]).is_err() && logits(&encoder, &[2, 3], &[0]).is_err());
    assert!(encoder.logits(&[]).unwrap().is_empty());
    // A weight that is no number.
    let to = home.path().join("nan");
    copied("bert", &to);
    let file = std::fs::read(to.join("model.safetensors")).unwrap();
    let mut bytes = file.clone();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(to.join("model.safetensors"), bytes).unwrap();
    assert!(matches!(logits(&opened(&to).unwrap(), &[2, 5, 3], &[0; 3]), Err(EncoderError::NoNumber(_))));
}
