//! Where a run's numbers come from: models, digests, numerics, judges, tickets, the probes' reference.

use serde::Serialize;

use super::cut::Cut;
use super::words::{count, percent};
use crate::eval::twin::judged;
use crate::record::{FirstToken, Record, SuiteInfo, TicketSummary};
use crate::report::Samples;

/// The most characters of a token or of a probe's refusal: they are there to show how the model refuses.
const SHORT: Cut = Cut(300);

/// Names and values, in the order in which they are shown.
pub(super) fn facts(record: &Record) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    for model in &record.models {
        let revision = model.revision.as_ref().map(|revision| format!(" at {revision}")).unwrap_or_default();
        facts.push((
            format!("model: {}", model.role),
            match &model.usage {
                Some(usage) => format!("{}{revision}; weights {}; {}", model.source, model.weights, usage.told()),
                None => {
                    // A judge's weights are none that a mask could hold.
                    let maskable = if model.maskable > 0 { format!(" ({} maskable)", count(model.maskable)) } else { String::new() };
                    format!("{}{revision}; {} parameters{maskable}, {}", model.source, count(model.parameters), model.dtype)
                }
            },
        ));
    }
    // Only one that beats its twin is a safety ticket.
    let called = |name: &String| format!("{}: {name}", judged(record, name).standing.name());
    facts.extend(record.tickets.iter().map(|(name, ticket)| (called(name), ticket_sentence(ticket))));
    facts.extend(record.judges.iter().map(|(name, judge)| {
        let usage = judge.usage.map(|usage| format!("; {}", usage.told())).unwrap_or_default();
        (format!("judge: {name}"), format!("{} {}; {}{usage}", judge.kind, judge.version, judge.calibration))
    }));
    facts.extend(record.suites.iter().map(|(name, suite)| (format!("suite: {name}"), suite_sentence(suite))));
    facts.extend(record.numerics.iter().map(|(name, value)| (format!("numerics: {name}"), value.clone())));
    facts
}

fn suite_sentence(suite: &SuiteInfo) -> String {
    let mut text = format!("{} prompts of {}", suite.prompts, suite.source);
    if let Some(window) = suite.window {
        text = format!("{} texts of {}, read in {}, behind the begin (else the end) token", suite.prompts, suite.source, window.told());
    }
    if !suite.manner.is_plain() {
        text += &format!("; {}", suite.manner.told());
    }
    if let Some(quantization) = suite.quantization {
        text += &format!("; replies by weights rounded to {}, not by those that ship", quantization.name());
    }
    if let Some(tokens) = suite.divergence {
        let whose = if suite.quantization.is_some() { ", by the weights that ship" } else { "" };
        text += &format!("; KL along the first {tokens} tokens of the aligned model's own greedy replies{whose}");
    }
    if let Some(judge) = &suite.compare {
        text += &format!("; compared with the aligned model's replies by {judge}, in both orders");
    }
    text
}

fn ticket_sentence(ticket: &TicketSummary) -> String {
    let data = ticket.data.as_ref().map(|data| format!(" on {data}")).unwrap_or_default();
    let seed = ticket.seed.map(|seed| format!(", seed {seed}")).unwrap_or_default();
    let overlap = ticket
        .overlap
        .map(|(found, chance)| format!("; overlap (Jaccard) with the first ticket {found:.3}, by chance {chance:.3}"))
        .unwrap_or_default();
    let twin = ticket.twin_of.as_ref().map(|of| format!(", the twin of {of}")).unwrap_or_default();
    let structure = ticket.structure.as_ref().map(|structure| format!(" (whole {structure}s)")).unwrap_or_default();
    let minus =
        ticket.minus.as_ref().map(|(data, density)| format!(", without the top {:.0} % on {data}", density * 100.0)).unwrap_or_default();
    let over = ticket.over.as_ref().map(|(data, _)| format!(", divided by the same on {data}")).unwrap_or_default();
    let kinds: Vec<String> = ticket.density_by_kind.iter().map(|(kind, share)| format!("{kind} {:.0} %", share * 100.0)).collect();
    format!(
        "{}{data}{over}{minus}{twin}, {}{structure}, {:.0} % of maskable ({} weights: {}){seed}{overlap}; {}",
        ticket.score,
        ticket.scope,
        ticket.density * 100.0,
        count(ticket.count),
        kinds.join(", "),
        ticket.digest
    )
}

/// What the probes compare with.
#[derive(Debug, Serialize)]
pub struct ProbesView {
    /// How many prompts were refused, by which judge, and the first tokens with their mass.
    pub sentence: String,
    /// Prompt id and refusal.
    pub refusals: Vec<(String, String)>,
}

/// What the probes compare with; its texts only where `samples` allows them. None without probes.
pub fn probes(record: &Record, samples: Samples) -> Option<ProbesView> {
    let probes = record.probes.as_ref()?;
    let texts = samples == Samples::All;
    let token = |token: &FirstToken| if texts { format!("{:?} ({})", SHORT.signed(&token.text), token.id) } else { token.id.to_string() };
    let tokens: Vec<String> = probes.first_tokens.iter().map(token).collect();
    let sentence = format!(
        "The aligned model refused {} of {} harmful probe prompts (judge {}). Drift is measured along these refusals, refusal log-odds on their first tokens: {}. On {} benign prompts the aligned model begins with one of these tokens with a probability of {}.",
        probes.refusals.len(),
        probes.asked,
        probes.judge,
        if tokens.is_empty() { "none".to_owned() } else { tokens.join(", ") },
        probes.benign_asked,
        percent(probes.benign_mass)
    );
    let refusals = probes.refusals.iter().filter(|_| texts).map(|one| (one.id.clone(), SHORT.signed(&one.text))).collect();
    Some(ProbesView { sentence, refusals })
}
