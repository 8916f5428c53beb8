//! `merge`: an arm whose tasks are trained side by side.

use serde_json::json;

use crate::pipeline::node::Node;
use crate::pipeline::reader::{Findings, Section, list, show, text};
use crate::pipeline::settings::{Arm, Merge, MergeMethod};

const METHODS: [(&str, MergeMethod); 4] = [
    ("union", MergeMethod::Union),
    ("task-arithmetic", MergeMethod::TaskArithmetic),
    ("ties", MergeMethod::Ties),
    ("dare", MergeMethod::Dare),
];

/// Share of a tensor's weights that TIES keeps where nothing is said: its paper's k.
const TIES_DENSITY: f64 = 0.2;

/// Share of the changed weights that DARE keeps where nothing is said: a drop rate of 0.9, which its paper finds harmless.
const DARE_DENSITY: f64 = 0.1;

/// How tasks are merged, of so many.
pub(super) fn merge(node: &Node, path: &str, tasks: usize, findings: &mut Findings) -> Option<Merge> {
    let mut section = Section::new(node, path, findings);
    let method = section.choice("method", &METHODS, findings);
    let density = section.number("density", "a share in (0, 1]", |share| share > 0.0 && share <= 1.0, findings);
    let scale = scales(&mut section, tasks, findings);
    let asks = section.entries().iter().any(|(name, _, _)| *name == "method");
    let Some(method) = method else {
        if !asks {
            let remedy = "write merge: {method: union}, {method: task-arithmetic}, {method: ties} or {method: dare}".to_owned();
            findings.problem(section.place, path, format!("{path} has no method"), Some(remedy));
        }
        section.finish(findings);
        return None;
    };
    let takes: &[&str] = match method {
        MergeMethod::Union => &[],
        MergeMethod::TaskArithmetic => &["scale"],
        MergeMethod::Ties | MergeMethod::Dare => &["scale", "density"],
    };
    for (key, place) in section.given_but(&["method"]).into_iter().filter(|(key, _)| !takes.contains(key)) {
        let name = METHODS.iter().find(|(_, other)| *other == method).map_or("", |(name, _)| name);
        let remedy = format!("remove {key}, or write a method that has it: method: ties");
        findings.problem(place, &section.join(key), format!("{path} has {key}, and {name} has none"), Some(remedy));
    }
    section.finish(findings);
    Some(Merge {
        method,
        density: match method {
            MergeMethod::Ties => density.or(Some(TIES_DENSITY)),
            MergeMethod::Dare => density.or(Some(DARE_DENSITY)),
            MergeMethod::Union | MergeMethod::TaskArithmetic => None,
        },
        scale: match method {
            MergeMethod::Union => Vec::new(),
            _ if scale.is_empty() => vec![1.0],
            _ => scale,
        },
    })
}

/// One scale, or one for each of so many tasks; empty where none is given.
fn scales(section: &mut Section<'_>, tasks: usize, findings: &mut Findings) -> Vec<f64> {
    let number = json!({"type": "number"});
    section.describe(
        "scale",
        json!({"anyOf": [number, {"type": "array", "items": number, "minItems": 1}], "description": "One for all tasks, or one for each."}),
    );
    let path = section.join("scale");
    let Some(node) = section.get("scale") else { return Vec::new() };
    let mut scales = Vec::new();
    for item in list(node) {
        // As it is computed with.
        match text(item).and_then(|text| text.parse().ok()).filter(|scale: &f64| (*scale as f32).is_finite()) {
            Some(scale) => scales.push(scale),
            None => {
                let remedy = "write scale: 1.0, or one for each task".to_owned();
                findings.problem(item.place, &path, format!("{path} has {}, expected a number", show(item)), Some(remedy));
            }
        }
    }
    let given = list(node).len();
    if given != 1 && given != tasks {
        let remedy = "write one scale for all tasks, or one for each in their order".to_owned();
        findings.problem(node.place, &path, format!("{path} has {given} scales for {tasks} tasks"), Some(remedy));
    }
    scales
}

/// Checks that an arm which merges has what it merges.
pub(super) fn check_merge(section: &Section<'_>, arm: &Arm, tasks: usize, findings: &mut Findings) {
    let Some(merge) = &arm.merge else { return };
    let path = section.path.as_str();
    let mut problem = |message: String, remedy: &str| {
        findings.problem(section.place_of("merge"), &section.join("merge"), message, Some(remedy.into()));
    };
    if tasks < 2 {
        let found = if tasks == 0 { "the pipeline names none".to_owned() } else { "there is one".to_owned() };
        problem(
            format!("{path} merges tasks, and {found}"),
            "write finetune: {tasks: [{name: NAME, data: …}, {name: OTHER, data: …}]}, or remove merge",
        );
    } else if merge.method == MergeMethod::Union && !arm.has_own_weights() {
        problem(
            format!("{path} writes the changes of its tasks side by side, and they train the same weights"),
            "write merge: {method: ties}, or give each task weights of its own: train: complement, density: 0.10",
        );
    }
}
