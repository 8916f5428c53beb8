//! `steadfast evaluate MODEL --pipeline FILE`: one model, no training.

use std::path::PathBuf;

use clap::Args;

use super::run::{context, setting};
use super::{Machine, parse_set};
use crate::error::{Exit, Failure};
use crate::event::Event;
use crate::pipeline;
use crate::report::markdown;
use crate::run::beside::without_training;
use crate::run::run;
use crate::ui::Ui;

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub struct Evaluate {
    /// The model: hf://OWNER/NAME@COMMIT, a folder, or a .gguf file.
    model: String,
    /// A pipeline whose suites and judges are used; its training and its gate are left out. The run is called NAME-evaluate, unless --set
    /// name=OTHER says another name.
    #[arg(long, value_name = "FILE")]
    pipeline: PathBuf,
    /// Overrides a key. May be given again.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_set)]
    sets: Vec<(String, String)>,
    /// The folder for runs and their store.
    #[arg(long, value_name = "FOLDER", default_value = "runs")]
    runs: PathBuf,
}

impl Evaluate {
    pub(super) fn carry_out(&self, ui: &Ui, machine: Machine) -> Result<Exit, Failure> {
        let mut loaded = pipeline::load(&self.pipeline, &self.sets)?;
        let settings = &mut loaded.pipeline;
        without_training(settings, &self.model);
        if !self.sets.iter().any(|(key, _)| key == "name") {
            // The pipeline's own runs keep their `latest`.
            settings.name += "-evaluate";
        }
        let listener = |event: Event| ui.event(&event);
        let context = context(&self.runs, &listener, machine, settings.model.computes_in());
        let outcome = run(&context, settings, &setting(&self.runs))?;
        ui.value(&outcome.record);
        ui.text(&markdown::plain(&outcome.record));
        ui.text(&format!("report: {}", outcome.folder.join("report.html").display()));
        Ok(Exit::Passed)
    }
}
