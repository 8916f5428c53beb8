//! `data:`, `prompts:`: where rows come from.

use std::path::Path;

use serde_json::json;

use crate::hub::dataset_file;

use super::node::{Node, Place, Value};
use super::reader::{Findings, Section, list, show, text};
use super::settings::{Columns, DataFormat, DataSpec};

/// Reads one source or a list of them.
pub fn sources(node: &Node, path: &str, folder: &Path, findings: &mut Findings) -> Vec<DataSpec> {
    let items = list(node);
    let several = matches!(node.value, Value::List(_));
    items
        .iter()
        .enumerate()
        .filter_map(|(i, item)| source(item, &if several { format!("{path}.{i}") } else { path.to_owned() }, folder, findings))
        .collect()
}

/// Reads one source: `builtin:NAME`, a path, or a section with `path`.
pub fn source(node: &Node, path: &str, folder: &Path, findings: &mut Findings) -> Option<DataSpec> {
    if let Value::Text(name) = &node.value {
        return Some(DataSpec::new(located(name, folder, node.place, path, findings)));
    }
    let mut section = Section::new(node, path, findings);
    let format = section.choice(
        "format",
        &[
            ("auto", DataFormat::Auto),
            ("jsonl", DataFormat::Jsonl),
            ("json", DataFormat::Json),
            ("csv", DataFormat::Csv),
            ("parquet", DataFormat::Parquet),
            ("text", DataFormat::Text),
        ],
        findings,
    );
    let columns = section.get("columns").map(|node| columns(node, &format!("{path}.columns"), findings)).unwrap_or_default();
    let filter = section.get("filter").map(|node| filter(node, &format!("{path}.filter"), findings)).unwrap_or_default();
    let limit = section.whole("limit", 1, findings).map(|limit| limit as usize);
    let share = json!({"type": "number", "minimum": 0, "maximum": 1});
    section.describe("split", json!({"type": "array", "items": share, "minItems": 2, "maxItems": 2}));
    let split = section.get("split").and_then(|node| split(node, &format!("{path}.split"), findings));
    let named = section.get("path").map(|node| (node.place, text(node).unwrap_or_default()));
    let place = section.place;
    section.finish(findings);
    let Some((at, name)) = named.filter(|(_, name)| !name.is_empty()) else {
        findings.problem(place, path, format!("{path} names no file"), Some("write path: my.jsonl, or path: builtin:NAME".into()));
        return None;
    };
    let source = located(&name, folder, at, &format!("{path}.path"), findings);
    Some(DataSpec { source, format: format.unwrap_or(DataFormat::Auto), columns, variants: Vec::new(), filter, limit, split })
}

/// What a path is relative to: one from the command line has no place in the file.
fn relative_to(place: Place) -> &'static str {
    if place == Place::default() { "the current folder" } else { "the pipeline file" }
}

/// An absolute path, `builtin:NAME`, or a file of a data set on the hub; a file that is not there is a problem.
fn located(name: &str, folder: &Path, place: Place, path: &str, findings: &mut Findings) -> String {
    if name.starts_with("builtin:") {
        return name.to_owned();
    }
    if name.starts_with("hf://") {
        if dataset_file(name).is_none() {
            findings.problem(
                place,
                path,
                format!("{path}: {name} names no file of a data set"),
                Some("write hf://datasets/OWNER/NAME@COMMIT/FILE.jsonl".into()),
            );
        }
        return name.to_owned();
    }
    let full = folder.join(name);
    if !full.is_file() {
        findings.problem(
            place,
            path,
            format!("{path}: there is no file {}", full.display()),
            Some(format!("paths are relative to {}; or give another: --set {path}=FILE", relative_to(place))),
        );
    }
    full.to_string_lossy().into_owned()
}

fn columns(node: &Node, path: &str, findings: &mut Findings) -> Columns {
    let mut section = Section::new(node, path, findings);
    let columns = Columns {
        prompt: section.text("prompt", findings),
        response: section.text("response", findings),
        system: section.text("system", findings),
        messages: section.text("messages", findings),
        text: section.text("text", findings),
        id: section.text("id", findings),
        category: section.text("category", findings),
    };
    section.finish(findings);
    columns
}

fn filter(node: &Node, path: &str, findings: &mut Findings) -> Vec<(String, Vec<String>)> {
    let section = Section::named(node, path, findings);
    section
        .entries()
        .iter()
        .map(|(column, _, wanted)| ((*column).to_owned(), list(wanted).into_iter().filter_map(text).collect()))
        .collect()
}

fn split(node: &Node, path: &str, findings: &mut Findings) -> Option<(f64, f64)> {
    let ends: Vec<f64> = list(node).into_iter().filter_map(text).filter_map(|end| end.parse().ok()).collect();
    match ends[..] {
        [from, to] if (0.0..1.0).contains(&from) && from < to && to <= 1.0 => Some((from, to)),
        _ => {
            findings.problem(
                node.place,
                path,
                format!("{path} is {}, expected [from, to] within 0 and 1", show(node)),
                Some("write split: [0.0, 0.9]".into()),
            );
            None
        }
    }
}
