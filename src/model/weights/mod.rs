//! Weights on disk: safetensors, memory-mapped, widened to f32 and narrowed back.

mod dtype;
mod edit;
mod header;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::SafeTensors;
use sha2::{Digest as _, Sha256};

pub use self::dtype::Dtype;
pub use self::edit::write_edited;
pub use self::header::{HeaderEntry, write_header};
pub use self::write::{ChangedTensor, Rounding, write_changed, write_fresh};
use super::config::ModelConfig;
use super::inventory::inventory;
use crate::artifact::digest::hex;
use crate::artifact::map::map;
use crate::error::{Explain, shell_word};

/// Weights that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// A file is missing or cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is no valid safetensors file, or no valid index.
    #[error("{} is damaged or truncated: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A tensor has a type that the program does not read.
    #[error("tensor {name} in {} has type {found}; supported: F32, F16, BF16", path.display())]
    Type {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type.
        found: String,
    },
    /// Tensors and configuration do not fit; every problem is listed.
    #[error("the weights do not fit config.json:\n{}", problems.join("\n"))]
    Mismatch {
        /// One line each.
        problems: Vec<String>,
    },
    /// A tensor was asked for that is not there.
    #[error("there is no tensor {0}")]
    NoTensor(String),
    /// Saving failed.
    #[error("cannot write the tuned weights: {0}")]
    Write(std::io::Error),
    /// The backend could not take or give the weights.
    #[error(transparent)]
    Backend(#[from] super::backend::BackendError),
}

impl Explain for WeightsError {
    fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "file",
            Self::Damaged { .. } => "damaged-weights",
            Self::Type { .. } => "unsupported-dtype",
            Self::Mismatch { .. } | Self::NoTensor(_) => "weights-mismatch",
            Self::Write(error) if error.kind() == std::io::ErrorKind::StorageFull => "disk-full",
            Self::Write(_) => "file",
            Self::Backend(_) => "backend",
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::Damaged { path, .. } => Some(format!("download or copy the file again: rm {}", shell_word(path))),
            Self::Io { .. } => Some("give a folder with config.json, tokenizer.json and model.safetensors".into()),
            Self::Type { .. } => {
                Some("convert the model to bf16, for example with transformers: model.to(torch.bfloat16).save_pretrained(…)".into())
            }
            Self::Mismatch { .. } | Self::NoTensor(_) => {
                Some("give the config.json and the weights of one and the same model; download or copy the folder again".into())
            }
            Self::Write(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                Some("make room, and run again: finished stages are kept".into())
            }
            Self::Write(_) | Self::Backend(_) => None,
        }
    }
}

/// A model's tensors, memory-mapped.
pub struct Weights {
    files: Vec<(PathBuf, Mmap)>,
    tensors: BTreeMap<String, Place>,
}

/// Where a tensor lies.
#[derive(Debug, Clone)]
struct Place {
    file: usize,
    start: usize,
    end: usize,
    dtype: Dtype,
    shape: Vec<usize>,
}

impl Weights {
    /// Opens `model.safetensors`, or the shards that `model.safetensors.index.json` names. Nothing else is ever read.
    ///
    /// # Errors
    /// When a file is missing, damaged or truncated, or has a tensor of another type than F32, F16 or BF16, but for `position_ids`, a
    /// buffer that counts.
    pub fn open(folder: &Path) -> Result<Self, WeightsError> {
        let index = folder.join("model.safetensors.index.json");
        // As transformers: a single file goes before an index.
        let sharded = index.is_file() && !folder.join("model.safetensors").is_file();
        let names = if sharded { shards(&index)? } else { BTreeSet::from(["model.safetensors".to_owned()]) };
        let mut weights = Self { files: Vec::new(), tensors: BTreeMap::new() };
        for name in names {
            weights.add(folder.join(name))?;
        }
        Ok(weights)
    }

    fn add(&mut self, path: PathBuf) -> Result<(), WeightsError> {
        let io = |source| WeightsError::Io { path: path.clone(), source };
        let damaged = |problem: String| WeightsError::Damaged { path: path.clone(), problem };
        let file = File::open(&path).map_err(io)?;
        if file.metadata().map_err(io)?.len() == 0 {
            return Err(damaged("the file is empty".into()));
        }
        let map = map(&file).map_err(io)?;
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(|error| damaged(error.to_string()))?;
        let data = header + 8;
        let end = metadata.tensors().values().map(|info| info.data_offsets.1).max().unwrap_or(0);
        if map.len() != data + end {
            return Err(damaged(format!("it has {} bytes, its header describes {}", map.len(), data + end)));
        }
        let index = self.files.len();
        for (name, info) in metadata.tensors() {
            // A buffer of counting numbers that transformers saved with encoders until 4.31.
            if name.ends_with("embeddings.position_ids") {
                continue;
            }
            let dtype = Dtype::of(info.dtype).ok_or_else(|| WeightsError::Type {
                path: path.clone(),
                name: name.clone(),
                found: format!("{:?}", info.dtype),
            })?;
            let (start, end) = (data + info.data_offsets.0, data + info.data_offsets.1);
            if self.tensors.insert(name.clone(), Place { file: index, start, end, dtype, shape: info.shape.clone() }).is_some() {
                return Err(damaged(format!("tensor {name} stands in another file too")));
            }
        }
        self.files.push((path, map));
        Ok(())
    }

