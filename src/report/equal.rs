//! "At equal utility" in Markdown.

use std::fmt::Write;

use super::view::MatchedView;

/// The tables with their sentences; `escape` makes text from outside safe.
pub(super) fn write(text: &mut String, tables: &[MatchedView], escape: &dyn Fn(&str) -> String) {
    if !tables.is_empty() {
        text.push_str("\n## At equal utility\n");
    }
    for table in tables {
        let columns: Vec<String> = table.columns.iter().map(|column| escape(column)).collect();
        let _ = writeln!(text, "\n{}:\n\n| arm | {} |\n|---|{}", escape(&table.caption), columns.join(" | "), "---|".repeat(columns.len()));
        for row in &table.rows {
            let cells: Vec<String> = row.cells.iter().map(|cell| escape(cell)).collect();
            let _ = writeln!(text, "| {} | {} |", escape(&row.family), cells.join(" | "));
        }
        text.push('\n');
        for sentence in &table.sentences {
            let _ = writeln!(text, "- {}", escape(sentence));
        }
    }
}
