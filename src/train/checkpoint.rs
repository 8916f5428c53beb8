//! Resume checkpoints: what the updater holds of weights and state, step and data position.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::TrainError;
use super::updater::Updater;
use crate::artifact::ArtifactError;
use crate::artifact::map::map;
use crate::artifact::write::write_whole;
use crate::model::backend::Backend;
use crate::model::decoder::{Decoder, Trained};

/// What else a resumed run needs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps carried out.
    pub steps: u64,
    /// Rows taken.
    pub rows: u64,
    /// Loss of every step.
    pub losses: Vec<f64>,
    /// Gradient norm of every step.
    pub gradient_norms: Vec<f64>,
    /// Tokens fed.
    pub tokens: u64,
    /// Tokens learnt.
    pub supervised_tokens: u64,
    /// Steps whose gradient was projected.
    #[serde(default, skip_serializing_if = "none")]
    pub projected: u64,
}

fn none(count: &u64) -> bool {
    *count == 0
}

/// Writes a checkpoint, whole or not at all.
///
/// # Errors
/// When the file cannot be written; an earlier checkpoint is then still there.
pub fn save<B: Backend>(
    path: &Path,
    decoder: &Decoder<B>,
    trained: &Trained,
    updater: &impl Updater<B>,
    progress: &Progress,
) -> Result<(), TrainError> {
    let failed = |problem: String| TrainError::Checkpoint { path: path.into(), problem };
    let text = serde_json::to_string(progress).map_err(|error| failed(error.to_string()))?;
    let parts = updater.parts(decoder);
    // A safetensors file by hand: written tensor by tensor, it never exists in memory as a whole.
    let mut header = serde_json::Map::new();
    let mut end = 0;
    let mut announce = |name: &str, bytes: usize| {
        header.insert(name.to_owned(), serde_json::json!({"dtype": "U8", "shape": [bytes], "data_offsets": [end, end + bytes]}));
        end += bytes;
    };
    announce("progress", text.len());
    parts.iter().for_each(|(name, count)| announce(name, count * 4));
    let header = serde_json::Value::Object(header).to_string();
    let mut broken: Option<TrainError> = None;
    let written = write_whole(path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        file.write_all(text.as_bytes())?;
        for (name, _) in &parts {
            match updater.part(decoder, trained, name) {
                Ok(part) => file.write_all(&bytes(&part))?,
                Err(error) => {
                    let text = error.to_string();
                    broken = Some(error);
                    return Err(std::io::Error::other(text));
                }
            }
        }
        Ok(())
    });
    match broken {
        Some(error) => Err(error),
        None => Ok(written?),
    }
}

/// Puts a checkpoint back into decoder and updater; none when there is no file.
///
/// # Errors
/// When the file cannot be read, is damaged, or belongs to another training.
pub fn restore<B: Backend>(
    path: &Path,
    decoder: &mut Decoder<B>,
    trained: &Trained,
    updater: &mut impl Updater<B>,
) -> Result<Option<Progress>, TrainError> {
    let failed = |problem: String| TrainError::Checkpoint { path: path.into(), problem };
    let unread = || ArtifactError::io("cannot read", path);
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(unread())?,
    };
    // A folder can be opened too.
    if !file.metadata().map_err(unread())?.is_file() {
        return Err(failed("it is no file".into()));
    }
    let bytes = map(&file).map_err(unread())?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| failed(error.to_string()))?;
    let part = |name: &str| tensors.tensor(name).map(|view| view.data()).map_err(|_| failed(format!("it lacks {name}")));
    let progress: Progress = serde_json::from_slice(part("progress")?).map_err(|error| failed(error.to_string()))?;
    updater.restore(decoder, trained, progress.steps, &|name, count| {
        let numbers = floats(part(name)?);
        if numbers.len() == count { Ok(numbers) } else { Err(failed(format!("it holds {} numbers of {name}, not {count}", numbers.len()))) }
    })?;
    Ok(Some(progress))
}

fn bytes(values: &[f32]) -> Vec<u8> {
    let mut out = vec![0; values.len() * 4];
    for (place, value) in out.chunks_exact_mut(4).zip(values) {
        place.copy_from_slice(&value.to_le_bytes());
    }
    out
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}
