//! Which keys of an arm go together. What means nothing together is a problem: an arm that silently did less than it says would be
//! compared as if it did it.

use crate::pipeline::reader::{Findings, Section};
use crate::pipeline::settings::{Arm, ArmTicket, Edit, Ticket, Train};

/// What of a share is lost in writing it as a decimal.
pub(super) const ROUNDING: f64 = 1e-9;

/// An arm that trains something, or nothing.
pub(super) fn check_trained(section: &Section<'_>, arm: &Arm, tickets: &[Ticket], findings: &mut Findings) {
    let path = section.path.as_str();
    let gives = |key: &str| section.entries().iter().any(|(name, _, _)| *name == key);
    // Without a key, the arm as a whole.
    let mut problem = |key: &str, message: String, remedy: &str| {
        let name = if key.is_empty() { path.to_owned() } else { section.join(key) };
        findings.problem(section.place_of(key), &name, message, Some(remedy.into()));
    };
    let train = TRAINS.iter().find(|(train, _)| *train == arm.train).map_or("", |(_, what)| what);
    let says_what = gives("train") || gives("like") || (gives("protect") && arm.train == Train::Complement);
    if !says_what {
        problem(
            "",
            format!("{path} does not say what it trains"),
            "write train: all, like: another arm, or from: another arm with an edit:",
        );
    }
    let around_ticket = matches!(arm.train, Train::Complement | Train::Ticket);
    if around_ticket && arm.ticket.is_none() && !gives("ticket") {
        problem(
            "",
            format!("{path} trains around a ticket, and the pipeline has none"),
            "write ticket: {score: snip, data: builtin:refusals, density: 0.5}",
        );
    }
    if gives("ticket") && !around_ticket {
        let remedy = match arm.train {
            Train::Lora => {
                "LoRA changes whole matrices: write train: complement, or restore the ticket afterwards in an arm {from: ARM, edit: {restore: ticket}}"
            }
            _ => "remove ticket, or write train: complement, which stays outside it",
        };
        problem("ticket", format!("{path} trains {train} and has a ticket, at which it would not look"), remedy);
    }
    match arm.density {
        Some(_) if !matches!(arm.train, Train::Complement | Train::Random) => problem(
            "density",
            format!("{path} has a density, which means nothing with this train"),
            "remove density, or write train: complement or train: random",
        ),
        Some(density) if arm.train == Train::Complement => {
            if let Some((ticket, outside)) = outside(arm, tickets).filter(|(_, outside)| density > outside + ROUNDING) {
                problem(
                    "density",
                    format!(
                        "{path} trains {:.1} % of maskable, and only {:.1} % lie outside ticket {ticket:?}",
                        density * 100.0,
                        outside * 100.0
                    ),
                    "lower the arm's density or the ticket's, or remove the arm's to train all of the complement",
                );
            }
        }
        None if arm.train == Train::Complement => {
            if let Some((ticket, _)) = outside(arm, tickets).filter(|(_, outside)| *outside <= ROUNDING) {
                problem(
                    "ticket",
                    format!("{path} trains what lies outside ticket {ticket:?}, which holds every maskable weight"),
                    "lower the ticket's density",
                );
            }
        }
        None if arm.train == Train::Random => {
            problem("", format!("{path} trains a random share, and names none"), "write density: 0.10");
        }
        _ => {}
    }
    if gives("lora") && arm.train != Train::Lora {
        problem("lora", format!("{path} trains {train} and says how LoRA would"), "write train: lora, or remove lora");
    }
    if arm.train == Train::Lora {
        // Also where protect or like brings them.
        let acts = [("elastic", arm.elastic.is_some(), "the model's own weights"), ("project", arm.project.is_some(), "their gradients")];
        for (key, _, what) in acts.into_iter().filter(|(_, has, _)| *has) {
            let remedy = format!("remove {key}, write anchor: {{data: builtin:refusals}} in its place, or train: maskable");
            problem(key, format!("{path} trains {train}, and {key} acts on {what}"), &remedy);
        }
    }
    if arm.train == Train::None {
        for key in
            ["layers", "replay", "first_tokens", "anchor", "elastic", "project", "protect", "merge"].into_iter().filter(|key| gives(key))
        {
            problem(key, format!("{path} trains nothing, and has {key}"), "remove it, or say what is trained: train: all");
        }
    }
}

