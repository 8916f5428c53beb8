//! `steadfast verify ALIGNED TUNED --ticket FILE`.

use std::path::PathBuf;

use clap::Args;

use crate::error::{Exit, Failure};
use crate::model::verify::compare;
use crate::model::weights::Weights;
use crate::ticket::file::Ticket;
use crate::ui::Ui;

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The folder of the model before.
    aligned: PathBuf,
    /// The folder of the model after, from any trainer.
    tuned: PathBuf,
    /// The ticket whose weights had to keep their bits.
    #[arg(long, value_name = "FILE")]
    ticket: PathBuf,
}

impl Verify {
    pub(super) fn carry_out(&self, ui: &Ui) -> Result<Exit, Failure> {
        let (aligned, tuned) = (Weights::open(&self.aligned)?, Weights::open(&self.tuned)?);
        let ticket = Ticket::read(&self.ticket)?;
        let digest = aligned.digest();
        if ticket.origin.model != digest {
            let message = format!("the ticket was extracted from weights {}, {} has {digest}", ticket.origin.model, self.aligned.display());
            return Err(Failure::new("ticket-of-another-model", message).remedy("give the model that the ticket was extracted from"));
        }
        let found = compare(&aligned, &tuned, &ticket.masks.0);
        ui.value(&found);
        for (what, names) in [("missing", &found.missing), ("extra", &found.extra), ("mis-shaped", &found.mis_shaped)] {
            for name in names {
                ui.text(&format!("{what}: {name}"));
            }
        }
        for tensor in found.tensors.iter().filter(|tensor| tensor.frozen_changed > 0) {
            let first =
                tensor.first.map(|(index, before, after)| format!("; first [{index}]: {before} became {after}")).unwrap_or_default();
            ui.text(&format!("changed: {}: {} of {} frozen weights{first}", tensor.name, tensor.frozen_changed, tensor.frozen));
        }
        ui.text(&format!(
            "{} of {} ticket weights changed; {} others changed",
            found.frozen_changed(),
            found.frozen(),
            found.free_changed()
        ));
        Ok(if found.holds() { Exit::Passed } else { Exit::Failed })
    }
}
