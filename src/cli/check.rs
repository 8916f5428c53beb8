//! `steadfast check FILE`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::run::context;
use super::{Machine, parse_set};
use crate::error::{Exit, Failure};
use crate::event::Event;
use crate::pipeline;
use crate::run;
use crate::ui::Ui;

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The pipeline file.
    file: PathBuf,
    /// Overrides a key: finetune.max_steps=20. May be given again.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_set)]
    sets: Vec<(String, String)>,
}

impl Check {
    pub(super) fn carry_out(&self, ui: &Ui) -> Result<Exit, Failure> {
        let loaded = pipeline::load(&self.file, &self.sets)?;
        for message in loaded.notes {
            ui.event(&Event::Note { message });
        }
        for message in loaded.warnings {
            ui.event(&Event::Warning { message });
        }
        let listener = |event: Event| ui.event(&event);
        // Nothing is computed or fetched: the data alone are read.
        let machine = Machine { threads: 1, offline: true };
        run::check(&context(Path::new("runs"), &listener, machine), &loaded.pipeline)?;
        ui.value(&loaded.pipeline);
        ui.text(&serde_saphyr::to_string(&loaded.pipeline).map_err(|error| Failure::new("yaml", error.to_string()))?);
        Ok(Exit::Passed)
    }
}
