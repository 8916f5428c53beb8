//! The architecture of a model, as `config.json` tells it.

use serde::{Deserialize, Serialize};

/// A decoder-only transformer of the Llama family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// V.
    pub vocab_size: usize,
    /// C.
    pub hidden_size: usize,
    /// F.
    pub intermediate_size: usize,
    /// L.
    pub layers: usize,
    /// H.
    pub heads: usize,
    /// KV; H is a multiple of it.
    pub key_value_heads: usize,
    /// D; not always C / H.
    pub head_dim: usize,
    /// Inside the root of RMSNorm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// How the rotary frequencies are stretched for long contexts.
    pub rope_scaling: Option<RopeScaling>,
    /// The longest sequence that the model was made for, in tokens.
    pub max_position_embeddings: usize,
    /// Whether the embedding is the output head too (then it is one parameter).
    pub tie_word_embeddings: bool,
    /// Whether q, k and v projections have a bias (Qwen2).
    pub qkv_bias: bool,
    /// Whether each head of q and k is normalised before RoPE (Qwen3).
    pub qk_norm: bool,
    /// Beginning-of-sequence token.
    pub bos_token: Option<u32>,
    /// Tokens that end a reply.
    pub end_tokens: Vec<u32>,
}

/// Rotary scaling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RopeScaling {
    /// Every position divided by `factor`.
    Linear {
        /// At least 1.
        factor: f64,
    },
    /// Llama 3.1: low frequencies divided by `factor`, high ones kept, smooth between.
    Llama3 {
        /// At least 1.
        factor: f64,
        /// Wavelengths above `original / low_freq_factor` are fully scaled.
        low_freq_factor: f64,
        /// Wavelengths below `original / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// The context length of pre-training, in tokens.
        original_max_position_embeddings: usize,
    },
}

/// A `config.json` that this program cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The text is no JSON object.
    #[error("it is not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Another architecture.
    #[error("architecture {found:?} is not supported; supported: {SUPPORTED}")]
    Architecture {
        /// What the file names.
        found: String,
    },
    /// A feature that changes the computation and is not implemented.
    #[error("{key} = {found} is not supported; supported: {supported}")]
    Unsupported {
        /// The key.
        key: &'static str,
        /// Its value.
        found: String,
        /// What would work.
        supported: &'static str,
    },
    /// A key that must be there, or has a value that cannot be.
    #[error("{key} is {found}; expected {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value, or `missing`.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
}

/// The architectures, for messages.
const SUPPORTED: &str = "LlamaForCausalLM (Llama 2 and 3, SmolLM2, …), MistralForCausalLM without a sliding window";

impl crate::error::Explain for ConfigError {
    fn code(&self) -> &'static str {
        match self {
            Self::Architecture { .. } | Self::Unsupported { .. } => "unsupported-model",
            Self::Json(_) | Self::Value { .. } => "bad-config",
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::Architecture { .. } | Self::Unsupported { .. } => {
                Some("choose another model, for example hf://HuggingFaceTB/SmolLM2-135M-Instruct".into())
            }
            Self::Json(_) | Self::Value { .. } => Some("download the model's config.json again".into()),
        }
    }
}

/// No size of a model is larger than this: a guard against files that would exhaust memory.
const LARGEST: u64 = 1 << 24;

/// Nor has any so many layers.
const MOST_LAYERS: usize = 1 << 10;

