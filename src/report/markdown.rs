//! `summary.md`: the verdict and the scorecard, for job summaries and pull requests.

use std::fmt::Write;

use crate::record::Record;

use super::view::{ScoreCell, audit, view};
use super::{Samples, equal, shown};

/// The summary; the same record gives the same bytes.
pub fn render(record: &Record) -> String {
    let view = view(record);
    let headline = if view.headline_rule.is_empty() { view.headline.clone() } else { format!("{}: {}", view.headline_rule, view.headline) };
    let mut text = String::new();
    let _ = writeln!(text, "# {}: {}\n\n{}\n", escape(&view.name), view.verdict, escape(&headline));
    for finding in &view.findings {
        let _ = writeln!(text, "- {}", escape(finding));
    }
    let columns: Vec<String> = view.columns.iter().map(|column| escape(&column.name)).collect();
    let _ = writeln!(text, "\n| arm | {} |", columns.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(view.columns.len()));
    for arm in &view.arms {
        let cells: Vec<String> = arm.cells.iter().map(scored).collect();
        let name = if arm.gated { format!("**{}**", escape(&arm.name)) } else { escape(&arm.name) };
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
    for race in &view.races {
        let _ = writeln!(text, "\n## How {} was chosen\n\n{}\n", escape(&race.arm), escape(&race.caption));
        let _ = writeln!(text, "| recipe | {} |\n|---|{}", view.race_columns.join(" | "), "---|".repeat(view.race_columns.len()));
        for row in &race.rows {
            let cells: Vec<String> = row.cells.iter().map(|cell| escape(cell)).collect();
            let name = if row.chosen { format!("**{}**", escape(&row.name)) } else { escape(&row.name) };
            let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
        }
    }
    if let Some(audit) = audit(record, Samples::Ids) {
        let _ = writeln!(text, "\n## Rows against the refusals\n\n{}\n", escape(&audit.caption));
        let _ = writeln!(text, "| row | cosine | dot product |\n|---|---|---|");
        for row in &audit.rows {
            let _ = writeln!(text, "| {} | {} | {} |", escape(&row.place), row.cosine, row.dot);
        }
    }
    equal::write(&mut text, &view.matched, &|part| escape(part));
    if !view.judges.is_empty() {
        let _ = writeln!(text, "\nJudge: {}.", escape(&view.judges));
    }
    if !view.rules.is_empty() {
        let _ = writeln!(text, "\n| rule | judge | decision | why |\n|---|---|---|---|");
        for rule in &view.rules {
            let _ = writeln!(text, "| {} | {} | {} | {} |", escape(&rule.rule), escape(&rule.judge), rule.class, escape(&rule.reason));
        }
    }
    for suite in view.replaced.iter().filter(|suite| suite.rows.iter().any(|row| row.lost > 0)) {
        let _ = writeln!(
            text,
            "\nWhat replaced the lost refusals of {} (judge {}):\n\n| arm | lost | compliance | task's format | incoherent | undetermined |\n|---|---|---|---|---|---|",
            escape(&suite.suite),
            escape(&suite.judge)
        );
        for row in &suite.rows {
            let (lost, refused) = (row.lost, row.refused);
            let how = if row.how.is_empty() { String::new() } else { format!(" ({})", row.how) };
            let _ = writeln!(
                text,
                "| {} | {lost} of {refused} | {} | {} | {}{how} | {} |",
                escape(&row.arm),
                row.compliance,
                row.task_format,
                row.incoherent,
                row.undetermined
            );
        }
    }
    if !view.sequences.is_empty() {
        let _ = writeln!(
            text,
            "\n## Several tasks\n\nEvery suite after every task, or of every task alone and their merge; a task's own column is bold. Forgotten: from the best of all earlier columns behind aligned to the last. Lost in merging: from the task alone to the merge."
        );
    }
    for arm in &view.sequences {
        let heads: Vec<String> = arm.columns.iter().map(|column| escape(column)).collect();
        let _ =
            writeln!(text, "\n| {} | {} | {} |\n|---|{}---|", escape(&arm.arm), heads.join(" | "), arm.lost, "---|".repeat(heads.len()));
        for row in &arm.rows {
            let cell = |(i, cell): (usize, &String)| if row.learnt == Some(i) { format!("**{cell}**") } else { cell.clone() };
            let cells: Vec<String> = row.cells.iter().enumerate().map(cell).collect();
            let _ = writeln!(text, "| {} | {} | {} |", escape(&row.name), cells.join(" | "), row.forgotten);
        }
        if !arm.sentence.is_empty() {
            let _ = writeln!(text, "\n{}", escape(&arm.sentence));
        }
    }
    if !view.training.is_empty() {
        let _ = writeln!(text, "\n| arm | {} |\n|---|{}", view.training_columns.join(" | "), "---|".repeat(view.training_columns.len()));
        for row in &view.training {
            let stopped = row.stopped.as_ref().map(|why| format!(" (stopped: {})", escape(why))).unwrap_or_default();
            let _ = writeln!(text, "| {}{stopped} | {} |", escape(&row.arm), row.cells.join(" | "));
        }
    }
    if !view.edits.is_empty() {
        let _ = writeln!(text, "\n| arm | {} |\n|---|{}", view.edit_columns.join(" | "), "---|".repeat(view.edit_columns.len()));
        for row in &view.edits {
            let cells: Vec<String> = row.cells.iter().map(|cell| escape(cell)).collect();
            let _ = writeln!(text, "| {} | {} |", escape(&row.arm), cells.join(" | "));
        }
    }
    if !view.warnings.is_empty() {
        text.push_str("\nWarnings:\n\n");
        for warning in &view.warnings {
            let _ = writeln!(text, "- {}", escape(warning));
        }
    }
    let _ = writeln!(text, "\n{} · {} · {} · run {}", escape(&view.program), view.duration, view.memory, escape(&view.run_id));
    shown(&text)
}

/// The summary for a terminal: the same text without the escapes of Markdown.
pub fn plain(record: &Record) -> String {
    let text = render(record);
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        let escape = character == '\\' && rest.peek().is_some_and(char::is_ascii_punctuation);
        plain.push(if escape { rest.next().unwrap_or(character) } else { character });
    }
    plain
}

/// A figure with its interval and its change from the aligned model.
pub(super) fn scored(cell: &ScoreCell) -> String {
    let mut text = cell.value.clone();
    for (before, part) in [(" ", &cell.interval), (", vs aligned ", &cell.change), (", ", &cell.note)] {
        if !part.is_empty() {
            text.push_str(before);
            text.push_str(part);
        }
    }
    text
}

/// Text from outside inside a table cell or a line: no line break, and every character that could be markup escaped.
pub fn escape(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() || c.is_whitespace())
        .flat_map(|c| match c {
            c if c.is_control() => vec![' '],
            '\\' | '|' | '<' | '>' | '`' | '*' | '[' | ']' | '_' | '~' | '#' | '&' | '$' | '!' => vec!['\\', c],
            _ => vec![c],
        })
        .collect()
}
