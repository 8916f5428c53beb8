//! Several runs beside each other: what each arm measured, run by run.

use serde::Serialize;

use super::Chart;
use super::scorecard::{ScoreCell, scorecard};
use super::words::verdict;
use crate::record::Record;
use crate::report::chart::{Curve, Line, sign};

/// Several runs.
#[derive(Debug, Serialize)]
pub struct ComparisonView {
    /// The runs, in the order in which they were given.
    pub runs: Vec<RunView>,
    /// Names of what was measured in any of them.
    pub columns: Vec<String>,
    /// One row an arm and run: arms together, so that a trend is read downwards.
    pub rows: Vec<ComparisonRow>,
    /// One chart a column: a line an arm, a point a run.
    pub charts: Vec<Chart>,
}

/// One run.
#[derive(Debug, Serialize)]
pub struct RunView {
    /// The pipeline's name.
    pub name: String,
    /// The run's id.
    pub run_id: String,
    /// UTC start.
    pub started: String,
    /// `PASS`, ….
    pub verdict: &'static str,
    /// `pass`, …: the style.
    pub class: &'static str,
    /// Why.
    pub headline: String,
}

/// What an arm measured in one run.
#[derive(Debug, Serialize)]
pub struct ComparisonRow {
    /// The arm.
    pub arm: String,
    /// The run's place, from 1.
    pub run: usize,
    /// Whether the run's gate is about the arm.
    pub gated: bool,
    /// One cell for each of [`ComparisonView::columns`].
    pub cells: Vec<ScoreCell>,
}

/// Compares runs by what they measured; they need not have the same arms or suites.
pub fn comparison(records: &[Record]) -> ComparisonView {
    let mut columns: Vec<String> = Vec::new();
    let mut arms: Vec<String> = Vec::new();
    let mut measured = Vec::new();
    for (run, record) in records.iter().enumerate() {
        let gated = |arm: &str| record.gate.iter().flat_map(|gate| &gate.rules).any(|rule| rule.arm == arm);
        let (names, rows) = scorecard(record, &gated);
        let names: Vec<String> = names.into_iter().map(|column| column.name).collect();
        add_new(&mut columns, &names);
        add_new(&mut arms, rows.iter().map(|row| &row.name));
        measured
            .extend(rows.into_iter().map(|row| (run + 1, row.name, row.gated, names.iter().cloned().zip(row.cells).collect::<Vec<_>>())));
    }
    let place = |arm: &str| arms.iter().position(|other| other == arm);
    measured.sort_by_key(|(run, arm, ..)| (place(arm), *run));
    let rows: Vec<ComparisonRow> = measured
        .into_iter()
        .map(|(run, arm, gated, cells)| {
            let cell = |column: &String| cells.iter().find(|(name, _)| name == column).map(|(_, cell)| cell.clone()).unwrap_or_default();
            ComparisonRow { arm, run, gated, cells: columns.iter().map(cell).collect() }
        })
        .collect();
    let charts = columns.iter().enumerate().filter_map(|(column, name)| trend(column, name, &rows)).collect();
    ComparisonView { runs: records.iter().map(run_view).collect(), columns, rows, charts }
}

fn add_new<'a>(known: &mut Vec<String>, names: impl IntoIterator<Item = &'a String>) {
    for name in names {
        if !known.contains(name) {
            known.push(name.clone());
        }
    }
}

fn run_view(record: &Record) -> RunView {
    let (verdict, class) = verdict(record.gate.as_ref().map(|gate| gate.decision));
    let headline = record.gate.as_ref().map(|gate| gate.headline.clone()).unwrap_or_default();
    RunView { name: record.name.clone(), run_id: record.run_id.clone(), started: record.started.clone(), verdict, class, headline }
}

/// One column from run to run; none where no arm was measured twice.
fn trend(column: usize, name: &str, rows: &[ComparisonRow]) -> Option<Chart> {
    let (mut lines, mut legend) = (Vec::new(), Vec::new());
    let mut arms: Vec<&str> = rows.iter().map(|row| row.arm.as_str()).collect();
    arms.dedup(); // rows of an arm stand together
    for (style, arm) in arms.into_iter().enumerate() {
        let mine = || rows.iter().filter(|row| row.arm == arm);
        let points: Vec<(f64, f64)> = mine().filter_map(|row| Some((row.run as f64, row.cells[column].number?))).collect();
        if !points.is_empty() {
            lines.push(Line { style, strong: mine().any(|row| row.gated), points });
            legend.push((sign(Some(style)), arm.to_owned()));
        }
    }
    lines.iter().any(|line| line.points.len() > 1).then(|| Chart {
        caption: format!("{name}, from run to run."),
        svg: Curve { x: "run".into(), y: name.into(), lines }.svg(),
        legend,
    })
}
