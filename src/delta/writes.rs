//! Deltas written into a checkpoint, or taken out of it: bits, no arithmetic.

use std::io::Write;

use super::file::{Change, Delta, TensorFacts};
use super::pair::converted;
use super::{DeltaError, Difference};
use crate::model::weights::{Dtype, Weights, write_edited};

/// Which way a delta is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Old bits become new ones.
    Apply,
    /// New bits become old ones.
    Remove,
}

/// What one tensor's change expects, and what it writes.
struct Way<'a> {
    expected: &'a [u8],
    from: Dtype,
    written: &'a [u8],
    to: Dtype,
}

impl Direction {
    /// The type in which a tensor is stored before.
    fn from(self, facts: &TensorFacts) -> Dtype {
        if self == Self::Apply { facts.old } else { facts.new }
    }

    /// And after.
    fn to(self, facts: &TensorFacts) -> Dtype {
        if self == Self::Apply { facts.new } else { facts.old }
    }

    fn of<'a>(self, change: &Change<'a>) -> Way<'a> {
        let (expected, written) = if self == Self::Apply { (change.old, change.new) } else { (change.new, change.old) };
        Way { expected, from: self.from(change.facts), written, to: self.to(change.facts) }
    }
}

/// Disjoint deltas, bound to a checkpoint: a union of writes, the same in any order.
pub struct Writes<'a> {
    source: &'a Weights,
    deltas: &'a [Delta],
    direction: Direction,
}

impl<'a> Writes<'a> {
    /// Checks that the deltas are disjoint and that the checkpoint has their tensors; its bits are checked as they are written.
    ///
    /// # Errors
    /// Names the first weight, in the order of tensors and positions, that two deltas write; lists what the checkpoint lacks.
    pub fn new(source: &'a Weights, deltas: &'a [Delta], direction: Direction) -> Result<Self, DeltaError> {
        for delta in deltas {
            fits(source, delta, direction)?;
        }
        distinct(deltas)?;
        same_types(deltas, direction)?;
        disjoint(deltas)?;
        Ok(Self { source, deltas, direction })
    }

    /// The type in which a tensor is stored afterwards; none where no delta has it.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        let name = meant(self.source, self.deltas, name);
        self.deltas.iter().find_map(|delta| Some(self.direction.to(delta.origin.tensors.get(name)?)))
    }

    /// A tensor's bytes afterwards; none where no delta has it. A copy of tied embeddings follows them.
    ///
    /// # Errors
    /// When the checkpoint does not hold the bits that a delta replaces, or its other numbers do not fit the delta's type.
    pub fn bits(&self, name: &str) -> Result<Option<Vec<u8>>, DeltaError> {
        let name = meant(self.source, self.deltas, name);
        let mut made: Option<Vec<u8>> = None;
        for delta in self.deltas {
            let Some(change) = delta.change(name) else { continue };
            holds(self.source, delta, name, &change, self.direction)?;
            let way = self.direction.of(&change);
            let bits = match &mut made {
                Some(bits) => bits,
                None => made.insert(self.converted(name, &way)?),
            };
            write_at(bits, &change, way.written, way.to);
        }
        Ok(made)
    }

    /// A tensor's numbers afterwards, as f32; the source's where no delta has it.
    ///
    /// # Errors
    /// As [`Self::bits`].
    pub fn widened(&self, name: &str) -> Result<Vec<f32>, DeltaError> {
        match (self.bits(name)?, self.dtype(name)) {
            (Some(bits), Some(dtype)) => Ok(dtype.widen(&bits)),
            _ => Ok(self.source.widened(name)?),
        }
    }

    /// The source's numbers in another type; those that deltas write need not fit it.
    fn converted(&self, name: &str, way: &Way<'_>) -> Result<Vec<u8>, DeltaError> {
        let masks: Vec<_> = self.deltas.iter().filter_map(|delta| Some(delta.change(name)?.mask)).collect();
        converted(name, self.source.bits(name).unwrap_or_default(), way.from, way.to, |i| masks.iter().any(|mask| mask.contains(i)))
    }

    /// Writes the checkpoint with the deltas applied or removed, as one safetensors file, one tensor in memory at a time.
    ///
    /// # Errors
    /// As [`Self::bits`], or when writing fails.
    pub fn write(&self, out: &mut dyn Write) -> Result<(), DeltaError> {
        write_edited(self.source, |name| self.dtype(name), |name| self.bits(name), out)
    }
}

/// The tensor that is meant by a name: a copy of tied embeddings is them, unless a delta knows it by its own name.
pub(super) fn meant<'n>(source: &Weights, deltas: &[Delta], name: &'n str) -> &'n str {
    if deltas.iter().any(|delta| delta.origin.tensors.contains_key(name)) { name } else { source.copied(name) }
}

