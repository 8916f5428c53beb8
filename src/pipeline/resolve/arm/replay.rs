//! `replay`: what an arm rehearses.

use std::path::Path;

use crate::pipeline::data::sources;
use crate::pipeline::node::Node;
use crate::pipeline::reader::{Findings, Section};
use crate::pipeline::settings::Replay;

/// One row in eight, where nothing is said.
pub(super) const SHARE: f64 = 0.125;

pub(super) fn replay(node: &Node, path: &str, folder: &Path, findings: &mut Findings) -> Option<Replay> {
    let mut section = Section::new(node, path, findings);
    let data = section.get("data").map(|node| sources(node, &format!("{path}.data"), folder, findings)).unwrap_or_default();
    let share = section.number("share", "a share of all rows in (0, 1)", |share| share > 0.0 && share < 1.0, findings).unwrap_or(SHARE);
    let place = section.place;
    section.finish(findings);
    if data.is_empty() {
        findings.problem(
            place,
            path,
            format!("{path} has no data"),
            Some("write replay: {data: [builtin:refusals, builtin:helpful], share: 0.125}".into()),
        );
    }
    Some(Replay { data, share })
}
