//! `steadfast check FILE`.

use std::path::PathBuf;

use clap::Args;

use super::run::{context, peak_memory_bytes};
use super::{Machine, parse_set};
use crate::error::{Exit, Failure};
use crate::event::Event;
use crate::pipeline::{self, check_sweep};
use crate::report::view::duration;
use crate::run;
use crate::stage::forecast::{Forecast, forecast};
use crate::ui::Ui;

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The pipeline file.
    file: PathBuf,
    /// Overrides a key: finetune.max_steps=20. May be given again.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_set)]
    sets: Vec<(String, String)>,
    /// Leaves out the forecast, for which the model is tried for some seconds, and whether arms and tickets fit the model.
    #[arg(long)]
    no_forecast: bool,
    /// The folder for runs, whose store keeps models made from GGUF files.
    #[arg(long, value_name = "FOLDER", default_value = "runs")]
    runs: PathBuf,
}

impl Check {
    pub(super) fn carry_out(&self, ui: &Ui, machine: Machine) -> Result<Exit, Failure> {
        let loaded = pipeline::load(&self.file, &self.sets)?;
        for message in loaded.notes {
            ui.event(&Event::Note { message });
        }
        for message in loaded.warnings {
            ui.event(&Event::Warning { message });
        }
        let listener = |event: Event| ui.event(&event);
        // No model is fetched; one that is at hand is tried for the forecast.
        let context = context(&self.runs, &listener, machine, loaded.pipeline.model.computes_in());
        let asked = run::check(&context, &loaded.pipeline)?;
        let forecast = if self.no_forecast { None } else { forecast(&context, &loaded.pipeline, &asked, peak_memory_bytes)? };
        ui.value(&serde_json::json!({"pipeline": loaded.pipeline, "forecast": forecast}));
        ui.text(&serde_saphyr::to_string(&loaded.pipeline).map_err(|error| Failure::new("yaml", error.to_string()))?);
        if loaded.pipeline.finetune.iter().flat_map(|finetune| &finetune.arms).any(|arm| arm.family.is_some()) {
            let (runs, seeds) = (check_sweep::runs(&loaded.pipeline), loaded.pipeline.seeds.len());
            ui.text(&format!(
                "# sweep: {runs} runs, {} arms, each with {seeds} seed{}\n",
                runs / seeds.max(1),
                if seeds == 1 { "" } else { "s" }
            ));
        }
        match forecast {
            Some(forecast) => ui.text(&told(&forecast)),
            None if self.no_forecast => {}
            None if loaded.pipeline.model.endpoint.is_some() => {
                ui.event(&Event::Note { message: "no forecast: check asks no endpoint, and how fast it answers is not known".into() })
            }
            None => ui.event(&Event::Note { message: "no forecast: the model is not at hand, and check downloads none".into() }),
        }
        Ok(Exit::Passed)
    }
}

/// The forecast for people, the longest part first.
fn told(forecast: &Forecast) -> String {
    let mut parts: Vec<_> = forecast.parts.iter().collect();
    parts.sort_by(|a, b| b.1.total_cmp(&a.1));
    let lines: String = parts.iter().map(|(what, seconds)| format!("#   {:>12}  {what}\n", duration(*seconds))).collect();
    format!(
        "# forecast: about {}, {:.1} GB of memory, {:.1} GB of disk; stages that are finished already take no time\n{lines}",
        duration(forecast.seconds),
        forecast.memory_bytes as f64 / 1e9,
        forecast.disk_bytes as f64 / 1e9
    )
}
