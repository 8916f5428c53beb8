//! Two checkpoints of one model, tensor by tensor.

use super::DeltaError;
use crate::model::weights::{Dtype, Weights};

/// An aligned and a tuned checkpoint side by side.
pub struct Pair<'a> {
    /// The tensors that both have, with the same shape.
    pub shared: Vec<&'a str>,
    /// What the aligned model has and the tuned one lacks, one line each.
    pub missing: Vec<String>,
    /// What the tuned model alone has, by name, one line each.
    pub extra: Vec<(&'a str, String)>,
    /// What has another shape, by name, one line each.
    pub mis_shaped: Vec<(&'a str, String)>,
}

/// The names of the tensors that two checkpoints share, sorted, and what they do not share. What says nothing that another tensor does
/// not (a copy of tied embeddings, a rotary buffer) is left out where both have it so, and may stand in one of them alone.
pub fn pair<'a>(first: &'a Weights, second: &'a Weights) -> Pair<'a> {
    let mut found = Pair { shared: Vec::new(), missing: Vec::new(), extra: Vec::new(), mis_shaped: Vec::new() };
    for name in first.names() {
        let alone = first.redundant(name);
        match (first.shape(name), second.shape(name)) {
            (_, None) if alone => {}
            (_, None) => found.missing.push(format!("  missing in the tuned model: {name}")),
            (one, other) if one != other => {
                let (one, other) = (one.unwrap_or_default(), other.unwrap_or_default());
                found.mis_shaped.push((name, format!("  shape of {name}: {one:?} in the aligned model, {other:?} in the tuned one")));
            }
            _ if alone && second.redundant(name) => {}
            _ => found.shared.push(name),
        }
    }
    let extra = second.names().filter(|name| first.shape(name).is_none() && !second.redundant(name));
    found.extra = extra.map(|name| (name, format!("  only in the tuned model: {name}"))).collect();
    found
}

/// The names of the tensors that an aligned and a tuned checkpoint share, of which neither has others.
///
/// # Errors
/// Lists every tensor that is missing, extra or of another shape in the tuned one.
pub fn shared<'a>(first: &'a Weights, second: &'a Weights) -> Result<Vec<&'a str>, DeltaError> {
    let Pair { shared, missing, extra, mis_shaped } = pair(first, second);
    let others = mis_shaped.into_iter().chain(extra).map(|(_, line)| line);
    let problems: Vec<String> = missing.into_iter().chain(others).collect();
    if problems.is_empty() { Ok(shared) } else { Err(DeltaError::OtherTensors { problems }) }
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
