//! Scores of prompts, over all seeds of an arm: means and differences with their intervals.

use super::interval::{Crossed, Z, crossed, t_above, t_quantile, wilson};

/// The score of each prompt.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scores {
    /// One row a seed, one column a prompt (or a window of the only text).
    pub values: Vec<Vec<f64>>,
    /// What they are.
    pub scale: Scale,
    /// Prompts that have a score: the fewest of any seed.
    pub prompts: usize,
}

/// What scores are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// From 0 to 1.
    #[default]
    Share,
    /// Losses and distances, without an upper end.
    Free,
}

/// A mean with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// The lower limit.
    pub low: f64,
    /// The upper one.
    pub high: f64,
    /// Prompts of one seed (or windows of the only text).
    pub prompts: usize,
    /// The mean's standard error.
    pub error: f64,
    /// Its degrees of freedom.
    pub freedom: f64,
}

impl Mean {
    /// With its interval kept within what scores of this scale can be: from `least` to 1 of shares.
    fn within(self, scale: Scale, least: f64) -> Self {
        match scale {
            Scale::Share => Self { low: self.low.max(least), high: self.high.min(1.0), ..self },
            Scale::Free => self,
        }
    }

    /// The one-sided p-value of a true mean of at most `margin`; 1 where the mean itself is no larger.
    pub fn beyond(&self, margin: f64) -> f64 {
        if self.value <= margin { 1.0 } else { t_above((self.value - margin) / self.error, self.freedom) }
    }

    /// About how many prompts would put the interval on one side of `margin`; none where the mean lies on it.
    pub fn needed_prompts(&self, margin: f64) -> Option<u64> {
        // The limit that the margin lies towards must come nearer.
        let half = if margin > self.value { self.high - self.value } else { self.value - self.low };
        let room = (self.value - margin).abs();
        (room > 1e-9).then(|| (self.prompts as f64 * (half / room).powi(2)).ceil() as u64)
    }
}

impl Scores {
    /// Scores from 0 to 1.
    pub fn shares(values: Vec<Vec<f64>>) -> Self {
        Self::new(values, Scale::Share)
    }

    /// Losses or distances, each prompt's counting alike.
    pub fn free(values: Vec<Vec<f64>>) -> Self {
        Self::new(values, Scale::Free)
    }

    /// Prompts as (sum, weight), for the ratio of all sums to all weights: each seed's numbers have that ratio as their mean, and the
    /// variance of its linear approximation. Differences between numbers with the same weights are those of the ratios. Nothing where
    /// the weights of a seed are no positive number together.
    ///
    /// Source: Cochran (1977), Sampling Techniques, 6.4: the ratio estimator.
    pub fn ratios(pairs: &[Vec<(f64, f64)>]) -> Self {
        let linear = |seed: &Vec<(f64, f64)>| -> Vec<f64> {
            let (sum, weight) = seed.iter().fold((0.0, 0.0), |(a, b), (sum, weight)| (a + sum, b + weight));
            let (ratio, usual) = (sum / weight, weight / seed.len() as f64);
            if weight > 0.0 { seed.iter().map(|(sum, weight)| ratio + (sum - ratio * weight) / usual).collect() } else { Vec::new() }
        };
        Self::free(pairs.iter().map(linear).collect())
    }

    fn new(values: Vec<Vec<f64>>, scale: Scale) -> Self {
        let prompts = values.iter().map(Vec::len).min().unwrap_or(0);
        Self { values, scale, prompts }
    }

    /// Whether every seed has this many prompts, and there is a seed.
    pub fn has_prompts(&self, prompts: usize) -> bool {
        !self.values.is_empty() && self.prompts == prompts
    }

    /// The mean itself, of any number of prompts; none of nothing.
    pub fn value(&self) -> Option<f64> {
        let seeds: Vec<f64> =
            self.values.iter().filter(|seed| !seed.is_empty()).map(|seed| seed.iter().sum::<f64>() / seed.len() as f64).collect();
        (!seeds.is_empty()).then(|| seeds.iter().sum::<f64>() / seeds.len() as f64)
    }

    /// The mean; within 0 and 1 where scores are; none of fewer than two prompts. For one seed the interval is Student's over prompts;
    /// for several it has the variance over seeds and prompts ([`crossed`]). Scores from 0 to 1 that are all one are taken for a
    /// rate's: their interval is as wide as Wilson's of as many prompts without a hit.
    pub fn mean(&self) -> Option<Mean> {
        Some(mean(&self.values, self.scale)?.within(self.scale, 0.0))
    }

    /// These scores less others on the same prompts ([`paired`]). None without pairs.
    pub fn minus(&self, other: &Self) -> Option<Mean> {
        Some(mean(&paired(&self.values, &other.values)?, self.scale)?.within(self.scale, -1.0))
    }
}

/// The differences of numbers on the same prompts, by seed. Seeds are paired; a side with one seed is paired with every seed of
/// the other. None where a side has no seed, both have several and not as many, or seeds have other numbers of prompts.
pub fn paired(first: &[Vec<f64>], second: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let several = first.len() > 1 && second.len() > 1;
    if first.is_empty() || second.is_empty() || several && first.len() != second.len() {
        return None;
    }
    let pair = |s: usize| -> Option<Vec<f64>> {
        let (first, second) = (first.get(s % first.len())?, second.get(s % second.len())?);
        (first.len() == second.len()).then(|| first.iter().zip(second).map(|(first, second)| first - second).collect())
    };
    (0..first.len().max(second.len())).map(pair).collect()
}

