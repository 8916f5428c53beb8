//! Several tasks: what every task did to each task, and to refusals, one after another or merged.

use serde::Serialize;

use super::scorecard::word;
use super::words::{count, percent};
use crate::eval::sequence::{Average, Measure, Row, Sequence, sequences, tasks};
use crate::record::{MergeSummary, Record};

/// One arm along the tasks.
#[derive(Debug, Serialize)]
pub struct SequenceView {
    /// The arm.
    pub arm: String,
    /// `aligned`, then `after TASK` for every task, or `TASK alone` for every one and `merged`.
    pub columns: Vec<String>,
    /// What the last column tells: `forgotten`, or `lost in merging`.
    pub lost: &'static str,
    /// One row a suite.
    pub rows: Vec<SequenceRow>,
    /// What was forgotten on average, and what merging did; empty where neither can be told.
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

/// Every arm that learnt the tasks.
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
    let merge = sequence.merge.as_ref();
    let mut columns = vec!["aligned".to_owned()];
    columns.extend(tasks.iter().map(|task| if merge.is_some() { format!("{task} alone") } else { format!("after {task}") }));
    columns.extend(merge.map(|_| "merged".to_owned()));
    let averages = sequence.averages.iter().map(|average| told(average, merge.is_some()));
    let sentences = averages.chain(sequence.rows.iter().filter_map(lost_by_none)).chain(merge.map(merged));
    SequenceView {
        columns,
        lost: if merge.is_some() { "lost in merging" } else { "forgotten" },
        rows: sequence.rows.iter().map(row).collect(),
        sentence: sentences.collect::<Vec<_>>().join(" "),
        arm: sequence.arm,
    }
}

/// What only the merge lost.
fn lost_by_none(row: &Row) -> Option<String> {
    let (worse, Measure::Metric(metric)) = (row.worse_than_every_task()?, row.measure) else { return None };
    let more = if metric.lower_is_better() { "more" } else { "fewer" };
    Some(format!("Merged, {:.1} points {more} of {} are {} than with any task alone.", worse * 100.0, row.suite, word(metric)))
}

fn merged(merge: &MergeSummary) -> String {
    let [weights, shared, opposed, changed] = [merge.weights, merge.shared, merge.opposed, merge.changed].map(count);
    let erased = if merge.erased == 0 { String::new() } else { format!(" (rounding left {} as they were)", count(merge.erased)) };
    format!(
        "In the first seed tasks changed {weights} weights, {shared} of them several tasks and {opposed} in opposite directions; in the merge {changed} changed{erased}, and {} of those that no task did.",
        count(merge.kept_changed)
    )
}

fn told(average: &Average, merged: bool) -> String {
    let of = match average.measure {
        Measure::Metric(metric) => word(metric),
        Measure::Loss => "answer loss",
    };
    if merged {
        return format!("By {of}: {} lost in merging on average.", difference(average.measure, average.forgetting));
    }
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
