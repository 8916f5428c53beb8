//! `expect: {multiple_choice: …}`: how a row becomes a question with choices.

use crate::data::choices::{Blank, ChoiceForm, Choices, Clean, Gold, GoldKind};
use crate::pipeline::node::{Node, Value};
use crate::pipeline::reader::{Findings, Section, list, show, text};

/// Reads the section; what is wrong with it is found, and nothing comes of it.
pub(super) fn choices(node: &Node, path: &str, findings: &mut Findings) -> Option<ChoiceForm> {
    let mut section = Section::new(node, path, findings);
    let context = section.text("context", findings);
    let choices = section.get("choices").and_then(|node| texts(node, &format!("{path}.choices"), findings));
    let labels = section.get("labels").and_then(|node| texts(node, &format!("{path}.labels"), findings));
    let usual = if labels.is_some() { GoldKind::Label } else { GoldKind::Index };
    let gold = section.get("gold").and_then(|node| gold(node, &format!("{path}.gold"), usual, findings));
    let delimiter = section.text("delimiter", findings);
    let clean = section.choice("clean", &[("wikihow", Clean::Wikihow)], findings);
    let blank = section.get("blank").and_then(|node| blank(node, &format!("{path}.blank"), findings));
    for (key, remedy) in [("choices", "write choices: COLUMN, or choices: [COLUMN, COLUMN]"), ("gold", "write gold: COLUMN")] {
        if section.get(key).is_none() {
            findings.problem(section.place, path, format!("{path} does not say {key}"), Some(remedy.into()));
        }
    }
    if let (Some(_), Some(context)) = (&blank, section.get("context")) {
        let message = format!("{path} has a context and a blank: the text before the blank is the context");
        findings.problem(context.place, path, message, Some("remove context".into()));
    }
    section.finish(findings);
    let form = ChoiceForm::new(choices?, gold?);
    Some(ChoiceForm { context, labels, clean, blank, delimiter: delimiter.unwrap_or(form.delimiter), ..form })
}

/// `COLUMN` with a list, `[COLUMN, COLUMN]`, or one of `{columns: […]}`, `{list: COLUMN}`, `{texts: […]}`.
fn texts(node: &Node, path: &str, findings: &mut Findings) -> Option<Choices> {
    let all = |node: &Node| -> Option<Vec<String>> { list(node).into_iter().map(text).collect() };
    let inside = match &node.value {
        Value::Map(entries) => entries.iter().flat_map(|(_, _, node)| list(node)).collect(),
        _ => list(node),
    };
    if let Some(read) = inside.into_iter().find(|node| matches!(node.value, Value::Bool(_))) {
        let message = format!("{path}: a word here is read as {}", show(read));
        findings.problem(read.place, path, message, Some("put it in quotes: {texts: [\"no\", \"yes\"]}".into()));
        return None;
    }
    let read = match &node.value {
        Value::List(_) => all(node).map(Choices::Columns),
        Value::Map(entries) => match &entries[..] {
            [(key, _, node)] if key == "columns" => all(node).map(Choices::Columns),
            [(key, _, node)] if key == "texts" => all(node).map(Choices::Texts),
            [(key, _, node)] if key == "list" => text(node).map(Choices::List),
            _ => None,
        },
        _ => text(node).map(Choices::List),
    };
    if read.is_none() {
        let remedy = "write a column with a list, [COLUMN, COLUMN], or {texts: [\"no\", \"yes\"]}";
        findings.problem(node.place, path, format!("{path} is {}", show(node)), Some(remedy.into()));
    }
    read
}

fn gold(node: &Node, path: &str, usual: GoldKind, findings: &mut Findings) -> Option<Gold> {
    if let Some(column) = text(node) {
        return Some(Gold { column, kind: usual });
    }
    let mut section = Section::new(node, path, findings);
    let column = section.text("column", findings);
    let kinds = [
        ("label", GoldKind::Label),
        ("index", GoldKind::Index),
        ("ordinal", GoldKind::Ordinal),
        ("bool", GoldKind::Bool),
        ("text", GoldKind::Text),
    ];
    let kind = section.choice("kind", &kinds, findings).unwrap_or(usual);
    if column.is_none() {
        findings.problem(section.place, path, format!("{path} names no column"), Some("write gold: COLUMN".into()));
    }
    section.finish(findings);
    Some(Gold { column: column?, kind })
}

fn blank(node: &Node, path: &str, findings: &mut Findings) -> Option<Blank> {
    let mut section = Section::new(node, path, findings);
    let (column, mark) = (section.text("column", findings), section.text("mark", findings).unwrap_or_else(|| "_".into()));
    if column.is_none() {
        findings.problem(section.place, path, format!("{path} names no column"), Some("write blank: {column: sentence}".into()));
    }
    section.finish(findings);
    Some(Blank { column: column?, mark })
}
