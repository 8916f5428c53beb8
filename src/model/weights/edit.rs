//! A checkpoint written again with some of its tensors replaced, whatever its architecture: one tensor in memory at a time.

use std::io::Write;

use serde_json::json;

use super::header::{HeaderEntry, write_header};
use super::{Dtype, Weights, WeightsError};

/// Writes one safetensors file with every tensor of the source, under its name and with its shape, the widest types first, so that
/// every tensor is aligned. `dtype` says in which type a tensor is stored, where that is not the source's; `edit` gives its bytes
/// in that type, little-endian and row-major, or none to copy the source's.
///
/// # Errors
/// What `edit` fails with; when writing fails, or what `edit` gives is not as long as the tensor.
pub fn write_edited<E: From<WeightsError>>(
    source: &Weights,
    dtype: impl Fn(&str) -> Option<Dtype>,
    mut edit: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
    out: &mut dyn Write,
) -> Result<(), E> {
    let mut tensors: Vec<(&str, Dtype, &[usize])> = Vec::new();
    for name in source.names() {
        let (Some(stored), Some(shape)) = (source.dtype(name), source.shape(name)) else {
            return Err(WeightsError::NoTensor(name.into()).into());
        };
        tensors.push((name, dtype(name).unwrap_or(stored), shape));
    }
    // Stable: in the order of names within a type.
    tensors.sort_by_key(|(_, dtype, _)| std::cmp::Reverse(dtype.bytes()));
    let bytes = |dtype: Dtype, shape: &[usize]| shape.iter().product::<usize>() * dtype.bytes();
    let entries = tensors.iter().map(|&(name, dtype, shape)| HeaderEntry {
        name: name.into(),
        dtype: dtype.header_name(),
        shape: shape.into(),
        bytes: bytes(dtype, shape),
    });
    write_header(json!({"format": "pt"}), entries, out).map_err(WeightsError::Write)?;
    for &(name, dtype, shape) in &tensors {
        let edited = edit(name)?;
        let data = edited.as_deref().or(source.bits(name)).unwrap_or_default();
        if data.len() != bytes(dtype, shape) {
            let problem = format!("  size of {name}: {} bytes, expected {}", data.len(), bytes(dtype, shape));
            return Err(WeightsError::Mismatch { problems: vec![problem] }.into());
        }
        out.write_all(data).map_err(WeightsError::Write)?;
    }
    Ok(())
}
