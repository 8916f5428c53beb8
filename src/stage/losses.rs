//! losses: how well a model that learns several tasks knows each task's answers, as a figure that moves where exact matches stay at none or all.

use std::collections::BTreeMap;

use crate::data::example::encode;
use crate::error::{Failure, Within};
use crate::pipeline::settings::Finetune;
use crate::record::{Figure, task_loss};

use super::evaluate::Questions;
use super::fetch::Model;
use super::frame::{finite, named_suites};
use super::probe::task_nll;
use super::{Context, read_json, write_json};

/// Of this stage's result; raised when what it writes changes.
pub(super) const VERSION: u32 = 2;

/// Nats per token of the replies in the suites that tasks name, by [`task_loss`]; suites whose rows have no replies give none.
///
/// # Errors
/// When rows cannot be encoded, the backend fails, or the store cannot be written.
pub fn losses(
    context: &Context<'_>,
    who: &str,
    model: &Model,
    finetune: &Finetune,
    asked: &[Questions],
) -> Result<BTreeMap<String, Figure>, Failure> {
    let suites = named_suites(asked, finetune);
    if suites.is_empty() {
        return Ok(BTreeMap::new());
    }
    let digests: Vec<(&str, &str)> =
        suites.iter().map(|questions| (questions.suite.name.as_str(), questions.info.digest.as_str())).collect();
    let parts = (&model.digest, &model.text_digest, digests, context.compute.numerics());
    let entry = context.stage(&format!("losses {who}"), VERSION, &parts, |place| {
        let mut decoder = context.compute.load(model)?;
        let mut figures = BTreeMap::new();
        for questions in &suites {
            let name = &questions.suite.name;
            let longest = model.config.max_position_embeddings;
            let rows = encode(&model.text, &questions.rows, longest).within(|| format!("suite {name}"))?.examples;
            figures.extend(task_nll(&mut decoder, &rows)?.map(|figure| (task_loss(name), figure)));
        }
        let figures = finite(figures);
        write_json(place, "figures.json", &figures)?;
        Ok(format!("{} suites", figures.len()))
    })?;
    read_json(&entry, "figures.json")
}
