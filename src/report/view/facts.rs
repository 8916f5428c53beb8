//! Where a run's numbers come from: models, digests, numerics, training, tickets.

use super::words::duration;
use crate::record::{Record, TicketSummary};

pub(super) fn facts(record: &Record) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    for model in &record.models {
        let revision = model.revision.as_ref().map(|revision| format!(" at {revision}")).unwrap_or_default();
        facts.push((
            format!("model: {}", model.role),
            format!(
                "{}{revision}; {} parameters ({} maskable), {}; weights {}",
                model.source, model.parameters, model.maskable, model.dtype, model.weights
            ),
        ));
    }
    facts.extend(record.numerics.iter().map(|(name, value)| (format!("numerics: {name}"), value.clone())));
    facts.extend(record.digests.iter().map(|(name, value)| (format!("digest: {name}"), value.clone())));
    facts.extend(record.judges.iter().map(|(name, judge)| {
        (format!("judge: {name}"), format!("{} {}; {}; {}", judge.kind, judge.version, judge.calibration, judge.digest))
    }));
    for arm in &record.arms {
        if let Some(training) = &arm.training {
            facts.push((
                format!("training: {}", arm.name),
                format!(
                    "{} weights ({:.2} % of all), {} steps, {} tokens ({} learnt), {} rows cut; update norm {:.3}, {:.2} % of it erased by rounding; {} frozen weights changed; {}{}",
                    training.trained,
                    training.trained_share * 100.0,
                    training.steps,
                    training.tokens,
                    training.supervised_tokens,
                    training.truncated_rows,
                    training.update_norm,
                    training.erased_by_rounding * 100.0,
                    training.frozen_changed,
                    duration(training.seconds),
                    training.stopped.as_ref().map(|why| format!("; stopped: {why}")).unwrap_or_default(),
                ),
            ));
        }
    }
    facts
}

pub(super) fn ticket_sentence(ticket: &TicketSummary) -> String {
    let data = ticket.data.as_ref().map(|data| format!(" on {data}")).unwrap_or_default();
    let seed = ticket.seed.map(|seed| format!(", seed {seed}")).unwrap_or_default();
    let overlap = ticket
        .overlap
        .map(|(found, chance)| format!("; overlap (Jaccard) with the ticket {found:.3}, by chance {chance:.3}"))
        .unwrap_or_default();
    format!(
        "{}{data}, {}, {:.0} % of maskable ({} weights){seed}{overlap}; {}",
        ticket.score,
        ticket.scope,
        ticket.density * 100.0,
        ticket.count,
        ticket.digest
    )
}