impl ModelConfig {
    /// Reads `config.json`, and the end tokens of `generation_config.json` where there is one.
    ///
    /// # Errors
    /// When the architecture or one of its options is not supported, or a size is missing or impossible.
    pub fn from_json(config: &str, generation: Option<&str>) -> Result<Self, ConfigError> {
        let json: serde_json::Value = serde_json::from_str(config)?;
        let architecture = json["architectures"][0].as_str().unwrap_or("missing");
        let mistral = architecture == "MistralForCausalLM";
        if architecture != "LlamaForCausalLM" && !mistral {
            return Err(ConfigError::Architecture { found: architecture.into() });
        }
        let size = |key: &'static str| read_size(&json, key).and_then(|found| found.ok_or(missing(key)));
        if let Some(layers) = read_size(&json, "num_hidden_layers")?.filter(|&layers| layers > MOST_LAYERS) {
            return Err(ConfigError::Value { key: "num_hidden_layers", found: layers.to_string(), expected: "at most 1024" });
        }
        let (hidden_size, heads) = (size("hidden_size")?, size("num_attention_heads")?);
        let key_value_heads = read_size(&json, "num_key_value_heads")?.unwrap_or(heads);
        let head_dim = read_size(&json, "head_dim")?.unwrap_or(hidden_size / heads);
        if heads % key_value_heads != 0 {
            return Err(ConfigError::Value {
                key: "num_key_value_heads",
                found: key_value_heads.to_string(),
                expected: "a divisor of num_attention_heads",
            });
        }
        if head_dim == 0 || head_dim % 2 != 0 {
            return Err(ConfigError::Value { key: "head_dim", found: head_dim.to_string(), expected: "an even number above 0" });
        }
        for (key, supported) in [("attention_bias", "false"), ("mlp_bias", "false")] {
            if json[key].as_bool() == Some(true) {
                return Err(ConfigError::Unsupported { key, found: "true".into(), supported });
            }
        }
        if let Some(found) = json["hidden_act"].as_str().filter(|&act| act != "silu") {
            return Err(ConfigError::Unsupported { key: "hidden_act", found: found.into(), supported: "silu" });
        }
        if !json["quantization_config"].is_null() {
            return Err(ConfigError::Unsupported {
                key: "quantization_config",
                found: json["quantization_config"]["quant_method"].to_string(),
                supported: "unquantised weights",
            });
        }
        let max_position_embeddings = read_size(&json, "max_position_embeddings")?.unwrap_or(2048);
        if let Some(window) = json["sliding_window"].as_u64().filter(|&window| mistral && (window as usize) < max_position_embeddings) {
            return Err(ConfigError::Unsupported { key: "sliding_window", found: window.to_string(), supported: "null" });
        }
        // transformers 5 writes theta and scaling into one dictionary.
        let rope = if json["rope_parameters"].is_object() { &json["rope_parameters"] } else { &json["rope_scaling"] };
        let theta = if json["rope_theta"].is_null() { &rope["rope_theta"] } else { &json["rope_theta"] };
        let rope_theta = positive(theta, "rope_theta", 10_000.0)?;
        let end_tokens = generation
            .and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok())
            .map(|generation| tokens(&generation["eos_token_id"]))
            .unwrap_or_default();
        let mut all_ends = tokens(&json["eos_token_id"]);
        all_ends.extend(end_tokens);
        all_ends.sort_unstable();
        all_ends.dedup();
        Ok(Self {
            vocab_size: size("vocab_size")?,
            hidden_size,
            intermediate_size: size("intermediate_size")?,
            layers: size("num_hidden_layers")?,
            heads,
            key_value_heads,
            head_dim,
            rms_norm_eps: positive(&json["rms_norm_eps"], "rms_norm_eps", 1e-6)?,
            rope_theta,
            rope_scaling: scaling(rope)?,
            max_position_embeddings,
            tie_word_embeddings: json["tie_word_embeddings"].as_bool().unwrap_or(false),
            qkv_bias: false,
            qk_norm: false,
            bos_token: json["bos_token_id"].as_u64().map(|id| id as u32),
            end_tokens: all_ends,
        })
    }
}

/// A number above 0; `default` where there is none.
pub(super) fn positive(value: &serde_json::Value, key: &'static str, default: f64) -> Result<f64, ConfigError> {
    if value.is_null() {
        return Ok(default);
    }
    value.as_f64().filter(|number| number.is_finite() && *number > 0.0).ok_or_else(|| ConfigError::Value {
        key,
        found: value.to_string(),
        expected: "a number above 0",
    })
}

pub(super) fn missing(key: &'static str) -> ConfigError {
    ConfigError::Value { key, found: "missing".into(), expected: "a number" }
}

pub(super) fn read_size(json: &serde_json::Value, key: &'static str) -> Result<Option<usize>, ConfigError> {
    match &json[key] {
        serde_json::Value::Null => Ok(None),
        value => match value.as_u64().filter(|&size| (1..=LARGEST).contains(&size)) {
            Some(size) => Ok(Some(size as usize)),
            None => Err(ConfigError::Value { key, found: value.to_string(), expected: "a whole number from 1 to 16777216" }),
        },
    }
}

fn tokens(value: &serde_json::Value) -> Vec<u32> {
    match value {
        serde_json::Value::Array(list) => list.iter().filter_map(|id| id.as_u64()).map(|id| id as u32).collect(),
        other => other.as_u64().map(|id| id as u32).into_iter().collect(),
    }
}

fn scaling(rope: &serde_json::Value) -> Result<Option<RopeScaling>, ConfigError> {
    let number = |key: &'static str| {
        rope[key].as_f64().filter(|v| v.is_finite() && *v > 0.0).ok_or(ConfigError::Value {
            key,
            found: rope[key].to_string(),
            expected: "a number above 0",
        })
    };
    match rope["rope_type"].as_str().or_else(|| rope["type"].as_str()) {
        None | Some("default") => Ok(None),
        Some("linear") => Ok(Some(RopeScaling::Linear { factor: number("factor")? })),
        Some("llama3") => Ok(Some(RopeScaling::Llama3 {
            factor: number("factor")?,
            low_freq_factor: number("low_freq_factor")?,
            high_freq_factor: number("high_freq_factor")?,
            original_max_position_embeddings: number("original_max_position_embeddings")? as usize,
        })),
        Some(found) => Err(ConfigError::Unsupported { key: "rope_scaling", found: found.into(), supported: "linear, llama3" }),
    }
}
