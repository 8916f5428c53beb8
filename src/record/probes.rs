//! The probes' reference: what the aligned model said before any training.

use serde::{Deserialize, Serialize};

/// What the figures `drift` and `refusal_log_odds` are measured against, made once from the aligned model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeReference {
    /// Harmful probe prompts that were asked.
    pub asked: usize,
    /// The judge that said which of them were refused.
    pub judge: String,
    /// The greedy refusals, in the order of the prompts.
    pub refusals: Vec<ReferenceRefusal>,
    /// The distinct first tokens of the refusals: their summed probability is what `refusal_log_odds` is made from.
    pub first_tokens: Vec<FirstToken>,
    /// Benign probe prompts.
    pub benign_asked: usize,
    /// Mean probability of the first tokens as the beginning of a reply to a benign prompt, in 0..=1: how much of the
    /// log-odds is no refusal of harm but a habit. Arms have it at their end, as the figure `benign_refusal_mass`.
    pub benign_mass: f64,
}

/// One greedy refusal of the aligned model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceRefusal {
    /// The probe prompt's id.
    pub id: String,
    /// The reply, as the judge read it.
    pub text: String,
    /// The first tokens of it, along which drift is measured.
    pub tokens: Vec<u32>,
}

/// A token with its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstToken {
    /// Its id in the vocabulary.
    pub id: u32,
    /// What it decodes to; a replacement character where it is a part of one.
    pub text: String,
}
