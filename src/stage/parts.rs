//! What makes a training of an arm what it is: two with the same parts make the same weights.

use serde::Serialize;

use crate::pipeline::settings::{self, Arm, Train};

use super::Context;
use super::frame::Frame;
use super::sequence::{Leg, digest};

/// What a training of an arm is made of.
#[derive(Serialize)]
pub(super) struct Parts<'a> {
    aligned: &'a str,
    text: &'a str,
    data: &'a [String],
    train: Train,
    density: Option<f64>,
    ticket: Option<String>,
    calibration: Option<(u64, f64)>,
    training: &'a settings::Training,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<(&'a [String], f64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_tokens: Option<&'a settings::FirstTokens>,
    #[serde(skip_serializing_if = "Option::is_none")]
    anchor: Option<(&'a [String], f64, usize)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elastic: Option<(&'a [String], f64, usize)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<(&'a [String], usize)>,
    /// The aligned model, where restraints hold a later task to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lora: Option<&'a settings::Lora>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<&'a settings::Layers>,
    /// Where each of several tasks has its own weights: those of the earlier ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<Option<String>>,
    probes: Option<(&'a str, u64, &'a [settings::Probe])>,
    /// Ends after so many steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    seed: u64,
    dtype: settings::Dtype,
    numerics: String,
}

impl<'a> Parts<'a> {
    /// Those of one task of an arm with one seed; `ticket` is the digest of the arm's.
    pub(super) fn of(
        context: &Context<'_>,
        arm: &'a Arm,
        frame: &'a Frame<'_>,
        (seed, leg): (u64, Leg<'a>),
        ticket: Option<String>,
    ) -> Self {
        let own_weights = frame.has_tasks() && arm.has_own_weights();
        let beside = |key| frame.beside(arm, key).map(|rows| rows.digests.as_slice());
        Self {
            aligned: &leg.start(frame).digest,
            text: &frame.aligned.text_digest,
            data: &frame.tasks[leg.task].1.digests,
            train: arm.train,
            density: arm.density,
            ticket,
            calibration: (arm.train == Train::Complement && arm.density.is_some())
                .then_some((arm.calibration.steps, arm.calibration.learning_rate)),
            training: arm.training_of(leg.task),
            replay: arm.replay.as_ref().zip(beside("replay")).map(|(replay, data)| (data, replay.share)),
            first_tokens: arm.first_tokens.as_ref(),
            anchor: arm.anchor.as_ref().zip(beside("anchor")).map(|(anchor, data)| (data, anchor.weight, anchor.rows)),
            elastic: arm.elastic.as_ref().zip(beside("elastic")).map(|(elastic, data)| (data, elastic.strength, elastic.rows)),
            project: arm.project.as_ref().zip(beside("project")).map(|(project, data)| (data, project.rows)),
            held_to: (leg.before.is_some() && (arm.first_tokens.is_some() || arm.anchor.is_some() || arm.elastic.is_some()))
                .then_some(frame.aligned.digest.as_str()),
            lora: arm.lora.as_ref(),
            layers: arm.layers.as_ref(),
            sequence: own_weights.then(|| leg.taken.map(digest)),
            probes: frame.probes.as_ref().map(|(_, digest, settings)| (digest.as_str(), settings.every, settings.of.as_slice())),
            until: arm.until,
            seed,
            dtype: frame.model_settings.dtype,
            numerics: context.compute.numerics(),
        }
    }
}
