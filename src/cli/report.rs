//! `steadfast report RUN`, `steadfast report RUN RUN…`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::read_record;
use crate::error::{Exit, Failure};
use crate::report::Samples;
use crate::run::{write_comparison, write_reports};
use crate::ui::Ui;

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct Report {
    /// The run's folder, or its run.json; several runs are compared in one page, comparison.html.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// Another folder for what is written [default: beside run.json; of several runs, the current folder].
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// How much of prompts and completions report.html holds.
    #[arg(long, value_enum, default_value_t, value_name = "HOW MUCH")]
    include_samples: Samples,
}

impl Report {
    pub(super) fn carry_out(&self, ui: &Ui) -> Result<Exit, Failure> {
        let records = self.runs.iter().map(|run| read_record(run)).collect::<Result<Vec<_>, _>>()?;
        let page = if let [(record, folder)] = &records[..] {
            let folder = self.out.as_ref().unwrap_or(folder);
            write_reports(record, folder, self.include_samples)?;
            folder.join("report.html")
        } else {
            let records: Vec<_> = records.into_iter().map(|(record, _)| record).collect();
            write_comparison(&records, self.out.as_deref().unwrap_or(Path::new(".")))?
        };
        ui.text(&format!("report: {}", page.display()));
        ui.value(&serde_json::json!({"report": page}));
        Ok(Exit::Passed)
    }
}
