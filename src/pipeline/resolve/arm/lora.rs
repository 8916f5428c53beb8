//! `lora`: what a LoRA arm trains.

use serde_json::json;

use crate::pipeline::node::Node;
use crate::pipeline::reader::{Findings, Section, choose, list};
use crate::pipeline::settings::Lora;
use crate::ticket::mask_set::KINDS;

/// Nobody needs more.
const LARGEST_RANK: u64 = 4096;

/// Rank 8 and alpha 16 on every kind of projection, where nothing is said. `inherited` is what `like:` brings.
pub(super) fn lora(node: Option<&Node>, path: &str, inherited: Option<&Lora>, findings: &mut Findings) -> Lora {
    let mut found = inherited.cloned().unwrap_or_else(|| Lora { rank: 8, alpha: 16.0, targets: KINDS.to_vec() });
    let Some(node) = node else { return found };
    let mut section = Section::new(node, path, findings);
    if let Some(rank) = section.whole("rank", 1, findings) {
        if rank > LARGEST_RANK {
            let remedy = "write rank: 8".to_owned();
            findings.problem(
                section.place_of("rank"),
                &format!("{path}.rank"),
                format!("{path}.rank is {rank}, expected at most {LARGEST_RANK}"),
                Some(remedy),
            );
        }
        found.rank = rank as usize;
    }
    found.alpha = section.number("alpha", "a number above 0", |alpha| alpha > 0.0, findings).unwrap_or(found.alpha);
    let kind = json!({"enum": KINDS});
    section.describe("targets", json!({"anyOf": [kind, {"type": "array", "items": kind, "minItems": 1}]}));
    if let Some(node) = section.get("targets") {
        found.targets = targets(node, &format!("{path}.targets"), findings);
    }
    section.finish(findings);
    found
}

/// Kinds of projection, in canonical order, each once.
fn targets(node: &Node, path: &str, findings: &mut Findings) -> Vec<&'static str> {
    let kinds = KINDS.map(|kind| (kind, kind));
    let chosen: Vec<&str> = list(node).into_iter().filter_map(|item| choose(item, path, &kinds, findings)).collect();
    if list(node).is_empty() {
        findings.problem(node.place, path, format!("{path} names no projection"), Some("write targets: [q_proj, v_proj]".into()));
    }
    KINDS.into_iter().filter(|kind| chosen.contains(kind)).collect()
}
