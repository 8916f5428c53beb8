//! How much two sets of weights share, beside what chance would give.

use std::collections::BTreeMap;

use serde::Serialize;

use super::mask_set::{MaskSet, kind};

/// Overlap of two sets over the same weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Overlap {
    /// Weights that both are drawn from.
    pub total: usize,
    /// Weights in the first.
    pub first: usize,
    /// Weights in the second.
    pub second: usize,
    /// Weights in both.
    pub both: usize,
}

impl Overlap {
    /// |A ∩ B| / |A ∪ B|; 0 of two empty sets.
    pub fn jaccard(&self) -> f64 {
        ratio(self.both as f64, (self.first + self.second - self.both) as f64)
    }

    /// The Jaccard overlap of two independent random sets of these sizes.
    pub fn jaccard_by_chance(&self) -> f64 {
        let both = ratio(self.first as f64 * self.second as f64, self.total as f64);
        ratio(both, (self.first + self.second) as f64 - both)
    }
}

fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}

/// Overlap in all, and by kind of projection. Tensors that only one set has are left out.
pub fn compare(first: &MaskSet, second: &MaskSet) -> (Overlap, BTreeMap<String, Overlap>) {
    let (mut all, mut kinds) = (Overlap::default(), BTreeMap::<String, Overlap>::new());
    for (name, a) in &first.0 {
        let Some(b) = second.0.get(name).filter(|b| b.len() == a.len()) else { continue };
        for overlap in [&mut all, kinds.entry(kind(name).to_owned()).or_default()] {
            overlap.total += a.len();
            overlap.first += a.count();
            overlap.second += b.count();
            overlap.both += a.intersection(b).count();
        }
    }
    (all, kinds)
}
