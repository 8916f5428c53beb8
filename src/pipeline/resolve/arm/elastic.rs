//! `elastic`: how hard an arm's weights are pulled back to the aligned model's.

use crate::pipeline::node::Node;
use crate::pipeline::reader::{Findings, Section};
use crate::pipeline::settings::Elastic;

use super::Around;
use super::protect::own_or_safety_data;

/// λ, where nothing is said.
pub(super) const STRENGTH: f64 = 0.3;

/// Rows that are looked at, where nothing is said.
pub(super) const ROWS: usize = 512;

/// `inherited` is what `like:` brings.
pub(super) fn elastic(node: &Node, path: &str, inherited: Option<&Elastic>, around: &Around<'_>, findings: &mut Findings) -> Elastic {
    let mut section = Section::new(node, path, findings);
    let data = own_or_safety_data(&mut section, inherited.map(|elastic| &elastic.data), around, findings);
    let strength = section.number("strength", "a number from 0 on", |strength| strength >= 0.0, findings);
    let rows = section.whole("rows", 1, findings).map(|rows| rows as usize);
    section.finish(findings);
    Elastic {
        data,
        strength: strength.or(inherited.map(|elastic| elastic.strength)).unwrap_or(STRENGTH),
        rows: rows.or(inherited.map(|elastic| elastic.rows)).unwrap_or(ROWS),
    }
}
