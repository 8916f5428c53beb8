//! Several runs beside each other: what each arm measured, run by run.

use serde::Serialize;

use super::Chart;
use super::scorecard::{ArmRow, ScoreCell, scorecard};
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
    /// One group an arm, so that a trend is read downwards.
    pub arms: Vec<ComparisonArm>,
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

/// An arm in all runs that have it.
#[derive(Debug, Serialize)]
pub struct ComparisonArm {
    /// The arm.
    pub name: String,
    /// Whether the gate of any of the runs is about it.
    pub gated: bool,
    /// Its runs, in the order in which they were given.
    pub runs: Vec<ComparisonRow>,
}

/// What an arm measured in one run.
#[derive(Debug, Serialize)]
pub struct ComparisonRow {
    /// The run's place, from 1.
    pub run: usize,
    /// One cell for each of [`ComparisonView::columns`].
    pub cells: Vec<ScoreCell>,
}

/// Compares runs by what they measured; they need not have the same arms or suites.
pub fn comparison(records: &[Record]) -> ComparisonView {
    let mut columns: Vec<String> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut measured = Vec::new();
    for (run, record) in records.iter().enumerate() {
        let gated = |arm: &str| record.gate.iter().flat_map(|gate| &gate.rules).any(|rule| rule.arm == arm);
        let (heads, rows) = scorecard(record, &gated);
        let heads: Vec<String> = heads.into_iter().map(|column| column.name).collect();
        add_new(&mut columns, &heads);
        add_new(&mut names, rows.iter().map(|row| &row.name));
        measured.extend(rows.into_iter().map(|row| (run + 1, heads.clone(), row)));
    }
    let arms: Vec<ComparisonArm> = names
        .into_iter()
        .map(|name| {
            let mine = || measured.iter().filter(|(.., row)| row.name == name);
            let row = |(run, heads, row): &(usize, Vec<String>, ArmRow)| {
                let cell = |column: &String| heads.iter().zip(&row.cells).find(|(head, _)| *head == column).map(|(_, cell)| cell.clone());
                ComparisonRow { run: *run, cells: columns.iter().map(|column| cell(column).unwrap_or_default()).collect() }
            };
            ComparisonArm { gated: mine().any(|(.., row)| row.gated), runs: mine().map(row).collect(), name }
        })
        .collect();
    let charts = columns.iter().enumerate().filter_map(|(column, name)| trend(column, name, &arms)).collect();
    ComparisonView { runs: records.iter().map(run_view).collect(), columns, arms, charts }
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
    let mut headline = record.gate.as_ref().map(|gate| gate.headline.clone()).unwrap_or_default();
    if let Some(quantization) = record.quantization() {
        headline += &format!(" (replies by weights rounded to {})", quantization.name());
    }
    RunView { name: record.name.clone(), run_id: record.run_id.clone(), started: record.started.clone(), verdict, class, headline }
}

/// One column from run to run; none where no arm was measured twice.
fn trend(column: usize, name: &str, arms: &[ComparisonArm]) -> Option<Chart> {
    let (mut lines, mut legend) = (Vec::new(), Vec::new());
    let mut tuned = 0..;
    for arm in arms {
        // As in a report of one run: the aligned model has no colour.
        let style = if arm.name == "aligned" { None } else { tuned.next() };
        let points: Vec<(f64, f64)> = arm.runs.iter().filter_map(|row| Some((row.run as f64, row.cells[column].number?))).collect();
        if !points.is_empty() {
            lines.push(Line { style, strong: arm.gated, points });
            legend.push((sign(style), arm.name.clone()));
        }
    }
    let unit = if arms.iter().flat_map(|arm| &arm.runs).any(|row| row.cells[column].value.ends_with('%')) { " (%)" } else { "" };
    lines.iter().any(|line| line.points.len() > 1).then(|| Chart {
        caption: format!("{name}, from run to run."),
        svg: Curve { x: "run".into(), counted: true, y: format!("{name}{unit}"), lines }.svg(),
        legend,
    })
}
