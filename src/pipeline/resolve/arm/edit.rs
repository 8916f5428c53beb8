//! `from` and `edit`: an arm that is made of another one's weights.

use super::ticket::ticket;
use crate::pipeline::node::Node;
use crate::pipeline::reader::{Findings, Section};
use crate::pipeline::settings::{ArmTicket, Edit, Ticket};

/// γ of RESTA where nothing is said; ours.
const SCALE: f64 = 0.5;

/// τ of Safe LoRA where nothing is said: as in its authors' code.
const THRESHOLD: f64 = 0.5;

/// What is done, and the ticket that it restores.
pub(super) fn edit(node: &Node, path: &str, tickets: &[Ticket], findings: &mut Findings) -> Option<(Edit, Option<ArmTicket>)> {
    let mut section = Section::new(node, path, findings);
    let mut found: Vec<(Edit, Option<ArmTicket>)> = Vec::new();
    if let Some(node) = section.get("interpolate") {
        let mut section = Section::new(node, &format!("{path}.interpolate"), findings);
        let weight = section.number("weight", "a number from 0 (aligned) to 1 (tuned)", |weight| (0.0..=1.0).contains(&weight), findings);
        section.finish(findings);
        found.push((Edit::Interpolate { weight: weight.unwrap_or(0.5) }, None));
    }
    if let Some(node) = section.get("restore") {
        found.push((Edit::Restore, ticket(node, &format!("{path}.restore"), tickets, findings)));
    }
    if let Some(node) = section.get("resta") {
        let mut section = Section::new(node, &format!("{path}.resta"), findings);
        let scale = section.number("scale", "a number above 0", |scale| scale > 0.0, findings).unwrap_or(SCALE);
        let drop = section.number("drop", "a share in [0, 1)", |drop| (0.0..1.0).contains(&drop), findings).unwrap_or(0.0);
        section.finish(findings);
        found.push((Edit::Resta { scale, drop }, None));
    }
    if let Some(node) = section.get("safe_lora") {
        let mut section = Section::new(node, &format!("{path}.safe_lora"), findings);
        let cosine = |value: f64| (-1.0..=1.0).contains(&value);
        let threshold = section.number("threshold", "a cosine from -1 to 1", cosine, findings).unwrap_or(THRESHOLD);
        section.finish(findings);
        found.push((Edit::SafeLora { threshold }, None));
    }
    let place = section.place;
    section.finish(findings);
    if found.len() != 1 {
        findings.problem(
            place,
            path,
            format!("{path} names {} edits, expected one", found.len()),
            Some("write edit: {interpolate: {weight: 0.5}}, {restore: ticket}, {resta: {scale: 0.5}} or {safe_lora: {threshold: 0.5}}; several follow each other as arms".into()),
        );
        return None;
    }
    found.pop()
}
