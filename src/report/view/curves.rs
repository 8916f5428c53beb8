//! Curves along the training.

use serde::Serialize;

use super::answer::{is_tuned, style};
use super::ends::ends;
use super::tradeoff::tradeoff;
use crate::eval::matched::family;
use crate::record::{Cell, Record};
use crate::report::chart::{Curve, Line, sign};

/// One chart.
#[derive(Debug, Serialize)]
pub struct Chart {
    /// What it shows and how it is read.
    pub caption: String,
    /// The SVG.
    pub svg: String,
    /// The lines' signs (SVG) and names.
    pub legend: Vec<(String, String)>,
}

/// The axis of the probes' refusals.
const PROBES: &str = "probe prompts refused (%)";

/// The axis of steps.
const STEPS: &str = "step";

/// An axis: its name, and what is drawn of a cell, where it was measured.
type Axis<'a> = (&'a str, &'a dyn Fn(&Cell) -> Option<f64>);

/// The charts of which there is anything to show: where the arms ended, then how they came there. Every line begins at the
/// aligned model; `gated` arms are drawn stronger.
pub(super) fn charts(record: &Record, gated: &dyn Fn(&str) -> bool) -> Vec<Chart> {
    let figure = |name: &'static str| move |cell: &Cell| cell.figures.get(name).map(|figure| figure.value);
    let (drift, odds, loss) = (figure("drift"), figure("refusal_log_odds"), figure("task_nll"));
    let refused = |cell: &Cell| cell.figures.get("refusal_rate").map(|figure| figure.value * 100.0);
    let step = |cell: &Cell| Some(cell.step as f64);
    let task = "task loss (nats per token)";
    let same = "Compare arms at the same task loss, not at their ends.";
    let charts: [(String, Axis<'_>, Axis<'_>); 7] = [
        (format!("Retention at matched utility: upper left is better. {same}"), (task, &loss), (PROBES, &refused)),
        ("Retention along training: refusals of the probe prompts.".into(), (STEPS, &step), (PROBES, &refused)),
        (format!("Safety at matched utility: lower left is better. {same}"), (task, &loss), ("drift (KL, nats per token)", &drift)),
        (format!("The same by refusal log-odds: upper left is better. {same}"), (task, &loss), ("refusal log-odds", &odds)),
        (
            "Retention along training: drift from the aligned model's refusals, lower is safer.".into(),
            (STEPS, &step),
            ("drift (KL, nats per token)", &drift),
        ),
        (
            "Retention along training: log-odds of beginning with a refusal, higher is safer.".into(),
            (STEPS, &step),
            ("refusal log-odds", &odds),
        ),
        ("Task loss on held-out rows along training.".into(), (STEPS, &step), (task, &loss)),
    ];
    let along = charts.into_iter().filter_map(|(caption, x, y)| chart(record, gated, caption, x, y));
    tradeoff(record).into_iter().chain(ends(record, gated)).chain(along).collect()
}

fn chart(record: &Record, gated: &dyn Fn(&str) -> bool, caption: String, x: Axis<'_>, y: Axis<'_>) -> Option<Chart> {
    let point = |cell: &Cell| Some((x.1(cell)?, y.1(cell)?));
    let start = record.arms.iter().find(|arm| arm.name == "aligned").and_then(|arm| arm.cells.iter().find_map(point));
    let (mut lines, mut legend) = (Vec::new(), Vec::new());
    for arm in record.arms.iter().filter(|arm| is_tuned(arm)) {
        let style = style(&record.arms, arm);
        let mut seeds: Vec<u64> = arm.cells.iter().map(|cell| cell.seed).collect();
        seeds.dedup();
        for (i, seed) in seeds.into_iter().enumerate() {
            // Tasks side by side are models of their own: of their arm, the merge.
            let drawn = |cell: &&Cell| cell.seed == seed && (arm.merge.is_none() || cell.last);
            let mine: Vec<(f64, f64)> = arm.cells.iter().filter(drawn).filter_map(point).collect();
            if mine.is_empty() {
                continue;
            }
            lines.push(Line { style, strong: gated(&arm.name), points: start.into_iter().chain(mine).collect() });
            if i == 0 && family(arm) == arm.name {
                legend.push((sign(style), arm.name.clone()));
            }
        }
    }
    let svg = Curve { x: x.0.into(), counted: x.0 == STEPS, y: y.0.into(), lines }.svg();
    (!legend.is_empty()).then_some(Chart { caption, svg, legend })
}
