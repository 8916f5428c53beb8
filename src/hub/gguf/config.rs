//! `config.json` from the metadata.

use serde_json::{Value as Json, json};

use super::GgufError;
use super::container::Gguf;

impl Gguf {
    /// `config.json` with the names that transformers gives to these settings.
    ///
    /// # Errors
    /// When the architecture or one of its options is not supported, or a setting is missing or impossible.
    pub(super) fn config(&self) -> Result<Json, GgufError> {
        let architecture = self.text("general.architecture")?.ok_or_else(|| self.missing("general.architecture"))?;
        if architecture != "llama" {
            return Err(self.unsupported("architecture", architecture, "llama (Llama 2 and 3, SmolLM2, Mistral without a sliding window)"));
        }
        let whole = |key: &str| self.whole(&format!("llama.{key}"));
        let need = |key: &str| whole(key)?.ok_or_else(|| self.missing(&format!("llama.{key}")));
        let (hidden, heads, layers) = (need("embedding_length")?, need("attention.head_count")?, need("block_count")?);
        // Said here, before anything is made for each layer.
        if layers > self.tensors.len() as u64 {
            return Err(self.damaged(format!("llama.block_count is {layers}, and it has {} tensors", self.tensors.len())));
        }
        let context = whole("context_length")?.unwrap_or(2048);
        if let Some(window) = whole("attention.sliding_window")?.filter(|&window| window > 0 && window < context) {
            return Err(self.unsupported("sliding window", window.to_string(), "none"));
        }
        let head_dim = whole("attention.key_length")?.or(whole("rope.dimension_count")?).unwrap_or(hidden / heads.max(1));
        let rows = self.tensors.get("token_embd.weight").and_then(|place| place.shape.first().copied());
        let mut ends = Vec::new();
        for name in ["eos", "eot", "eom"] {
            ends.extend(self.whole(&format!("tokenizer.ggml.{name}_token_id"))?.filter(|id| !ends.contains(id)));
        }
        Ok(json!({
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": hidden,
            "intermediate_size": need("feed_forward_length")?,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": whole("attention.head_count_kv")?.unwrap_or(heads),
            "head_dim": head_dim,
            "vocab_size": rows.ok_or_else(|| self.missing("token_embd.weight"))?,
            "max_position_embeddings": context,
            "rms_norm_eps": self.positive("llama.attention.layer_norm_rms_epsilon", 1e-5)?,
            "rope_theta": self.theta()?,
            "rope_scaling": self.scaling(head_dim)?,
            "hidden_act": "silu",
            "tie_word_embeddings": !self.tensors.contains_key("output.weight"),
            "bos_token_id": self.whole("tokenizer.ggml.bos_token_id")?,
            "eos_token_id": ends,
        }))
    }

    /// A number above 0. It is f32 in the file: this is the decimal that was meant, not the digits of the nearest f32.
    fn positive(&self, key: &str, default: f64) -> Result<f64, GgufError> {
        let value = self.number(key)?.unwrap_or(default);
        if value <= 0.0 {
            return Err(self.damaged(format!("{key} is {value}, expected a number above 0")));
        }
        Ok((value as f32).to_string().parse().ok().filter(|value: &f64| value.is_finite() && *value > 0.0).unwrap_or(value))
    }

    fn theta(&self) -> Result<f64, GgufError> {
        self.positive("llama.rope.freq_base", 10_000.0)
    }

    fn scaling(&self, head_dim: u64) -> Result<Json, GgufError> {
        if self.tensors.contains_key("rope_freqs.weight") {
            return self.llama3_scaling(head_dim);
        }
        match self.text("llama.rope.scaling.type")? {
            None | Some("none") => Ok(Json::Null),
            Some("linear") => Ok(json!({"rope_type": "linear", "factor": self.positive("llama.rope.scaling.factor", 1.0)?})),
            Some(other) => Err(self.unsupported("rope scaling", other, "none, linear, llama3")),
        }
    }

    /// The settings behind stored rotary factors: Llama 3's, when recomputing with them gives the same numbers.
    fn llama3_scaling(&self, head_dim: u64) -> Result<Json, GgufError> {
        let stored = self.tensor("rope_freqs.weight")?;
        if stored.len() as u64 != head_dim / 2 {
            return Err(self.damaged(format!("rope_freqs.weight has {} numbers, expected {}", stored.len(), head_dim / 2)));
        }
        let theta = self.theta()?;
        let factor = f64::from(stored.iter().copied().fold(1.0, f32::max));
        let (low, high, original) = (1.0, 4.0, 8192.0);
        let fits = stored.iter().enumerate().all(|(i, &found)| {
            let wavelength = 2.0 * std::f64::consts::PI * theta.powf(i as f64 / stored.len() as f64);
            let expected = if wavelength < original / high {
                1.0
            } else if wavelength > original / low {
                factor
            } else {
                let smooth = (original / wavelength - low) / (high - low);
                1.0 / ((1.0 - smooth) / factor + smooth)
            };
            (f64::from(found) - expected).abs() <= 1e-3 * expected
        });
        if !fits {
            return Err(self.unsupported("rotary factors", format!("up to {factor}"), "those of Llama 3.1 and 3.2"));
        }
        Ok(json!({"rope_type": "llama3", "factor": factor, "low_freq_factor": low, "high_freq_factor": high,
                  "original_max_position_embeddings": original as u64}))
    }
}
