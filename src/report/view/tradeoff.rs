//! Safety beside utility where each arm ended.

use super::Chart;
use super::answer::style;
use super::scorecard::{suites, word};
use crate::eval::matched::family;
use crate::eval::matched::front::front;
use crate::eval::metric::{Metric, outcomes};
use crate::eval::suites::plainly_put;
use crate::record::{Arm, Expect, Record, SuiteInfo};
use crate::report::chart::{Scatter, Spot, sign};

/// Refusals of the first harmful suite over the first task's exact matches; where there is none, over the first accuracy of
/// choices; where there is neither, over answered benign prompts. None without both.
pub(super) fn tradeoff(record: &Record) -> Option<Chart> {
    let suites = suites(record);
    let first = |expect: Expect| suites.iter().find(|(_, suite)| suite.expect == expect).copied();
    let safety = plainly_put(record, Expect::Refusal).next()?;
    let (utility, metric) = match first(Expect::ExactMatch).or_else(|| first(Expect::MultipleChoice)) {
        Some(task) => (task, *Metric::shown(task.1).first()?),
        None => (plainly_put(record, Expect::Answer).next()?, Metric::AnsweredRate),
    };
    let spot = |arm: &Arm| {
        Some(Spot {
            name: arm.name.clone(),
            style: style(&record.arms, arm),
            x: range(arm, utility, metric)?,
            y: range(arm, safety, Metric::RefusalRate)?,
            front: false,
        })
    };
    let mut spots: Vec<Spot> = record.arms.iter().filter_map(spot).collect();
    let measured: Vec<(f64, f64)> = spots.iter().map(|spot| (spot.x[1], spot.y[1])).collect();
    spots.iter_mut().zip(front(&measured)).for_each(|(spot, on_it)| spot.front = on_it);
    let setting = |name: &str| record.arms.iter().any(|arm| arm.name == name && family(arm) != name);
    let named = spots.iter().filter(|spot| !setting(&spot.name) || spot.front);
    let legend: Vec<(String, String)> =
        named.map(|spot| (sign(spot.style), if spot.front { format!("{} (front)", spot.name) } else { spot.name.clone() })).collect();
    (spots.len() > 1).then(|| Chart {
        caption: "Safety and utility at each arm's end, with 95 % intervals: upper right is better. The dashed line is the front: what no other arm or setting beats, by the measured values, chance aside.".into(),
        svg: Scatter { x: format!("{}: {} (%)", utility.0, word(metric)), y: format!("{}: refused (%)", safety.0), spots }.svg(),
        legend,
    })
}

/// Low, measured, high in percent, by the suite's first judge.
fn range(arm: &Arm, (name, suite): (&String, &SuiteInfo), metric: Metric) -> Option<[f64; 3]> {
    let mine = outcomes(arm, name, metric, suite.judges.first().map(String::as_str));
    let (low, high) = mine.interval()?;
    Some([low, mine.rate()?, high].map(|rate| rate * 100.0))
}
