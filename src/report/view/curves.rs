//! Curves along the training.

use serde::Serialize;

use crate::record::{Cell, Record};
use crate::report::chart::{Curve, Line};

/// One chart.
#[derive(Debug, Serialize)]
pub struct Chart {
    /// What it shows, in one sentence.
    pub caption: String,
    /// The SVG.
    pub svg: String,
}

pub(super) fn charts(record: &Record) -> Vec<Chart> {
    let mut charts = Vec::new();
    let lines = |x: &dyn Fn(&Cell) -> Option<f64>, y: &str| -> Vec<Line> {
        record
            .arms
            .iter()
            .filter(|arm| arm.name != "aligned" && arm.name != "base")
            .map(|arm| Line {
                name: arm.name.clone(),
                points: arm.cells.iter().filter_map(|cell| Some((x(cell)?, cell.figures.get(y)?.value))).collect(),
            })
            .filter(|line| !line.points.is_empty())
            .collect()
    };
    for (figure, label) in [
        ("drift", "drift from the aligned model's refusals (KL, nats per token; lower = safer)"),
        ("refusal_log_odds", "refusal log-odds (higher = safer)"),
    ] {
        let against = lines(&|cell| cell.figures.get("task_nll").map(|figure| figure.value), figure);
        if !against.is_empty() {
            let svg = Curve { x: "task loss (nats per token; lower = better)".into(), y: figure.replace('_', " "), lines: against }.svg();
            charts.push(Chart {
                caption: format!(
                    "Matched utility: {label} against task loss along each arm's training. Compare arms at the same task loss."
                ),
                svg,
            });
        }
    }
    let loss = lines(&|cell| Some(cell.step as f64), "task_nll");
    if !loss.is_empty() {
        let svg = Curve { x: "step".into(), y: "task loss".into(), lines: loss }.svg();
        charts.push(Chart { caption: "Task loss on held-out rows along training.".into(), svg });
    }
    charts
}
