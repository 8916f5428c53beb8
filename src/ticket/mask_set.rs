//! One mask a tensor: the set of weights that a ticket or an arm holds.

use std::collections::BTreeMap;

use crate::mask::Mask;
use crate::model::inventory::TensorSpec;

/// Masks by tensor name, over all maskable tensors of a model; bit 1 = in the set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MaskSet(pub BTreeMap<String, Mask>);

impl MaskSet {
    /// No maskable weight.
    pub fn empty(specs: &[TensorSpec]) -> Self {
        Self(maskable(specs).map(|spec| (spec.name.clone(), Mask::empty(spec.len()))).collect())
    }

    /// Every maskable weight.
    pub fn full(specs: &[TensorSpec]) -> Self {
        Self(maskable(specs).map(|spec| (spec.name.clone(), Mask::full(spec.len()))).collect())
    }

    /// Maskable minus this set; never an embedding, a head, a norm or a bias.
    #[must_use]
    pub fn complement(&self) -> Self {
        Self(self.0.iter().map(|(name, mask)| (name.clone(), mask.complement())).collect())
    }

    /// The weights in either set; both are of one model.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.with(other, Mask::union)
    }

    /// The weights in this set and not in the other; both are of one model.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.with(other, Mask::difference)
    }

    fn with(&self, other: &Self, join: impl Fn(&Mask, &Mask) -> Mask) -> Self {
        let one =
            |(name, mask): (&String, &Mask)| (name.clone(), other.0.get(name).map_or_else(|| mask.clone(), |other| join(mask, other)));
        Self(self.0.iter().map(one).collect())
    }

    /// The part of this set that lies in the tensors for which `keep` holds.
    #[must_use]
    pub fn inside(&self, specs: &[TensorSpec], keep: impl Fn(&TensorSpec) -> bool) -> Self {
        let part = |spec: &TensorSpec, mask: &Mask| if keep(spec) { mask.clone() } else { Mask::empty(mask.len()) };
        Self(maskable(specs).filter_map(|spec| Some((spec.name.clone(), part(spec, self.0.get(&spec.name)?)))).collect())
    }

    /// Weights in the set.
    pub fn count(&self) -> usize {
        self.0.values().map(Mask::count).sum()
    }

    /// Weights that the set is drawn from.
    pub fn len(&self) -> usize {
        self.0.values().map(Mask::len).sum()
    }

    /// Whether the set is drawn from no weight at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Share of the maskable weights in the set; 0 of none.
    pub fn density(&self) -> f64 {
        if self.is_empty() { 0.0 } else { self.count() as f64 / self.len() as f64 }
    }

    /// Share of each kind of projection (`q_proj`, …) that is in the set.
    pub fn density_by_kind(&self) -> BTreeMap<String, f64> {
        let mut kinds: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for (name, mask) in &self.0 {
            let entry = kinds.entry(kind(name).to_owned()).or_default();
            entry.0 += mask.count();
            entry.1 += mask.len();
        }
        kinds.into_iter().map(|(kind, (count, len))| (kind, count as f64 / len.max(1) as f64)).collect()
    }
}

/// The kinds of projection, in canonical order.
pub const KINDS: [&str; 7] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/// `q_proj` of `model.layers.0.self_attn.q_proj.weight`.
pub fn kind(name: &str) -> &str {
    name.trim_end_matches(".weight").rsplit('.').next().unwrap_or(name)
}

/// The maskable tensors, in canonical order.
pub fn maskable(specs: &[TensorSpec]) -> impl Iterator<Item = &TensorSpec> {
    specs.iter().filter(|spec| spec.maskable())
}
