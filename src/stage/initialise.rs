//! initialise: a model that has learnt nothing, with a tokenizer learnt from the texts that it will be trained on.

use serde_json::json;

use crate::artifact::write::{write_bytes, write_whole};
use crate::data::vocabulary::{self, END, TEMPLATE};
use crate::error::{Failure, Within};
use crate::model::config::ModelConfig;
use crate::model::fresh::fresh;
use crate::model::inventory::inventory;
use crate::model::weights::{WeightsError, write_fresh};
use crate::pipeline::settings::{self, Pretrain};

use super::Context;
use super::fetch::Model;
use super::rows::load_rows;

/// Of this stage's result; raised when what it writes changes.
pub(super) const VERSION: u32 = 1;

/// Makes the folder of a fresh model.
///
/// # Errors
/// When the data cannot be read, or the store cannot be written.
pub fn initialise(context: &Context<'_>, settings: &Pretrain, seed: u64, model: &settings::Model) -> Result<Model, Failure> {
    let sources = settings.data.iter().map(|spec| load_rows(context, "pretrain", spec)).collect::<Result<Vec<_>, _>>()?;
    let digests: Vec<String> = sources.iter().map(|loaded| loaded.content_digest()).collect();
    let shape = settings.architecture;
    let entry = context.stage("initialise", VERSION, &(shape, digests, seed), |place| {
        let texts = sources.iter().flat_map(|loaded| &loaded.rows).flat_map(|row| &row.messages).map(|message| message.content.as_str());
        let tokenizer = vocabulary::train(texts, shape.vocab_size).within(|| "learning the tokenizer".to_owned())?;
        let end = 0; // Special tokens come first.
        let config = json!({
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": shape.vocab_size,
            "hidden_size": shape.hidden_size,
            "intermediate_size": shape.intermediate_size,
            "num_hidden_layers": shape.num_hidden_layers,
            "num_attention_heads": shape.num_attention_heads,
            "num_key_value_heads": shape.num_key_value_heads,
            "max_position_embeddings": shape.max_position_embeddings,
            "hidden_act": "silu",
            "rms_norm_eps": 1e-5,
            "rope_theta": 10_000.0,
            "tie_word_embeddings": true,
            "bos_token_id": end,
            "eos_token_id": end,
            "torch_dtype": "bfloat16",
        });
        let pretty = |value: &serde_json::Value| serde_json::to_string_pretty(value).unwrap_or_default();
        let tokenizer_config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END, "eos_token": END, "chat_template": TEMPLATE,
            "model_max_length": shape.max_position_embeddings, "clean_up_tokenization_spaces": false,
        });
        let parsed = ModelConfig::from_json(&config.to_string(), None)?;
        for (name, text) in [
            ("config.json", pretty(&config)),
            ("tokenizer.json", tokenizer),
            ("tokenizer_config.json", pretty(&tokenizer_config)),
            ("generation_config.json", pretty(&json!({"bos_token_id": end, "eos_token_id": end}))),
        ] {
            write_bytes(&place.folder.join(name), text.as_bytes())?;
        }
        write_whole(&place.folder.join("model.safetensors"), |file| {
            write_fresh(&parsed, |spec| fresh(&parsed, spec, seed), file).map_err(|error| match error {
                WeightsError::Write(error) => error,
                other => std::io::Error::other(other.to_string()),
            })
        })?;
        Ok(format!("{} parameters", inventory(&parsed).iter().map(|spec| spec.len()).sum::<usize>()))
    })?;
    Model::open(&entry.folder, model)
}