/// A variance that is no more than this comes from rounding: the numbers are equal.
pub const DUST: f64 = 1e-24;

/// The mean of numbers by seed and prompt with its 95 % interval, see [`Scores::mean`]; not kept within any limits.
pub fn mean(values: &[Vec<f64>], scale: Scale) -> Option<Mean> {
    let first = values.first()?;
    let (count, prompts) = (first.len() as f64, first.len());
    if prompts < 2 {
        return None;
    }
    let (value, variance, freedom) = match crossed(values) {
        Some(Crossed { mean, variance, freedom }) if variance > DUST => (mean, variance, freedom),
        _ => {
            let value = first.iter().sum::<f64>() / count;
            let squares: f64 = first.iter().map(|score| (score - value).powi(2)).sum();
            (value, squares / (count - 1.0) / count, count - 1.0)
        }
    };
    let (half, error, freedom) = match scale {
        _ if variance > DUST => (t_quantile(freedom) * variance.sqrt(), variance.sqrt(), freedom),
        // What was never seen to differ may still differ.
        Scale::Share => {
            let half = wilson(0, prompts as u64)?.1;
            (half, half / Z, f64::INFINITY)
        }
        // Losses that are equal to the last bit are those of one model.
        Scale::Free => (0.0, 0.0, f64::INFINITY),
    };
    Some(Mean { value, low: value - half, high: value + half, prompts, error, freedom })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::random::{below, mix};

    #[test]
    fn the_interval_is_students() {
        // By hand: mean 0.5, standard deviation 0.1291, t 3.182 of 3 degrees of freedom.
        let found = Scores::shares(vec![vec![0.4, 0.6, 0.35, 0.65]]).mean().unwrap();
        let half = 3.182_446 * (0.065_f64 / 3.0 / 4.0).sqrt();
        assert!((found.value - 0.5).abs() < 1e-12 && (found.high - 0.5 - half).abs() < 1e-6, "{found:?}");
        assert_eq!(Scores::shares(vec![vec![0.4]]).mean(), None);
        assert_eq!(Scores::default().mean(), None);
    }

    #[test]
    fn differences_are_paired_and_equal_scores_are_no_proof() {
        let one = Scores::shares(vec![(0..100).map(|i| f64::from(i) / 100.0).collect()]);
        let lower =
            Scores::shares(vec![one.values[0].iter().enumerate().map(|(i, score)| score - 0.05 - 0.001 * (i % 2) as f64).collect()]);
        let change = one.minus(&lower).unwrap();
        assert!((change.value - 0.0505).abs() < 1e-9 && change.high - change.low < 0.001, "{change:?}");
        let same = one.minus(&one).unwrap();
        assert!(same.value == 0.0 && same.high > 0.03 && same.high < 0.04, "{same:?}");
        assert_eq!(one.minus(&Scores::shares(vec![vec![0.1, 0.2]])), None);
        // A third of three equal numbers is no other number.
        let equal = Scores::shares(vec![vec![0.4; 7]; 3]).mean().unwrap();
        assert!(equal.high - equal.low > 0.3, "{equal:?}");
    }

    #[test]
    fn a_ratio_is_sum_by_sum_and_its_differences_are_paired() {
        let pairs = vec![(20.0, 10.0), (90.0, 30.0), (8.0, 5.0), (50.0, 15.0)];
        let one = Scores::ratios(std::slice::from_ref(&pairs));
        assert!((one.value().unwrap() - 168.0 / 60.0).abs() < 1e-12, "{one:?}");
        // By hand: residuals −8, 6, −6, 8 over a mean weight of 15, t 3.182 of 3 degrees of freedom.
        let (found, half) = (one.mean().unwrap(), 3.182_446 * (200.0_f64 / 3.0 / 4.0).sqrt() / 15.0);
        assert!((found.value - 2.8).abs() < 1e-12 && (found.high - 2.8 - half).abs() < 1e-6, "{found:?}");
        // A loss that rises by the same for every token has no spread.
        let worse = Scores::ratios(&[pairs.iter().map(|(sum, weight)| (sum + 0.25 * weight, *weight)).collect()]);
        let rise = worse.minus(&one).unwrap();
        assert!((rise.value - 0.25).abs() < 1e-12 && rise.high - rise.low < 1e-9, "{rise:?}");
        let same = one.minus(&one).unwrap();
        assert_eq!((same.low, same.high), (0.0, 0.0));
        assert_eq!(Scores::ratios(&[vec![(1.0, 0.0)]]).value(), None);
    }

    /// Of many draws, about 95 % of the intervals hold the truth.
    #[test]
    fn the_interval_holds_the_truth_as_often_as_it_says() {
        let (mut held, tries) = (0, 2000);
        for t in 0..tries {
            let uniform = |stream: u64, i: u64| below(mix(stream ^ (t << 32)), i, 1_000_000) as f64 / 1e6;
            // The mean of a product of two uniform numbers is a quarter.
            let drawn = Scores::shares(vec![(0..100).map(|p| uniform(1, p) * uniform(2, p)).collect()]);
            let found = drawn.mean().unwrap();
            held += u64::from(found.low <= 0.25 && 0.25 <= found.high);
        }
        let share = held as f64 / tries as f64;
        assert!((0.93..=0.97).contains(&share), "{share}");
    }
}
