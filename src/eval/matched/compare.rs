//! The difference of two families at a level of utility, and whether it is beyond chance.

use super::Row;
use super::choice::Kept;
use crate::eval::bootstrap::{percentiles, resampled};
use crate::eval::interval::{crossed, holm, mcnemar_exact, t_above, t_quantile, wilson};
use crate::eval::scores::paired;

/// The level of all tests, two-sided.
const LEVEL: f64 = 0.05;

/// A difference smaller than this is none.
const DUST: f64 = 1e-9;

/// A family beside another one, the protected one or the random control, at the same utility.
#[derive(Debug, Clone, PartialEq)]
pub struct Against {
    /// The protected family's safety less this one's, or this one's less the random control's.
    pub difference: f64,
    /// Its 95 % interval; none where nothing is known of its error.
    pub interval: Option<(f64, f64)>,
    /// Two-sided.
    pub p: Option<f64>,
    /// Adjusted for as many controls as there are in the table (Holm).
    pub p_holm: Option<f64>,
    /// Whether the interval leaves out nought and the adjusted p-value is at most 0.05.
    pub apart: bool,
}

/// One family less another at the same level; none where they have no prompts or seeds in common.
///
/// With values by prompt: the mean over seeds and prompts of the paired differences, with the percentile interval of a bootstrap over
/// prompts, and over seeds where there are several ([`resampled`]). The utility is taken as known: only prompts and seeds are drawn
/// again. With several seeds the interval is at least that of the variance over both, since few seeds make percentiles too narrow.
/// The p-value is the larger of the bootstrap's, that variance's, and the exact sign test's over prompts that differ, since
/// percentiles of few prompts that differ are too sure; where most prompts differ the other way, it is 1. Differences that are all equal
/// have the width of Wilson's interval of none among as many prompts.
///
/// Without values by prompt: the errors of both sides as if they were independent, which is rather too much, and the variance between
/// seeds.
pub(super) fn against(first: &Kept, second: &Kept) -> Option<Against> {
    if first.values.iter().chain(&second.values).any(Vec::is_empty) {
        return by_errors(first, second);
    }
    by_prompt(&first.values, &second.values)
}

/// The protected family's over-refusals less another's at the same level, as [`against`]; none where either's are not known.
pub(super) fn over_refused(protected: &Kept, control: &Kept) -> Option<Against> {
    by_prompt(&protected.over_refused.as_ref()?.values, &control.over_refused.as_ref()?.values)
}

fn by_prompt(protected: &[Vec<f64>], control: &[Vec<f64>]) -> Option<Against> {
    let differences = paired(protected, control)?;
    let means = resampled(&differences)?;
    let (mut low, mut high) = percentiles(&means);
    let number = (differences.len() * differences[0].len()) as f64;
    let difference = differences.iter().flatten().sum::<f64>() / number;
    let beyond = |side: &dyn Fn(f64) -> bool| (1 + means.iter().filter(|mean| side(**mean)).count()) as f64 / (means.len() + 1) as f64;
    let mut p = (2.0 * beyond(&|mean| mean <= DUST).min(beyond(&|mean| mean >= -DUST))).min(1.0);
    p = p.max(sign_test(&differences, difference));
    if let Some(crossed) = crossed(&differences) {
        let error = crossed.variance.max(0.0).sqrt();
        let half = t_quantile(crossed.freedom) * error;
        (low, high) = (low.min(crossed.mean - half), high.max(crossed.mean + half));
        if error > 0.0 {
            p = p.max((2.0 * t_above(crossed.mean.abs() / error, crossed.freedom)).min(1.0));
        }
    }
    if high - low < DUST {
        // Prompts that were never seen to differ may still differ.
        let half = wilson(0, differences[0].len() as u64)?.1;
        (low, high) = (low - half, high + half);
    }
    Some(Against { difference, interval: Some((low.max(-1.0), high.min(1.0))), p: Some(p), p_holm: None, apart: false })
}

/// The exact two-sided sign test over prompts, each with its mean over seeds; 1 where most prompts differ the other way than their mean.
fn sign_test(differences: &[Vec<f64>], mean: f64) -> f64 {
    let prompts = differences.first().map_or(0, Vec::len);
    let of = |prompt: usize| differences.iter().map(|row| row[prompt]).sum::<f64>();
    let signs: Vec<f64> = (0..prompts).map(of).collect();
    let count = |side: &dyn Fn(f64) -> bool| signs.iter().filter(|sign| side(**sign)).count() as u64;
    let (more, fewer) = (count(&|sign| sign > DUST), count(&|sign| sign < -DUST));
    if (mean > 0.0 && more < fewer) || (mean < 0.0 && fewer < more) { 1.0 } else { mcnemar_exact(more, fewer) }
}

fn by_errors(protected: &Kept, control: &Kept) -> Option<Against> {
    let pairs: Vec<_> = protected.by_seed.iter().zip(&control.by_seed).collect();
    let n = pairs.len() as f64;
    let differences: Vec<f64> = pairs.iter().map(|(mine, theirs)| mine.0 - theirs.0).collect();
    let difference = (n > 0.0).then(|| differences.iter().sum::<f64>() / n)?;
    let squares: Option<f64> = pairs.iter().map(|(mine, theirs)| Some(mine.1?.powi(2) + theirs.1?.powi(2))).sum();
    let between = if n > 1.0 { differences.iter().map(|one| (one - difference).powi(2)).sum::<f64>() / (n - 1.0) / n } else { 0.0 };
    let known = squares.map(|squares| squares / n + between).filter(|variance| *variance > 0.0).map(|variance| {
        let freedom = if between > 0.0 { variance.powi(2) / (between.powi(2) / (n - 1.0)) } else { f64::INFINITY };
        let (error, half) = (variance.sqrt(), t_quantile(freedom) * variance.sqrt());
        ((difference - half, difference + half), (2.0 * t_above(difference.abs() / error, freedom)).min(1.0))
    });
    Some(Against { difference, interval: known.map(|(interval, _)| interval), p: known.map(|(_, p)| p), p_holm: None, apart: false })
}

/// Adjusts a table's p-values for being several (Holm), and says which differences are beyond chance: those of refusals, and apart from
/// them those of over-refusals and those from the random control.
pub(super) fn over_controls(rows: &mut [Row]) {
    adjust(rows.iter_mut().filter_map(|row| row.against.as_mut()).collect());
    adjust(rows.iter_mut().filter_map(|row| row.over_refused.as_mut()).collect());
    adjust(rows.iter_mut().filter_map(|row| row.beside_random.as_mut()).collect());
}

fn adjust(mut several: Vec<&mut Against>) {
    several.retain(|against| against.p.is_some());
    let values: Vec<f64> = several.iter().filter_map(|against| against.p).collect();
    for (against, p) in several.into_iter().zip(holm(&values)) {
        against.p_holm = Some(p);
        against.apart = p <= LEVEL && against.interval.is_some_and(|(low, high)| low > 0.0 || high < 0.0);
    }
}
