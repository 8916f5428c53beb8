//! Scores of prompts from 0 to 1, over all seeds of an arm: means and differences with their intervals.

use super::interval::{Crossed, Z, crossed, t_above, t_quantile, wilson};

/// The score of each prompt: one row a seed, one column a prompt.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scores(pub Vec<Vec<f64>>);

/// A mean with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// The lower limit.
    pub low: f64,
    /// The upper one.
    pub high: f64,
    /// Prompts of one seed.
    pub prompts: usize,
    /// The mean's standard error.
    pub error: f64,
    /// Its degrees of freedom.
    pub freedom: f64,
}

impl Mean {
    /// The one-sided p-value of a true mean of at most `margin`; 1 where the mean itself is no larger.
    pub fn beyond(&self, margin: f64) -> f64 {
        if self.value <= margin { 1.0 } else { t_above((self.value - margin) / self.error, self.freedom) }
    }

    /// About how many prompts would put the interval on one side of `margin`; none where the mean lies on it.
    pub fn needed_prompts(&self, margin: f64) -> Option<u64> {
        let (half, room) = ((self.high - self.low) / 2.0, (self.value - margin).abs());
        (room > 1e-9).then(|| (self.prompts as f64 * (half / room).powi(2)).ceil() as u64)
    }
}

impl Scores {
    /// Whether every seed has this many prompts, and there is a seed.
    pub fn has_prompts(&self, prompts: usize) -> bool {
        !self.0.is_empty() && self.0.iter().all(|seed| seed.len() == prompts)
    }

    /// The mean, within 0 and 1; none of fewer than two prompts. For one seed the interval is Student's over prompts; for several it
    /// has the variance over seeds and prompts ([`crossed`]). Prompts that all have one score are taken for a rate's: their interval
    /// is as wide as Wilson's of as many prompts without a hit.
    pub fn mean(&self) -> Option<Mean> {
        let mean = mean(&self.0)?;
        Some(Mean { low: mean.low.max(0.0), high: mean.high.min(1.0), ..mean })
    }

    /// These scores less others on the same prompts ([`paired`]). None without pairs.
    pub fn minus(&self, other: &Self) -> Option<Mean> {
        let mean = mean(&paired(&self.0, &other.0)?)?;
        Some(Mean { low: mean.low.max(-1.0), high: mean.high.min(1.0), ..mean })
    }

    /// The scores of these prompts alone, by their places.
    pub fn of(&self, places: &[usize]) -> Self {
        Self(self.0.iter().map(|seed| places.iter().filter_map(|&place| seed.get(place).copied()).collect()).collect())
    }
}

/// The differences of numbers on the same prompts, by seed. Seeds are paired; a side with one seed is paired with every seed of
/// the other. None where a side has no seed, or seeds have other numbers of prompts.
pub fn paired(first: &[Vec<f64>], second: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    if first.is_empty() || second.is_empty() {
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
pub fn mean(values: &[Vec<f64>]) -> Option<Mean> {
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
    if variance > DUST {
        let half = t_quantile(freedom) * variance.sqrt();
        return Some(Mean { value, low: value - half, high: value + half, prompts, error: variance.sqrt(), freedom });
    }
    // What was never seen to differ may still differ.
    let half = wilson(0, prompts as u64)?.1;
    Some(Mean { value, low: value - half, high: value + half, prompts, error: half / Z, freedom: f64::INFINITY })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::random::{below, mix};

    #[test]
    fn the_interval_is_students() {
        // By hand: mean 0.5, standard deviation 0.1291, t 3.182 of 3 degrees of freedom.
        let found = Scores(vec![vec![0.4, 0.6, 0.35, 0.65]]).mean().unwrap();
        let half = 3.182_446 * (0.065_f64 / 3.0 / 4.0).sqrt();
        assert!((found.value - 0.5).abs() < 1e-12 && (found.high - 0.5 - half).abs() < 1e-6, "{found:?}");
        assert_eq!(Scores(vec![vec![0.4]]).mean(), None);
        assert_eq!(Scores::default().mean(), None);
    }

    #[test]
    fn differences_are_paired_and_equal_scores_are_no_proof() {
        let one = Scores(vec![(0..100).map(|i| f64::from(i) / 100.0).collect()]);
        let lower = Scores(vec![one.0[0].iter().enumerate().map(|(i, score)| score - 0.05 - 0.001 * (i % 2) as f64).collect()]);
        let change = one.minus(&lower).unwrap();
        assert!((change.value - 0.0505).abs() < 1e-9 && change.high - change.low < 0.001, "{change:?}");
        let same = one.minus(&one).unwrap();
        assert!(same.value == 0.0 && same.high > 0.03 && same.high < 0.04, "{same:?}");
        assert_eq!(one.minus(&Scores(vec![vec![0.1, 0.2]])), None);
        // A third of three equal numbers is no other number.
        let equal = Scores(vec![vec![0.4; 7]; 3]).mean().unwrap();
        assert!(equal.high - equal.low > 0.3, "{equal:?}");
    }

    /// Of many draws, about 95 % of the intervals hold the truth.
    #[test]
    fn the_interval_holds_the_truth_as_often_as_it_says() {
        let (mut held, tries) = (0, 2000);
        for t in 0..tries {
            let uniform = |stream: u64, i: u64| below(mix(stream ^ (t << 32)), i, 1_000_000) as f64 / 1e6;
            // The mean of a product of two uniform numbers is a quarter.
            let drawn = Scores(vec![(0..100).map(|p| uniform(1, p) * uniform(2, p)).collect()]);
            let found = drawn.mean().unwrap();
            held += u64::from(found.low <= 0.25 && 0.25 <= found.high);
        }
        let share = held as f64 / tries as f64;
        assert!((0.93..=0.97).contains(&share), "{share}");
    }
}
