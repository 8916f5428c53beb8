//! `ticket` and `draws`: which ticket an arm trains, leaves alone or restores, and how often a random one is drawn.

use crate::pipeline::node::{Node, Place};
use crate::pipeline::reader::{Findings, text};
use crate::pipeline::settings::{Arm, ArmTicket, Ticket};

/// More random tickets than anybody needs.
pub(super) const MOST_DRAWS: u64 = 100;

/// One of the pipeline's tickets by its name, or `random`.
pub(super) fn ticket(node: &Node, path: &str, tickets: &[Ticket], findings: &mut Findings) -> Option<ArmTicket> {
    match text(node).unwrap_or_default().as_str() {
        "random" => match tickets.first() {
            Some(first) => Some(ArmTicket::Random { like: first.name.clone(), draw: 0 }),
            None => {
                findings.problem(
                    node.place,
                    path,
                    "a random ticket takes its density from the pipeline's ticket, and there is none",
                    Some("write ticket: {score: snip, data: …}".into()),
                );
                None
            }
        },
        named if tickets.iter().any(|ticket| ticket.name == named) => Some(ArmTicket::Named(named.to_owned())),
        other => {
            let have: Vec<&str> = tickets.iter().map(|ticket| ticket.name.as_str()).chain(["random"]).collect();
            findings.problem(node.place, path, format!("there is no ticket {other:?}"), Some(format!("tickets are {}", have.join(", "))));
            None
        }
    }
}

/// An arm for every draw of its random ticket: `NAME`, `NAME-2`, …; `draws` is where it stands and how many.
pub(super) fn drawn(arm: Arm, draws: Option<(Place, u64)>, path: &str, findings: &mut Findings) -> Vec<Arm> {
    match (draws, &arm.ticket) {
        (None, _) => vec![arm],
        (Some((place, draws)), _) if draws > MOST_DRAWS => {
            let message = format!("{path}.draws is {draws}, expected at most {MOST_DRAWS}");
            findings.problem(place, &format!("{path}.draws"), message, Some("write draws: 3".into()));
            vec![arm]
        }
        (Some((_, draws)), Some(ArmTicket::Random { like, .. })) => (0..draws as u32)
            .map(|draw| Arm {
                name: if draw == 0 { arm.name.clone() } else { format!("{}-{}", arm.name, draw + 1) },
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
