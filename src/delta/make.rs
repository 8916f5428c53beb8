//! Makes a delta from two checkpoints, tensor by tensor.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::DeltaError;
use super::file::{KEY, Origin, TensorFacts, VERSION, parts, seal};
use super::pair::shared;
use crate::artifact::digest::hex;
use crate::mask::Mask;
use crate::model::weights::{Dtype, HeaderEntry, Weights, write_header};

/// A delta that is not yet written. In memory are its masks alone: one bit a weight of the changed tensors.
pub struct Made<'a> {
    /// Where it comes from.
    pub origin: Origin,
    masks: BTreeMap<String, Mask>,
    aligned: &'a Weights,
    tuned: &'a Weights,
}

/// Compares two checkpoints, bit by bit where both store a tensor in one type, else widened to f32, which is exact. A tensor is in
/// the delta when a weight of it changed (0 and −0 differ) or its type did. `sources` names the two for people.
///
/// # Errors
/// When the checkpoints do not have the same tensors with the same shapes, or the same weights.
pub fn make<'a>(aligned: &'a Weights, tuned: &'a Weights, sources: (String, String)) -> Result<Made<'a>, DeltaError> {
    let (mut tensors, mut masks, mut weights) = (BTreeMap::new(), BTreeMap::new(), 0);
    let mut hasher = Sha256::new();
    for name in shared(aligned, tuned)? {
        let (Some(before), Some(after)) = (Stored::of(aligned, name), Stored::of(tuned, name)) else { continue };
        let mask = changed(&before, &after);
        weights += mask.len() as u64;
        // A head that was a copy of the embeddings and is none any more is told even where it kept its bits, so that nobody
        // takes it for a copy of the changed ones.
        let parted = aligned.redundant(name) && !tuned.redundant(name);
        if mask.count() == 0 && before.dtype == after.dtype && !parted {
            continue;
        }
        hasher.update(mask.to_bytes());
        hasher.update(before.at(&mask));
        hasher.update(after.at(&mask));
        let shape = aligned.shape(name).unwrap_or_default().to_vec();
        tensors.insert(name.to_owned(), TensorFacts { shape, changed: mask.count(), old: before.dtype, new: after.dtype });
        masks.insert(name.to_owned(), mask);
    }
    let mut origin =
        Origin { version: VERSION, aligned: aligned.digest(), tuned: tuned.digest(), sources, weights, tensors, digest: String::new() };
    if origin.tensors.is_empty() {
        return Err(DeltaError::Same(origin.tuned));
    }
    origin.digest = seal(&origin, &hex(&hasher.finalize()));
    Ok(Made { origin, masks, aligned, tuned })
}

impl Made<'_> {
    /// Writes the file: the numbers of every tensor, those of the widest types first, then the masks. The same two checkpoints
    /// under the same names give the same bytes.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let mut numbers: Vec<(&str, usize, Dtype, &Weights)> = Vec::new();
        for (name, facts) in &self.origin.tensors {
            numbers.push((name, 1, facts.old, self.aligned));
            numbers.push((name, 2, facts.new, self.tuned));
        }
        numbers.sort_by_key(|(_, _, dtype, _)| std::cmp::Reverse(dtype.bytes()));
        let entry = |name: &str, part: usize, dtype: &'static str, count: usize, bytes: usize| {
            let [mask, old, new] = parts(name);
            HeaderEntry { name: [mask, old, new][part].clone(), dtype, shape: vec![count], bytes: count * bytes }
        };
        let first = numbers
            .iter()
            .map(|&(name, part, dtype, _)| entry(name, part, dtype.header_name(), self.origin.tensors[name].changed, dtype.bytes()));
        let last = self.masks.iter().map(|(name, mask)| entry(name, 0, "U8", mask.len().div_ceil(8), 1));
        let metadata = json!({KEY: serde_json::to_string(&self.origin)?});
        write_header(metadata, first.chain(last), out)?;
        for (name, _, _, weights) in numbers {
            if let Some(stored) = Stored::of(weights, name) {
                out.write_all(&stored.at(&self.masks[name]))?;
            }
        }
        self.masks.values().try_for_each(|mask| out.write_all(&mask.to_bytes()))
    }
}

/// A tensor's bytes with their type.
struct Stored<'a> {
    bits: &'a [u8],
    dtype: Dtype,
}

impl<'a> Stored<'a> {
    fn of(weights: &'a Weights, name: &str) -> Option<Self> {
        Some(Self { bits: weights.bits(name)?, dtype: weights.dtype(name)? })
    }

    fn one(&self, i: usize) -> &'a [u8] {
        &self.bits[i * self.dtype.bytes()..(i + 1) * self.dtype.bytes()]
    }

    /// The bytes at the mask's positions, ascending.
    fn at(&self, mask: &Mask) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(mask.count() * self.dtype.bytes());
        mask.positions().for_each(|i| bytes.extend_from_slice(self.one(i)));
        bytes
    }
}

/// The positions at which two tensors of one shape differ.
fn changed(before: &Stored<'_>, after: &Stored<'_>) -> Mask {
    let len = before.bits.len() / before.dtype.bytes();
    if before.dtype == after.dtype {
        if before.bits == after.bits {
            return Mask::empty(len);
        }
        return Mask::from_fn(len, |i| before.one(i) != after.one(i));
    }
    Mask::from_fn(len, |i| before.dtype.widen_one(before.one(i)).to_bits() != after.dtype.widen_one(after.one(i)).to_bits())
}
