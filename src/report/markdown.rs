//! `summary.md`: the verdict and the scorecard, for job summaries and pull requests.

use std::fmt::Write;

use crate::record::Record;

use super::view::view;

/// The summary; the same record gives the same bytes.
pub fn render(record: &Record) -> String {
    let view = view(record);
    let mut text = String::new();
    let _ = writeln!(text, "# {}: {}\n\n{}\n", escape(&view.name), view.verdict, escape(&view.headline));
    for finding in &view.findings {
        let _ = writeln!(text, "- {}", escape(finding));
    }
    let _ = writeln!(text, "\n| arm | {} |", view.columns.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(view.columns.len()));
    for arm in &view.arms {
        let cells: Vec<String> = arm.cells.iter().map(|cell| format!("{} {}", cell.value, cell.interval).trim().to_owned()).collect();
        let name = if arm.gated { format!("**{}**", escape(&arm.name)) } else { escape(&arm.name) };
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
    if !view.rules.is_empty() {
        let _ = writeln!(text, "\n| rule | judge | decision | why |\n|---|---|---|---|");
        for rule in &view.rules {
            let _ = writeln!(text, "| {} | {} | {} | {} |", escape(&rule.rule), escape(&rule.judge), rule.class, escape(&rule.reason));
        }
    }
    if !view.warnings.is_empty() {
        text.push_str("\nWarnings:\n\n");
        for warning in &view.warnings {
            let _ = writeln!(text, "- {}", escape(warning));
        }
    }
    let _ = writeln!(text, "\n{} · {} · {} · run {}", view.program, view.duration, view.memory, escape(&view.run_id));
    text
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

/// Text from outside inside a table cell: no pipe, no line break, no markup.
fn escape(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() || *c == '\n')
        .flat_map(|c| match c {
            '\n' => " ".chars().collect::<Vec<_>>(),
            '|' | '<' | '>' | '`' | '*' | '[' | ']' | '_' => vec!['\\', c],
            _ => vec![c],
        })
        .collect()
}
