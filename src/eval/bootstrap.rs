//! A seeded bootstrap over seeds and prompts: a second opinion on intervals that come from formulas.
//!
//! It decides nothing, because it is worse where it would matter. Coverage of nominal 95 % intervals of a mean, of 2,000 draws each
//! (60 % of a reply's variance is its prompt's; `sd` is the standard deviation between seeds, in those of a reply), beside the interval of
//! [`crossed`](super::interval::crossed), as `tests/reference/coverage.py` prints it:
//!
//! | scores | seeds | prompts | sd | crossed | bootstrap |
//! |---|---|---|---|---|---|
//! | even | 1 | 60 | 0.0 | 94.8 % | 94.2 % |
//! | skewed | 1 | 60 | 0.0 | 92.3 % | 92.5 % |
//! | skewed | 1 | 300 | 0.0 | 93.8 % | 93.8 % |
//! | even | 2 | 300 | 0.2 | 89.3 % | 74.8 % |
//! | even | 3 | 300 | 0.2 | 92.0 % | 85.2 % |
//! | even | 5 | 60 | 0.2 | 94.6 % | 93.7 % |
//! | even | 5 | 300 | 0.2 | 94.0 % | 89.2 % |
//! | even | 5 | 300 | 0.5 | 94.7 % | 85.8 % |
//! | skewed | 5 | 300 | 0.5 | 92.5 % | 84.7 % |
//! | even | 10 | 300 | 0.2 | 94.5 % | 93.0 % |
//!
//! With few seeds, percentiles of resampled seeds are too narrow: a sample of S seeds shows (S − 1)/S of their variance, and nothing
//! makes up for how badly it is known, as Student's quantile does. With one seed both are alike.

use crate::random::{below, mix, stream};

/// Resamples.
pub const RESAMPLES: usize = 2000;

/// The 95 % percentile interval of a mean by seed (rows) and prompt (columns), of [`resampled`] means. Limits are interpolated linearly,
/// as numpy's and scipy's are.
pub fn bootstrap(values: &[Vec<f64>]) -> Option<(f64, f64)> {
    Some(percentiles(&resampled(values)?))
}

/// The means of [`RESAMPLES`] samples, sorted: seeds and prompts are both drawn again, with replacement, always with the same draws.
/// Of one seed, prompts alone. None of fewer than two prompts, or rows of unequal length.
///
/// Source: the two-way cluster ("pigeonhole") bootstrap, Owen (2007, Annals of Applied Statistics 1:386).
pub fn resampled(values: &[Vec<f64>]) -> Option<Vec<f64>> {
    let (seeds, prompts) = (values.len(), values.first()?.len());
    if prompts < 2 || values.iter().any(|row| row.len() != prompts) {
        return None;
    }
    let base = stream(0, "bootstrap");
    let mut means: Vec<f64> = (0..RESAMPLES as u64)
        .map(|draw| {
            let of_seeds = mix(base ^ draw);
            let (by_seed, by_prompt) = (drawn(of_seeds, seeds), drawn(mix(of_seeds), prompts));
            let sum: f64 = values
                .iter()
                .zip(&by_seed)
                .filter(|(_, times)| **times > 0.0)
                .map(|(row, times)| times * row.iter().zip(&by_prompt).map(|(value, times)| value * times).sum::<f64>())
                .sum();
            sum / (seeds * prompts) as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    Some(means)
}

/// The 2.5 % and the 97.5 % percentile of sorted numbers, of which there is at least one.
pub fn percentiles(sorted: &[f64]) -> (f64, f64) {
    (quantile(sorted, 0.025), quantile(sorted, 0.975))
}

/// How often each of `n` things is drawn in `n` draws.
fn drawn(stream: u64, n: usize) -> Vec<f64> {
    let mut times = vec![0.0; n];
    (0..n as u64).for_each(|i| times[below(stream, i, n)] += 1.0);
    times
}

/// A quantile of sorted numbers, of which there is at least one, interpolated linearly.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (low, part) = (at.floor() as usize, at.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + part * (sorted[high] - sorted[low])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::eval::scores::{Scale, mean};
    use crate::random::normal;

    /// As in the table, of three seeds with a standard deviation of 0.5.
    #[test]
    fn with_few_seeds_it_holds_the_truth_less_often_than_the_variance_of_both() {
        let (tries, seeds, prompts) = (300, 3, 60);
        let (mut by_formula, mut by_draws) = (0, 0);
        for t in 0..tries {
            let number = |what: u64, i: u64| f64::from(normal(mix(what ^ (t << 20)), i));
            let value = |s: u64, p: u64| 0.6_f64.sqrt() * number(1, p) + 0.5 * number(2, s) + 0.4_f64.sqrt() * number(3 + s, p);
            let values: Vec<Vec<f64>> = (0..seeds).map(|s| (0..prompts).map(|p| value(s, p)).collect()).collect();
            let (formula, (low, high)) = (mean(&values, Scale::Share).unwrap(), bootstrap(&values).unwrap());
            by_formula += u64::from(formula.low <= 0.0 && 0.0 <= formula.high);
            by_draws += u64::from(low <= 0.0 && 0.0 <= high);
        }
        let share = |held: u64| held as f64 / tries as f64;
        assert!(share(by_formula) > 0.89 && share(by_draws) < 0.85, "{} {}", share(by_formula), share(by_draws));
    }
}
