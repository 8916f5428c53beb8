//! A model's folder written again with other weights.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use crate::artifact::write::{write_bytes, write_folder, write_whole};
use crate::delta::DeltaError;
use crate::error::Failure;
use crate::model::weights::{Dtype, Weights, WeightsError};

use super::train::{SIDE_FILES, complete_config};

/// Files of tokenizers that only other programs read.
const MORE_FILES: [&str; 5] = ["tokenizer.model", "vocab.json", "merges.txt", "added_tokens.json", "vocab.txt"];

/// Makes a folder that must not be there yet, whole or not at all: `model.safetensors` as `weights` writes it, beside copies of the
/// configuration and the tokenizer of `source`. `config.json` is completed with the type of
/// model; where the weights have one stored type and `before` had another, it names the new one.
///
/// # Errors
/// What `weights` fails with, or when the folder is there or cannot be written.
pub fn rewrite<T>(
    source: &Path,
    before: &Weights,
    out: &Path,
    weights: impl FnOnce(&mut dyn Write) -> Result<T, DeltaError>,
) -> Result<T, Failure> {
    write_folder(out, |folder| {
        let done = written(&folder.join("model.safetensors"), weights)?;
        let after = Weights::open(folder)?;
        let dtype = uniform(&after).filter(|dtype| uniform(before) != Some(*dtype));
        for name in SIDE_FILES.iter().chain(&MORE_FILES) {
            let from = source.join(name);
            if from.is_file() {
                let bytes =
                    std::fs::read(&from).map_err(|error| Failure::new("file", format!("cannot read {}: {error}", from.display())))?;
                let bytes = if *name == "config.json" { complete_config(&bytes, &from, dtype.map(named))? } else { bytes };
                write_bytes(&folder.join(name), &bytes)?;
            }
        }
        Ok(done)
    })
}

/// Writes a file whose content is made by something that fails with more than an I/O error.
pub(super) fn written<T>(path: &Path, weights: impl FnOnce(&mut dyn Write) -> Result<T, DeltaError>) -> Result<T, Failure> {
    let mut outcome = None;
    let saved = write_whole(path, |file| {
        let made = weights(file);
        let told = match &made {
            Err(DeltaError::Weights(WeightsError::Write(error))) => Err(std::io::Error::new(error.kind(), error.to_string())),
            Err(other) => Err(std::io::Error::other(other.to_string())),
            Ok(_) => Ok(()),
        };
        outcome = Some(made);
        told
    });
    match (outcome, saved) {
        (Some(Err(DeltaError::Weights(WeightsError::Write(_)))), Err(error)) | (None, Err(error)) => Err(error.into()),
        (Some(Err(error)), _) => Err(error.into()),
        (Some(Ok(_)), Err(error)) => Err(error.into()),
        (Some(Ok(done)), Ok(())) => Ok(done),
        (None, Ok(())) => Err(Failure::new("internal", format!("{} was not written", path.display()))),
    }
}

/// The one type that all tensors are stored in; none of several.
fn uniform(weights: &Weights) -> Option<Dtype> {
    let dtypes: BTreeSet<&str> = weights.names().filter_map(|name| weights.dtype(name)).map(Dtype::header_name).collect();
    let first = weights.names().find_map(|name| weights.dtype(name));
    first.filter(|_| dtypes.len() == 1)
}

/// A type's name in a config.json.
fn named(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => "float32",
        Dtype::F16 => "float16",
        Dtype::Bf16 => "bfloat16",
    }
}
