//! Deltas merged into a model by arithmetic, for those that overlap: task arithmetic, TIES, DARE.

use std::cell::RefCell;
use std::io::Write;

use serde::Serialize;

use super::DeltaError;
use super::arithmetic::{drop_and_rescale, keep_largest, kept_count, task_arithmetic, ties};
use super::file::{Change, Delta};
use super::pair::converted;
use super::writes::{Direction, distinct, fits, holds, meant, same_types};
use crate::mask::Mask;
use crate::model::weights::{Dtype, Weights, write_edited};
use crate::random::stream;

/// How task vectors become one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// Σ scale · vector.
    TaskArithmetic,
    /// Trimmed to the largest `density` of each tensor, signs elected, the mean of those that agree.
    Ties {
        /// Share of a tensor's weights, in (0, 1].
        density: f64,
    },
    /// Σ scale · vector, of which a random `density` stays, rescaled.
    Dare {
        /// Share of the changed weights that stay, in (0, 1].
        density: f64,
        /// Of the draws.
        seed: u64,
    },
}

/// What a merge did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Merged {
    /// Weights that at least one delta changes.
    pub weights: u64,
    /// Of these, weights that several change.
    pub shared: u64,
    /// Of these, weights that some raise and others lower.
    pub opposed: u64,
    /// Weights whose bits are others than the model's.
    pub changed: u64,
    /// Weights whose merged task vector is not 0, but which rounding to the stored type left as they were.
    pub erased: u64,
}

impl std::ops::AddAssign for Merged {
    fn add_assign(&mut self, other: Self) {
        self.weights += other.weights;
        self.shared += other.shared;
        self.opposed += other.opposed;
        self.changed += other.changed;
        self.erased += other.erased;
    }
}

/// Deltas bound to the checkpoint that they are merged into.
pub struct Merge<'a> {
    source: &'a Weights,
    all: &'a [Delta],
    /// In the order of their digests, each with its scale: sums do not depend on the order given.
    deltas: Vec<(&'a Delta, f32)>,
    method: Method,
    /// Whether a weight that is no finite number is an error.
    finite: bool,
}

impl<'a> Merge<'a> {
    /// `scales` are one for all deltas, or one for each.
    ///
    /// # Errors
    /// When the density is not in (0, 1], scales are missing, a delta is given twice, or the checkpoint lacks a tensor of one.
    pub fn new(source: &'a Weights, deltas: &'a [Delta], scales: &[f32], method: Method) -> Result<Self, DeltaError> {
        if let Method::Ties { density } | Method::Dare { density, .. } = method
            && !(density > 0.0 && density <= 1.0)
        {
            return Err(DeltaError::Density(density));
        }
        if scales.len() != 1 && scales.len() != deltas.len() {
            return Err(DeltaError::Scales { scales: scales.len(), deltas: deltas.len() });
        }
        for delta in deltas {
            fits(source, delta, Direction::Apply)?;
        }
        distinct(deltas)?;
        same_types(deltas, Direction::Apply)?;
        let mut ordered: Vec<(&Delta, f32)> = deltas.iter().zip(scales.iter().copied().cycle()).collect();
        ordered.sort_by(|a, b| a.0.origin.digest.cmp(&b.0.origin.digest));
        Ok(Self { source, all: deltas, deltas: ordered, method, finite: true })
    }

    /// The same, which writes weights that are no finite numbers too: of a training that diverged the merge is measured like every other.
    pub fn whatever_comes(self) -> Self {
        Self { finite: false, ..self }
    }

    fn dtype(&self, name: &str) -> Option<Dtype> {
        let name = meant(self.source, self.all, name);
        self.all.iter().find_map(|delta| Some(delta.origin.tensors.get(name)?.new))
    }

