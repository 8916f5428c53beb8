//! A GGUF file becomes a Hugging Face folder.

use std::collections::BTreeSet;
use std::path::Path;

use half::bf16;
use serde_json::{Map, Value as Json, json};

use super::container::Gguf;
use super::{GgufError, tokenizer};
use crate::artifact::write::{write_bytes, write_whole};
use crate::error::Failure;
use crate::model::config::ModelConfig;
use crate::model::inventory::{TensorSpec, inventory};

/// Writes `config.json`, `tokenizer.json`, `tokenizer_config.json`, `generation_config.json` and `model.safetensors` into
/// `folder`; weights are bf16 (rounded to nearest, ties to even), or f32 with `wide`. Memory stays at about one tensor. A file
/// without a chat template becomes a folder without one.
///
/// # Errors
/// When the file is damaged or not supported, or the folder cannot be written.
pub fn materialise(path: &Path, wide: bool, folder: &Path) -> Result<(), Failure> {
    let gguf = Gguf::open(path)?;
    let config_json = gguf.config()?;
    let config_text = pretty(&config_json);
    let config = ModelConfig::from_json(&config_text, None).map_err(|error| Failure::from(error).within(path.display().to_string()))?;
    let (tokenizer, tokenizer_config) = tokenizer::rebuild(&gguf, config.vocab_size)?;
    let specs = inventory(&config);
    let names = names(&gguf, &specs)?;
    write_weights(&gguf, &config, &specs, &names, wide, &folder.join("model.safetensors"))?;
    let generation = json!({"bos_token_id": config_json["bos_token_id"], "eos_token_id": config_json["eos_token_id"]});
    for (name, text) in [
        ("config.json", config_text),
        ("tokenizer.json", tokenizer.to_string()),
        ("tokenizer_config.json", pretty(&tokenizer_config)),
        ("generation_config.json", pretty(&generation)),
    ] {
        write_bytes(&folder.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// The file's name of every tensor: each is there in its shape, and no other is.
fn names(gguf: &Gguf, specs: &[TensorSpec]) -> Result<Vec<String>, GgufError> {
    let names: Vec<String> = specs.iter().map(|spec| file_name(spec).ok_or_else(|| gguf.missing(&spec.name))).collect::<Result<_, _>>()?;
    for (name, spec) in names.iter().zip(specs) {
        let place = gguf.tensors.get(name).ok_or_else(|| gguf.missing(name))?;
        if place.shape != spec.shape() {
            return Err(gguf.damaged(format!("tensor {name} is {:?}, expected {:?}", place.shape, spec.shape())));
        }
    }
    let used: BTreeSet<&str> = names.iter().map(String::as_str).chain(["rope_freqs.weight"]).collect();
    match gguf.tensors.keys().find(|name| !used.contains(name.as_str())) {
        Some(extra) => Err(gguf.unsupported("tensor", extra.clone(), "the tensors of a Llama without biases")),
        None => Ok(names),
    }
}

/// llama.cpp's name of a tensor.
fn file_name(spec: &TensorSpec) -> Option<String> {
    let Some(layer) = spec.layer else {
        return match spec.name.as_str() {
            "model.embed_tokens.weight" => Some("token_embd.weight".into()),
            "model.norm.weight" => Some("output_norm.weight".into()),
            "lm_head.weight" => Some("output.weight".into()),
            _ => None,
        };
    };
    let parts = [
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ];
    let rest = spec.name.strip_prefix(&format!("model.layers.{layer}."))?.strip_suffix(".weight")?;
    parts.iter().find(|(ours, _)| *ours == rest).map(|(_, theirs)| format!("blk.{layer}.{theirs}.weight"))
}

fn write_weights(
    gguf: &Gguf,
    config: &ModelConfig,
    specs: &[TensorSpec],
    names: &[String],
    wide: bool,
    path: &Path,
) -> Result<(), Failure> {
    let header = safetensors_header(specs, wide);
    let mut problem = None;
    let written = write_whole(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        for (spec, name) in specs.iter().zip(names) {
            let mut values = match gguf.tensor(name) {
                Ok(values) => values,
                Err(error) => {
                    problem = Some(error);
                    return Err(std::io::Error::other("damaged"));
                }
            };
            if spec.name.ends_with("q_proj.weight") {
                values = half_split(&values, config.heads, spec.columns);
            } else if spec.name.ends_with("k_proj.weight") {
                values = half_split(&values, config.key_value_heads, spec.columns);
            }
            let bytes: Vec<u8> = if wide {
                values.iter().flat_map(|value| value.to_le_bytes()).collect()
            } else {
                values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect()
            };
            out.write_all(&bytes)?;
        }
        Ok(())
    });
    match problem {
        Some(problem) => Err(problem.into()),
        None => Ok(written?),
    }
}

fn safetensors_header(specs: &[TensorSpec], wide: bool) -> String {
    let size = if wide { 4 } else { 2 };
    let mut header = Map::from_iter([("__metadata__".to_owned(), json!({"format": "pt"}))]);
    let mut offset = 0;
    for spec in specs {
        let end = offset + spec.len() * size;
        let dtype = if wide { "F32" } else { "BF16" };
        header.insert(spec.name.clone(), json!({"dtype": dtype, "shape": spec.shape(), "data_offsets": [offset, end]}));
        offset = end;
    }
    let mut header = Json::Object(header).to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    header
}

/// Rows of one head from llama.cpp's order (pair 0's first and second row, pair 1's, …) to all first rows, then all second rows.
fn half_split(values: &[f32], heads: usize, columns: usize) -> Vec<f32> {
    let rows = values.len() / columns / heads;
    let mut out = Vec::with_capacity(values.len());
    for head in 0..heads {
        for row in 0..rows {
            let from = head * rows + 2 * (row % (rows / 2)) + row / (rows / 2);
            out.extend_from_slice(&values[from * columns..(from + 1) * columns]);
        }
    }
    out
}

fn pretty(json: &Json) -> String {
    serde_json::to_string_pretty(json).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_head_go_from_interleaved_to_half_split() {
        // Two heads of four rows, one column: pairs (0, 1) and (2, 3).
        assert_eq!(half_split(&[0., 1., 2., 3., 10., 11., 12., 13.], 2, 1), [0., 2., 1., 3., 10., 12., 11., 13.]);
    }
}
