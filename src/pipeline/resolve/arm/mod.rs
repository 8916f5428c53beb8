//! One arm of `finetune.arms`: the keys that every arm has, and how they go together.

mod replay;
mod ticket;

use std::path::Path;

use self::replay::replay;
use self::ticket::{drawn, ticket};
use super::training::{calibration, training};
use crate::pipeline::node::Node;
use crate::pipeline::reader::{Findings, Section, text};
use crate::pipeline::settings::{Arm, ArmTicket, Calibration, Ticket, Train, Training};

const TRAIN: [(&str, Train); 6] = [
    ("all", Train::All),
    ("maskable", Train::Maskable),
    ("complement", Train::Complement),
    ("ticket", Train::Ticket),
    ("random", Train::Random),
    ("none", Train::None),
];

/// What stands around an arm.
pub(super) struct Around<'a> {
    /// The arms above it, which it can take after.
    pub earlier: &'a [Arm],
    /// The names of all arms.
    pub names: &'a [&'a str],
    /// The section's hyperparameters.
    pub defaults: &'a Training,
    /// The pipeline's tickets.
    pub tickets: &'a [Ticket],
    /// The pipeline file's folder.
    pub folder: &'a Path,
}

impl Around<'_> {
    /// The arm above that `node`, the value of `key`, names.
    fn above(&self, node: &Node, name: &str, key: &str, findings: &mut Findings) -> Option<&Arm> {
        let wanted = text(node).unwrap_or_default();
        let found = self.earlier.iter().find(|arm| arm.name == wanted);
        if found.is_none() {
            let remedy = if self.names.contains(&wanted.as_str()) {
                format!("write {wanted} above {name}")
            } else {
                format!("arms are {}", self.names.join(", "))
            };
            findings.problem(node.place, key, format!("there is no arm {wanted:?} above {name}"), Some(remedy));
        }
        found
    }
}

/// One arm, or one for every draw of its random ticket.
pub(super) fn arm(node: &Node, name: &str, path: &str, around: &Around<'_>, findings: &mut Findings) -> Vec<Arm> {
    let mut section = Section::new(node, path, findings);
    let like = section.get("like").and_then(|node| around.above(node, name, &format!("{path}.like"), findings));
    let training = training(&mut section, like.map_or(around.defaults, |like| &like.training), findings);
    let said = section.choice("train", &TRAIN, findings).or(like.map(|like| like.train));
    if said.is_none() && section.get("train").is_none() && section.get("like").is_none() {
        let message = format!("{path} does not say what it trains");
        findings.problem(section.place, path, message, Some("write train: all, or like: another arm".into()));
    }
    let train = said.unwrap_or(Train::All);
    let density = section
        .number("density", "a share in (0, 1]", |share| share > 0.0 && share <= 1.0, findings)
        .or(like.and_then(|like| like.density));
    let ticket = match section.get("ticket") {
        Some(node) => ticket(node, &format!("{path}.ticket"), around.tickets, findings),
        None => like.and_then(|like| like.ticket.clone()).or_else(|| match train {
            Train::Complement | Train::Ticket => around.tickets.first().map(|first| ArmTicket::Named(first.name.clone())),
            _ => None,
        }),
    };
    let calibration = calibration(&mut section, like.map_or_else(Calibration::default, |like| like.calibration), findings);
    let replay = match section.get("replay") {
        Some(node) => replay(node, &format!("{path}.replay"), around.folder, findings),
        None => like.and_then(|like| like.replay.clone()),
    };
    let draws = section.get("draws").map(|node| (node.place, section.whole("draws", 1, findings).unwrap_or(1)));
    let place = section.place;
    section.finish(findings);
    if matches!(train, Train::Complement | Train::Ticket) && ticket.is_none() {
        findings.problem(
            place,
            path,
            format!("{path} trains around a ticket, and the pipeline has none"),
            Some("write ticket: {score: snip, data: builtin:refusals, density: 0.5}".into()),
        );
    }
    if density.is_some() && !matches!(train, Train::Complement | Train::Random) {
        findings.problem(
            place,
            path,
            format!("{path} has a density, which means nothing with this train"),
            Some("remove density, or write train: complement or train: random".into()),
        );
    }
    if train == Train::Random && density.is_none() {
        findings.problem(place, path, format!("{path} trains a random share, and names none"), Some("write density: 0.10".into()));
    }
    drawn(Arm { name: name.into(), train, density, ticket, calibration, training, replay }, draws, path, findings)
}
