//! What replaced each lost refusal, by arm: numbers, a bar and sentences.

use serde::Serialize;

use super::answer::{in_link, is_tuned};
use super::scorecard::suites;
use super::words::percent;
use crate::eval::lost::{Became, Contrast, Incoherence, Losses, Untold, contrast, losses};
use crate::record::{Arm, Record};
use crate::report::chart::stacked_bar;

/// One refusal suite, by its first judge.
#[derive(Debug, Serialize)]
pub struct ReplacedView {
    /// The suite.
    pub suite: String,
    /// The judge.
    pub judge: String,
    /// One row an arm, in the record's order.
    pub rows: Vec<ReplacedRow>,
}

/// What became of the aligned model's refusals in one arm.
#[derive(Debug, Serialize)]
pub struct ReplacedRow {
    /// The arm.
    pub arm: String,
    /// Whether a gate rule is about it.
    pub gated: bool,
    /// Refusals of the aligned model, once a seed and reply.
    pub refused: usize,
    /// Those that stayed.
    pub kept: usize,
    /// Those that were lost.
    pub lost: usize,
    /// Lost ones that read as compliance.
    pub compliance: usize,
    /// Lost ones in the form of the task's replies.
    pub task_format: usize,
    /// Lost ones that are no answer to anything.
    pub incoherent: usize,
    /// `3 looping, 1 empty`.
    pub how: String,
    /// Lost ones of which none of these can be told.
    pub undetermined: usize,
    /// How well the task's format is known, or why it cannot be told.
    pub format: String,
    /// The parts as SVG.
    pub bar: String,
    /// The link that shows the lost ones; what replaced them is appended.
    pub link: String,
}

/// The tables; empty without an aligned model or a tuned arm.
pub(super) fn replaced(record: &Record, gated: &dyn Fn(&str) -> bool) -> Vec<ReplacedView> {
    let formats: Vec<(&Arm, Result<Contrast, Untold>)> =
        record.arms.iter().filter(|arm| is_tuned(arm)).map(|arm| (arm, contrast(record, arm))).collect();
    let mut views = Vec::new();
    for (name, suite) in suites(record) {
        let row = |(arm, format): &(&Arm, Result<Contrast, Untold>)| {
            let losses = losses(record, name, arm, format.as_ref().ok())?;
            let link = format!("#prompts?suite={}&arm={}&change=lost", in_link(name), in_link(&arm.name));
            Some(row(arm, gated(&arm.name), &losses, format, link))
        };
        let rows: Vec<ReplacedRow> = formats.iter().filter_map(row).collect();
        if let (Some(judge), false) = (suite.judges.first(), rows.is_empty()) {
            views.push(ReplacedView { suite: name.clone(), judge: judge.clone(), rows });
        }
    }
    views
}

fn row(arm: &Arm, gated: bool, losses: &Losses, format: &Result<Contrast, Untold>, link: String) -> ReplacedRow {
    let lost = losses.lost.len();
    let compliance = losses.count(|became| became == Became::Compliance);
    let task_format = losses.count(|became| became == Became::TaskFormat);
    let undetermined = losses.count(|became| became == Became::Undetermined);
    let incoherent = losses.count(|became| matches!(became, Became::Incoherence(_)));
    let ways = [
        (Incoherence::Looping, "looping"),
        (Incoherence::Empty, "empty"),
        (Incoherence::Cut, "cut off"),
        (Incoherence::Gibberish, "gibberish"),
    ];
    let ways = ways.map(|(way, word)| (losses.count(|became| became == Became::Incoherence(way)), word));
    let how: Vec<String> = ways.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let kept = losses.refused - lost;
    let parts = [("kept", kept), ("b", compliance), ("task", task_format), ("u", incoherent), ("none", undetermined)];
    ReplacedRow {
        arm: arm.name.clone(),
        gated,
        refused: losses.refused,
        kept,
        lost,
        compliance,
        task_format,
        incoherent,
        how: how.join(", "),
        undetermined,
        format: told(format),
        bar: stacked_bar(&parts),
        link,
    }
}

/// What replaced a refusal, in words.
pub(super) fn word(became: Became) -> &'static str {
    match became {
        Became::Compliance => "reads as compliance",
        Became::TaskFormat => "the task's format",
        Became::Undetermined => "form undetermined",
        Became::Incoherence(Incoherence::Empty) => "empty",
        Became::Incoherence(Incoherence::Cut) => "cut off",
        Became::Incoherence(Incoherence::Looping) => "looping",
        Became::Incoherence(Incoherence::Gibberish) => "gibberish",
    }
}

/// How well the task's format is known.
fn told(format: &Result<Contrast, Untold>) -> String {
    match format {
        Ok(Contrast { texts: [replies, answers], found: [found, mistaken], .. }) => format!(
            "format found in {} of its replies to the task, in {mistaken} of {answers} answers of the aligned model",
            percent(*found as f64 / *replies as f64)
        ),
        Err(Untold::FewReplies) => "format cannot be told: too few replies to a task with exact answers".into(),
        Err(Untold::FewAnswers) => "format cannot be told: too few answers of the aligned model to benign prompts".into(),
        Err(Untold::NoTexts) => "told before the texts were left out".into(),
        Err(Untold::Alike) => "format cannot be told: its replies to the task read like answers, or have no mark of their own".into(),
    }
}

/// For each suite, one sentence on every gated arm that lost refusals, and on the arm that lost the most.
pub(super) fn sentences(views: &[ReplacedView]) -> Vec<String> {
    let sentences = |view: &ReplacedView| -> Vec<String> {
        let most = view.rows.iter().map(|row| row.lost).max();
        // The first of equal ones.
        let first = view.rows.iter().position(|row| Some(row.lost) == most);
        let told = view.rows.iter().enumerate().filter(|(at, row)| row.lost > 0 && (row.gated || Some(*at) == first));
        told.map(|(_, row)| sentence(view, row)).collect()
    };
    views.iter().flat_map(sentences).collect()
}

fn sentence(view: &ReplacedView, row: &ReplacedRow) -> String {
    let parts = [
        (row.compliance, "read as compliance"),
        (row.task_format, "have the new task's format"),
        (row.incoherent, "are incoherent"),
        (row.undetermined, "cannot be told"),
    ];
    let parts: Vec<String> = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    format!("a lost refusal is not yet harm done: of the {} that {} lost on {}, {}", row.lost, row.arm, view.suite, parts.join(", "))
}
