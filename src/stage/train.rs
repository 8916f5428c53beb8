//! What align and finetune share: a plan from settings, and tuned weights saved as a Hugging Face folder.

use std::collections::BTreeMap;
use std::path::Path;

use crate::artifact::write::{write_bytes, write_whole};
use crate::error::Failure;
use crate::model::backend::Backend;
use crate::model::decoder::{Decoder, Trained};
use crate::model::inventory::TensorSpec;
use crate::model::weights::{ChangedTensor, Rounding, WeightsError, write_changed};
use crate::pipeline::settings::{Dtype, Training};
use crate::train::fit::Plan;
use crate::train::optimizer::Settings;

use super::fetch::Model;
use super::manner::turn_end;

/// The training loop's plan.
pub fn plan(training: &Training, seed: u64) -> Plan {
    Plan {
        steps: training.max_steps,
        until: None,
        learning_rate: training.learning_rate,
        batch_rows: training.per_device_train_batch_size,
        accumulation: training.gradient_accumulation_steps,
        scheduler: training.lr_scheduler_type,
        warmup_steps: training.warmup_steps,
        optimizer: Settings {
            beta1: training.adam_beta1,
            beta2: training.adam_beta2,
            epsilon: training.adam_epsilon,
            weight_decay: training.weight_decay,
            max_grad_norm: training.max_grad_norm,
        },
        seed,
        save_every: training.save_steps,
        replay_share: None,
        checkpointing: training.gradient_checkpointing,
    }
}

/// How transformers generates.
const GENERATION: &str = "generation_config.json";

/// The files beside the weights that make a folder a model.
pub(super) const SIDE_FILES: [&str; 7] = [
    "config.json",
    GENERATION,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
];

/// Saves tuned weights, in the `dtype` asked for, beside copies of the source's other files: a folder that transformers opens.
///
/// # Errors
/// When the folder cannot be written or the weights cannot be read back from the backend.
pub fn save<B: Backend>(source: &Model, decoder: &Decoder<B>, trained: &Trained, dtype: Dtype, folder: &Path) -> Result<Rounding, Failure> {
    save_changed(source, dtype, folder, |spec| {
        let Some(selection) = trained.get(&spec.name) else { return Ok(None) };
        Ok(Some(ChangedTensor { values: decoder.values(&spec.name)?, selection: selection.clone() }))
    })
}

/// The same of any weights: `changed` says what became of a tensor; none = nothing.
///
/// # Errors
/// When the folder cannot be written, or what `changed` fails with.
pub fn save_changed(
    source: &Model,
    dtype: Dtype,
    folder: &Path,
    mut changed: impl FnMut(&TensorSpec) -> Result<Option<ChangedTensor>, WeightsError>,
) -> Result<Rounding, Failure> {
    let mut outcome: Result<Rounding, WeightsError> = Ok(Rounding::default());
    write_whole(&folder.join("model.safetensors"), |file| {
        outcome = write_changed(&source.weights, &source.config, dtype.wanted(), &mut changed, file);
        match &outcome {
            Err(WeightsError::Write(error)) => Err(std::io::Error::new(error.kind(), error.to_string())),
            Err(other) => Err(std::io::Error::other(other.to_string())),
            Ok(_) => Ok(()),
        }
    })?;
    save_beside(source, dtype, folder)?;
    Ok(outcome?)
}

/// Writes what stands beside saved weights: copies of the source's other files, which say how the model is asked and when it ends.
///
/// # Errors
/// When a file cannot be read or written.
pub(super) fn save_beside(source: &Model, dtype: Dtype, folder: &Path) -> Result<(), Failure> {
    for name in SIDE_FILES {
        let from = source.folder.join(name);
        if from.is_file() {
            // A copy: a link would be the user's own file, and in the hub's cache these are links themselves.
            let bytes = std::fs::read(&from).map_err(|error| unread(&from, &error))?;
            let bytes =
                if name == "config.json" { complete_config(&bytes, &from, (dtype == Dtype::F32).then_some("float32"))? } else { bytes };
            write_bytes(&folder.join(name), &bytes)?;
        }
    }
    // What is evaluated ends with the template's turn too; who loads the folder elsewhere knows it from this file.
    if let Some(token) = turn_end(source) {
        let path = folder.join(GENERATION);
        let before = if path.is_file() { Some(std::fs::read(&path).map_err(|error| unread(&path, &error))?) } else { None };
        let ends: Vec<u32> = source.config.end_tokens.iter().copied().chain([token]).collect();
        write_bytes(&path, &ending_with(before.as_deref(), &ends, &path)?)?;
    }
    // The template that the model was trained and evaluated with is the one that ships; this file goes before all others.
    if let Some(template) = source.text.given_template() {
        write_bytes(&folder.join("chat_template.jinja"), template.as_bytes())?;
    }
    Ok(())
}

