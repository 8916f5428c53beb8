//! `align`, and the hyperparameters that it shares with `finetune` and its arms.

use std::path::Path;

use serde_json::json;

use crate::pipeline::data::sources;
use crate::pipeline::node::Node;
use crate::pipeline::reader::{Findings, Section};
use crate::pipeline::settings::{Align, Calibration, Scheduler, Train, Training};

/// More tokens than anybody trains on here.
const MOST_TOKENS: f64 = 1e12;

/// Hyperparameters, with those of the enclosing section as defaults.
pub(super) fn training(section: &mut Section<'_>, outer: &Training, findings: &mut Findings) -> Training {
    let share = |number: f64| (0.0..1.0).contains(&number);
    let whole = |number: f64| (1.0..=MOST_TOKENS).contains(&number) && number.fract() == 0.0;
    let tokens = section.number("max_tokens", "a whole number from 1 to 1e12", whole, findings);
    section.describe(
        "max_tokens",
        json!({"type": "integer", "minimum": 1, "description": "As many steps as read no more, at most max_steps."}),
    );
    Training {
        max_tokens: tokens.map(|tokens| tokens as u64).or(outer.max_tokens),
        max_steps: section.whole("max_steps", 1, findings).unwrap_or(outer.max_steps),
        learning_rate: section.number("learning_rate", "a number above 0", |rate| rate > 0.0, findings).unwrap_or(outer.learning_rate),
        per_device_train_batch_size: section
            .whole("per_device_train_batch_size", 1, findings)
            .map_or(outer.per_device_train_batch_size, |rows| rows as usize),
        gradient_accumulation_steps: section
            .whole("gradient_accumulation_steps", 1, findings)
            .map_or(outer.gradient_accumulation_steps, |n| n as usize),
        max_length: section.whole("max_length", 2, findings).map_or(outer.max_length, |n| n as usize),
        weight_decay: section
            .number("weight_decay", "a number of at least 0", |decay| decay >= 0.0, findings)
            .unwrap_or(outer.weight_decay),
        max_grad_norm: section
            .number("max_grad_norm", "a number of at least 0", |norm| norm >= 0.0, findings)
            .unwrap_or(outer.max_grad_norm),
        lr_scheduler_type: section
            .choice(
                "lr_scheduler_type",
                &[("constant", Scheduler::Constant), ("linear", Scheduler::Linear), ("cosine", Scheduler::Cosine)],
                findings,
            )
            .unwrap_or(outer.lr_scheduler_type),
        warmup_steps: section.whole("warmup_steps", 0, findings).unwrap_or(outer.warmup_steps),
        adam_beta1: section.number("adam_beta1", "a share in [0, 1)", share, findings).unwrap_or(outer.adam_beta1),
        adam_beta2: section.number("adam_beta2", "a share in [0, 1)", share, findings).unwrap_or(outer.adam_beta2),
        adam_epsilon: section.number("adam_epsilon", "a number above 0", |epsilon| epsilon > 0.0, findings).unwrap_or(outer.adam_epsilon),
        save_steps: section.whole("save_steps", 0, findings).unwrap_or(outer.save_steps),
        gradient_checkpointing: section.flag("gradient_checkpointing", findings).unwrap_or(outer.gradient_checkpointing),
    }
}

/// `calibration_steps` and `calibration_learning_rate`.
pub(super) fn calibration(section: &mut Section<'_>, outer: Calibration, findings: &mut Findings) -> Calibration {
    Calibration {
        steps: section.whole("calibration_steps", 1, findings).unwrap_or(outer.steps),
        learning_rate: section
            .number("calibration_learning_rate", "a number above 0", |rate| rate > 0.0, findings)
            .unwrap_or(outer.learning_rate),
    }
}

/// The Trainer's defaults where it has one.
pub(super) fn trainer() -> Training {
    Training {
        max_steps: 100,
        max_tokens: None,
        learning_rate: 5e-5,
        per_device_train_batch_size: 8,
        gradient_accumulation_steps: 1,
        max_length: 512,
        weight_decay: 0.0,
        max_grad_norm: 1.0,
        lr_scheduler_type: Scheduler::Linear,
        warmup_steps: 0,
        adam_beta1: 0.9,
        adam_beta2: 0.999,
        adam_epsilon: 1e-8,
        save_steps: 50,
        gradient_checkpointing: false,
    }
}

pub(super) fn align(node: &Node, folder: &Path, findings: &mut Findings) -> Option<Align> {
    let mut section = Section::new(node, "align", findings);
    let data = section.get("data").map(|node| sources(node, "align.data", folder, findings)).unwrap_or_default();
    let training = training(&mut section, &trainer(), findings);
    let choices = [("all", Train::All), ("maskable", Train::Maskable), ("ticket", Train::Ticket)];
    let train = section.choice("train", &choices, findings).unwrap_or(Train::All);
    let density = section.number("density", "a share in (0, 1]", |share| share > 0.0 && share <= 1.0, findings);
    let calibration = calibration(&mut section, Calibration::default(), findings);
    let seed = section.whole("seed", 0, findings);
    let place = section.place;
    section.finish(findings);
    if (train == Train::Ticket) != density.is_some() {
        let (problem, remedy) = if density.is_some() {
            ("align has a density, and does not train a ticket", "write train: ticket, or remove density")
        } else {
            ("align trains a ticket, and does not say how large", "write density: 0.10")
        };
        findings.problem(place, "align.density", problem, Some(remedy.into()));
    }
    if data.is_empty() {
        findings.problem(
            place,
            "align.data",
            "align has no data",
            Some("write data: [builtin:refusals, builtin:helpful, builtin:contrast]".into()),
        );
        return None;
    }
    Some(Align { data, training, train, density, calibration, seed })
}
