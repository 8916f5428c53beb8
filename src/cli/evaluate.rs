//! `steadfast evaluate MODEL --pipeline FILE`: one model, no training.

use std::path::PathBuf;

use clap::Args;

use super::run::{context, setting, tell};
use super::{Machine, parse_set};
use crate::error::{Exit, Failure, shell_word};
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
        let mut loaded = pipeline::load_to_ask(&self.pipeline, &self.sets, &self.model)?;
        without_training(&mut loaded.pipeline, &self.model);
        if !self.sets.iter().any(|(key, _)| key == "name") {
            // The pipeline's own runs keep their `latest`.
            loaded.pipeline.name += "-evaluate";
        }
        let listener = |event: Event| ui.event(&event);
        let context = context(&self.runs, &listener, machine, loaded.pipeline.model.computes_in());
        tell(&context, &loaded);
        let outcome = run(&context, &loaded.pipeline, &setting(&self.runs)).map_err(|mut failure| {
            // The model is an argument here, which no key replaces.
            let command = format!("steadfast evaluate SOURCE --pipeline {}", shell_word(&self.pipeline));
            failure.remedy = failure.remedy.map(|remedy| remedy.replace("--set model.aligned=SOURCE", &command));
            failure
        })?;
        ui.value(&outcome.record);
        ui.text(&markdown::plain(&outcome.record));
        ui.text(&format!("report: {}", outcome.folder.join("report.html").display()));
        outcome.failure.map_or(Ok(Exit::Passed), Err)
    }
}