/// A config.json as transformers needs it: it names the type of model, and the weights' type where that is another than the
/// source's, since weights are loaded in the type that it names. One that needs nothing keeps its bytes.
pub(super) fn complete_config(bytes: &[u8], path: &Path, dtype: Option<&str>) -> Result<Vec<u8>, Failure> {
    let broken = |error: serde_json::Error| unread(path, &error);
    let mut config: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(bytes).map_err(broken)?;
    let before = config.clone();
    if !config.contains_key("model_type") {
        let mistral = config.get("architectures").is_some_and(|names| names[0] == "MistralForCausalLM");
        config.insert("model_type".into(), if mistral { "mistral" } else { "llama" }.into());
    }
    if let Some(dtype) = dtype {
        let key = if config.contains_key("dtype") { "dtype" } else { "torch_dtype" };
        config.insert(key.into(), dtype.into());
    }
    if config == before { Ok(bytes.to_vec()) } else { serde_json::to_vec_pretty(&config).map_err(broken) }
}

/// A generation_config.json, what it holds else unchanged, whose replies end with any of these tokens.
fn ending_with(bytes: Option<&[u8]>, ends: &[u32], path: &Path) -> Result<Vec<u8>, Failure> {
    let broken = |error: serde_json::Error| unread(path, &error);
    let mut config: serde_json::Map<String, serde_json::Value> =
        bytes.map(serde_json::from_slice).transpose().map_err(broken)?.unwrap_or_default();
    config.insert("eos_token_id".into(), ends.into());
    serde_json::to_vec_pretty(&config).map_err(broken)
}

fn unread(path: &Path, error: &impl std::fmt::Display) -> Failure {
    Failure::new("file", format!("cannot read {}: {error}", path.display()))
}

/// The share of an update (sum of absolute values) that rounding to the saved type erased.
pub fn erased_share(rounding: &Rounding) -> f64 {
    if rounding.update_sum > 0.0 { rounding.erased_sum / rounding.update_sum } else { 0.0 }
}

/// The number, or 0 where weights that are no finite numbers made it none: a record holds no other.
pub fn finite_or_zero(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

/// A share from which the user is warned: what was trained is then no longer what is saved.
const ERASED_WARNING: f64 = 0.10;

/// The warning when rounding erased much of an update.
pub fn rounding_warning(what: &str, erased: f64) -> Option<String> {
    (erased > ERASED_WARNING).then(|| {
        format!(
            "{what}: rounding to the saved type erased {:.0} % of the update; set `model.dtype: f32` or raise learning_rate",
            erased * 100.0
        )
    })
}

/// The warning where the steps ended before the tokens that they were given, so that trainings with one budget may have read unlike numbers.
pub fn budget_warning(what: &str, training: &Training, steps: u64, tokens: u64) -> Option<String> {
    let most = training.max_tokens?;
    let room = most.saturating_sub(tokens) > tokens / steps.max(1);
    let ended = steps == training.max_steps && room;
    ended.then(|| format!("{what} read {tokens} of max_tokens: {most}, since max_steps: {steps} ended it; write more steps"))
}

/// A copy of the trained tensors, to rewind to.
pub fn snapshot<B: Backend>(decoder: &Decoder<B>, trained: &Trained) -> Result<BTreeMap<String, Vec<f32>>, Failure> {
    trained.keys().map(|name| Ok((name.clone(), decoder.values(name).map_err(WeightsError::from)?))).collect()
}

/// Puts a copy back.
pub fn rewind<B: Backend>(decoder: &mut Decoder<B>, snapshot: &BTreeMap<String, Vec<f32>>) -> Result<(), Failure> {
    for (name, values) in snapshot {
        decoder.set_values(name, values).map_err(WeightsError::from)?;
    }
    Ok(())
}
