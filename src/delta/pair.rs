//! Two checkpoints of one model, tensor by tensor.

use super::DeltaError;
use crate::model::weights::{Dtype, Weights};

/// The names of the tensors that two checkpoints share, sorted. What says nothing that another tensor does not (a copy of tied
/// embeddings, a rotary buffer) is left out where both have it so, and may stand in one of them alone.
///
/// # Errors
/// Lists every tensor that is missing, extra or of another shape in the second.
pub fn shared<'a>(first: &'a Weights, second: &Weights) -> Result<Vec<&'a str>, DeltaError> {
    let (mut names, mut problems) = (Vec::new(), Vec::new());
    for name in first.names() {
        let alone = first.redundant(name);
        match (first.shape(name), second.shape(name)) {
            (_, None) if alone => {}
            (_, None) => problems.push(format!("  missing in the second: {name}")),
            (one, other) if one != other => {
                problems.push(format!("  shape of {name}: {:?}, in the second {:?}", one.unwrap_or_default(), other.unwrap_or_default()));
            }
            _ if alone && second.redundant(name) => {}
            _ => names.push(name),
        }
    }
    let extra = second.names().filter(|name| first.shape(name).is_none() && !second.redundant(name));
    problems.extend(extra.map(|name| format!("  only in the second: {name}")));
    if problems.is_empty() { Ok(names) } else { Err(DeltaError::OtherTensors { problems }) }
}

/// Stored numbers in another type, each of them exactly; those at `loose` positions may change, since they are written over.
///
/// # Errors
/// Names the first number that the type cannot hold.
pub fn converted(tensor: &str, bits: &[u8], from: Dtype, to: Dtype, loose: impl Fn(usize) -> bool) -> Result<Vec<u8>, DeltaError> {
    if from == to {
        return Ok(bits.to_vec());
    }
    let values = from.widen(bits);
    let made = to.narrow_all(&values);
    let kept = made.chunks_exact(to.bytes()).map(|bits| to.widen_one(bits));
    match values.iter().zip(kept).enumerate().find(|(i, (value, kept))| value.to_bits() != kept.to_bits() && !loose(*i)) {
        Some((index, (&value, _))) => Err(DeltaError::Inexact { tensor: tensor.into(), index, value, dtype: to }),
        None => Ok(made),
    }
}
