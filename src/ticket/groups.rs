//! Selection of whole rows or whole columns.

use rayon::prelude::*;

use super::TicketError;
use super::budget::{Budget, Structure, count_for};
use super::mask_set::MaskSet;
use super::score::Scores;
use super::select::{Pool, Source, Ties};
use crate::mask::Mask;
use crate::model::inventory::TensorSpec;

/// A row or a column of a tensor.
struct Group {
    /// Arithmetic mean of its weights' scores.
    mean: f64,
    /// Weights in it.
    size: usize,
    /// The tensor's place in the pool.
    tensor: usize,
    /// Which row or column.
    index: usize,
}

/// The arithmetic mean of the scores of each row (I weights) or column (O weights) of a matrix, in f64 and in the order of the
/// weights. The mean, not the sum: long rows of one matrix compete with short ones of another by the weight.
pub fn means(spec: &TensorSpec, scores: &[f32], structure: Structure) -> Vec<f64> {
    match structure {
        Structure::Weight => scores.iter().map(|&score| f64::from(score)).collect(),
        Structure::Row => scores
            .par_chunks(spec.columns.max(1))
            .map(|row| row.iter().map(|&score| f64::from(score)).sum::<f64>() / spec.columns.max(1) as f64)
            .collect(),
        Structure::Column => {
            let mut sums = vec![0.0; spec.columns];
            for row in scores.chunks(spec.columns.max(1)) {
                sums.iter_mut().zip(row).for_each(|(sum, &score)| *sum += f64::from(score));
            }
            sums.iter().map(|sum| sum / spec.rows.max(1) as f64).collect()
        }
    }
}

/// How many groups from the top are taken, where `sizes` are their weights in order of rank: so many that the weights in them come
/// nearest to `wanted`; of two equally near the more. Of groups of one size this is floor(density · groups + 0.5), exactly; of
/// several sizes the result is at most half of a group away from the density.
pub fn take(sizes: &[usize], wanted: f64) -> usize {
    let mut taken = 0;
    for (i, &size) in sizes.iter().enumerate() {
        // Half of the next group still fits.
        if taken as f64 + size as f64 / 2.0 > wanted {
            return i;
        }
        taken += size;
    }
    sizes.len()
}

/// Takes whole groups of a pool by (mean score, then lower tensor, then lower index). A group of which any weight is no candidate is
/// none, and one whose scores are all 0 is never taken.
pub(super) fn by_group<E: From<TicketError>, F: FnMut(&TensorSpec) -> Result<Scores, E>>(
    pool: &Pool<'_>,
    budget: Budget,
    source: &mut Source<F>,
    masks: &mut MaskSet,
    ties: &mut Ties,
) -> Result<(), E> {
    let n: usize = pool.tensors.iter().map(|spec| spec.len()).sum();
    let weights = count_for(budget.density, n)?;
    let wanted = budget.density * n as f64;
    let (mut groups, mut smallest_left) = (Vec::new(), None::<usize>);
    for (tensor, spec) in pool.tensors.iter().enumerate() {
        let means = means(spec, &source.of(spec)?.values, budget.structure);
        let size = spec.len() / means.len().max(1);
        let mut open = vec![true; means.len()];
        for i in (0..spec.len()).filter(|&i| !pool.has(&spec.name, i)) {
            open[group_of(spec, budget.structure, i)] = false;
        }
        for (index, (mean, open)) in means.into_iter().zip(open).enumerate() {
            if open && mean > 0.0 {
                groups.push(Group { mean, size, tensor, index });
            } else {
                smallest_left = Some(smallest_left.map_or(size, |other| other.min(size)));
            }
        }
    }
    // Equal means stay in the order of tensors and indices.
    groups.sort_by(|a, b| b.mean.total_cmp(&a.mean));
    let scored: usize = groups.iter().map(|group| group.size).sum();
    if smallest_left.is_some_and(|size| scored as f64 + size as f64 / 2.0 <= wanted) {
        return Err(TicketError::TooFew { scope: pool.name(), wanted: weights, scored, structure: budget.structure }.into());
    }
    let sizes: Vec<usize> = groups.iter().map(|group| group.size).collect();
    groups.truncate(take(&sizes, wanted));
    let mut chosen: Vec<Vec<bool>> = pool.tensors.iter().map(|spec| vec![false; count(spec, budget.structure)]).collect();
    for group in &groups {
        chosen[group.tensor][group.index] = true;
    }
    for (spec, chosen) in pool.tensors.iter().zip(chosen) {
        masks.0.insert(spec.name.clone(), Mask::from_fn(spec.len(), |i| chosen[group_of(spec, budget.structure, i)]));
    }
    if let Some(last) = groups.last() {
        ties.add(groups.iter().filter(|group| group.mean == last.mean).count(), groups.len());
    }
    Ok(())
}

/// The number of groups of a tensor.
fn count(spec: &TensorSpec, structure: Structure) -> usize {
    match structure {
        Structure::Weight => spec.len(),
        Structure::Row => spec.rows,
        Structure::Column => spec.columns,
    }
}

/// The group of the weight with row-major index i.
pub(super) fn group_of(spec: &TensorSpec, structure: Structure, i: usize) -> usize {
    match structure {
        Structure::Weight => i,
        Structure::Row => i / spec.columns,
        Structure::Column => i % spec.columns,
    }
}

#[cfg(test)]
mod tests;
