//! Saving tuned weights: bits of the source wherever nothing was trained, rounded numbers where something was.

use std::io::Write;

use serde::{Deserialize, Serialize};

use super::header::{HeaderEntry, write_header};
use super::{Dtype, Weights, WeightsError};
use crate::model::backend::Selection;
use crate::model::config::ModelConfig;
use crate::model::inventory::{TensorSpec, inventory};

/// A tensor that training changed.
pub struct ChangedTensor {
    /// Its numbers, row-major; only the selected ones are used.
    pub values: Vec<f32>,
    /// Which of them were trained.
    pub selection: Selection,
}

/// What rounding to the stored type did to the update.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Rounding {
    /// Trained weights.
    pub trained: u64,
    /// Of these, weights whose f32 value moved.
    pub moved: u64,
    /// Of these, weights whose saved bits are the source's again.
    pub erased: u64,
    /// Σ |update| before rounding.
    pub update_sum: f64,
    /// Σ |update| of the erased weights.
    pub erased_sum: f64,
    /// Σ update² as saved.
    pub saved_squares: f64,
}

/// Writes one safetensors file with every tensor of the inventory in the `wanted` type, or in the source's. In the source's
/// type, bits at positions that were not trained are copied, never converted; f32 holds every source's numbers exactly. Memory stays at about one tensor.
///
/// # Errors
/// When writing fails, or a changed tensor has another size than its source.
pub fn write_changed(
    source: &Weights,
    config: &ModelConfig,
    wanted: Option<Dtype>,
    mut changed: impl FnMut(&TensorSpec) -> Result<Option<ChangedTensor>, WeightsError>,
    out: &mut dyn Write,
) -> Result<Rounding, WeightsError> {
    let specs = inventory(config);
    let dtypes = specs
        .iter()
        .map(|spec| Ok(wanted.unwrap_or(source.dtype(&spec.name).ok_or_else(|| WeightsError::NoTensor(spec.name.clone()))?)))
        .collect::<Result<Vec<_>, WeightsError>>()?;
    write_specs(&specs, &dtypes, out)?;
    let mut rounding = Rounding::default();
    for spec in &specs {
        let (Some(bits), Some(dtype)) = (source.bits(&spec.name), source.dtype(&spec.name)) else {
            return Err(WeightsError::NoTensor(spec.name.clone()));
        };
        let target = wanted.unwrap_or(dtype);
        let mut fresh = if target == dtype { bits.to_vec() } else { target.narrow_all(&dtype.widen(bits)) };
        let Some(ChangedTensor { values, selection }) = changed(spec)? else {
            out.write_all(&fresh).map_err(WeightsError::Write)?;
            continue;
        };
        if values.len() != spec.len() {
            return Err(WeightsError::Mismatch {
                problems: vec![format!("  size of {}: {}, expected {}", spec.name, values.len(), spec.len())],
            });
        }
        let (size, before) = (target.bytes(), dtype.widen(bits));
        let mut save = |i: usize| {
            let update = f64::from(values[i]) - f64::from(before[i]);
            let narrowed = target.narrow(values[i]);
            let place = &mut fresh[i * size..(i + 1) * size];
            rounding.trained += 1;
            if values[i].to_bits() != before[i].to_bits() {
                rounding.moved += 1;
                rounding.update_sum += update.abs();
                if *place == narrowed[..size] {
                    rounding.erased += 1;
                    rounding.erased_sum += update.abs();
                }
            }
            place.copy_from_slice(&narrowed[..size]);
            let saved = target.widen_one(place);
            rounding.saved_squares += (f64::from(saved) - f64::from(before[i])).powi(2);
        };
        match &selection {
            Selection::Nothing => {}
            Selection::Everything => (0..spec.len()).for_each(&mut save),
            Selection::Subset(mask) => mask.positions().for_each(&mut save),
        }
        out.write_all(&fresh).map_err(WeightsError::Write)?;
    }
    Ok(rounding)
}

/// Writes one safetensors file with every tensor of the inventory in bf16, from numbers that `values` makes.
///
/// # Errors
/// When writing fails.
pub fn write_fresh(config: &ModelConfig, mut values: impl FnMut(&TensorSpec) -> Vec<f32>, out: &mut dyn Write) -> Result<(), WeightsError> {
    let specs = inventory(config);
    write_specs(&specs, &vec![Dtype::Bf16; specs.len()], out)?;
    for spec in &specs {
        out.write_all(&Dtype::Bf16.narrow_all(&values(spec))).map_err(WeightsError::Write)?;
    }
    Ok(())
}

/// The header of a file with these tensors.
fn write_specs(specs: &[TensorSpec], dtypes: &[Dtype], out: &mut dyn Write) -> Result<(), WeightsError> {
    let entries = specs.iter().zip(dtypes).map(|(spec, dtype)| HeaderEntry {
        name: spec.name.clone(),
        dtype: dtype.header_name(),
        shape: spec.shape(),
        bytes: spec.len() * dtype.bytes(),
    });
    write_header(serde_json::json!({"format": "pt"}), entries, out).map_err(WeightsError::Write)
}
