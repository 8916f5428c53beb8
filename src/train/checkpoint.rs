//! Resume checkpoints: masters at trained positions, moments, step and data position.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use super::TrainError;
use super::optimizer::Optimizer;
use crate::artifact::ArtifactError;
use crate::artifact::write::write_bytes;
use crate::model::backend::{Backend, Selection};
use crate::model::decoder::{Decoder, Trained};

/// What else a resumed run needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
}

/// Writes a checkpoint, whole or not at all.
///
/// # Errors
/// When the file cannot be written; an earlier checkpoint is then still there.
pub fn save<B: Backend>(
    path: &Path,
    decoder: &Decoder<B>,
    trained: &Trained,
    optimizer: &Optimizer<B>,
    progress: &Progress,
) -> Result<(), TrainError> {
    let failed = |problem: String| TrainError::Checkpoint { path: path.into(), problem };
    let mut parts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (name, (m, v)) in &optimizer.moments {
        let values = decoder.values(name)?;
        let masters: Vec<f32> = match trained.get(name) {
            Some(Selection::Subset(mask)) => mask.positions().map(|i| values[i]).collect(),
            _ => values,
        };
        parts.insert(format!("w.{name}"), bytes(&masters));
        parts.insert(format!("m.{name}"), bytes(&decoder.backend().download(m)?));
        parts.insert(format!("v.{name}"), bytes(&decoder.backend().download(v)?));
    }
    let text = serde_json::to_string(progress).map_err(|error| failed(error.to_string()))?;
    parts.insert("progress".into(), text.into_bytes());
    let views = parts
        .iter()
        .map(|(name, data)| Ok((name.clone(), TensorView::new(Dtype::U8, vec![data.len()], data)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| failed(error.to_string()))?;
    let file = safetensors::serialize(views, None).map_err(|error| failed(error.to_string()))?;
    write_bytes(path, &file).map_err(|error: ArtifactError| failed(error.to_string()))
}

/// Puts a checkpoint back into decoder and optimizer; none when there is no file.
///
/// # Errors
/// When the file is damaged or belongs to another training.
pub fn restore<B: Backend>(
    path: &Path,
    decoder: &mut Decoder<B>,
    trained: &Trained,
    optimizer: &mut Optimizer<B>,
) -> Result<Option<Progress>, TrainError> {
    let failed = |problem: String| TrainError::Checkpoint { path: path.into(), problem };
    let Ok(file) = std::fs::read(path) else { return Ok(None) };
    let tensors = SafeTensors::deserialize(&file).map_err(|error| failed(error.to_string()))?;
    let part = |name: &str| tensors.tensor(name).map(|view| view.data().to_vec()).map_err(|_| failed(format!("it lacks {name}")));
    let progress: Progress = serde_json::from_slice(&part("progress")?).map_err(|error| failed(error.to_string()))?;
    let names: Vec<String> = optimizer.moments.keys().cloned().collect();
    for name in names {
        let (masters, m, v) =
            (floats(&part(&format!("w.{name}"))?), floats(&part(&format!("m.{name}"))?), floats(&part(&format!("v.{name}"))?));
        let mut values = decoder.values(&name)?;
        match trained.get(&name) {
            Some(Selection::Subset(mask)) if mask.count() == masters.len() => {
                mask.positions().zip(&masters).for_each(|(i, &w)| values[i] = w)
            }
            Some(Selection::Everything) if values.len() == masters.len() => values = masters,
            _ => return Err(failed(format!("it holds {} weights of {name}", masters.len()))),
        }
        decoder.set_values(&name, &values)?;
        let backend = decoder.backend_mut();
        let moments = (backend.upload(&m, 1, m.len())?, backend.upload(&v, 1, v.len())?);
        optimizer.moments.insert(name, moments);
    }
    optimizer.steps = progress.steps;
    Ok(Some(progress))
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}
