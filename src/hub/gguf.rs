//! GGUF files: read within the bounds of the file, and made into a Hugging Face folder once.
//!
//! Sources: the GGUF specification (github.com/ggml-org/ggml, docs/gguf.md); llama.cpp's naming of tensors and its
//! interleaved order of q and k rows; the block formats are dequantised by candle.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::GgmlDType;
use candle_core::quantized::ggml_file::qtensor_from_ggml;
use half::bf16;
use memmap2::Mmap;
use serde_json::{Value as Json, json};

use super::gguf_tokenizer;
use crate::artifact::write::{write_bytes, write_whole};
use crate::error::{Explain, Failure};
use crate::model::config::ModelConfig;
use crate::model::inventory::{TensorSpec, inventory};

/// A GGUF file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is no GGUF file, or it ends too early.
    #[error("{} is damaged or truncated: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Something in it that this program does not read.
    #[error("{}: {what} {found:?} is not supported; supported: {supported}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The kind of thing.
        what: &'static str,
        /// Its value.
        found: String,
        /// What would work.
        supported: &'static str,
    },
}

impl Explain for GgufError {
    fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "file",
            Self::Damaged { .. } => "damaged-gguf",
            Self::Unsupported { .. } => "unsupported-gguf",
        }
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Io { .. } => "check the path".into(),
            Self::Damaged { .. } => "download or copy the file again".into(),
            Self::Unsupported { .. } => "use the model's safetensors: --set model.base=hf://OWNER/NAME@COMMIT".into(),
        })
    }
}

/// What a metadata key holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Any integer or boolean.
    Whole(i128),
    /// Any floating-point number.
    Number(f64),
    /// Text.
    Text(String),
    /// A list of values of one type.
    List(Vec<Value>),
}

/// Where a tensor lies.
struct Place {
    /// Outermost first, as everywhere else (the file has them the other way round).
    shape: Vec<usize>,
    kind: GgmlDType,
    start: usize,
    end: usize,
}

/// An opened GGUF file.
pub struct Gguf {
    path: PathBuf,
    map: Mmap,
    metadata: BTreeMap<String, Value>,
    tensors: BTreeMap<String, Place>,
}

/// Block types by their number in the file.
const KINDS: [(u32, GgmlDType); 13] = [
    (0, GgmlDType::F32),
    (1, GgmlDType::F16),
    (2, GgmlDType::Q4_0),
    (3, GgmlDType::Q4_1),
    (6, GgmlDType::Q5_0),
    (7, GgmlDType::Q5_1),
    (8, GgmlDType::Q8_0),
    (10, GgmlDType::Q2K),
    (11, GgmlDType::Q3K),
    (12, GgmlDType::Q4K),
    (13, GgmlDType::Q5K),
    (14, GgmlDType::Q6K),
    (30, GgmlDType::BF16),
];
const SUPPORTED_KINDS: &str = "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K";

/// A cursor that cannot leave the file.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| format!("{count} bytes are asked for at byte {}, the file has {}", self.at, self.bytes.len()))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.number()?))
    }

    fn count(&mut self) -> Result<usize, String> {
        let count = u64::from_le_bytes(self.number()?);
        // Nothing that is counted takes less than a byte: a larger count is damage, found before memory is asked for.
        usize::try_from(count)
            .ok()
            .filter(|&count| count <= self.bytes.len())
            .ok_or_else(|| format!("a count of {count} at byte {}", self.at - 8))
    }

    fn text(&mut self) -> Result<String, String> {
        let length = self.count()?;
        let bytes = self.take(length)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| format!("text before byte {} is not UTF-8", self.at))
    }

    fn value(&mut self, kind: u32, depth: usize) -> Result<Value, String> {
        Ok(match kind {
            0 => Value::Whole(self.number::<1>()?[0].into()),
            1 => Value::Whole(i8::from_le_bytes(self.number()?).into()),
            2 => Value::Whole(u16::from_le_bytes(self.number()?).into()),
            3 => Value::Whole(i16::from_le_bytes(self.number()?).into()),
            4 => Value::Whole(self.u32()?.into()),
            5 => Value::Whole(i32::from_le_bytes(self.number()?).into()),
            6 => Value::Number(f32::from_le_bytes(self.number()?).into()),
            7 => Value::Whole((self.number::<1>()?[0] != 0).into()),
            8 => Value::Text(self.text()?),
            9 if depth == 0 => {
                let kind = self.u32()?;
                let count = self.count()?;
                Value::List((0..count).map(|_| self.value(kind, 1)).collect::<Result<_, _>>()?)
            }
            10 => Value::Whole(u64::from_le_bytes(self.number()?).into()),
            11 => Value::Whole(i64::from_le_bytes(self.number()?).into()),
            12 => Value::Number(f64::from_le_bytes(self.number()?)),
            other => return Err(format!("a value of type {other} at byte {}", self.at)),
        })
    }
}

