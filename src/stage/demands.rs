//! What arms and tickets demand of the models, checked before anything is made of them.

use crate::error::Failure;
use crate::model::inventory::inventory;
use crate::pipeline::settings::{Finetune, Pipeline, Score};

use super::fetch::Model;

/// Checks that the layers that arms name are there, and that the base is a model of the aligned one's shape where the two are compared
/// weight by weight.
///
/// # Errors
/// Names the arm, or the tensor, and both sizes.
pub fn check_models(pipeline: &Pipeline, base: Option<&Model>, aligned: &Model) -> Result<(), Failure> {
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
    if let Some(arm) = arms().find(|arm| arm.edit.as_ref().is_some_and(|edited| edited.edit.needs_base())) {
        comparable(&format!("arm {}", arm.name), base, aligned)?;
    }
    if let Some(ticket) = pipeline.tickets.iter().find(|ticket| ticket.score == Score::TaskVector && ticket.file.is_none()) {
        comparable(&format!("ticket {}", ticket.name), base, aligned)?;
    }
    Ok(())
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
