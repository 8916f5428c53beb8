//! `steadfast verify ALIGNED TUNED --ticket FILE`.

use std::path::PathBuf;

use clap::Args;

use super::Machine;
use super::run::context;
use crate::error::{Exit, Failure};
use crate::event::Event;
use crate::mask::Mask;
use crate::model::verify::{MisShaped, compare};
use crate::pipeline::settings::ComputeDtype;
use crate::stage::fetch::weights;
use crate::ticket::file::Ticket;
use crate::ui::Ui;

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The model before: a folder, hf://OWNER/NAME@COMMIT or builtin:NAME.
    aligned: String,
    /// The model after, from any trainer.
    tuned: String,
    /// The ticket whose weights had to keep their bits.
    #[arg(long, value_name = "FILE")]
    ticket: PathBuf,
    /// The folder whose store keeps models that are no folders.
    #[arg(long, value_name = "FOLDER", default_value = "runs")]
    runs: PathBuf,
}

impl Verify {
    pub(super) fn carry_out(&self, ui: &Ui, machine: Machine) -> Result<Exit, Failure> {
        let listener = |event: Event| ui.event(&event);
        let context = context(&self.runs, &listener, machine, ComputeDtype::Auto);
        let ((_, aligned), (_, tuned)) = (weights(&context, &self.aligned)?, weights(&context, &self.tuned)?);
        let ticket = Ticket::read(&self.ticket)?;
        let digest = aligned.digest();
        if ticket.origin.model != digest {
            let message = format!("the ticket was extracted from weights {}, {} has {digest}", ticket.origin.model, self.aligned);
            return Err(Failure::new("ticket-of-another-model", message).remedy("give the model that the ticket was extracted from"));
        }
        let found = compare(&aligned, &tuned, &ticket.masks.0);
        ui.value(&found);
        for (what, names) in [("missing", &found.missing), ("extra", &found.extra)] {
            for name in names {
                let acts = found.acting.contains(name);
                let told = if acts { ", which changes what the ticket's weights beside it compute" } else { "" };
                ui.text(&format!("{what}: {name}{told}"));
            }
        }
        for MisShaped { name, before, after } in &found.mis_shaped {
            let held = ticket.masks.0.get(name).map_or(0, Mask::count);
            let told = if held == 0 { "outside the ticket".to_owned() } else { format!("with {held} weights of the ticket") };
            ui.text(&format!("mis-shaped: {name}: {before:?} became {after:?}, {told}"));
        }
        for tensor in found.tensors.iter().filter(|tensor| tensor.frozen_changed > 0) {
            let first =
                tensor.first.map(|(index, before, after)| format!("; first [{index}]: {before} became {after}")).unwrap_or_default();
            ui.text(&format!("changed: {}: {} of {} frozen weights{first}", tensor.name, tensor.frozen_changed, tensor.frozen));
        }
        let unseen = if found.unseen == 0 { String::new() } else { format!("; {} could not be compared", found.unseen) };
        ui.text(&format!(
            "{} of {} ticket weights changed{unseen}; {} others changed",
            found.frozen_changed(),
            found.frozen() + found.unseen,
            found.free_changed()
        ));
        Ok(if found.keeps() { Exit::Passed } else { Exit::Failed })
    }
}
