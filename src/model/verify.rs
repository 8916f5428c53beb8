//! Proof that a checkpoint kept the weights it had to keep: bit equality per tensor, whoever trained it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::weights::Weights;
use crate::mask::Mask;

/// What the comparison of two checkpoints found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Tensors in the order of their names.
    pub tensors: Vec<TensorComparison>,
    /// Tensors of the first that the second lacks.
    pub missing: Vec<String>,
    /// Tensors of the second that the first lacks.
    pub extra: Vec<String>,
    /// Those of them that stand in the module of a tensor with frozen weights, see [`is_beside`].
    pub acting: Vec<String>,
    /// Tensors whose shapes differ.
    pub mis_shaped: Vec<MisShaped>,
    /// Frozen weights of tensors that are missing or mis-shaped, which cannot be compared.
    pub unseen: u64,
}

/// A tensor whose shapes differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MisShaped {
    /// Its name.
    pub name: String,
    /// In the first checkpoint.
    pub before: Vec<usize>,
    /// In the second.
    pub after: Vec<usize>,
}

/// One tensor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorComparison {
    /// Its name.
    pub name: String,
    /// Weights that had to keep their bits.
    pub frozen: u64,
    /// Of these, those that differ: 0 unless the promise was broken.
    pub frozen_changed: u64,
    /// The other weights.
    pub free: u64,
    /// Of these, those that differ.
    pub free_changed: u64,
    /// The first frozen weight that differs: row-major index, before, after.
    pub first: Option<(u64, f32, f32)>,
}

impl Comparison {
    /// Whether every frozen weight kept its bits and no tensor is missing, extra or mis-shaped.
    pub fn holds(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.mis_shaped.is_empty() && self.frozen_changed() == 0
    }

    /// Whether every frozen weight is there and kept its bits, and the second has every tensor of the first: tensors without frozen weights
    /// may have another shape (resized embeddings), and others may be there too (another head), but none that changes what frozen ones compute.
    pub fn keeps(&self) -> bool {
        self.missing.is_empty() && self.unseen == 0 && self.acting.is_empty() && self.frozen_changed() == 0
    }

    /// Frozen weights that could be compared.
    pub fn frozen(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.frozen).sum()
    }

    /// Frozen weights that differ.
    pub fn frozen_changed(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.frozen_changed).sum()
    }

    /// Free weights that differ.
    pub fn free_changed(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.free_changed).sum()
    }
}

/// Whether a tensor stands in the module of another, so that it changes what that one computes: `a.q_proj.bias` beside `a.q_proj.weight`, and
/// the factors of an adapter, `a.q_proj.lora_A.weight`.
pub fn is_beside(tensor: &str, weight: &str) -> bool {
    let module = weight.strip_suffix(".weight").unwrap_or(weight);
    tensor != weight && tensor.strip_prefix(module).is_some_and(|rest| rest.starts_with('.'))
}

/// Compares two checkpoints, tensor by tensor, widened to f32. `frozen` names the weights that had to keep their bits; a
/// tensor that it does not name is free. The two may be stored in different types: widening is exact.
pub fn compare(before: &Weights, after: &Weights, frozen: &BTreeMap<String, Mask>) -> Comparison {
    let mut found = Comparison::default();
    for name in before.names() {
        let (Ok(a), Ok(b)) = (before.widened(name), after.widened(name)) else {
            if before.redundant(name) {
                continue;
            }
            found.missing.push(name.to_owned());
            found.unseen += frozen.get(name).map_or(0, |mask| mask.count() as u64);
            continue;
        };
        let mask = frozen.get(name);
        let (one, other) = (before.shape(name).unwrap_or_default(), after.shape(name).unwrap_or_default());
        if one != other {
            found.mis_shaped.push(MisShaped { name: name.to_owned(), before: one.to_vec(), after: other.to_vec() });
            found.unseen += mask.map_or(0, |mask| mask.count() as u64);
            continue;
        }
        let mut tensor = TensorComparison { name: name.to_owned(), frozen: 0, frozen_changed: 0, free: 0, free_changed: 0, first: None };
        tensor.frozen = mask.map_or(0, |mask| mask.count() as u64);
        tensor.free = a.len() as u64 - tensor.frozen;
        for (i, (x, y)) in a.iter().zip(&b).enumerate() {
            if x.to_bits() == y.to_bits() {
                continue;
            }
            if mask.is_some_and(|mask| mask.contains(i)) {
                tensor.frozen_changed += 1;
                tensor.first.get_or_insert((i as u64, *x, *y));
            } else {
                tensor.free_changed += 1;
            }
        }
        found.tensors.push(tensor);
    }
    found.extra = after.names().filter(|name| before.dtype(name).is_none() && !after.redundant(name)).map(str::to_owned).collect();
    let holds = |name: &str| frozen.iter().any(|(weight, mask)| mask.count() > 0 && is_beside(name, weight));
    found.acting = found.extra.iter().filter(|name| holds(name)).cloned().collect();
    found
}