    /// Checks that every tensor of the configuration is there with its shape, and no other. A copy of tied embeddings
    /// as `lm_head.weight` and rotary buffers are no tensors of their own and are passed over.
    ///
    /// # Errors
    /// All missing, extra and mis-shaped tensors at once.
    pub fn bind(&self, config: &ModelConfig) -> Result<(), WeightsError> {
        let mut problems = Vec::new();
        let specs = inventory(config);
        for spec in &specs {
            match self.tensors.get(&spec.name) {
                None => problems.push(format!("  missing: {} {:?}", spec.name, spec.shape())),
                Some(place) if place.shape != spec.shape() => {
                    problems.push(format!("  shape of {}: {:?}, expected {:?}", spec.name, place.shape, spec.shape()))
                }
                Some(_) => {}
            }
        }
        let known: BTreeSet<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        for name in self.tensors.keys() {
            let head_of_its_own = name == "lm_head.weight" && !config.tie_word_embeddings;
            if !known.contains(name.as_str()) && (head_of_its_own || !self.redundant(name)) {
                problems.push(format!("  extra: {name}"));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(WeightsError::Mismatch { problems }) }
    }

    /// Whether a tensor says nothing that another does not: a copy of tied embeddings as `lm_head.weight`, or a rotary buffer.
    pub fn redundant(&self, name: &str) -> bool {
        name.ends_with("rotary_emb.inv_freq") || self.copied(name) != name
    }

    /// The tensor of which this one is a copy: the embeddings for tied embeddings' `lm_head.weight`; itself for every other.
    pub fn copied<'a>(&self, name: &'a str) -> &'a str {
        const EMBEDDINGS: &str = "model.embed_tokens.weight";
        if name == "lm_head.weight" && self.bits(name) == self.bits(EMBEDDINGS) { EMBEDDINGS } else { name }
    }

    /// Tensor names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A tensor's stored type.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.tensors.get(name).map(|place| place.dtype)
    }

    /// A tensor's stored shape.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|place| place.shape.as_slice())
    }

    /// A tensor's stored bytes, little-endian, row-major.
    pub fn bits(&self, name: &str) -> Option<&[u8]> {
        let place = self.tensors.get(name)?;
        self.files.get(place.file)?.1.get(place.start..place.end)
    }

    /// A tensor's numbers as f32; exact for every supported type.
    ///
    /// # Errors
    /// When there is no such tensor.
    pub fn widened(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        match (self.bits(name), self.dtype(name)) {
            (Some(bits), Some(dtype)) => Ok(dtype.widen(bits)),
            _ => Err(WeightsError::NoTensor(name.into())),
        }
    }

    /// sha256 over name, type, shape and bytes of every tensor in the order of names: the same however the tensors are split into files.
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for (name, place) in &self.tensors {
            hasher.update(format!("{name}\n{:?}\n{:?}\n", place.dtype, place.shape));
            hasher.update(self.bits(name).unwrap_or_default());
        }
        hex(&hasher.finalize())
    }
}

/// The files that an index names; plain file names only, so that an index cannot reach outside its folder.
fn shards(index: &Path) -> Result<BTreeSet<String>, WeightsError> {
    let damaged = |problem: String| WeightsError::Damaged { path: index.into(), problem };
    let text = std::fs::read_to_string(index).map_err(|source| WeightsError::Io { path: index.into(), source })?;
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    let map = json["weight_map"].as_object().ok_or_else(|| damaged("it has no weight_map".into()))?;
    let mut names = BTreeSet::new();
    for (tensor, file) in map {
        let name = file.as_str().unwrap_or_default();
        let plain = name.ends_with(".safetensors") && !name.contains(['/', '\\']) && !name.starts_with('.');
        if !plain {
            return Err(damaged(format!("tensor {tensor} is in {file}, which is no safetensors file beside it")));
        }
        names.insert(name.to_owned());
    }
    Ok(names)
}
