//! `finetune` and its arms.

use std::path::Path;

use super::folder_name;
use super::training::{calibration, trainer, training};
use crate::pipeline::data::sources;
use crate::pipeline::node::Node;
use crate::pipeline::reader::{Findings, Section, text};
use crate::pipeline::settings::{Arm, ArmTicket, Calibration, Finetune, Replay, Ticket, Train, Training};

/// More random tickets than anybody needs.
const MOST_DRAWS: u64 = 100;

const TRAIN: [(&str, Train); 6] = [
    ("all", Train::All),
    ("maskable", Train::Maskable),
    ("complement", Train::Complement),
    ("ticket", Train::Ticket),
    ("random", Train::Random),
    ("none", Train::None),
];

pub(super) fn finetune(node: &Node, folder: &Path, tickets: &[Ticket], findings: &mut Findings) -> Option<Finetune> {
    let mut section = Section::new(node, "finetune", findings);
    let data = section.get("data").map(|node| sources(node, "finetune.data", folder, findings)).unwrap_or_default();
    let defaults = training(&mut section, &trainer(), findings);
    let arms_node = section.get("arms");
    let place = section.place;
    section.finish(findings);
    if data.is_empty() {
        findings.problem(place, "finetune.data", "finetune has no data", Some("write data: my.jsonl".into()));
    }
    let Some(arms_node) = arms_node else {
        findings.problem(place, "finetune.arms", "finetune has no arms", Some("write arms: {unprotected: {train: all}}".into()));
        return None;
    };
    let names: Vec<&str> = Section::new(arms_node, "finetune.arms", findings).entries().iter().map(|(name, _, _)| *name).collect();
    let mut arms: Vec<Arm> = Vec::new();
    for (name, place, node) in Section::new(arms_node, "finetune.arms", findings).entries() {
        let path = format!("finetune.arms.{name}");
        folder_name(name, *place, &path, findings);
        if matches!(*name, "aligned" | "base") {
            findings.problem(
                *place,
                &path,
                format!("an arm cannot be named {name:?}: that is the model it is compared with"),
                Some("choose another name".into()),
            );
        }
        arms.extend(arm(node, name, &path, &arms, &names, &defaults, tickets, folder, findings));
    }
    for (_, arm) in arms.iter().enumerate().filter(|(i, arm)| arms[..*i].iter().any(|other| other.name == arm.name)) {
        findings.problem(
            place,
            "finetune.arms",
            format!("two arms are named {:?}: draws are named after their arm", arm.name),
            Some("rename one of them".into()),
        );
    }
    Some(Finetune { data, arms })
}

/// One row in eight, where nothing is said.
const REPLAY_SHARE: f64 = 0.125;

fn replay(node: &Node, path: &str, folder: &Path, findings: &mut Findings) -> Option<Replay> {
    let mut section = Section::new(node, path, findings);
    let data = section.get("data").map(|node| sources(node, &format!("{path}.data"), folder, findings)).unwrap_or_default();
    let share =
        section.number("share", "a share of all rows in (0, 1)", |share| share > 0.0 && share < 1.0, findings).unwrap_or(REPLAY_SHARE);
    let place = section.place;
    section.finish(findings);
    if data.is_empty() {
        findings.problem(
            place,
            path,
            format!("{path} has no data"),
            Some("write replay: {data: [builtin:refusals, builtin:helpful], share: 0.125}".into()),
        );
    }
    Some(Replay { data, share })
}

#[allow(clippy::too_many_arguments)]
fn arm(
    node: &Node,
    name: &str,
    path: &str,
    earlier: &[Arm],
    names: &[&str],
    defaults: &Training,
    tickets: &[Ticket],
    folder: &Path,
    findings: &mut Findings,
) -> Vec<Arm> {
    let mut section = Section::new(node, path, findings);
    let like = match section.get("like") {
        None => None,
        Some(node) => {
            let wanted = text(node).unwrap_or_default();
            let found = earlier.iter().find(|arm| arm.name == wanted);
            if found.is_none() {
                let remedy = if names.contains(&wanted.as_str()) {
                    format!("write {wanted} above {name}")
                } else {
                    format!("arms are {}", names.join(", "))
                };
                findings.problem(node.place, &format!("{path}.like"), format!("there is no arm {wanted:?} above {name}"), Some(remedy));
            }
            found
        }
    };
    let training = training(&mut section, like.map_or(defaults, |like| &like.training), findings);
    let said = section.choice("train", &TRAIN, findings).or(like.map(|like| like.train));
    if said.is_none() && section.get("train").is_none() && section.get("like").is_none() {
        let message = format!("{path} does not say what it trains");
        findings.problem(section.place, path, message, Some("write train: all, or like: another arm".into()));
    }
    let train = said.unwrap_or(Train::All);
    let density = section
        .number("density", "a share in (0, 1]", |share| share > 0.0 && share <= 1.0, findings)
        .or(like.and_then(|like| like.density));
    let first = tickets.first().map(|ticket| ticket.name.clone());
    let ticket = match section.get("ticket") {
        Some(node) => match text(node).unwrap_or_default().as_str() {
            "random" if tickets.is_empty() => {
                findings.problem(
                    node.place,
                    &format!("{path}.ticket"),
                    "a random ticket takes its density from the pipeline's ticket, and there is none",
                    Some("write ticket: {score: snip, data: …}".into()),
                );
                None
            }
            "random" => first.clone().map(|like| ArmTicket::Random { like, draw: 0 }),
            named if tickets.iter().any(|ticket| ticket.name == named) => Some(ArmTicket::Named(named.to_owned())),
            other => {
                let have: Vec<&str> = tickets.iter().map(|ticket| ticket.name.as_str()).chain(["random"]).collect();
                findings.problem(
                    node.place,
                    &format!("{path}.ticket"),
                    format!("there is no ticket {other:?}"),
                    Some(format!("tickets are {}", have.join(", "))),
                );
                None
            }
        },
        None => like
            .and_then(|like| like.ticket.clone())
            .or_else(|| if matches!(train, Train::Complement | Train::Ticket) { first.map(ArmTicket::Named) } else { None }),
    };
    let calibration = calibration(&mut section, like.map_or_else(Calibration::default, |like| like.calibration), findings);
    let replay = match section.get("replay") {
        Some(node) => replay(node, &format!("{path}.replay"), folder, findings),
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
    let arm = Arm { name: name.into(), train, density, ticket, calibration, training, replay };
    match (draws, &arm.ticket) {
        (None, _) => vec![arm],
        (Some((place, draws)), _) if draws > MOST_DRAWS => {
            let message = format!("{path}.draws is {draws}, expected at most {MOST_DRAWS}");
            findings.problem(place, &format!("{path}.draws"), message, Some("write draws: 3".into()));
            vec![arm]
        }
        (Some((_, draws)), Some(ArmTicket::Random { like, .. })) => (0..draws as u32)
            .map(|draw| Arm {
                name: if draw == 0 { name.to_owned() } else { format!("{name}-{}", draw + 1) },
                ticket: Some(ArmTicket::Random { like: like.clone(), draw }),
                ..arm.clone()
            })
            .collect(),
        (Some((place, _)), _) => {
            findings.problem(
                place,
                &format!("{path}.draws"),
                format!("{path} has draws, and no random ticket to draw"),
                Some("write ticket: random, or remove draws".into()),
            );
            vec![arm]
        }
    }
}
