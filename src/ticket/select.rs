//! Selection: the top of scores that are made one tensor at a time; exactly k weights by (score, then lower row-major index).

use rayon::prelude::*;

use super::TicketError;
use super::budget::{Budget, Scope, Structure, count_for, layer};
use super::groups;
use super::mask_set::{MaskSet, maskable};
use super::score::Scores;
use crate::mask::Mask;
use crate::model::inventory::TensorSpec;

/// What was selected.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// The weights; every maskable tensor has a mask.
    pub masks: MaskSet,
    /// The share of the selection (weights, rows or columns) that has the same score as the last piece of its own scope, that piece not
    /// counted: where more pieces have it than were taken, their place decided. 0 where every scope's lowest score is one piece's alone, and
    /// of nothing.
    pub tied: f64,
}

/// The top of the scores of the maskable tensors. `scores` makes those of one tensor, and is asked up to three times for each, so
/// that no more than one tensor's need be held; it must say the same each time. With `within`, only weights of that set are
/// candidates, but the density stays a share of all.
///
/// Of n weights within a scope k = floor(density · n + 0.5) are taken, exactly. Whole rows or columns (`Structure`) follow
/// [`groups::take`]. A score of 0 is never taken. Time is O(n): two counts by halves of the scores' bits find the k-th
/// largest, and each row of `Scope::Row` is partitioned; nothing is sorted but whole rows or columns.
///
/// # Errors
/// When the density is not in (0, 1], fewer candidates than k have a score above 0, or `scores` fails.
pub fn select<E: From<TicketError>>(
    specs: &[TensorSpec],
    budget: Budget,
    within: Option<&MaskSet>,
    scores: impl FnMut(&TensorSpec) -> Result<Scores, E>,
) -> Result<Chosen, E> {
    let tensors: Vec<&TensorSpec> = maskable(specs).collect();
    let mut source = Source { make: scores, last: None };
    let (mut masks, mut ties) = (MaskSet::default(), Ties::default());
    for pool in pools(&tensors, budget.scope) {
        let pool = Pool { tensors: pool, scope: budget.scope, within };
        match (budget.structure, budget.scope) {
            (Structure::Weight, Scope::Row) => by_row(&pool, budget.density, &mut source, &mut masks, &mut ties)?,
            (Structure::Weight, _) => by_weight(&pool, budget.density, &mut source, &mut masks, &mut ties)?,
            _ => groups::by_group(&pool, budget, &mut source, &mut masks, &mut ties)?,
        }
    }
    Ok(Chosen { masks, tied: ties.share() })
}

/// Tensors whose weights are compared with each other; with `Scope::Row` one tensor whose rows are not.
fn pools<'a, 'b>(tensors: &'b [&'a TensorSpec], scope: Scope) -> Vec<&'b [&'a TensorSpec]> {
    match scope {
        Scope::Global => vec![tensors],
        Scope::Layer => tensors.chunk_by(|a, b| layer(&a.name) == layer(&b.name)).collect(),
        Scope::Tensor | Scope::Row => tensors.chunks(1).collect(),
    }
}

/// What is compared with each other, and what of it may be taken.
pub(super) struct Pool<'a> {
    pub tensors: &'a [&'a TensorSpec],
    scope: Scope,
    within: Option<&'a MaskSet>,
}

impl Pool<'_> {
    /// Whether a weight may be taken.
    pub fn has(&self, tensor: &str, i: usize) -> bool {
        self.within.is_none_or(|set| set.0.get(tensor).is_some_and(|mask| mask.contains(i)))
    }

    /// Its name in messages.
    pub fn name(&self) -> String {
        let first = self.tensors.first().map_or("", |spec| spec.name.as_str());
        match self.scope {
            Scope::Global => "all maskable weights".into(),
            Scope::Layer => format!("layer {}", layer(first)),
            Scope::Tensor | Scope::Row => first.into(),
        }
    }
}

/// Scores on demand; those of the last tensor are held.
pub(super) struct Source<F> {
    make: F,
    last: Option<Scores>,
}

impl<F> Source<F> {
    pub fn of<E>(&mut self, spec: &TensorSpec) -> Result<&Scores, E>
    where
        F: FnMut(&TensorSpec) -> Result<Scores, E>,
    {
        let held = self.last.take().filter(|scores| scores.tensor == spec.name);
        let scores = match held {
            Some(scores) => scores,
            None => (self.make)(spec)?,
        };
        assert_eq!(scores.values.len(), spec.len(), "scores of {}", spec.name);
        Ok(self.last.insert(scores))
    }
}

/// How many pieces share the lowest score that was taken of what they are compared with.
#[derive(Default)]
pub(super) struct Ties {
    tied: usize,
    chosen: usize,
}

impl Ties {
    /// Of `chosen` pieces that are compared with each other, `at_lowest` have the lowest score.
    pub fn add(&mut self, at_lowest: usize, chosen: usize) {
        self.chosen += chosen;
        // One by itself is no tie, however small the scope.
        self.tied += at_lowest.saturating_sub(1);
    }

    fn share(&self) -> f64 {
        self.tied as f64 / self.chosen.max(1) as f64
    }
}

