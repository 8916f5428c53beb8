//! What an arm does, in one sentence.

use crate::pipeline::settings::{Arm, ArmTicket, Train};

/// One sentence on an arm.
pub(super) fn describe(arm: &Arm) -> String {
    let rate = arm.training.learning_rate;
    let ticket = match &arm.ticket {
        Some(ArmTicket::Named(name)) => format!("ticket {name:?}"),
        Some(ArmTicket::Random { like, draw: 0 }) => format!("a random ticket as dense as {like:?}"),
        Some(ArmTicket::Random { like, draw }) => format!("a random ticket as dense as {like:?}, draw {}", draw + 1),
        None => "no ticket".into(),
    };
    let what = match (arm.train, arm.density) {
        (Train::All, _) => "every weight".into(),
        (Train::Maskable, _) => "every maskable weight".into(),
        (Train::Complement, Some(density)) => format!("the task's own top {:.0} % of maskable outside {ticket}", density * 100.0),
        (Train::Complement, None) => format!("every maskable weight outside {ticket}"),
        (Train::Ticket, _) => format!("only {ticket}"),
        (Train::Random, density) => format!("a random {:.0} % of maskable", density.unwrap_or(1.0) * 100.0),
        (Train::None, _) => return "trains nothing".into(),
    };
    let replay = arm.replay.as_ref().map(|replay| {
        let sources: Vec<&str> = replay.data.iter().map(|data| data.source.as_str()).collect();
        format!(", with {:.1} % of its rows from {}", replay.share * 100.0, sources.join(" and "))
    });
    format!("trains {what} at {rate:e}{}", replay.unwrap_or_default())
}
