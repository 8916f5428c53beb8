//! `anchor`: rows on which an arm is held to the aligned model.

use crate::data::spec::DataSpec;
use crate::pipeline::node::Node;
use crate::pipeline::reader::{Findings, Section};
use crate::pipeline::settings::Anchor;

use super::Around;
use super::protect::own_or_safety_data;

/// What the divergence weighs beside the task's loss, where nothing is said.
const WEIGHT: f64 = 1.0;

/// Rows of a step, where nothing is said.
const ROWS: usize = 4;

/// An arm's anchor where nothing but its rows is said.
pub(super) fn usual(data: Vec<DataSpec>) -> Anchor {
    Anchor { data, weight: WEIGHT, rows: ROWS }
}

/// `inherited` is what `like:` brings.
pub(super) fn anchor(node: &Node, path: &str, inherited: Option<&Anchor>, around: &Around<'_>, findings: &mut Findings) -> Anchor {
    let mut section = Section::new(node, path, findings);
    let data = own_or_safety_data(&mut section, inherited.map(|anchor| &anchor.data), around, findings);
    let weight = section.number("weight", "a number above 0", |weight| weight > 0.0, findings);
    let rows = section.whole("rows", 1, findings).map(|rows| rows as usize);
    section.finish(findings);
    Anchor {
        data,
        weight: weight.or(inherited.map(|anchor| anchor.weight)).unwrap_or(WEIGHT),
        rows: rows.or(inherited.map(|anchor| anchor.rows)).unwrap_or(ROWS),
    }
}
