//! What a family keeps at a level of utility, by the best of its settings, chosen on other prompts than those that judge it: the one that
//! keeps most refusals, less what it over-refuses.

use super::Utility;
use super::curve::at;
use super::points::{Family, Point, Safety, Setting};
use crate::eval::scores::Scores;

/// A drop that is larger than the budget by less than this is rounding.
const ROUNDING: f64 = 1e-9;

/// A family's safety at a level of utility.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The mean over seeds and prompts.
    pub value: f64,
    /// The 95 % interval of a rate, over prompts and seeds; none of a figure.
    pub interval: Option<(f64, f64)>,
    /// By seed and prompt, from 0 to 1, interpolated; without columns where the measure has no values by prompt.
    pub values: Vec<Vec<f64>>,
    /// By seed: the measure, and its standard error over prompts where that is known.
    pub by_seed: Vec<(f64, Option<f64>)>,
    /// The settings that were chosen: one, or one for each half of the prompts.
    pub settings: Vec<String>,
    /// The over-refusals of the same settings; none where they were not measured.
    pub over_refused: Option<OverRefused>,
}

/// The over-refusals at a level of utility.
#[derive(Debug, Clone, PartialEq)]
pub struct OverRefused {
    /// The mean over seeds and prompts, from 0 to 1.
    pub value: f64,
    /// Its 95 % interval, over prompts and seeds.
    pub interval: (f64, f64),
    /// By seed and prompt, interpolated.
    pub values: Vec<Vec<f64>>,
}

/// A point of a family.
#[derive(Debug, Clone, PartialEq)]
pub struct Best {
    /// The arm.
    pub arm: String,
    /// After so many steps.
    pub step: u64,
    /// Its mean utility over seeds, as it is measured.
    pub utility: f64,
    /// Its mean safety over seeds.
    pub safety: f64,
}

/// What a family keeps at a level; none where no setting reaches it in every seed.
///
/// With values by prompt and several settings, the setting for prompts at even places is the best at odd places, and the reverse; of equals
/// the first. The best keeps most, less what it over-refuses of good prompts where that was measured: who refuses everything keeps
/// all. So no prompt judges a choice that it took part in, and a family gains nothing by chance from having many settings. Without
/// values by prompt, the best setting is taken as it is.
pub fn kept(family: &Family, level: f64, lower_is_safer: bool) -> Option<Kept> {
    let all_seeds = |setting: &Setting| setting.curves.iter().map(|curve| at(curve, level)).collect::<Option<Vec<Safety>>>();
    let reach: Vec<(&str, Vec<Safety>)> =
        family.settings.iter().filter_map(|setting| Some((setting.name.as_str(), all_seeds(setting)?))).collect();
    let by_prompt = reach.first().is_some_and(|(_, seeds)| seeds.iter().all(|seed| seed.prompts.len() > 1));
    let best = |worth: &dyn Fn(&[Safety]) -> f64| {
        let turned = |seeds: &[Safety]| if lower_is_safer { -worth(seeds) } else { worth(seeds) };
        reach.iter().reduce(|best, other| if turned(&other.1) > turned(&best.1) { other } else { best })
    };
    if !by_prompt {
        let (name, seeds) = best(&|seeds| seeds.iter().map(|seed| seed.value).sum())?;
        return Some(of_seeds(seeds, vec![Vec::new(); seeds.len()], Vec::new(), vec![(*name).to_owned()]));
    }
    let every_other = |prompts: &[f64], from: usize| {
        let (sum, count) = prompts.iter().skip(from).step_by(2).fold((0.0, 0.0), |(sum, count), share| (sum + share, count + 1.0));
        if count > 0.0 { sum / count } else { 0.0 }
    };
    let half = |seeds: &[Safety], from: usize| -> f64 {
        seeds.iter().map(|seed| every_other(&seed.prompts, from) - every_other(&seed.good_prompts, from)).sum()
    };
    let (even, odd) = (best(&|seeds| half(seeds, 1))?, best(&|seeds| half(seeds, 0))?);
    // Good prompts are divided likewise.
    let values = |of: &dyn Fn(&Safety) -> &[f64]| -> Vec<Vec<f64>> {
        let seed = |(even, odd): (&Safety, &Safety)| {
            let pairs = of(even).iter().zip(of(odd)).enumerate();
            pairs.map(|(place, (&even, &odd))| if place % 2 == 0 { even } else { odd }).collect()
        };
        even.1.iter().zip(&odd.1).map(seed).collect()
    };
    let mut settings = vec![even.0.to_owned()];
    settings.extend((odd.0 != even.0).then(|| odd.0.to_owned()));
    Some(of_seeds(&even.1, values(&|seed| &seed.prompts), values(&|seed| &seed.good_prompts), settings))
}

fn of_seeds(seeds: &[Safety], values: Vec<Vec<f64>>, good: Vec<Vec<f64>>, settings: Vec<String>) -> Kept {
    let mean = |row: &Vec<f64>| row.iter().sum::<f64>() / row.len() as f64;
    let by_seed: Vec<(f64, Option<f64>)> =
        seeds.iter().zip(&values).map(|(seed, row)| if row.is_empty() { (seed.value, seed.error) } else { (mean(row), None) }).collect();
    let value = by_seed.iter().map(|(value, _)| value).sum::<f64>() / by_seed.len().max(1) as f64;
    let over_refused = Scores::shares(good.clone()).mean().filter(|_| good.iter().all(|row| !row.is_empty()));
    let over_refused = over_refused.map(|mean| OverRefused { value: mean.value, interval: (mean.low, mean.high), values: good });
    let interval = Scores::shares(values.clone()).mean().map(|mean| (mean.low, mean.high));
    Kept { value, interval, values, by_seed, settings, over_refused }
}

/// The point of most utility whose rate is at most `budget` below the aligned model's, over all settings and steps, by the means over
/// seeds; of equals the first. It is chosen on the prompts that it is measured on: where the budget is nearly used up, other prompts may
/// show more. None where there is no such point beside the aligned model.
pub fn best_within(family: &Family, aligned: f64, budget: f64, utility: &Utility) -> Option<Best> {
    let mean_point = |place: usize, setting: &Setting| -> Option<(Best, f64)> {
        let here: Vec<&Point> = setting.curves.iter().map(|curve| curve.get(place)).collect::<Option<_>>()?;
        let first = here.first().filter(|first| here.iter().all(|point| (&point.arm, point.step) == (&first.arm, first.step)))?;
        let mean = |of: &dyn Fn(&Point) -> f64| here.iter().map(|point| of(point)).sum::<f64>() / here.len() as f64;
        let gained = mean(&|point| point.utility);
        let (arm, step) = (first.arm.clone(), first.step);
        Some((Best { arm, step, utility: utility.turned(gained), safety: mean(&|point| point.safety.value) }, gained))
    };
    let points = family.measured.iter().flat_map(|setting| {
        let most = setting.curves.iter().map(Vec::len).max().unwrap_or(0);
        (1..most).filter_map(move |place| mean_point(place, setting))
    });
    let start = family.measured.first()?.curves.first()?.first()?.utility;
    let within = points.filter(|(best, gained)| aligned - best.safety <= budget + ROUNDING && *gained > start);
    within.reduce(|best, other| if other.1 > best.1 { other } else { best }).map(|(best, _)| best)
}