    /// A tensor's bytes after the merge, and what it did; none where no delta has it. Weights whose merged task vector is 0 keep
    /// their bits.
    fn bits(&self, name: &str) -> Result<Option<(Vec<u8>, Merged)>, DeltaError> {
        let mut changes: Vec<(Change<'_>, f32, &str)> = Vec::new();
        for &(delta, scale) in &self.deltas {
            let Some(change) = delta.change(name) else { continue };
            holds(self.source, delta, name, &change, Direction::Apply)?;
            changes.push((change, scale, &delta.origin.digest));
        }
        let Some((first, ..)) = changes.first() else { return Ok(None) };
        let (from, to, len) = (first.facts.old, first.facts.new, first.mask.len());
        let union = changes.iter().fold(Mask::empty(len), |union, (change, ..)| union.union(&change.mask));
        let scales: Vec<f32> = changes.iter().map(|&(_, scale, _)| scale).collect();
        let mut vectors = Vec::with_capacity(changes.len());
        for (change, ..) in &changes {
            vectors.push(task_vector(name, change, &union, self.finite)?);
        }
        let mut done = Merged { weights: union.count() as u64, ..overlaps(&vectors, &changes, &union) };
        let merged = match self.method {
            Method::TaskArithmetic => task_arithmetic(&vectors, &scales),
            Method::Ties { density } => {
                vectors.iter_mut().for_each(|vector| keep_largest(vector, kept_count(density, len)));
                ties(&vectors, &scales)
            }
            Method::Dare { density, seed } => {
                for (vector, (_, _, digest)) in vectors.iter_mut().zip(&changes) {
                    drop_and_rescale(vector, union.positions(), density, stream(seed, &format!("{digest} {name}")));
                }
                task_arithmetic(&vectors, &scales)
            }
        };
        let source = self.source.bits(name).unwrap_or_default();
        let mut moved = Mask::empty(len);
        union.positions().zip(&merged).filter(|(_, task)| **task != 0.0).for_each(|(i, _)| moved.insert(i));
        let mut bits = converted(name, source, from, to, |i| moved.contains(i))?;
        let (narrow, wide) = (to.bytes(), from.bytes());
        for (index, task) in moved.positions().zip(merged.into_iter().filter(|task| *task != 0.0)) {
            let before = from.widen_one(&source[index * wide..(index + 1) * wide]);
            let made = to.narrow(before + task);
            let value = to.widen_one(&made);
            if self.finite && !value.is_finite() {
                return Err(DeltaError::NotFinite { tensor: name.into(), index, value, dtype: to });
            }
            let is_other = value.to_bits() != before.to_bits();
            done.changed += u64::from(is_other);
            done.erased += u64::from(!is_other);
            bits[index * narrow..(index + 1) * narrow].copy_from_slice(&made[..narrow]);
        }
        Ok(Some((bits, done)))
    }

    /// Writes the checkpoint with the deltas merged into it, as one safetensors file; memory stays at about one tensor and its task
    /// vectors.
    ///
    /// # Errors
    /// When the checkpoint does not hold the bits that a delta replaces, a task vector or a merged weight is not finite, or writing
    /// fails.
    pub fn write(&self, out: &mut dyn Write) -> Result<Merged, DeltaError> {
        let all = RefCell::new(Merged::default());
        let bits = |name: &str| -> Result<Option<Vec<u8>>, DeltaError> {
            let meant = meant(self.source, self.all, name);
            let Some((bits, merged)) = self.bits(meant)? else { return Ok(None) };
            if meant == name {
                *all.borrow_mut() += merged;
            }
            Ok(Some(bits))
        };
        write_edited(self.source, |name| self.dtype(name), bits, out)?;
        Ok(all.into_inner())
    }
}

/// New less old at the union's positions; 0 where the delta has none. A difference that is no number is an error, if `finite`.
fn task_vector(name: &str, change: &Change<'_>, union: &Mask, finite: bool) -> Result<Vec<f32>, DeltaError> {
    let (old, new) = (change.facts.old.widen(change.old), change.facts.new.widen(change.new));
    let mut own = change.mask.positions().zip(old.iter().zip(&new)).peekable();
    let mut vector = Vec::with_capacity(union.count());
    for index in union.positions() {
        let Some((_, (old, new))) = own.next_if(|(position, _)| *position == index) else {
            vector.push(0.0);
            continue;
        };
        let value = new - old;
        if finite && !value.is_finite() {
            return Err(DeltaError::NotFinite { tensor: name.into(), index, value, dtype: Dtype::F32 });
        }
        vector.push(value);
    }
    Ok(vector)
}

/// How many weights several deltas change, and how many of them in opposite directions.
fn overlaps(vectors: &[Vec<f32>], changes: &[(Change<'_>, f32, &str)], union: &Mask) -> Merged {
    let mut found = Merged::default();
    for (place, index) in union.positions().enumerate() {
        found.shared += u64::from(changes.iter().filter(|(change, ..)| change.mask.contains(index)).count() > 1);
        let any = |sign: fn(f32) -> bool| vectors.iter().any(|vector| sign(vector[place]));
        found.opposed += u64::from(any(|value| value > 0.0) && any(|value| value < 0.0));
    }
    found
}
