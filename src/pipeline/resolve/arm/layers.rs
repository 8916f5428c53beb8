//! `layers`: the layers that an arm trains, as a list or from one to another.

use crate::pipeline::node::{Node, Value};
use crate::pipeline::reader::{Findings, Section, list, show};
use crate::pipeline::settings::Layers;

pub(super) fn layers(node: &Node, path: &str, findings: &mut Findings) -> Option<Layers> {
    if matches!(node.value, Value::Map(_)) { range(node, path, findings) } else { listed(node, path, findings) }
}

/// `{from: 0, to: 8}`, both included; a side that is not given is the model's own.
fn range(node: &Node, path: &str, findings: &mut Findings) -> Option<Layers> {
    let mut section = Section::new(node, path, findings);
    let from = section.whole("from", 0, findings).unwrap_or(0) as usize;
    let to = section.whole("to", 0, findings).map(|to| to as usize);
    let empty = section.entries().is_empty();
    section.finish(findings);
    if empty || to.is_some_and(|to| to < from) {
        let message = match to {
            Some(to) => format!("{path} goes from {from} to {to}: no layer is in it"),
            None => format!("{path} names no layer"),
        };
        findings.problem(node.place, path, message, Some("write layers: {from: 0, to: 8}, both included, or layers: [0, 1, 2]".into()));
        return None;
    }
    Some(Layers::Range { from, to })
}

/// `[0, 1, 5]`, or one number.
fn listed(node: &Node, path: &str, findings: &mut Findings) -> Option<Layers> {
    let mut layers = Vec::new();
    for item in list(node) {
        match item.value {
            Value::Int(layer) if layer >= 0 && !layers.contains(&(layer as usize)) => layers.push(layer as usize),
            _ => {
                findings.problem(
                    item.place,
                    path,
                    format!("{path} holds {}, expected numbers of layers from 0 on, each once", show(item)),
                    Some("write layers: [0, 1, 2], or layers: {from: 0, to: 8}".into()),
                );
                return None;
            }
        }
    }
    if layers.is_empty() {
        findings.problem(node.place, path, format!("{path} names no layer"), Some("write layers: [0, 1, 2], or remove it".into()));
        return None;
    }
    layers.sort_unstable();
    Some(Layers::Listed(layers))
}
