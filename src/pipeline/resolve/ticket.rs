//! `ticket`, `tickets`.

use std::path::Path;

use super::existing;
use super::over::{check_over, over};
use super::training::calibration;
use crate::pipeline::data::source;
use crate::pipeline::node::{Node, Place};
use crate::pipeline::reader::{Findings, Section, text};
use crate::pipeline::settings::{Calibration, Minus, Scope, Score, Structure, Ticket};

/// Share of the weights that are taken away, where nothing is said.
const MINUS: f64 = 0.1;

/// What may be said of a ticket, beside its twin.
const KEYS: [&str; 11] = [
    "score",
    "data",
    "density",
    "scope",
    "structure",
    "minus",
    "over",
    "max_length",
    "calibration_steps",
    "calibration_learning_rate",
    "file",
];

/// Reads one ticket; `earlier` are those above it, of which it may be the twin.
pub(super) fn ticket(node: &Node, name: &str, path: &str, folder: &Path, earlier: &[Ticket], findings: &mut Findings) -> Option<Ticket> {
    let mut section = Section::new(node, path, findings);
    let twin = twin(&mut section, path, earlier, findings);
    let like = twin.cloned().unwrap_or_else(|| usual(name));
    let given = |section: &mut Section<'_>, key: &'static str| section.get(key).map(|node| node.place);
    let score = section.choice("score", &Score::NAMES, findings).unwrap_or(like.score);
    let data = section.get("data").and_then(|node| source(node, &format!("{path}.data"), folder, findings));
    let density = section.number("density", "a share in (0, 1]", |share| share > 0.0 && share <= 1.0, findings).unwrap_or(like.density);
    let scope = section.choice("scope", &Scope::NAMES, findings).unwrap_or(like.scope);
    let structure = section.choice("structure", &Structure::NAMES, findings).unwrap_or(like.structure);
    let minus = match section.get("minus") {
        Some(node) => minus(node, &format!("{path}.minus"), folder, findings),
        None => like.minus.clone(),
    };
    let over = match section.get("over") {
        Some(node) => over(node, &format!("{path}.over"), folder, findings),
        None => like.over.clone(),
    };
    let max_length = section.whole("max_length", 2, findings).unwrap_or(like.max_length as u64) as usize;
    let calibration = calibration(&mut section, like.calibration, findings);
    let file = section.text("file", findings).map(|file| {
        existing(&mut section, "file", &folder.join(file), "extract one: steadfast ticket extract PIPELINE --out FILE", findings)
    });
    let places: Vec<(&str, Place)> = KEYS.into_iter().filter_map(|key| Some((key, given(&mut section, key)?))).collect();
    let place = section.place;
    section.finish(findings);
    let twin_of = twin.map(|twin| twin.name.clone());
    let ticket = Ticket { name: name.into(), score, data, density, scope, structure, minus, over, twin_of, max_length, calibration, file };
    let at = |key: &str| places.iter().find(|(known, _)| *known == key).map_or(place, |(_, place)| *place);
    if ticket.score.needs_data() && ticket.data.is_none() && ticket.file.is_none() {
        let message = format!("{path}: a {} score needs data", score.name());
        findings.problem(place, path, message, Some("write data: builtin:refusals".into()));
    }
    if let Some(original) = twin {
        differs(&ticket, original, path, &at, findings);
    }
    unused(&ticket, path, &places, findings);
    pieces(&ticket, path, &at, findings);
    check_over(&ticket, path, at("over"), findings);
    Some(ticket)
}

/// What is not said.
fn usual(name: &str) -> Ticket {
    Ticket {
        name: name.into(),
        score: Score::Snip,
        data: None,
        density: 0.5,
        scope: Scope::Global,
        structure: Structure::Weight,
        minus: None,
        over: None,
        twin_of: None,
        max_length: 512,
        calibration: Calibration::default(),
        file: None,
    }
}

/// The ticket whose twin this is to be.
fn twin<'a>(section: &mut Section<'_>, path: &str, earlier: &'a [Ticket], findings: &mut Findings) -> Option<&'a Ticket> {
    let named = section.text("twin_of", findings)?;
    let path = format!("{path}.twin_of");
    let place = section.get("twin_of").map_or(section.place, |node| node.place);
    let found = earlier.iter().find(|ticket| ticket.name == named);
    let problem = match found {
        None => {
            let above: Vec<&str> = earlier.iter().map(|ticket| ticket.name.as_str()).collect();
            let remedy =
                if above.is_empty() { "write ticket: {…} first".into() } else { format!("tickets above are {}", above.join(", ")) };
            Some((format!("there is no ticket {named:?} above"), remedy))
        }
        Some(original) if original.file.is_some() => {
            Some((format!("ticket {named} comes from a file, so what its twin would be scored by is not known"), "remove twin_of".into()))
        }
        Some(original) if !original.score.needs_data() => Some((
            format!("ticket {named} is scored by {}, on no data that a twin could differ in", original.score.name()),
            "remove twin_of".into(),
        )),
        Some(_) => None,
    };
    match problem {
        Some((message, remedy)) => {
            findings.problem(place, &path, message, Some(remedy));
            None
        }
        None => found,
    }
}