/// Checks that the checkpoint has every tensor of a delta, with its shape and in its type.
pub(super) fn fits(source: &Weights, delta: &Delta, direction: Direction) -> Result<(), DeltaError> {
    let mut problems = Vec::new();
    for (name, facts) in &delta.origin.tensors {
        let wanted = direction.from(facts);
        match (source.shape(name), source.dtype(name)) {
            (Some(shape), _) if shape != facts.shape => problems.push(format!("  shape of {name}: {shape:?}, expected {:?}", facts.shape)),
            (_, Some(dtype)) if dtype != wanted => problems.push(format!("  type of {name}: {dtype}, expected {wanted}")),
            (None, _) => problems.push(format!("  missing: {name}")),
            _ => {}
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(DeltaError::OtherModel { path: delta.path.clone(), problems }) }
}

/// Checks that no delta is given twice.
pub(super) fn distinct(deltas: &[Delta]) -> Result<(), DeltaError> {
    for (i, first) in deltas.iter().enumerate() {
        if let Some(second) = deltas[i + 1..].iter().find(|second| second.origin.digest == first.origin.digest) {
            return Err(DeltaError::Twice { first: first.path.clone(), second: second.path.clone() });
        }
    }
    Ok(())
}

/// Checks that deltas which have the same tensor store it in the same type.
pub(super) fn same_types(deltas: &[Delta], direction: Direction) -> Result<(), DeltaError> {
    for (i, first) in deltas.iter().enumerate() {
        for (name, facts) in &first.origin.tensors {
            let one = direction.to(facts);
            let clash = deltas[i + 1..].iter().find_map(|second| {
                let other = direction.to(second.origin.tensors.get(name)?);
                (other != one).then_some((second, other))
            });
            if let Some((second, other)) = clash {
                let (first, second) = (first.path.clone(), second.path.clone());
                return Err(DeltaError::Types { first, second, tensor: name.clone(), one, other });
            }
        }
    }
    Ok(())
}

/// Checks that no weight is in two deltas.
fn disjoint(deltas: &[Delta]) -> Result<(), DeltaError> {
    let names: std::collections::BTreeSet<&String> = deltas.iter().flat_map(|delta| delta.origin.tensors.keys()).collect();
    let mut found: Option<(usize, usize, String, usize)> = None;
    let mut count = 0;
    for name in names {
        let masks: Vec<_> = deltas.iter().enumerate().filter_map(|(d, delta)| Some((d, delta.change(name)?.mask))).collect();
        let Some((_, mut union)) = masks.first().cloned() else { continue };
        let mut several = union.difference(&union);
        for (_, mask) in &masks[1..] {
            several = several.union(&union.intersection(mask));
            union = union.union(mask);
        }
        count += several.count();
        if let (None, Some(index)) = (&found, several.positions().next()) {
            let mut both = masks.iter().filter(|(_, mask)| mask.contains(index)).map(|(d, _)| *d);
            found = both.next().zip(both.next()).map(|(a, b)| (a, b, name.clone(), index));
        }
    }
    match found {
        None => Ok(()),
        Some((first, second, tensor, index)) => {
            Err(DeltaError::Overlap { first: deltas[first].path.clone(), second: deltas[second].path.clone(), tensor, index, count })
        }
    }
}

/// Checks that the checkpoint holds the bits that a change replaces.
pub(super) fn holds(source: &Weights, delta: &Delta, name: &str, change: &Change<'_>, direction: Direction) -> Result<(), DeltaError> {
    let (bits, way) = (source.bits(name).unwrap_or_default(), direction.of(change));
    let size = way.from.bytes();
    let differing = || {
        let found = change.mask.positions().map(|i| &bits[i * size..(i + 1) * size]);
        found.zip(way.expected.chunks_exact(size)).enumerate().filter(|(_, (found, expected))| found != expected)
    };
    let Some((nth, (found, expected))) = differing().next() else { return Ok(()) };
    let count = differing().count();
    let (made_for, done) = match direction {
        Direction::Apply => (&delta.origin.aligned, "the delta is in this model already: leave it out, or give the model without it"),
        Direction::Remove => (&delta.origin.tuned, "the delta is not in this model: there is nothing to remove"),
    };
    let size_to = way.to.bytes();
    let other = |nth: usize| way.written.get(nth * size_to..(nth + 1) * size_to).map(|bits| way.to.widen_one(bits).to_bits());
    let is_done = differing().all(|(nth, (found, _))| other(nth) == Some(way.from.widen_one(found).to_bits()));
    Err(DeltaError::Differs(Box::new(Difference {
        path: delta.path.clone(),
        tensor: name.into(),
        index: change.mask.positions().nth(nth).unwrap_or_default(),
        expected: way.from.widen_one(expected),
        found: way.from.widen_one(found),
        count,
        of: change.facts.changed,
        made_for: made_for.clone(),
        digest: source.digest(),
        done: is_done.then_some(done),
    })))
}

/// Writes a change's numbers at its positions.
fn write_at(bits: &mut [u8], change: &Change<'_>, written: &[u8], dtype: Dtype) {
    let size = dtype.bytes();
    for (i, new) in change.mask.positions().zip(written.chunks_exact(size)) {
        bits[i * size..(i + 1) * size].copy_from_slice(new);
    }
}
