//! `anchor`: rows on which an arm is held to the aligned model.

use std::path::Path;

use crate::pipeline::data::sources;
use crate::pipeline::node::Node;
use crate::pipeline::reader::{Findings, Section};
use crate::pipeline::settings::Anchor;

/// Rows of a step, where nothing is said.
const ROWS: u64 = 4;

pub(super) fn anchor(node: &Node, path: &str, folder: &Path, findings: &mut Findings) -> Anchor {
    let mut section = Section::new(node, path, findings);
    let data = section.get("data").map(|node| sources(node, &format!("{path}.data"), folder, findings)).unwrap_or_default();
    let weight = section.number("weight", "a number above 0", |weight| weight > 0.0, findings).unwrap_or(1.0);
    let rows = section.whole("rows", 1, findings).unwrap_or(ROWS) as usize;
    let place = section.place;
    section.finish(findings);
    if data.is_empty() {
        let remedy = "write anchor: {data: builtin:refusals, weight: 1.0, rows: 4}";
        findings.problem(place, path, format!("{path} has no data"), Some(remedy.into()));
    }
    Anchor { data, weight, rows }
}
