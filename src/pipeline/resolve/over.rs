//! `over` of a ticket: the data whose scores its own are divided by.

use std::path::Path;

use crate::pipeline::data::source;
use crate::pipeline::node::{Node, Place};
use crate::pipeline::reader::{Findings, Section, text};
use crate::pipeline::settings::{Over, Ticket};

/// ε in mean scores, where nothing is said.
const EPSILON: f64 = 0.1;

pub(super) fn over(node: &Node, path: &str, folder: &Path, findings: &mut Findings) -> Option<Over> {
    // The short form: `over: my.csv`.
    if text(node).is_some() {
        return Some(Over { data: source(node, path, folder, findings)?, epsilon: EPSILON });
    }
    let mut section = Section::new(node, path, findings);
    let data = section.get("data").and_then(|node| source(node, &format!("{path}.data"), folder, findings));
    let epsilon = section.number("epsilon", "a number above 0", |epsilon| epsilon > 0.0, findings).unwrap_or(EPSILON);
    let place = section.place;
    section.finish(findings);
    if data.is_none() {
        findings.problem(
            place,
            path,
            format!("{path} has no data"),
            Some("write over: {data: builtin:helpful}, or rows of the task".into()),
        );
    }
    Some(Over { data: data?, epsilon })
}

/// What `over` cannot stand beside; `place` is where it is written.
pub(super) fn check_over(ticket: &Ticket, path: &str, place: Place, findings: &mut Findings) {
    let Some(over) = &ticket.over else { return };
    let key = format!("{path}.over");
    if !ticket.score.needs_data() || ticket.file.is_some() {
        let what = if ticket.file.is_some() { "a ticket from a file" } else { ticket.score.name() };
        let message = format!("{path}: over divides by the score on other data, and {what} is scored on none");
        findings.problem(place, &key, message, Some("remove over, or write score: snip".into()));
    }
    if ticket.minus.is_some() {
        let message = format!("{path} has minus and over, two answers to what it is to leave to other data");
        findings.problem(place, &key, message, Some("remove one of them".into()));
    }
    if ticket.data.as_ref() == Some(&over.data) {
        let message = format!("{path} is scored on the data that over divides by: every weight would weigh alike");
        findings.problem(place, &key, message, Some("name other rows, those of the task".into()));
    }
}
