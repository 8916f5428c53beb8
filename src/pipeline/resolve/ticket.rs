//! `ticket`, `tickets`.

use std::path::Path;

use super::existing;
use super::training::calibration;
use crate::pipeline::data::source;
use crate::pipeline::node::Node;
use crate::pipeline::reader::{Findings, Section};
use crate::pipeline::settings::{Calibration, Scope, Score, Ticket};

pub(super) fn ticket(node: &Node, name: &str, path: &str, folder: &Path, findings: &mut Findings) -> Option<Ticket> {
    let mut section = Section::new(node, path, findings);
    let score = section.choice("score", &Score::NAMES, findings).unwrap_or(Score::Snip);
    let data = section.get("data").and_then(|node| source(node, &format!("{path}.data"), folder, findings));
    let density = section.number("density", "a share in (0, 1]", |share| share > 0.0 && share <= 1.0, findings).unwrap_or(0.5);
    let scope = section
        .choice("scope", &[("global", Scope::Global), ("layer", Scope::Layer), ("tensor", Scope::Tensor)], findings)
        .unwrap_or(Scope::Global);
    let max_length = section.whole("max_length", 2, findings).unwrap_or(512) as usize;
    let calibration = calibration(&mut section, Calibration::default(), findings);
    let file = section.text("file", findings).map(|file| {
        existing(&mut section, "file", &folder.join(file), "extract one: steadfast ticket extract PIPELINE --out FILE", findings)
    });
    let place = section.place;
    section.finish(findings);
    if score.needs_data() && data.is_none() && file.is_none() {
        findings.problem(place, path, format!("{path}: a {} score needs data", score.name()), Some("write data: builtin:refusals".into()));
    }
    Some(Ticket { name: name.into(), score, data, density, scope, max_length, calibration, file })
}
