//! Sequences: what every task did to each task, and to refusals.

use serde::Serialize;

use super::scorecard::word;
use super::words::percent;
use crate::eval::sequence::{Average, Measure, Row, Sequence, sequences, tasks};
use crate::record::Record;

/// One arm along the tasks.
#[derive(Debug, Serialize)]
pub struct SequenceView {
    /// The arm.
    pub arm: String,
    /// `aligned`, then `after TASK` for every task.
    pub columns: Vec<String>,
    /// One row a suite.
    pub rows: Vec<SequenceRow>,
    /// What was forgotten on average; empty where it cannot be told.
    pub sentence: String,
}

/// One suite along the tasks.
#[derive(Debug, Serialize)]
pub struct SequenceRow {
    /// `sums: exact match`.
    pub name: String,
    /// One for each of [`SequenceView::columns`]; empty where it was not measured.
    pub cells: Vec<String>,
    /// The column of the task that it measures, where it is a task's.
    pub learnt: Option<usize>,
    /// How much of it was forgotten, where that can be told.
    pub forgotten: String,
}

/// Every arm that learnt the tasks one after another.
pub(super) fn views(record: &Record) -> Vec<SequenceView> {
    let tasks: Vec<String> = tasks(record).into_iter().map(|(name, _)| name).collect();
    sequences(record).into_iter().map(|sequence| view(sequence, &tasks)).collect()
}

fn view(sequence: Sequence, tasks: &[String]) -> SequenceView {
    let row = |row: &Row| {
        let what = match row.measure {
            Measure::Metric(metric) => word(metric),
            Measure::Loss => "answer loss",
        };
        SequenceRow {
            name: format!("{}: {what}", row.suite),
            cells: std::iter::once(&row.start).chain(&row.after).map(|value| shown(row.measure, *value)).collect(),
            learnt: row.task.map(|task| task + 1),
            forgotten: row.forgotten().map(|lost| difference(row.measure, lost)).unwrap_or_default(),
        }
    };
    SequenceView {
        columns: std::iter::once("aligned".to_owned()).chain(tasks.iter().map(|task| format!("after {task}"))).collect(),
        rows: sequence.rows.iter().map(row).collect(),
        sentence: sequence.averages.iter().map(told).collect::<Vec<_>>().join(" "),
        arm: sequence.arm,
    }
}

fn told(average: &Average) -> String {
    let of = match average.measure {
        Measure::Metric(metric) => word(metric),
        Measure::Loss => "answer loss",
    };
    format!(
        "By {of}: average forgetting {}, backward transfer {}.",
        difference(average.measure, average.forgetting),
        difference(average.measure, average.transfer)
    )
}

fn shown(measure: Measure, value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(rate) if measure.is_rate() => percent(rate),
        Some(value) => format!("{value:.3}"),
    }
}

/// A difference with its sign, in points or in the measure's own unit.
fn difference(measure: Measure, value: f64) -> String {
    let text = match measure {
        measure if measure.is_rate() => format!("{:+.1} points", value * 100.0),
        Measure::Loss => format!("{value:+.3} nats"),
        Measure::Metric(_) => format!("{value:+.3}"),
    };
    text.replace('-', "−")
}
