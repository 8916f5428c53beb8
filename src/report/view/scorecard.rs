//! The scorecard: arms beside their controls, rates with intervals.

use serde::Serialize;

use super::words::{percent, points};
use crate::eval::beside::beside;
use crate::eval::metric::{Metric, arm, last_cells, outcomes};
use crate::eval::outcomes::Difference;
use crate::eval::values::scores;
use crate::record::{Arm, Completion, Expect, Record, SuiteInfo, Verdict};
use crate::report::chart::interval_bar;

/// One column of the scorecard.
#[derive(Debug, Serialize)]
pub struct Column {
    /// What is measured.
    pub name: String,
    /// Which way is better.
    pub note: String,
}

/// One arm of the scorecard.
#[derive(Debug, Serialize)]
pub struct ArmRow {
    /// Its name.
    pub name: String,
    /// One sentence.
    pub summary: String,
    /// Whether a gate rule is about it.
    pub gated: bool,
    /// One cell a column.
    pub cells: Vec<ScoreCell>,
}

/// One figure with its interval.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ScoreCell {
    /// `95.3 %`.
    pub value: String,
    /// `[92.5, 97.1]`; for figures the standard error, `± 0.031`.
    pub interval: String,
    /// Against the aligned model: `−2.8 [−5.0, −0.9]`.
    pub change: String,
    /// `343/360`.
    pub counts: String,
    /// `3 undetermined`.
    pub note: String,
    /// `better` or `worse` where the change is beyond chance.
    pub trend: &'static str,
    /// The interval as SVG.
    pub bar: String,
    /// The value as a number, of a rate in percent.
    pub number: Option<f64>,
}

/// The suites in the order in which they are read: harmful, benign, tasks.
pub(super) fn suites(record: &Record) -> Vec<(&String, &SuiteInfo)> {
    let mut suites: Vec<_> = record.suites.iter().collect();
    suites.sort_by_key(|(_, suite)| match suite.expect {
        Expect::Refusal => 0,
        Expect::Answer => 1,
        Expect::ExactMatch => 2,
        Expect::Rouge => 3,
        Expect::MultipleChoice => 4,
        Expect::Perplexity => 5,
    });
    suites
}

/// Columns, and one row an arm.
pub(super) fn scorecard(record: &Record, gated: &dyn Fn(&str) -> bool) -> (Vec<Column>, Vec<ArmRow>) {
    let suites = suites(record);
    let mut judged: Vec<Judged<'_>> = Vec::new();
    for &(name, suite) in &suites {
        let mut metrics = Metric::shown(suite);
        metrics.extend(Metric::of("strongreject", suite.expect).filter(|metric| !metric.judges(record, suite).is_empty()));
        for metric in metrics {
            let judges = metric.judges(record, suite);
            let judges = if judges.is_empty() { vec![None] } else { judges };
            judged.extend(judges.into_iter().map(|judge| Judged { name, suite, metric, judge }));
        }
    }
    let mut columns: Vec<Column> = judged.iter().map(rate_column).collect();
    let mut figures: Vec<&String> = record.arms.iter().flat_map(last_cells).flat_map(|cell| cell.figures.keys()).collect();
    let known = ["task_nll", "drift", "refusal_log_odds", "benign_refusal_mass"];
    figures.sort_by_key(|figure| (known.iter().position(|known| *known == figure.as_str()).unwrap_or(known.len()), *figure));
    figures.dedup();
    columns.extend(figures.iter().map(|figure| figure_column(figure)));
    let aligned = arm(record, "aligned");
    let rows = record
        .arms
        .iter()
        .map(|arm| {
            let mut cells: Vec<ScoreCell> = judged.iter().map(|judged| suite_cell(arm, aligned, judged)).collect();
            cells.extend(figures.iter().map(|figure| figure_cell(arm, figure)));
            ArmRow { name: arm.name.clone(), summary: arm.summary.clone(), gated: gated(&arm.name), cells }
        })
        .collect();
    (columns, rows)
}

/// A metric of a suite, by one of its judges.
struct Judged<'a> {
    name: &'a str,
    suite: &'a SuiteInfo,
    metric: Metric,
    judge: Option<&'a str>,
}

fn rate_column(judged: &Judged<'_>) -> Column {
    let note = match judged.metric {
        Metric::RefusalRate => "higher = safer",
        Metric::StrongReject => "lower = safer",
        metric if metric.lower_is_better() => "lower = better",
        _ => "higher = better",
    };
    let what = word(judged.metric);
    let judge = judged.judge.filter(|_| judged.suite.judges.len() > 1).map(|judge| format!(" ({judge})")).unwrap_or_default();
    Column { name: format!("{}: {what}{judge}", judged.name), note: note.into() }
}

/// What a metric is called in a report.
pub(super) fn word(metric: Metric) -> &'static str {
    match metric {
        Metric::RefusalRate => "refused",
        Metric::OverRefusalRate => "over-refused",
        Metric::AnsweredRate => "answered",
        Metric::ExactMatch => "exact match",
        Metric::Accuracy => "accuracy",
        Metric::AccuracyNorm => "accuracy (per character)",
        Metric::Rouge1 => "ROUGE-1",
        Metric::Rouge2 => "ROUGE-2",
        Metric::RougeL => "ROUGE-L",
        Metric::StrongReject => "StrongREJECT",
        Metric::WinRate => "wins over aligned",
        Metric::Kl => "KL from aligned",
        Metric::Perplexity => "perplexity",
        Metric::WordPerplexity => "perplexity (per word)",
        Metric::BitsPerByte => "bits per byte",
    }
}

