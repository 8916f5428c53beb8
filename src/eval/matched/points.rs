//! The points of the curves, from the record's cells.

use super::{Measure, Utility, family, is_edited};
use crate::eval::metric::{Metric, arm, outcomes};
use crate::eval::suites::plainly_put;
use crate::record::{Arm, Cell, Expect, Record, SuiteInfo};

/// What was measured of safety at a point.
#[derive(Debug, Clone, PartialEq)]
pub struct Safety {
    /// The measure itself.
    pub value: f64,
    /// Its standard error over prompts, where it is a figure that has one.
    pub error: Option<f64>,
    /// By prompt, from 0 to 1: the share of replies refused; empty where the record has no values by prompt.
    pub prompts: Vec<f64>,
    /// By prompt of the first suite of good prompts: the share of replies that over-refuse, undetermined ones among them, as rules count; empty
    /// where that was not measured at this point.
    pub good_prompts: Vec<f64>,
}

/// A point of a curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The arm that was there.
    pub arm: String,
    /// After so many steps.
    pub step: u64,
    /// Larger is better: a loss has its sign turned.
    pub utility: f64,
    /// The safety.
    pub safety: Safety,
}

/// One setting: a curve for every seed, each from the aligned model on, by step.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The arm; of a line between two ends, both.
    pub name: String,
    /// At least one, none of them empty.
    pub curves: Vec<Vec<Point>>,
}

/// The settings of a sweep of one arm, or the arm alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// The arm that was swept.
    pub name: String,
    /// The lines along which its safety is read, at least one: its own settings, or their ends and lines between these.
    pub settings: Vec<Setting>,
    /// What was measured of its own settings.
    pub measured: Vec<Setting>,
}

impl Family {
    /// The aligned model's safety, where every curve begins.
    pub fn aligned(&self) -> Option<f64> {
        Some(self.measured.first()?.curves.first()?.first()?.safety.value)
    }

    /// What the aligned model refuses of good prompts, from 0 to 1; none where that is not among the points.
    pub fn aligned_over_refused(&self) -> Option<f64> {
        let prompts = &self.measured.first()?.curves.first()?.first()?.safety.good_prompts;
        (!prompts.is_empty()).then(|| prompts.iter().sum::<f64>() / prompts.len() as f64)
    }
}

/// The families that have curves, as they stand in the record. Along the training, an arm needs a point between the aligned model
/// and its end; by a suite, a family needs two ends. An arm made of another one's weights has nothing along a training, and by a suite its end or
/// ends, beside families that have two. Arms trained on several tasks have no curve here.
pub fn families(record: &Record, measure: &Measure, utility: &Utility) -> Vec<Family> {
    let Some(aligned) = arm(record, "aligned") else { return Vec::new() };
    let first = |expect: Expect| plainly_put(record, expect).next();
    let of = Points { measure, utility, suite: first(Expect::Refusal), good: first(Expect::Answer) };
    let Some(start) = aligned.cells.iter().rfind(|cell| cell.last).and_then(|cell| of.point(aligned, cell)) else { return Vec::new() };
    let mut found: Vec<Family> = Vec::new();
    let by_ends = matches!(measure, Measure::Suite(_));
    let is_tuned = |arm: &&Arm| arm.settings["train"].as_str().is_some_and(|train| train != "none") || by_ends && is_edited(arm);
    for arm in record.arms.iter().filter(is_tuned) {
        let mut tasks: Vec<_> = arm.cells.iter().map(|cell| &cell.after_task).collect();
        tasks.dedup();
        let Some(curves) = of.curves(arm, &start).filter(|_| tasks.len() == 1) else { continue };
        let setting = Setting { name: arm.name.clone(), curves };
        match found.iter_mut().find(|other| other.name == family(arm)) {
            Some(family) => family.measured.push(setting),
            None => found.push(Family { name: family(arm).to_owned(), settings: Vec::new(), measured: vec![setting] }),
        }
    }
    found.iter_mut().for_each(|family| family.settings = family.measured.clone());
    if by_ends {
        let edited: Vec<&str> = record.arms.iter().filter(|arm| is_edited(arm)).map(family).collect();
        let has_two = |found: &Family| found.measured.len() > 1 && !edited.contains(&found.name.as_str());
        if !found.iter().any(has_two) {
            return Vec::new();
        }
        found.retain(|family| has_two(family) || edited.contains(&family.name.as_str()));
        found.iter_mut().for_each(pair_ends);
    }
    found
}

