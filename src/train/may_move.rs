//! What may move: the weights that an arm trains.

use crate::model::backend::Selection;
use crate::model::decoder::Trained;
use crate::model::inventory::TensorSpec;
use crate::ticket::mask_set::MaskSet;

/// Every parameter; a tied embedding is one.
pub fn all(specs: &[TensorSpec]) -> Trained {
    specs.iter().map(|spec| (spec.name.clone(), Selection::Everything)).collect()
}

/// The weights of a set: bit 1 = trained. Tensors that the set does not name, and so every embedding, head, norm and bias,
/// stay frozen. A full mask is the whole tensor, so that equal sets train alike to the last bit.
pub fn only(set: &MaskSet) -> Trained {
    set.0
        .iter()
        .filter_map(|(name, mask)| {
            let selection = match mask.count() {
                0 => return None,
                count if count == mask.len() => Selection::Everything,
                _ => Selection::Subset(mask.clone()),
            };
            Some((name.clone(), selection))
        })
        .collect()
}

/// The number of trained weights.
pub fn count(specs: &[TensorSpec], trained: &Trained) -> u64 {
    specs.iter().filter_map(|spec| Some(trained.get(&spec.name)?.count(spec.len()) as u64)).sum()
}