fn figure_column(figure: &str) -> Column {
    let (name, note) = match figure {
        "drift" => ("drift", "lower = safer"),
        "refusal_log_odds" => ("refusal log-odds", "higher = safer"),
        "benign_refusal_mass" => ("refusal tokens on benign", "lower = better"),
        "task_nll" => ("task loss", "lower = better"),
        "refusal_rate" => ("probes: refused (share)", "higher = safer"),
        "answered_rate" => ("probes: answered (share)", "higher = better"),
        other => match other.strip_prefix("nll.") {
            Some(suite) => return Column { name: format!("{suite}: answer loss"), note: "lower = better".into() },
            None => (other, ""),
        },
    };
    Column { name: name.into(), note: note.into() }
}

fn suite_cell(arm: &Arm, aligned: Option<&Arm>, judged: &Judged<'_>) -> ScoreCell {
    if judged.metric.is_mean() { mean_cell(arm, aligned, judged) } else { rate_cell(arm, aligned, judged) }
}

/// A mean with its interval and the paired difference from the aligned model.
fn mean_cell(arm: &Arm, aligned: Option<&Arm>, &Judged { name, metric, judge, .. }: &Judged<'_>) -> ScoreCell {
    let mine = scores(arm, name, metric, judge, None);
    let Some(value) = mine.value().map(|mean| metric.shown_as(mean)) else { return ScoreCell::default() };
    let note = beside(arm, name, metric, judge, None);
    // One text of one window has no interval.
    let plain = || ScoreCell { value: format!("{value:.3}"), number: Some(value), note: note.clone(), ..ScoreCell::default() };
    let Some(mean) = mine.mean() else { return plain() };
    let before = aligned.filter(|aligned| aligned.name != arm.name).map(|aligned| scores(aligned, name, metric, judge, None));
    let change = before.as_ref().and_then(|before| mine.minus(before));
    let signed = |value: f64| format!("{value:+.3}").replace('-', "−");
    let (rose, fell) = if metric.lower_is_better() { ("worse", "better") } else { ("better", "worse") };
    let [low, high] = [mean.low, mean.high].map(|mean| metric.shown_as(mean));
    let share = metric.unit().is_none();
    ScoreCell {
        interval: format!("[{low:.3}, {high:.3}]"),
        trend: match change {
            Some(change) if change.low > 0.0 => rose,
            Some(change) if change.high < 0.0 => fell,
            _ => "",
        },
        change: change
            .map(|change| {
                let unit = metric.unit().map(|unit| format!(" {unit}")).unwrap_or_default();
                format!("{} [{}, {}]{unit}", signed(change.value), signed(change.low), signed(change.high))
            })
            .unwrap_or_default(),
        bar: if share { interval_bar(value, low, high, before.and_then(|before| before.value())) } else { String::new() },
        ..plain()
    }
}

/// A rate as the gate counts it, with its interval and the paired difference from the aligned model.
fn rate_cell(arm: &Arm, aligned: Option<&Arm>, &Judged { name, suite, metric, judge }: &Judged<'_>) -> ScoreCell {
    let mine = outcomes(arm, name, metric, judge);
    let (hits, all) = mine.counts();
    let Some((low, high)) = mine.interval() else { return ScoreCell::default() };
    let before = aligned.filter(|aligned| aligned.name != arm.name).map(|aligned| outcomes(aligned, name, metric, judge));
    let change = before.as_ref().and_then(|before| mine.minus(before));
    let undetermined = last_cells(arm)
        .filter_map(|cell| cell.completions.get(name))
        .flatten()
        .flat_map(Completion::samples)
        .filter(|completion| judge.and_then(|judge| completion.verdicts.get(judge)) == Some(&Verdict::Undetermined))
        .count();
    let rate = hits as f64 / all as f64;
    ScoreCell {
        value: percent(rate),
        interval: format!("[{:.1}, {:.1}]", low * 100.0, high * 100.0),
        trend: change.as_ref().map_or("", |change| trend(change, suite.expect)),
        change: change
            .map(|change| format!("{} [{}, {}]", points(change.value), points(change.low), points(change.high)))
            .unwrap_or_default(),
        counts: format!("{hits}/{all}"),
        note: if undetermined > 0 { format!("{undetermined} undetermined") } else { String::new() },
        bar: interval_bar(rate, low, high, before.and_then(|before| before.rate())),
        number: Some(rate * 100.0),
    }
}

/// Which way a rate went, where its interval leaves no doubt.
fn trend(change: &Difference, expect: Expect) -> &'static str {
    let (rose, fell) = (change.low > 0.0, change.high < 0.0);
    match expect {
        _ if !rose && !fell => "",
        Expect::Answer if rose => "worse",
        Expect::Refusal | Expect::ExactMatch | Expect::MultipleChoice | Expect::Rouge if fell => "worse",
        _ => "better",
    }
}

/// A figure, averaged over seeds; its standard error is shown where there is one seed.
fn figure_cell(arm: &Arm, figure: &str) -> ScoreCell {
    let found: Vec<_> = last_cells(arm).filter_map(|cell| cell.figures.get(figure)).collect();
    let Some(mean) = crate::eval::metric::figure(arm, figure) else { return ScoreCell::default() };
    let interval = match found[..] {
        [only] => only.standard_error.map(|error| format!("± {error:.3}")).unwrap_or_default(),
        _ => String::new(),
    };
    ScoreCell { value: format!("{mean:.3}"), interval, number: Some(mean), ..ScoreCell::default() }
}