/// Ends instead of trainings. An end itself, for every level up to its own: who learnt more and kept as much is not the worse for it. For any two
/// settings the line from the end that learnt less to the other, what one gets who asks either model at random; and the line from
/// the aligned model to the end that learnt least of all, by the mean over seeds. Lines that have this end begin at the aligned model too: seeds need
/// not agree on what learnt less. With three or more settings there may still be a level that no line reaches in every seed.
pub(super) fn pair_ends(family: &mut Family) {
    let seeds = family.settings.iter().map(|setting| setting.curves.len()).min().unwrap_or(0);
    let by_seed = |make: &dyn Fn(usize) -> Vec<Point>| (0..seeds).map(make).collect::<Vec<_>>();
    let end = |setting: &Setting, seed: usize| setting.curves[seed][1].clone();
    let gained = |setting: &Setting| (0..seeds).map(|seed| setting.curves[seed][1].utility).sum::<f64>();
    let Some(least) = family.settings.iter().reduce(|least, other| if gained(other) < gained(least) { other } else { least }) else {
        return;
    };
    let itself = |setting: &Setting| {
        let from = |seed: usize| Point { utility: setting.curves[seed][0].utility.min(end(setting, seed).utility), ..end(setting, seed) };
        Setting { name: setting.name.clone(), curves: by_seed(&|seed| vec![from(seed), end(setting, seed)]) }
    };
    let mut lines: Vec<Setting> = family.settings.iter().map(itself).collect();
    lines.push(Setting { name: format!("aligned to {}", least.name), curves: least.curves[..seeds].to_vec() });
    for (place, first) in family.settings.iter().enumerate() {
        for second in &family.settings[place + 1..] {
            let curves = by_seed(&|seed| {
                let mut line = vec![end(first, seed), end(second, seed)];
                line.sort_by(|a, b| a.utility.total_cmp(&b.utility));
                if [first, second].iter().any(|setting| setting.name == least.name) {
                    line.insert(0, first.curves[seed][0].clone());
                }
                line
            });
            lines.push(Setting { name: format!("{} to {}", first.name, second.name), curves });
        }
    }
    family.settings = lines;
}

/// How points are made of cells.
struct Points<'a> {
    measure: &'a Measure,
    utility: &'a Utility,
    suite: Option<(&'a String, &'a SuiteInfo)>,
    good: Option<(&'a String, &'a SuiteInfo)>,
}

impl Points<'_> {
    /// A curve for every seed; none where a seed has too few points, or points without the same prompts.
    fn curves(&self, arm: &Arm, start: &Point) -> Option<Vec<Vec<Point>>> {
        let ends = matches!(self.measure, Measure::Suite(_));
        let mut seeds: Vec<u64> = arm.cells.iter().map(|cell| cell.seed).collect();
        seeds.dedup();
        let curve = |seed: u64| {
            let cells = arm.cells.iter().filter(|cell| cell.seed == seed && (cell.last || !ends));
            let mut points: Vec<Point> = vec![start.clone()];
            points.extend(cells.filter_map(|cell| self.point(arm, cell)));
            let number = |safety: &Safety| (safety.prompts.len(), safety.good_prompts.len());
            let same = points.iter().all(|point| number(&point.safety) == number(&start.safety));
            (same && points.len() > if ends { 1 } else { 2 }).then_some(points)
        };
        let curves: Vec<Vec<Point>> = seeds.into_iter().map(curve).collect::<Option<_>>()?;
        (!curves.is_empty()).then_some(curves)
    }

    fn point(&self, arm: &Arm, cell: &Cell) -> Option<Point> {
        let utility = self.utility.turned(match self.utility {
            Utility::TaskNll => cell.figures.get("task_nll")?.value,
            Utility::Rate { suite, metric } => self.rate(arm, cell, suite, *metric, None)?.0,
        });
        let safety = match self.measure {
            Measure::Figure(name) => {
                let figure = cell.figures.get(*name)?;
                Safety { value: figure.value, error: figure.standard_error, prompts: Vec::new(), good_prompts: Vec::new() }
            }
            Measure::Probes => {
                let verdicts = cell.figures.get("refusal_rate")?.verdicts.as_ref()?;
                let prompts: Vec<f64> = verdicts.chars().map(|verdict| f64::from(u8::from(verdict == 'r'))).collect();
                let value = prompts.iter().sum::<f64>() / prompts.len().max(1) as f64;
                Safety { value, error: None, prompts, good_prompts: Vec::new() }
            }
            Measure::Suite(name) => {
                let first = |suite: &'_ SuiteInfo| suite.judges.first().cloned();
                let judge = self.suite.filter(|(suite, _)| *suite == name).and_then(|(_, suite)| first(suite));
                let (value, prompts) = self.rate(arm, cell, name, Metric::RefusalRate, judge.as_deref())?;
                let good = self.good.and_then(|(name, suite)| self.rate(arm, cell, name, Metric::OverRefusalRate, first(suite).as_deref()));
                Safety { value, error: None, prompts, good_prompts: good.map(|(_, prompts)| prompts).unwrap_or_default() }
            }
        };
        let finite = utility.is_finite() && safety.value.is_finite();
        finite.then(|| Point { arm: arm.name.clone(), step: cell.step, utility, safety })
    }

    /// A rate at the end of one seed, and by prompt.
    fn rate(&self, arm: &Arm, cell: &Cell, suite: &str, metric: Metric, judge: Option<&str>) -> Option<(f64, Vec<f64>)> {
        let place = arm.cells.iter().filter(|other| other.last).position(|other| other.seed == cell.seed && cell.last)?;
        let outcomes = outcomes(arm, suite, metric, judge);
        let prompts: Vec<f64> = outcomes.0.get(place)?.iter().map(|hits| hits.share()).collect();
        (!prompts.is_empty()).then(|| (prompts.iter().sum::<f64>() / prompts.len() as f64, prompts))
    }
}
