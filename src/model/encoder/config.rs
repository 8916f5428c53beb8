//! The architecture of an encoder with a classification head, as `config.json` tells it.

use serde_json::Value;

use super::EncoderError;
use super::ops::Activation;
use crate::model::config::{ConfigError, missing, positive, read_size};

/// An encoder that gives every label of a text a number.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderConfig {
    /// Its layers.
    pub family: Family,
    /// The names of the labels, in the order of the logits; at least one.
    pub labels: Vec<String>,
    /// Whether each label has a probability of its own (sigmoid); else one is true (softmax over the labels).
    pub independent: bool,
    /// V.
    pub vocab_size: usize,
    /// C.
    pub hidden_size: usize,
    /// F.
    pub intermediate_size: usize,
    /// L.
    pub layers: usize,
    /// H; divides C.
    pub heads: usize,
    /// Inside the root of layer normalisation.
    pub norm_eps: f64,
    /// The longest sequence, special tokens included.
    pub max_position_embeddings: usize,
}

/// What differs between the architectures.
#[derive(Debug, Clone, PartialEq)]
pub enum Family {
    /// BERT.
    Bert {
        /// Token types.
        types: usize,
        /// Of the feed-forward layers.
        activation: Activation,
    },
    /// ModernBERT.
    ModernBert {
        /// Its positions.
        turning: Turning,
        /// Whether the head reads the mean over all tokens; else the first token alone.
        mean: bool,
        /// What has a bias.
        biases: Biases,
    },
}

/// Rotary positions, and which layers see only what is near.
#[derive(Debug, Clone, PartialEq)]
pub struct Turning {
    /// One a layer.
    pub kinds: Vec<Kind>,
    /// Tokens that a local layer sees on each side.
    pub window: usize,
    /// Base of the rotary frequencies of global layers.
    pub global_theta: f64,
    /// Of local ones.
    pub local_theta: f64,
}

/// What a layer sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The whole row.
    Global,
    /// Tokens within a window.
    Local,
}

/// Which of ModernBERT's parts have a bias; the classifier always has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Biases {
    /// `attention_bias`.
    pub attention: bool,
    /// `mlp_bias`.
    pub mlp: bool,
    /// `norm_bias`.
    pub norm: bool,
    /// `classifier_bias`: the head's matrix.
    pub head: bool,
}

/// Of those that transformers saves for classification.
const SUPPORTED: [&str; 2] = ["BertForSequenceClassification", "ModernBertForSequenceClassification"];

/// No encoder has so many layers.
const MOST_LAYERS: usize = 1 << 10;
/// Nor so many labels.
const MOST_LABELS: usize = 1 << 12;

impl EncoderConfig {
    /// Reads `config.json`, with the keys of transformers 4 and of transformers 5.
    ///
    /// # Errors
    /// When the architecture or one of its options is not supported, or a size or a label is missing or impossible.
    pub fn from_json(text: &str) -> Result<Self, EncoderError> {
        let json: Value = serde_json::from_str(text).map_err(ConfigError::from)?;
        let architecture = json["architectures"][0].as_str().unwrap_or("missing");
        let modern = match SUPPORTED.iter().position(|known| *known == architecture) {
            Some(place) => place == 1,
            None => return Err(EncoderError::Architecture { found: architecture.into(), supported: SUPPORTED.join(", ") }),
        };
        let size = |key: &'static str| read_size(&json, key).and_then(|found| found.ok_or(missing(key)));
        let (hidden_size, heads, layers) = (size("hidden_size")?, size("num_attention_heads")?, size("num_hidden_layers")?);
        if hidden_size % heads != 0 || (modern && (hidden_size / heads) % 2 != 0) {
            let expected = if modern { "a divisor of hidden_size that leaves heads of an even size" } else { "a divisor of hidden_size" };
            return Err(ConfigError::Value { key: "num_attention_heads", found: heads.to_string(), expected }.into());
        }
        if layers > MOST_LAYERS {
            return Err(ConfigError::Value { key: "num_hidden_layers", found: layers.to_string(), expected: "at most 1024" }.into());
        }
        let labels = labels(&json)?;
        let independent = match json["problem_type"].as_str() {
            Some("regression") => return Err(unsupported("problem_type", "regression", "single_label_classification")),
            // As transformers' pipeline of text classification.
            Some("multi_label_classification") => true,
            _ => labels.len() == 1,
        };
        let (eps, default) = if modern { ("norm_eps", 1e-5) } else { ("layer_norm_eps", 1e-12) };
        Ok(Self {
            family: if modern { modern_bert(&json, layers)? } else { bert(&json)? },
            labels,
            independent,
            vocab_size: size("vocab_size")?,
            hidden_size,
            intermediate_size: size("intermediate_size")?,
            layers,
            heads,
            norm_eps: positive(&json[eps], eps, default)?,
            max_position_embeddings: read_size(&json, "max_position_embeddings")?.unwrap_or(if modern { 8192 } else { 512 }),
        })
    }