/// What is trained, in messages.
const TRAINS: [(Train, &str); 7] = [
    (Train::All, "every weight"),
    (Train::Maskable, "every maskable weight"),
    (Train::Complement, "the complement"),
    (Train::Ticket, "the ticket"),
    (Train::Random, "a random share"),
    (Train::Lora, "LoRA factors"),
    (Train::None, "nothing"),
];

/// The share of maskable outside an arm's ticket, rounding allowed for; none of an arm that may train all, or whose ticket's file alone
/// knows.
pub(in crate::pipeline::resolve) fn room_outside(arm: &Arm, tickets: &[Ticket]) -> Option<f64> {
    (arm.train == Train::Complement).then_some(())?;
    outside(arm, tickets).map(|(_, outside)| outside + ROUNDING)
}

/// The arm's ticket, and the share of maskable outside it; none where its file alone knows.
pub(super) fn outside<'a>(arm: &'a Arm, tickets: &[Ticket]) -> Option<(&'a str, f64)> {
    let (ArmTicket::Named(name) | ArmTicket::Random { like: name, .. }) = arm.ticket.as_ref()?;
    let ticket = tickets.iter().find(|ticket| ticket.name == *name && ticket.file.is_none())?;
    Some((name, 1.0 - ticket.density))
}

/// Which keys an edited arm has, and the arm that it takes after.
pub(super) struct Given<'a> {
    /// `from`.
    pub from: bool,
    /// `edit`.
    pub edit: bool,
    /// `like`.
    pub like: Option<&'a Arm>,
    /// Whether there is a base.
    pub base: bool,
}

/// An arm that is made of another one's weights; `edit` is what is done, `names_ticket` whether it says itself what it restores.
pub(super) fn check_edited(section: &Section<'_>, given: &Given<'_>, edit: Option<Edit>, names_ticket: bool, findings: &mut Findings) {
    let path = section.path.as_str();
    let inherits = given.like.is_some_and(|like| like.edit.is_some());
    let gives = |key: &str| section.entries().iter().any(|(name, _, _)| *name == key);
    let mut problem = |key: &str, place: &str, message: String, remedy: String| {
        findings.problem(section.place_of(place), &section.join(key), message, Some(remedy));
    };
    for (key, _) in section.given_but(&["like", "from", "edit", "ticket", "draws"]) {
        let message = format!("{path} is made of another arm's weights and trains nothing, and has {key}");
        problem(key, key, message, format!("remove {key}, or write it in the arm that is trained"));
    }
    if given.like.is_some() && !inherits {
        let message = format!("{path} is made of another arm's weights, and like: names an arm that trains");
        problem("like", "like", message, "remove like, or name an arm with from: and edit:".into());
    }
    if !given.from && !inherits {
        let message = format!("{path} edits weights, and does not say whose");
        problem("from", "edit", message, "write from: the arm whose weights are edited".into());
    }
    if !given.edit && !inherits {
        let message = format!("{path} is made of another arm's weights, and does not say how");
        let remedy = "write edit: {interpolate: {weight: 0.5}}, {restore: ticket}, {resta: {scale: 0.5}} or {safe_lora: {threshold: 0.5}}";
        problem("edit", "from", message, remedy.into());
    }
    if gives("ticket") && edit.is_some_and(|edit| edit != Edit::Restore) {
        let message = format!("{path} has a ticket, at which its edit would not look");
        problem("ticket", "ticket", message, "remove ticket, or write edit: {restore: TICKET}".into());
    }
    if edit.is_some_and(|edit| edit.needs_base()) && !given.base {
        let message = format!("{path} compares the aligned model with the base that it was made of, and the pipeline names none");
        problem("edit", "edit", message, "write model.base, with model.aligned or align:; or edit: {interpolate: {weight: 0.5}}".into());
    }
    if gives("ticket") && names_ticket {
        let message = format!("{path} names the ticket that it restores twice");
        problem("ticket", "ticket", message, "remove ticket".into());
    }
}
