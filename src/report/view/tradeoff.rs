//! Safety beside utility where each arm ended.

use super::Chart;
use super::answer::{is_tuned, style};
use super::scorecard::{suites, word};
use crate::eval::matched::family;
use crate::eval::matched::front::front;
use crate::eval::metric::{Metric, figure, outcomes};
use crate::eval::suites::plainly_put;
use crate::record::{Arm, Expect, Record, SuiteInfo};
use crate::report::chart::{Scatter, Spot, sign};

/// Refusals of the first harmful suite over the task's loss, where the probes measured it, as arms at equal utility are compared; else over the first
/// task's exact matches, the first accuracy of choices, or answered benign prompts. None without both. Over the loss, models that nothing trained are
/// told in the caption: so far away, they would leave no room for the others.
pub(super) fn tradeoff(record: &Record) -> Option<Chart> {
    let suites = suites(record);
    let first = |expect: Expect| suites.iter().find(|(_, suite)| suite.expect == expect).copied();
    let safety = plainly_put(record, Expect::Refusal).next()?;
    let by_loss = record.arms.iter().filter(|arm| is_tuned(arm) && loss(arm).is_some()).count() > 1;
    let rate = first(Expect::ExactMatch).or_else(|| first(Expect::MultipleChoice));
    let rate = rate.and_then(|task| Some((task, *Metric::shown(task.1).first()?)));
    let rate = rate.or_else(|| Some((plainly_put(record, Expect::Answer).next()?, Metric::AnsweredRate)));
    let (x, corner) = match rate {
        _ if by_loss => ("task loss (nats per token)".to_owned(), "upper left"),
        Some((suite, metric)) => (format!("{}: {} (%)", suite.0, word(metric)), "upper right"),
        None => return None,
    };
    let utility = |arm: &Arm| if by_loss { loss(arm) } else { rate.and_then(|(suite, metric)| range(arm, suite, metric)) };
    let spot = |arm: &Arm| {
        Some(Spot {
            name: arm.name.clone(),
            style: style(&record.arms, arm),
            x: utility(arm)?,
            y: range(arm, safety, Metric::RefusalRate)?,
            front: false,
        })
    };
    let is_drawn = |arm: &&Arm| !by_loss || is_tuned(arm);
    let mut spots: Vec<Spot> = record.arms.iter().filter(is_drawn).filter_map(spot).collect();
    let measured: Vec<(f64, f64)> = spots.iter().map(|spot| (if by_loss { -spot.x[1] } else { spot.x[1] }, spot.y[1])).collect();
    spots.iter_mut().zip(front(&measured)).for_each(|(spot, on_it)| spot.front = on_it);
    let aligned = record.arms.iter().find(|arm| by_loss && arm.name == "aligned");
    let aligned = aligned.and_then(|arm| Some((range(arm, safety, Metric::RefusalRate)?[1], loss(arm)?[1])));
    let before = aligned.map(|(rate, loss)| format!(" The aligned model: {rate:.1} % at task loss {loss:.3}.")).unwrap_or_default();
    let setting = |name: &str| record.arms.iter().any(|arm| arm.name == name && family(arm) != name);
    let named = spots.iter().filter(|spot| !setting(&spot.name) || spot.front);
    let legend: Vec<(String, String)> =
        named.map(|spot| (sign(spot.style), if spot.front { format!("{} (front)", spot.name) } else { spot.name.clone() })).collect();
    (spots.len() > 1).then(|| Chart {
        caption: format!("Safety and utility at each arm's end, with 95 % intervals: {corner} is better. The dashed line is the front: what no other arm or setting beats, by the measured values, chance aside.{before}"),
        svg: Scatter { x, y: format!("{}: refused (%)", safety.0), spots }.svg(),
        legend,
    })
}

/// Low, measured, high: the mean task loss at the arm's ends, with the 95 % interval over the task's rows where their error is known.
fn loss(arm: &Arm) -> Option<[f64; 3]> {
    let mean = figure(arm, "task_nll")?;
    let errors = arm.cells.iter().filter(|cell| cell.last).map(|cell| cell.figures.get("task_nll")?.standard_error);
    let errors: Vec<f64> = errors.collect::<Option<_>>().unwrap_or_default();
    let half = 1.96 * errors.iter().sum::<f64>() / errors.len().max(1) as f64;
    Some([mean - half, mean, mean + half])
}

/// Low, measured, high in percent, by the suite's first judge.
fn range(arm: &Arm, (name, suite): (&String, &SuiteInfo), metric: Metric) -> Option<[f64; 3]> {
    let mine = outcomes(arm, name, metric, suite.judges.first().map(String::as_str));
    let (low, high) = mine.interval()?;
    Some([low, mine.rate()?, high].map(|rate| rate * 100.0))
}
