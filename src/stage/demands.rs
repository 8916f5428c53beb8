//! What arms and tickets demand of the models, checked before anything is made of them.

use crate::error::Failure;
use crate::model::inventory::inventory;
use crate::pipeline::settings::{self, Arm, Finetune, Pipeline, Score};

use super::Context;
use super::fetch::{Model, at_hand};
use super::rows::within_context;

/// Checks that the layers that arms name are there, that no training or ticket takes longer rows than the model's context, and that the
/// base is a model of the aligned one's shape where the two are compared weight by weight. The base may stand for an aligned model that is yet to be made of it.
///
/// # Errors
/// Names the arm, or the tensor, and both sizes.
pub fn check_models(pipeline: &Pipeline, base: Option<&Model>, aligned: &Model) -> Result<(), Failure> {
    check_model(pipeline, aligned)?;
    compared(pipeline).try_for_each(|what| comparable(&what, base, aligned).map(drop))
}

/// [`check_models`], of models that are on this machine: a base that is not is not looked at.
///
/// # Errors
/// As [`check_models`], or when the base cannot be used.
pub(super) fn check_at_hand(context: &Context<'_>, pipeline: &Pipeline, aligned: &Model) -> Result<(), Failure> {
    check_model(pipeline, aligned)?;
    // Where the aligned model is made of its base, it is of its shape.
    let (Some(_), Some(what)) = (&pipeline.model.aligned, compared(pipeline).next()) else { return Ok(()) };
    match at_hand(context, &settings::Model { aligned: None, ..pipeline.model.clone() })? {
        Some(base) => comparable(&what, Some(&base), aligned).map(drop),
        None => Ok(()),
    }
}

/// Checks that the layers that arms name are there, and that no training or ticket takes longer rows than the model's context.
///
/// # Errors
/// Names the arm, or what takes the rows, and both sizes.
fn check_model(pipeline: &Pipeline, aligned: &Model) -> Result<(), Failure> {
    let layers = aligned.config.layers;
    let arms = || pipeline.finetune.iter().flat_map(Finetune::recipes);
    for (arm, named) in arms().filter_map(|arm| Some((arm, arm.layers.as_ref()?))) {
        if named.largest() >= layers {
            let message = format!("arm {} trains {named}, and the model has layers 0 to {}", arm.name, layers.saturating_sub(1));
            return Err(
                Failure::new("layers", message).remedy(format!("name layers below {layers}: layers: {{from: 0, to: {}}}", layers - 1))
            );
        }
    }
    let tickets = pipeline.tickets.iter().filter(|ticket| pipeline.finetune.is_some() && ticket.data.is_some());
    let taken = (pipeline.align.iter().map(|align| ("align".to_owned(), align.training.max_length)))
        .chain(tickets.map(|ticket| (format!("ticket {}", ticket.name), ticket.max_length)))
        .chain(arms().map(|arm| (format!("arm {}", arm.name), arm.longest())));
    taken.into_iter().try_for_each(|(what, longest)| within_context(&what, longest, aligned))
}

/// The first arm and the first ticket that compare base and aligned model; where no arm is trained, no ticket is extracted.
fn compared(pipeline: &Pipeline) -> impl Iterator<Item = String> {
    let finetune = pipeline.finetune.as_ref();
    let reads_base = |arm: &&Arm| arm.edit.as_ref().is_some_and(|edited| edited.edit.needs_base());
    let arm = finetune.and_then(|finetune| finetune.recipes().find(reads_base)).map(|arm| format!("arm {}", arm.name));
    let ticket = pipeline.tickets.iter().find(|ticket| ticket.score == Score::TaskVector && ticket.file.is_none());
    let ticket = ticket.filter(|_| finetune.is_some()).map(|ticket| format!("ticket {}", ticket.name));
    arm.into_iter().chain(ticket)
}

/// The base, where every tensor of it has the shape of the aligned model's.
///
/// # Errors
/// When there is none, or a tensor is missing or has another shape.
pub(super) fn comparable<'a>(what: &str, base: Option<&'a Model>, aligned: &Model) -> Result<&'a Model, Failure> {
    let base = base.ok_or_else(|| {
        Failure::new("no-base", format!("{what} needs the model that the aligned one was made of")).remedy("write model.base, or pretrain:")
    })?;
    for spec in inventory(&aligned.config) {
        let found = base.weights.shape(&spec.name);
        if found != Some(&spec.shape()) {
            let found = found.map_or_else(|| "not there".to_owned(), |shape| format!("{shape:?}"));
            let message = format!(
                "{what} compares base and aligned model, and {} is {found} in the base, {:?} in the aligned model",
                spec.name,
                spec.shape()
            );
            return Err(Failure::new("weights-mismatch", message)
                .remedy("write model.base: the very model that the aligned one was made of, of the same size and vocabulary"));
        }
    }
    Ok(base)
}