impl Gguf {
    /// Opens a file and reads its header; every tensor is checked to lie inside the file.
    ///
    /// # Errors
    /// When it cannot be read, is damaged or truncated, or has a block type that is not supported.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let io = |source| GgufError::Io { path: path.into(), source };
        let damaged = |problem: String| GgufError::Damaged { path: path.into(), problem };
        let file = File::open(path).map_err(io)?;
        if file.metadata().map_err(io)?.len() < 24 {
            return Err(damaged("it is shorter than a header".into()));
        }
        // SAFETY: the map is read-only; a file that another process changes meanwhile gives wrong numbers, which the digests show.
        let map = unsafe { Mmap::map(&file) }.map_err(io)?;
        let mut reader = Reader { bytes: &map, at: 0 };
        if reader.take(4).map_err(damaged)? != b"GGUF" {
            return Err(damaged("it does not begin with GGUF".into()));
        }
        let version = reader.u32().map_err(damaged)?;
        if !(2..=3).contains(&version) {
            return Err(GgufError::Unsupported { path: path.into(), what: "version", found: version.to_string(), supported: "2, 3" });
        }
        let (metadata, infos) = header(&mut reader).map_err(damaged)?;
        let alignment = match metadata.get("general.alignment") {
            Some(Value::Whole(alignment)) if (1..=1 << 20).contains(alignment) => *alignment as usize,
            _ => 32,
        };
        let data = reader.at.next_multiple_of(alignment);
        let mut tensors = BTreeMap::new();
        for (name, shape, number, offset) in infos {
            let kind = KINDS.iter().find(|(known, _)| *known == number).map(|(_, kind)| *kind).ok_or_else(|| GgufError::Unsupported {
                path: path.into(),
                what: "block type",
                found: format!("{number} (of {name})"),
                supported: SUPPORTED_KINDS,
            })?;
            let size = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
            let bytes = size.filter(|size| size % kind.block_size() == 0).map(|size| size / kind.block_size() * kind.type_size());
            let range = bytes.and_then(|bytes| Some((data.checked_add(offset)?, data.checked_add(offset)?.checked_add(bytes)?)));
            let Some((start, end)) = range.filter(|(_, end)| *end <= map.len()) else {
                return Err(damaged(format!("tensor {name} {shape:?} does not lie inside the {} bytes", map.len())));
            };
            tensors.insert(name, Place { shape, kind, start, end });
        }
        Ok(Self { path: path.into(), map, metadata, tensors })
    }

    /// A metadata value.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// A text.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A whole number.
    pub fn whole(&self, key: &str) -> Option<u64> {
        match self.get(key) {
            Some(Value::Whole(number)) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// A number.
    pub fn number(&self, key: &str) -> Option<f64> {
        match self.get(key) {
            Some(Value::Number(number)) => Some(*number),
            Some(Value::Whole(number)) => Some(*number as f64),
            _ => None,
        }
    }

    /// What this program does not read.
    pub fn unsupported(&self, what: &'static str, found: impl Into<String>, supported: &'static str) -> GgufError {
        GgufError::Unsupported { path: self.path.clone(), what, found: found.into(), supported }
    }

    /// A key that must be there.
    pub fn missing(&self, key: &str) -> GgufError {
        GgufError::Damaged { path: self.path.clone(), problem: format!("it has no {key}") }
    }

    /// A tensor's numbers, row-major.
    fn values(&self, name: &str, place: &Place) -> Result<Vec<f32>, GgufError> {
        let failed = |error: candle_core::Error| GgufError::Damaged { path: self.path.clone(), problem: format!("tensor {name}: {error}") };
        let raw = &self.map[place.start..place.end];
        let size = place.shape.iter().product();
        let tensor = qtensor_from_ggml(place.kind, raw, vec![size], &Device::Cpu).map_err(failed)?;
        tensor.dequantize(&Device::Cpu).and_then(|tensor| tensor.to_vec1::<f32>()).map_err(failed)
    }

    /// `config.json` with the names that transformers gives to these settings.
    fn config(&self) -> Result<Json, GgufError> {
        let architecture = self.text("general.architecture").ok_or_else(|| self.missing("general.architecture"))?;
        if architecture != "llama" {
            return Err(self.unsupported("architecture", architecture, "llama (Llama 2 and 3, SmolLM2, Mistral without a sliding window)"));
        }
        let whole = |key: &str| self.whole(&format!("llama.{key}"));
        let need = |key: &str| whole(key).ok_or_else(|| self.missing(&format!("llama.{key}")));
        let (hidden, heads) = (need("embedding_length")?, need("attention.head_count")?);
        let vocabulary = self.tensors.get("token_embd.weight").and_then(|place| place.shape.first().copied());
        let mut ends: Vec<u64> = ["eos", "eot"].iter().filter_map(|name| self.whole(&format!("tokenizer.ggml.{name}_token_id"))).collect();
        ends.dedup();
        let scaling = match (self.tensors.contains_key("rope_freqs.weight"), self.text("llama.rope.scaling.type")) {
            (true, _) => self.llama3_scaling()?,
            (false, None | Some("none")) => Json::Null,
            (false, Some("linear")) => json!({"rope_type": "linear", "factor": self.number("llama.rope.scaling.factor")}),
            (false, Some(other)) => return Err(self.unsupported("rope scaling", other, "none, linear, llama3")),
        };
        Ok(json!({
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": hidden,
            "intermediate_size": need("feed_forward_length")?,
            "num_hidden_layers": need("block_count")?,
            "num_attention_heads": heads,
            "num_key_value_heads": whole("attention.head_count_kv").unwrap_or(heads),
            "head_dim": whole("attention.key_length").or(whole("rope.dimension_count")).unwrap_or(hidden / heads.max(1)),
            "vocab_size": vocabulary.ok_or_else(|| self.missing("token_embd.weight"))?,
            "max_position_embeddings": whole("context_length").unwrap_or(2048),
            // f32 in the file: the decimal that was meant, not the nearest f32's digits.
            "rms_norm_eps": decimal(self.number("llama.attention.layer_norm_rms_epsilon").unwrap_or(1e-5)),
            "rope_theta": decimal(self.number("llama.rope.freq_base").unwrap_or(10_000.0)),
            "rope_scaling": scaling,
            "hidden_act": "silu",
            "tie_word_embeddings": !self.tensors.contains_key("output.weight"),
            "bos_token_id": self.whole("tokenizer.ggml.bos_token_id"),
            "eos_token_id": ends,
        }))
    }

    /// The settings behind stored rotary factors: Llama 3's, when recomputing with them gives the same numbers.
    fn llama3_scaling(&self) -> Result<Json, GgufError> {
        let Some(place) = self.tensors.get("rope_freqs.weight") else { return Ok(Json::Null) };
        let stored = self.values("rope_freqs.weight", place)?;
        let theta = self.number("llama.rope.freq_base").unwrap_or(10_000.0);
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

/// Metadata and tensor descriptions (name, shape, block type, offset).
#[allow(clippy::type_complexity)]
fn header(reader: &mut Reader<'_>) -> Result<(BTreeMap<String, Value>, Vec<(String, Vec<usize>, u32, usize)>), String> {
    let (tensor_count, key_count) = (reader.count()?, reader.count()?);
    let mut metadata = BTreeMap::new();
    for _ in 0..key_count {
        let key = reader.text()?;
        let kind = reader.u32()?;
        let value = reader.value(kind, 0).map_err(|problem| format!("key {key}: {problem}"))?;
        metadata.insert(key, value);
    }
    let mut infos = Vec::new();
    for _ in 0..tensor_count {
        let name = reader.text()?;
        let dimensions = reader.u32()?;
        if dimensions > 4 {
            return Err(format!("tensor {name} has {dimensions} dimensions"));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            let side = u64::from_le_bytes(reader.number()?);
            shape.push(usize::try_from(side).map_err(|_| format!("tensor {name} has a side of {side}"))?);
        }
        shape.reverse();
        let kind = reader.u32()?;
        let offset = u64::from_le_bytes(reader.number()?);
        infos.push((name, shape, kind, usize::try_from(offset).map_err(|_| format!("an offset of {offset}"))?));
    }
    Ok((metadata, infos))
}

/// The shortest decimal that gives this f32.
fn decimal(value: f64) -> f64 {
    (value as f32).to_string().parse().unwrap_or(value)
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

/// Writes `config.json`, `tokenizer.json`, `tokenizer_config.json`, `generation_config.json` and `model.safetensors` into
/// `folder`; weights are bf16 (rounded to nearest, ties to even), or f32 with `wide`. Memory stays at about one tensor.
///
/// # Errors
/// When the file is damaged or not supported, or the folder cannot be written.
pub fn materialise(path: &Path, wide: bool, folder: &Path) -> Result<(), Failure> {
    let gguf = Gguf::open(path)?;
    let config_json = gguf.config()?;
    let config_text = pretty(&config_json);
    let config = ModelConfig::from_json(&config_text, None).map_err(|error| Failure::from(error).within(path.display().to_string()))?;
    let (tokenizer, tokenizer_config) = gguf_tokenizer::rebuild(&gguf)?;
    let specs = inventory(&config);
    let mut places = Vec::new();
    let mut used = std::collections::BTreeSet::from(["rope_freqs.weight".to_owned()]);
    for spec in &specs {
        let name = file_name(spec).ok_or_else(|| gguf.missing(&spec.name))?;
        let place = gguf.tensors.get(&name).ok_or_else(|| gguf.missing(&name))?;
        if place.shape != spec.shape() {
            let problem = format!("tensor {name} is {:?}, expected {:?}", place.shape, spec.shape());
            return Err(GgufError::Damaged { path: path.into(), problem }.into());
        }
        used.insert(name.clone());
        places.push((spec, name, place));
    }
    if let Some(extra) = gguf.tensors.keys().find(|name| !used.contains(*name)) {
        return Err(gguf.unsupported("tensor", extra.clone(), "the tensors of a Llama without biases").into());
    }
    let size = if wide { 4 } else { 2 };
    let mut header = serde_json::Map::from_iter([("__metadata__".to_owned(), json!({"format": "pt"}))]);
    let mut offset = 0;
    for spec in &specs {
        let end = offset + spec.len() * size;
        header.insert(
            spec.name.clone(),
            json!({"dtype": if wide { "F32" } else { "BF16" }, "shape": spec.shape(), "data_offsets": [offset, end]}),
        );
        offset = end;
    }
    let mut header = Json::Object(header).to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut problem = None;
    let written = write_whole(&folder.join("model.safetensors"), |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        for (spec, name, place) in &places {
            let mut values = match gguf.values(name, place) {
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
    if let Some(problem) = problem {
        return Err(problem.into());
    }
    written?;
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

fn pretty(json: &Json) -> String {
    serde_json::to_string_pretty(json).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_head_go_from_interleaved_to_half_split() {
        // Two heads of four rows, one column: pairs (0, 1) and (2, 3).
        assert_eq!(half_split(&[0., 1., 2., 3., 10., 11., 12., 13.], 2, 1), [0., 2., 1., 3., 10., 12., 11., 13.]);
    }

    #[test]
    fn a_count_larger_than_the_file_is_damage_not_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.gguf");
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(3u32.to_le_bytes());
        bytes.extend(u64::MAX.to_le_bytes());
        bytes.extend(0u64.to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(Gguf::open(&path), Err(GgufError::Damaged { .. })));
    }
}
