//! `steadfast check FILE`.

use std::path::PathBuf;

use clap::Args;

use super::parse_set;
use crate::error::{Exit, Failure};
use crate::event::Event;
use crate::pipeline;
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
        ui.value(&loaded.pipeline);
        ui.text(&serde_json::to_string_pretty(&loaded.pipeline).unwrap_or_default());
        Ok(Exit::Passed)
    }
}
