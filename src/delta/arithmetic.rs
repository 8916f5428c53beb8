//! Task vectors merged by arithmetic: pure functions over f32, one weight a place in each slice.
//!
//! Every vector holds the same positions of one tensor, in ascending row-major order, and is 0 where its task changed nothing.
//! Sums run over the vectors in the order given: the caller puts them into an order that does not depend on the user's.

use crate::random::mix;

/// How many of `n` weights trimming and pruning keep: the whole part of density · n in f64, not rounded.
///
/// Source: PEFT's `prune` (`int(density * tensor.numel())`), which mergekit shares; [`crate::ticket::select`] rounds instead.
pub fn kept_count(density: f64, n: usize) -> usize {
    ((density * n as f64) as usize).min(n)
}

/// Sets all but the `k` largest magnitudes to 0; of equal ones the lower places stay.
///
/// Source: magnitude pruning as PEFT's `magnitude_based_pruning`, exactly k weights; it leaves open which of equal ones stay. (The
/// reference code of LoTA keeps every weight that reaches the threshold, which may be more than k.)
pub fn keep_largest(values: &mut [f32], k: usize) {
    if k >= values.len() {
        return;
    }
    if k == 0 {
        return values.fill(0.0);
    }
    // The bits of magnitudes order as the magnitudes do.
    let magnitude = |value: f32| value.abs().to_bits();
    let mut order: Vec<u32> = values.iter().map(|&value| magnitude(value)).collect();
    let (_, &mut threshold, _) = order.select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
    let mut at_threshold = k - values.iter().filter(|&&value| magnitude(value) > threshold).count();
    for value in values {
        let bits = magnitude(*value);
        let stays = bits > threshold || (bits == threshold && at_threshold > 0);
        at_threshold -= usize::from(stays && bits == threshold);
        if !stays {
            *value = 0.0;
        }
    }
}

/// Σ scale · vector.
///
/// Source: Ilharco et al., *Editing Models with Task Arithmetic* (2212.04089). Their λ is one for all tasks; here each may have its
/// own, negative ones negate a task.
pub fn task_arithmetic(vectors: &[Vec<f32>], scales: &[f32]) -> Vec<f32> {
    let mut merged = vec![0.0; vectors.first().map_or(0, Vec::len)];
    for (vector, scale) in vectors.iter().zip(scales) {
        merged.iter_mut().zip(vector).for_each(|(sum, value)| *sum += scale * value);
    }
    merged
}

/// Elect sign and disjoint mean of vectors that are trimmed already (see [`keep_largest`]): at each weight the sign of the sum, plus
/// where the sum is 0; then the mean of scale · value over the vectors of that sign, 0 where there is none.
///
/// Source: Yadav et al., *TIES-Merging* (2306.01708), as PEFT computes it (`ties` with `majority_sign_method="total"`). Differences from
/// the paper: vectors are trimmed tensor by tensor, not over the whole model; its λ is each vector's scale, which enters behind the
/// election; and its code elects the model's most frequent sign where the sum is 0.
pub fn ties(trimmed: &[Vec<f32>], scales: &[f32]) -> Vec<f32> {
    let len = trimmed.first().map_or(0, Vec::len);
    (0..len)
        .map(|i| {
            let total: f32 = trimmed.iter().map(|vector| vector[i]).sum();
            let elected = |value: f32| if total >= 0.0 { value > 0.0 } else { value < 0.0 };
            let (mut sum, mut count) = (0.0f32, 0.0f32);
            for (vector, scale) in trimmed.iter().zip(scales).filter(|(vector, _)| elected(vector[i])) {
                sum += scale * vector[i];
                count += 1.0;
            }
            sum / count.max(1.0)
        })
        .collect()
}

/// Drops each weight with probability 1 − density, and divides those that stay by the density, so that the expected vector is the
/// same. Chance depends on the stream and on the weight's row-major index alone.
///
/// Source: Yu et al., *Language Models are Super Mario* (2311.03099), their drop rate p being 1 − density. There is no k: each weight
/// is drawn by itself, as in the paper, from this program's own generator.
pub fn drop_and_rescale(values: &mut [f32], positions: impl Iterator<Item = usize>, density: f64, stream: u64) {
    for (value, i) in values.iter_mut().zip(positions) {
        // 53 random bits: a number in [0, 1), every one of which f64 holds.
        let drawn = (mix(stream ^ i as u64) >> 11) as f64 / (1u64 << 53) as f64;
        *value = if drawn < density { *value / density as f32 } else { 0.0 };
    }
}
