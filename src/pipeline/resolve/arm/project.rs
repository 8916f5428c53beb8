//! `project`: rows whose loss no step of an arm may raise.

use crate::pipeline::node::Node;
use crate::pipeline::reader::{Findings, Section};
use crate::pipeline::settings::Project;

use super::Around;
use super::protect::own_or_safety_data;

/// Rows of a step, where nothing is said.
pub(super) const ROWS: usize = 4;

/// `inherited` is what `like:` brings.
pub(super) fn project(node: &Node, path: &str, inherited: Option<&Project>, around: &Around<'_>, findings: &mut Findings) -> Project {
    let mut section = Section::new(node, path, findings);
    let data = own_or_safety_data(&mut section, inherited.map(|project| &project.data), around, findings);
    let rows = section.whole("rows", 1, findings).map(|rows| rows as usize);
    section.finish(findings);
    Project { data, rows: rows.or(inherited.map(|project| project.rows)).unwrap_or(ROWS) }
}