/// A twin has other data, and nothing else that is other.
fn differs(ticket: &Ticket, original: &Ticket, path: &str, at: &dyn Fn(&str) -> Place, findings: &mut Findings) {
    let others = [
        ("score", ticket.score != original.score),
        ("density", ticket.density != original.density),
        ("scope", ticket.scope != original.scope),
        ("structure", ticket.structure != original.structure),
        ("minus", ticket.minus != original.minus),
        ("over", ticket.over != original.over),
        ("max_length", ticket.max_length != original.max_length),
        ("calibration_steps", ticket.calibration.steps != original.calibration.steps),
        ("calibration_learning_rate", ticket.calibration.learning_rate != original.calibration.learning_rate),
        ("file", ticket.file.is_some()),
    ];
    for (key, _) in others.iter().filter(|(_, differs)| *differs) {
        let message = format!("{path} has another {key} than ticket {}: a twin differs in its data alone", original.name);
        findings.problem(at(key), &format!("{path}.{key}"), message, Some(format!("remove {key}, or twin_of")));
    }
    if ticket.minus.as_ref().is_some_and(|minus| ticket.data.as_ref() == Some(&minus.data)) {
        let message = format!("{path} is scored on the data whose top minus takes away: what is left of it is no fair twin");
        findings.problem(at("data"), &format!("{path}.data"), message, Some("name other benign rows".into()));
    }
    if ticket.data.is_some() && ticket.data == original.data {
        let message = format!("{path} is scored on the data of ticket {}: it would be the same ticket", original.name);
        findings.problem(at("data"), &format!("{path}.data"), message, Some("name benign data: data: builtin:helpful".into()));
    }
}

fn minus(node: &Node, path: &str, folder: &Path, findings: &mut Findings) -> Option<Minus> {
    // The short form: `minus: builtin:helpful`.
    if text(node).is_some() {
        return Some(Minus { data: source(node, path, folder, findings)?, density: MINUS });
    }
    let mut section = Section::new(node, path, findings);
    let data = section.get("data").and_then(|node| source(node, &format!("{path}.data"), folder, findings));
    let density = section.number("density", "a share in (0, 1)", |share| share > 0.0 && share < 1.0, findings).unwrap_or(MINUS);
    let place = section.place;
    section.finish(findings);
    if data.is_none() {
        findings.problem(place, path, format!("{path} has no data"), Some("write minus: {data: builtin:helpful, density: 0.1}".into()));
    }
    Some(Minus { data: data?, density })
}

/// Keys at which such a ticket would not look: its file holds all of it, or its score needs neither data nor training.
fn unused(ticket: &Ticket, path: &str, given: &[(&str, Place)], findings: &mut Findings) {
    let score = ticket.score.name();
    for (key, place) in given {
        let (why, or) = match *key {
            // What these say of a file is told below.
            "file" | "minus" | "over" => continue,
            _ if ticket.file.is_some() => ("a ticket from a file is as it was extracted".to_owned(), "file"),
            "calibration_steps" | "calibration_learning_rate" if ticket.score != Score::Calibrate => {
                (format!("a {score} score trains nothing"), "write score: calibrate")
            }
            "data" | "max_length" if !ticket.score.needs_data() => (format!("a {score} score is taken on no data"), "write score: snip"),
            _ => continue,
        };
        findings.problem(*place, &format!("{path}.{key}"), format!("{path} has {key}, and {why}"), Some(format!("remove {key}, or {or}")));
    }
}

/// Scope, structure and minus must leave something that can be taken.
fn pieces(ticket: &Ticket, path: &str, at: &dyn Fn(&str) -> Place, findings: &mut Findings) {
    if ticket.scope == Scope::Row && !ticket.structure.is_weight() {
        let message = format!("{path}: scope: row chooses inside each row, structure: {} chooses whole ones", ticket.structure.name());
        findings.problem(at("structure"), &format!("{path}.structure"), message, Some("write scope: tensor, or remove structure".into()));
    }
    let Some(minus) = &ticket.minus else { return };
    let key = format!("{path}.minus");
    if !ticket.score.needs_data() || ticket.file.is_some() {
        let what = if ticket.file.is_some() { "a ticket from a file" } else { ticket.score.name() };
        let message = format!("{path}: minus scores other data, and {what} is scored on none");
        findings.problem(at("minus"), &key, message, Some("remove minus, or write score: snip".into()));
    }
    if ticket.density + minus.density > 1.0 {
        let message = format!(
            "{path}: density {} and minus.density {} are more than all weights: what is taken away cannot be selected",
            ticket.density, minus.density
        );
        findings.problem(at("minus"), &key, message, Some("lower one of them".into()));
    }
}
