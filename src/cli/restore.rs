//! `steadfast restore TUNED --aligned MODEL --ticket FILE --out FOLDER`.

use std::path::PathBuf;

use clap::Args;

use super::run::{context, setting, tell};
use super::{Machine, parse_set};
use crate::artifact::folder::check_latest;
use crate::artifact::write::must_be_new;
use crate::delta::restore::{Restored, bind, restore};
use crate::error::{Exit, Failure};
use crate::event::Event;
use crate::pipeline::settings::ComputeDtype;
use crate::pipeline::{self, Loaded};
use crate::report::markdown;
use crate::run::beside::{Asked, beside, without_training};
use crate::stage::fetch::weights;
use crate::stage::rewrite::rewrite;
use crate::ticket::file::Ticket;
use crate::ui::Ui;

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// The tuned model, from any trainer: a folder, hf://OWNER/NAME@COMMIT or builtin:NAME.
    tuned: String,
    /// The model that the ticket was extracted from.
    #[arg(long, value_name = "MODEL")]
    aligned: String,
    /// The ticket whose weights get the aligned model's numbers back.
    #[arg(long, value_name = "FILE")]
    ticket: PathBuf,
    /// The folder that is made; nothing may be there.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// A pipeline whose suites the aligned, the tuned and the restored model are asked. The run is called NAME-restore, unless --set
    /// name=OTHER says another name.
    #[arg(long, value_name = "FILE")]
    pipeline: Option<PathBuf>,
    /// Overrides a key of the pipeline. May be given again.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_set, requires = "pipeline")]
    sets: Vec<(String, String)>,
    /// The folder for runs and their store.
    #[arg(long, value_name = "FOLDER", default_value = "runs")]
    runs: PathBuf,
}

impl Restore {
    pub(super) fn carry_out(&self, ui: &Ui, machine: Machine) -> Result<Exit, Failure> {
        must_be_new(&self.out)?;
        // Read before anything is written, so that a mistake in it costs nothing.
        let mut loaded = self.pipeline.as_ref().map(|file| pipeline::load_to_ask(file, &self.sets, &self.aligned)).transpose()?;
        if let Some(Loaded { pipeline, .. }) = &mut loaded {
            without_training(pipeline, &self.aligned);
            if !self.sets.iter().any(|(key, _)| key == "name") {
                // The pipeline's own runs keep their `latest`.
                pipeline.name += "-restore";
            }
            check_latest(&self.runs, &pipeline.name)?;
        }
        let listener = |event: Event| ui.event(&event);
        let compute = loaded.as_ref().map_or(ComputeDtype::Auto, |loaded| loaded.pipeline.model.computes_in());
        let context = context(&self.runs, &listener, machine, compute);
        if let Some(loaded) = &loaded {
            tell(&context, loaded);
        }
        let ticket = Ticket::read(&self.ticket)?;
        let ((_, aligned), (folder, tuned)) = (weights(&context, &self.aligned)?, weights(&context, &self.tuned)?);
        bind(&aligned, &ticket)?;
        let done = rewrite(&folder, &tuned, &self.out, |out| restore(&aligned, &tuned, &ticket, out))?;
        let outcome = match &loaded {
            None => None,
            Some(Loaded { pipeline, .. }) => {
                let restored = self.out.to_string_lossy();
                let asked = [
                    Asked { name: "tuned", summary: "before the ticket's weights were restored", source: &self.tuned },
                    Asked { name: "restored", summary: "with the ticket's weights of the aligned model", source: &restored },
                ];
                Some(beside(&context, pipeline, &setting(&self.runs), &asked)?)
            }
        };
        ui.value(&serde_json::json!({"out": self.out, "restored": done, "record": outcome.as_ref().map(|outcome| &outcome.record)}));
        let Restored { restored, differed, tensors, others } = done;
        let share = differed as f64 / restored.max(1) as f64 * 100.0;
        ui.text(&format!("{restored} weights restored, {differed} of which had differed ({share:.2} %), in {tensors} tensors"));
        others.iter().for_each(|line| ui.text(&format!("outside the ticket, left as it is: {line}")));
        ui.text(&format!("written: {}", self.out.display()));
        if let Some(outcome) = outcome {
            ui.text(&markdown::plain(&outcome.record));
            ui.text(&format!("report: {}", outcome.folder.join("report.html").display()));
        }
        Ok(Exit::Passed)
    }
}