fn by_weight<E: From<TicketError>, F: FnMut(&TensorSpec) -> Result<Scores, E>>(
    pool: &Pool<'_>,
    density: f64,
    source: &mut Source<F>,
    masks: &mut MaskSet,
    ties: &mut Ties,
) -> Result<(), E> {
    let k = count_for(density, pool.tensors.iter().map(|spec| spec.len()).sum())?;
    // Counts of non-zero scores by the upper half of their bits; bits of non-negative numbers order as the numbers do.
    let mut upper_counts = vec![0; 1 << 16];
    for spec in pool.tensors {
        let place = |i: usize, bits: u32| (bits != 0 && pool.has(&spec.name, i)).then_some(bits >> 16);
        count(&mut upper_counts, &source.of(spec)?.values, place);
    }
    let scored: usize = upper_counts.iter().sum();
    if scored < k {
        return Err(TicketError::TooFew { scope: pool.name(), wanted: k, scored, structure: Structure::Weight }.into());
    }
    let (upper, above) = place_of(&upper_counts, k);
    let mut lower_counts = vec![0; 1 << 16];
    for spec in pool.tensors {
        let place = |i: usize, bits: u32| (bits >> 16 == upper && bits != 0 && pool.has(&spec.name, i)).then_some(bits & 0xFFFF);
        count(&mut lower_counts, &source.of(spec)?.values, place);
    }
    let (lower, nearer) = place_of(&lower_counts, k - above);
    // The bits of the k-th largest score, and how many scores of exactly these bits are taken: the lower indices first.
    let (threshold, at_threshold) = (upper << 16 | lower, k - above - nearer);
    let mut left = at_threshold;
    for spec in pool.tensors {
        let values = &source.of(spec)?.values;
        let mask = Mask::from_fn(values.len(), |i| {
            let bits = values[i].to_bits();
            if k == 0 || bits < threshold || bits == 0 || !pool.has(&spec.name, i) {
                return false;
            }
            bits > threshold
                || (left > 0 && {
                    left -= 1;
                    true
                })
        });
        masks.0.insert(spec.name.clone(), mask);
    }
    ties.add(at_threshold, k);
    Ok(())
}

/// Weights that one thread counts at a time.
const COUNTED: usize = 1 << 20;

/// Adds up how many scores, given by place and bits, belong to each place of the counts.
fn count(counts: &mut [usize], values: &[f32], place: impl Fn(usize, u32) -> Option<u32> + Sync) {
    let of_part = |(part, values): (usize, &[f32])| {
        let mut counts = vec![0_u32; 1 << 16];
        for (i, value) in values.iter().enumerate() {
            if let Some(place) = place(part * COUNTED + i, value.to_bits()) {
                counts[place as usize] += 1;
            }
        }
        counts
    };
    let parts: Vec<Vec<u32>> = values.par_chunks(COUNTED).enumerate().map(of_part).collect();
    for part in parts {
        counts.iter_mut().zip(part).for_each(|(sum, count)| *sum += count as usize);
    }
}

/// Where, counted from the top, the k-th is, and how many are above that place.
fn place_of(counts: &[usize], k: usize) -> (u32, usize) {
    let mut above = 0;
    for (place, &count) in counts.iter().enumerate().rev() {
        if above + count >= k {
            return (place as u32, above);
        }
        above += count;
    }
    (0, above)
}

fn by_row<E: From<TicketError>, F: FnMut(&TensorSpec) -> Result<Scores, E>>(
    pool: &Pool<'_>,
    density: f64,
    source: &mut Source<F>,
    masks: &mut MaskSet,
    ties: &mut Ties,
) -> Result<(), E> {
    for spec in pool.tensors {
        let k = count_for(density, spec.columns)?;
        let values = &source.of(spec)?.values;
        // Score, then lower index, in one number: larger comes first.
        let key = |i: usize| u64::from(values[i].to_bits()) << 32 | u64::from(u32::MAX - (i % spec.columns) as u32);
        let rows: Vec<Vec<u64>> = (0..spec.rows)
            .into_par_iter()
            .map(|row| {
                let all = row * spec.columns..(row + 1) * spec.columns;
                let mut keys: Vec<u64> = all.filter(|&i| values[i] != 0.0 && pool.has(&spec.name, i)).map(key).collect();
                if keys.len() < k {
                    let scope = format!("row {row} of {}", spec.name);
                    return Err(TicketError::TooFew { scope, wanted: k, scored: keys.len(), structure: Structure::Weight });
                }
                if k > 0 && k < keys.len() {
                    keys.select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
                }
                keys.truncate(k);
                Ok(keys)
            })
            .collect::<Result<_, _>>()?;
        let mut mask = Mask::empty(spec.len());
        for (row, keys) in rows.iter().enumerate() {
            for key in keys {
                mask.insert(row * spec.columns + (u32::MAX - *key as u32) as usize);
            }
            if let Some(lowest) = keys.iter().map(|key| key >> 32).min() {
                let at_lowest = keys.iter().filter(|&&key| key >> 32 == lowest).count();
                ties.add(at_lowest, keys.len());
            }
        }
        masks.0.insert(spec.name.clone(), mask);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
