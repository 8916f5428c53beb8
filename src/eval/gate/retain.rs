//! `retain_at_least`: how much of another arm's gain over the aligned model an arm has.

use super::case::Case;
use super::limit_of;
use crate::eval::rule::{Bound, Rule};
use crate::eval::scores::{Scale, mean, paired};
use crate::record::{Decision, RuleOutcome};

/// Decides by numbers of the same prompts, by seed: this arm's, the other's, the aligned model's.
pub(super) fn retained(case: &Case<'_>, [mine, theirs, before]: [Vec<Vec<f64>>; 3], of: &str, unit: &str) -> RuleOutcome {
    let whole = |values: &[Vec<f64>]| values.iter().flatten().sum::<f64>() / values.iter().map(Vec::len).sum::<usize>().max(1) as f64;
    let gains = (whole(&mine) - whole(&before), whole(&theirs) - whole(&before));
    let interval = paired(&mine, &before).zip(paired(&theirs, &before)).and_then(|(mine, theirs)| ratio_interval(&mine, &theirs));
    decide_ratio(case.rule, gains, interval, of, unit, |decision, reason| case.outcome(decision, reason))
}

/// Decides by two gains and the interval of their ratio, where there is one.
pub(super) fn decide_ratio(
    rule: &Rule,
    (mine, theirs): (f64, f64),
    interval: Option<(f64, f64)>,
    of: &str,
    unit: &str,
    outcome: impl Fn(Decision, String) -> RuleOutcome,
) -> RuleOutcome {
    if theirs <= 0.0 {
        let reason = format!("arm {of} gained nothing over the aligned model ({theirs:+.4} {unit}): there is no gain to keep");
        return outcome(Decision::Inconclusive, reason);
    }
    let ratio = mine / theirs;
    let compared = match rule.bound {
        Bound::Point => Some(ratio),
        Bound::Lower => interval.map(|(low, _)| low),
        Bound::Upper => interval.map(|(_, high)| high),
    };
    let mut reason = format!("gained {mine:.4} of {of}'s {theirs:.4} {unit}: {:.0} %", ratio * 100.0);
    if let Some((low, high)) = interval {
        reason += &format!(" [{:.0}, {:.0}]", low * 100.0, high * 100.0);
    }
    let decision = match compared {
        Some(compared) if compared >= limit_of(&rule.condition) => Decision::Pass,
        Some(_) => Decision::Fail,
        None => {
            reason += &format!("; {of}'s gain may be chance, so that the ratio has no interval");
            Decision::Inconclusive
        }
    };
    RuleOutcome { value: Some(ratio), interval, ..outcome(decision, reason) }
}

/// The 95 % interval of mean(first) ÷ mean(second) of numbers on the same prompts, by seed: the ratios r for which the interval of
/// mean(first − r second) holds 0. None where the interval of the second mean does, since then any ratio is possible.
///
/// Source: Fieller (1954), with the variance over seeds and prompts of [`crossed`](crate::eval::interval::crossed).
pub(in crate::eval) fn ratio_interval(first: &[Vec<f64>], second: &[Vec<f64>]) -> Option<(f64, f64)> {
    let (a, b) = (mean(first, Scale::Share)?, mean(second, Scale::Share)?);
    if b.low <= 0.0 {
        return None;
    }
    let less = |ratio: f64| {
        let times: Vec<Vec<f64>> = second.iter().map(|seed| seed.iter().map(|value| ratio * value).collect()).collect();
        mean(&paired(first, &times)?, Scale::Share)
    };
    let ratio = a.value / b.value;
    // The limits of first − r second fall as r grows: each crosses 0 once.
    let cross = |direction: f64, within: &dyn Fn(f64) -> Option<bool>| -> Option<f64> {
        let (mut inside, mut step) = (ratio, 1e-3);
        while within(ratio + direction * step)? {
            inside = ratio + direction * step;
            step *= 2.0;
            if step > 1e6 {
                return None;
            }
        }
        let mut outside = ratio + direction * step;
        for _ in 0..60 {
            let middle = (inside + outside) / 2.0;
            if within(middle)? {
                inside = middle;
            } else {
                outside = middle;
            }
        }
        Some(inside)
    };
    let low = cross(-1.0, &|r| Some(less(r)?.low <= 0.0))?;
    let high = cross(1.0, &|r| Some(less(r)?.high >= 0.0))?;
    Some((low, high))
}