    /// The tensors of the model by the names that the layers ask for, each with its shape.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (c, f) = (self.hidden_size, self.intermediate_size);
        let mut tensors = Vec::new();
        let mut add = |name: String, shape: Vec<usize>, bias: bool| {
            let length = shape[0];
            tensors.push((format!("{name}.weight"), shape));
            tensors.extend(bias.then(|| (format!("{name}.bias"), vec![length])));
        };
        match &self.family {
            Family::Bert { types, .. } => {
                add("embeddings.word_embeddings".into(), vec![self.vocab_size, c], false);
                add("embeddings.position_embeddings".into(), vec![self.max_position_embeddings, c], false);
                add("embeddings.token_type_embeddings".into(), vec![*types, c], false);
                add("embeddings.LayerNorm".into(), vec![c], true);
                for l in 0..self.layers {
                    let at = |part: &str| format!("encoder.layer.{l}.{part}");
                    for part in ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"] {
                        add(at(part), vec![c, c], true);
                    }
                    add(at("attention.output.LayerNorm"), vec![c], true);
                    add(at("intermediate.dense"), vec![f, c], true);
                    add(at("output.dense"), vec![c, f], true);
                    add(at("output.LayerNorm"), vec![c], true);
                }
                add("pooler.dense".into(), vec![c, c], true);
            }
            Family::ModernBert { biases, .. } => {
                add("model.embeddings.tok_embeddings".into(), vec![self.vocab_size, c], false);
                add("model.embeddings.norm".into(), vec![c], biases.norm);
                for l in 0..self.layers {
                    let at = |part: &str| format!("model.layers.{l}.{part}");
                    // The first layer's input was normalised with the embeddings.
                    if l > 0 {
                        add(at("attn_norm"), vec![c], biases.norm);
                    }
                    add(at("attn.Wqkv"), vec![3 * c, c], biases.attention);
                    add(at("attn.Wo"), vec![c, c], biases.attention);
                    add(at("mlp_norm"), vec![c], biases.norm);
                    add(at("mlp.Wi"), vec![2 * f, c], biases.mlp);
                    add(at("mlp.Wo"), vec![c, f], biases.mlp);
                }
                add("model.final_norm".into(), vec![c], biases.norm);
                add("head.dense".into(), vec![c, c], biases.head);
                add("head.norm".into(), vec![c], biases.norm);
            }
        }
        add("classifier".into(), vec![self.labels.len(), c], true);
        tensors
    }

    /// The name of a stored tensor among [`Self::tensors`]: with or without the prefix of the base model, and under the names that
    /// norms had before 2019 (`gamma`, `beta`), which transformers still reads.
    pub fn canonical(&self, stored: &str) -> String {
        match self.family {
            Family::Bert { .. } => {
                let bare = stored.strip_prefix("bert.").unwrap_or(stored);
                bare.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
            }
            Family::ModernBert { .. } if ["model.", "head.", "classifier."].iter().any(|part| stored.starts_with(part)) => stored.into(),
            Family::ModernBert { .. } => format!("model.{stored}"),
        }
    }
}

