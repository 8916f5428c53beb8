//! The safety of one curve at a level of utility.

use super::points::{Point, Safety};

/// The safety where a curve first reaches a level of utility: between the last point below it and the first that is not, in the
/// order of the points, linearly. The first of several crossings is the least training that reaches the level, and what a user who stops
/// there gets. None where no point reaches the level, or the first is beyond it: nothing is extrapolated.
pub fn at(curve: &[Point], level: f64) -> Option<Safety> {
    let place = curve.iter().position(|point| point.utility >= level)?;
    let to = &curve[place];
    let Some(from) = place.checked_sub(1).map(|before| &curve[before]) else {
        return (to.utility <= level).then(|| to.safety.clone());
    };
    let part = (level - from.utility) / (to.utility - from.utility);
    let between = |a: f64, b: f64| a + part * (b - a);
    let by_prompt = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(&a, &b)| between(a, b)).collect();
    Some(Safety {
        value: between(from.safety.value, to.safety.value),
        // Two points of one curve are measured on the same prompts: their errors go together, and the interpolated one is no larger.
        error: from.safety.error.zip(to.safety.error).map(|(a, b)| between(a, b)),
        prompts: by_prompt(&from.safety.prompts, &to.safety.prompts),
        good_prompts: by_prompt(&from.safety.good_prompts, &to.safety.good_prompts),
    })
}

/// The most utility of any point of a curve.
pub fn most(curve: &[Point]) -> Option<f64> {
    curve.iter().map(|point| point.utility).reduce(f64::max)
}
