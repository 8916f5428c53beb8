//! `first_tokens`: how the first tokens of an arm's replies are held.

use serde_json::json;

use crate::pipeline::node::Node;
use crate::pipeline::reader::{Findings, Section, list, text};
use crate::pipeline::settings::FirstTokens;

/// A larger one is a slip: the loss is flat then at the first step that a token gains.
const LARGEST_BETA: f64 = 100.0;

/// The paper's constraint, where nothing is said. `inherited` is what `like:` brings.
pub(super) fn first_tokens(node: &Node, path: &str, inherited: Option<&FirstTokens>, findings: &mut Findings) -> FirstTokens {
    let mut found = inherited.cloned().unwrap_or_default();
    let mut section = Section::new(node, path, findings);
    let beta = json!({"type": "number", "minimum": 0, "maximum": LARGEST_BETA});
    section.describe("betas", json!({"anyOf": [beta, {"type": "array", "items": beta, "minItems": 1}]}));
    let fits = |beta: &f64| (0.0..=LARGEST_BETA).contains(beta);
    if let Some(node) = section.get("betas") {
        let betas: Option<Vec<f64>> = list(node).into_iter().map(|item| text(item)?.parse().ok().filter(fits)).collect();
        match betas.filter(|betas| !betas.is_empty()) {
            Some(betas) => found.betas = betas,
            None => findings.problem(
                node.place,
                &format!("{path}.betas"),
                format!("{path}.betas is no list of numbers from 0 to {LARGEST_BETA}"),
                Some("write betas: [0.5, 2, 2, 2, 2]".into()),
            ),
        }
    }
    found.rest = section.number("rest", "a number from 0 to 100", |beta| fits(&beta), findings).unwrap_or(found.rest);
    section.finish(findings);
    found
}
