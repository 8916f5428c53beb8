//! A joined benchmark in Markdown.

use std::fmt::Write;

use super::markdown::{escape, scored};
use super::view::{JoinedTask, joined};
use super::{equal, shown};
use crate::eval::join::Joined;

/// The tables as Markdown; the same parts give the same bytes, in whatever order.
pub fn render(of: &Joined) -> String {
    let view = joined(of);
    let [held, wanted] = view.held;
    let mut text = format!("# {held} of {wanted} cells\n");
    for note in &view.notes {
        let _ = writeln!(text, "\n- {}", escape(note));
    }
    view.tasks.iter().for_each(|task| write_task(&mut text, task));
    let _ = writeln!(text, "\n## Every cell\n");
    for task in &view.tasks {
        let columns = heads(task);
        let _ =
            writeln!(text, "{}:\n\n| arm | rate | seed | {} |\n|---|---|---|{}", escape(&task.name), columns.join(" | "), line(&columns));
        for cell in &task.cells {
            let _ = writeln!(text, "| {} | {} | {} | {} |", escape(&cell.family), cell.rate, cell.seed, cell.figures.join(" | "));
        }
        text.push('\n');
    }
    let _ = writeln!(text, "## Missing\n");
    if view.missing.is_empty() {
        let _ = writeln!(text, "Nothing.");
    } else {
        let _ = writeln!(text, "| task | arm | seeds |\n|---|---|---|");
    }
    for [task, arm, seeds] in &view.missing {
        let _ = writeln!(text, "| {} | {} | {seeds} |", escape(task), escape(arm));
    }
    let _ = writeln!(text, "\n## Parts\n\n| task | pipeline | run | seeds |\n|---|---|---|---|");
    for [task, name, run, seeds] in &view.parts {
        let _ = writeln!(text, "| {} | {} | {} | {seeds} |", escape(task), escape(name), escape(run));
    }
    shown(&text)
}

fn heads(task: &JoinedTask) -> Vec<String> {
    task.columns.iter().map(|column| escape(&column.name)).collect()
}

fn line(columns: &[String]) -> String {
    "---|".repeat(columns.len())
}

fn write_task(text: &mut String, task: &JoinedTask) {
    let columns = heads(task);
    let _ = writeln!(text, "\n## {}\n\nOver {}.", escape(&task.name), escape(&task.seeds));
    if !task.arms.is_empty() {
        let _ = writeln!(text, "\n| arm | {} |\n|---|{}", columns.join(" | "), line(&columns));
    }
    for arm in &task.arms {
        let cells: Vec<String> = arm.cells.iter().map(scored).collect();
        let name = if arm.gated { format!("**{}**", escape(&arm.name)) } else { escape(&arm.name) };
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
    equal::write(text, &task.matched, &|part| escape(part));
    if let Some([decision, headline]) = &task.verdict {
        let _ = writeln!(text, "\nGate: **{decision}**. {}", escape(headline));
    }
    if !task.rules.is_empty() {
        let _ = writeln!(text, "\n| rule | decision | why |\n|---|---|---|");
    }
    for [rule, decision, why] in &task.rules {
        let _ = writeln!(text, "| {} | {decision} | {} |", escape(rule), escape(why));
    }
    for suite in task.replaced.iter().filter(|suite| suite.rows.iter().any(|row| row.lost > 0)) {
        let _ = writeln!(
            text,
            "\nWhat replaced the lost refusals of {}:\n\n| arm | lost | compliance | task's format | incoherent | undetermined |\n|---|---|---|---|---|---|",
            escape(&suite.suite)
        );
        for row in &suite.rows {
            let (arm, lost, refused) = (escape(&row.arm), row.lost, row.refused);
            let parts = [row.compliance, row.task_format, row.incoherent, row.undetermined].map(|count| count.to_string());
            let _ = writeln!(text, "| {arm} | {lost} of {refused} | {} |", parts.join(" | "));
        }
    }
}