/// The names of `id2label`; transformers' `LABEL_0`, … where there are none.
fn labels(json: &Value) -> Result<Vec<String>, ConfigError> {
    let Some(named) = json["id2label"].as_object().filter(|named| !named.is_empty()) else {
        let count = read_size(json, "num_labels")?.unwrap_or(2).min(MOST_LABELS);
        return Ok((0..count).map(|i| format!("LABEL_{i}")).collect());
    };
    let label = |i: usize| named.get(&i.to_string()).and_then(Value::as_str).map(str::to_owned);
    let names: Option<Vec<String>> = (0..named.len().min(MOST_LABELS)).map(label).collect();
    let expected = "names for the numbers from 0 on, without a gap";
    names.ok_or_else(|| ConfigError::Value { key: "id2label", found: json["id2label"].to_string(), expected })
}

fn unsupported(key: &'static str, found: impl ToString, supported: &'static str) -> EncoderError {
    ConfigError::Unsupported { key, found: found.to_string(), supported }.into()
}

/// An option that the layers here are made for.
fn only(json: &Value, key: &'static str, supported: &'static str) -> Result<(), EncoderError> {
    match &json[key] {
        Value::Null => Ok(()),
        Value::String(found) if found == supported => Ok(()),
        Value::Bool(found) if found.to_string() == supported => Ok(()),
        found => Err(unsupported(key, found, supported)),
    }
}

fn bert(json: &Value) -> Result<Family, EncoderError> {
    only(json, "position_embedding_type", "absolute")?;
    only(json, "is_decoder", "false")?;
    let activation = match json["hidden_act"].as_str().unwrap_or("gelu") {
        "gelu" => Activation::Gelu,
        "gelu_new" | "gelu_pytorch_tanh" => Activation::GeluTanh,
        "relu" => Activation::Relu,
        found => return Err(unsupported("hidden_act", found, "gelu, gelu_new, gelu_pytorch_tanh, relu")),
    };
    Ok(Family::Bert { types: read_size(json, "type_vocab_size")?.unwrap_or(2), activation })
}

fn modern_bert(json: &Value, layers: usize) -> Result<Family, EncoderError> {
    only(json, "hidden_activation", "gelu")?;
    only(json, "classifier_activation", "gelu")?;
    let mean = match json["classifier_pooling"].as_str().unwrap_or("cls") {
        "cls" => false,
        "mean" => true,
        found => return Err(unsupported("classifier_pooling", found, "cls, mean")),
    };
    if !json["rope_scaling"].is_null() {
        return Err(unsupported("rope_scaling", &json["rope_scaling"], "null"));
    }
    // transformers 5 has a dictionary by kind of layer.
    let theta = |kind: &str, key: &'static str, default: f64| {
        let rope = &json["rope_parameters"][kind];
        if let Some(found) = rope["rope_type"].as_str().filter(|&found| found != "default") {
            return Err(unsupported("rope_type", found, "default"));
        }
        let given = if rope["rope_theta"].is_null() { &json[key] } else { &rope["rope_theta"] };
        Ok(positive(given, key, default)?)
    };
    let turning = Turning {
        kinds: kinds(json, layers)?,
        window: read_size(json, "local_attention")?.unwrap_or(128) / 2,
        global_theta: theta("full_attention", "global_rope_theta", 160_000.0)?,
        local_theta: theta("sliding_attention", "local_rope_theta", 10_000.0)?,
    };
    let has = |key: &str| json[key].as_bool().unwrap_or(false);
    let biases = Biases { attention: has("attention_bias"), mlp: has("mlp_bias"), norm: has("norm_bias"), head: has("classifier_bias") };
    Ok(Family::ModernBert { turning, mean, biases })
}

/// What each layer sees; in older files the first is global, and every so many from there.
fn kinds(json: &Value, layers: usize) -> Result<Vec<Kind>, EncoderError> {
    let Some(named) = json["layer_types"].as_array() else {
        let every = read_size(json, "global_attn_every_n_layers")?.unwrap_or(3);
        return Ok((0..layers).map(|l| if l % every == 0 { Kind::Global } else { Kind::Local }).collect());
    };
    let kind = |name: &Value| match name.as_str() {
        Some("full_attention") => Some(Kind::Global),
        Some("sliding_attention") => Some(Kind::Local),
        _ => None,
    };
    let supported = "full_attention or sliding_attention for each layer";
    let kinds: Option<Vec<Kind>> = named.iter().map(kind).collect();
    kinds.filter(|kinds| kinds.len() == layers).ok_or_else(|| unsupported("layer_types", &json["layer_types"], supported))
}
