//! The rules that do not hold, as commands to a GitHub runner, which shows them at the top of a job.
//!
//! Source: docs.github.com, "Workflow commands for GitHub Actions", and the runner's own code for what is escaped
//! (`ActionCommand.cs`). A step shows ten errors and ten warnings; a message may be long, but nobody reads it there.

use super::shown;
use crate::record::{Decision, GateOutcome};

/// Commands of one step, all kinds together.
const MOST: usize = 10;
/// Most characters of a title and of a message.
const TITLE: usize = 120;
const MESSAGE: usize = 600;

/// One command a line: an error for a rule that failed or could not be decided for want of a step, a warning for one that the sample
/// cannot decide, errors first. Of more than ten, the last line counts those that are left out. Where no rule says so, the verdict does. A
/// gate that passed gives nothing. Only names, rules and numbers are told: nothing that a model said stands in a gate.
pub fn render(gate: &GateOutcome) -> String {
    let level = |decision: Decision| match decision {
        Decision::Pass => None,
        Decision::Fail | Decision::Error => Some("error"),
        Decision::Inconclusive => Some("warning"),
    };
    let mut told: Vec<(&str, String, &str)> = Vec::new();
    for rule in &gate.rules {
        let judge = rule.judge.as_ref().map(|judge| format!(" (judge {judge})")).unwrap_or_default();
        told.extend(level(rule.decision).map(|level| (level, format!("{}{judge}", rule.rule), rule.reason.as_str())));
    }
    if gate.rules.iter().all(|rule| rule.decision != gate.decision) {
        told.extend(level(gate.decision).map(|level| (level, "verdict".to_owned(), gate.headline.as_str())));
    }
    told.sort_by_key(|(level, ..)| *level);
    let kept = if told.len() > MOST { MOST - 1 } else { told.len() };
    let mut lines: Vec<String> = told[..kept].iter().map(|(level, title, message)| command(level, title, message)).collect();
    if let Some((level, ..)) = told.get(kept) {
        let rest = told.len() - kept;
        lines.push(command(level, "more rules", &format!("{rest} more rules do not hold; the summary and the report have all of them")));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn command(level: &str, title: &str, message: &str) -> String {
    format!("::{level} title={}::{}", property(&short(title, TITLE)), data(&short(message, MESSAGE)))
}

/// At most so many characters, none of them invisible.
fn short(text: &str, most: usize) -> String {
    let text = shown(text);
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What follows the second `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// What stands in a property: colons and commas end it.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
