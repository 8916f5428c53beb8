//! `steadfast report RUN`.

use std::path::PathBuf;

use clap::Args;

use super::read_record;
use crate::error::{Exit, Failure};
use crate::report::Samples;
use crate::run::write_reports;
use crate::ui::Ui;

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct Report {
    /// The run's folder, or its run.json.
    run: PathBuf,
    /// Another folder for report.html, summary.md and junit.xml [default: beside run.json].
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// How much of prompts and completions report.html holds.
    #[arg(long, value_enum, default_value_t, value_name = "HOW MUCH")]
    include_samples: Samples,
}

impl Report {
    pub(super) fn carry_out(&self, ui: &Ui) -> Result<Exit, Failure> {
        let (record, folder) = read_record(&self.run)?;
        let folder = self.out.clone().unwrap_or(folder);
        write_reports(&record, &folder, self.include_samples)?;
        ui.text(&format!("report: {}", folder.join("report.html").display()));
        ui.value(&serde_json::json!({"report": folder.join("report.html")}));
        Ok(Exit::Passed)
    }
}
