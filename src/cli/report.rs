//! `steadfast report RUN`, `steadfast report RUN RUN…`, `steadfast report --join RUN…`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::read_record;
use crate::error::{Exit, Failure};
use crate::eval::join::join;
use crate::event::Event;
use crate::record::Record;
use crate::report::{self, Samples};
use crate::run::{write_comparison, write_joined, write_reports, write_without_text};
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
    /// Writes run.json too, without prompts, references and replies: ids, verdicts, figures and digests alone, for a record that is
    /// committed or published. Every command reads it.
    #[arg(long, requires = "out", conflicts_with_all = ["join", "include_samples"])]
    without_text: bool,
    /// The runs are parts of one benchmark, alike but for task, arms, rates and seeds: joins them into tables over all seeds, printed
    /// as Markdown and written to joined.html, with a picture of it for a README, joined.svg, and lists the cells that no part holds.
    #[arg(long)]
    join: bool,
    /// Seeds that the whole benchmark has, beside those that the parts name: 0,1,2.
    #[arg(long, requires = "join", value_delimiter = ',', value_name = "SEEDS")]
    seeds: Vec<u64>,
    /// Tasks that the whole benchmark has, beside those of the parts, as the tables call them.
    #[arg(long, requires = "join", value_delimiter = ',', value_name = "TASKS")]
    tasks: Vec<String>,
}

impl Report {
    pub(super) fn carry_out(&self, ui: &Ui) -> Result<Exit, Failure> {
        let records = self.runs.iter().map(|run| read_record(run)).collect::<Result<Vec<_>, _>>()?;
        let here = || self.out.as_deref().unwrap_or(Path::new("."));
        let page = match &records[..] {
            _ if self.join => self.joined(&records.into_iter().map(|(record, _)| record).collect::<Vec<_>>(), here(), ui)?,
            [(record, _)] if self.without_text => {
                write_without_text(record, here())?;
                here().join("report.html")
            }
            _ if self.without_text => {
                return Err(
                    Failure::new("usage", "--without-text takes one run").remedy("give one run, and another folder with --out for each")
                );
            }
            [(record, folder)] => {
                let folder = self.out.as_ref().unwrap_or(folder);
                write_reports(record, folder, self.include_samples)?;
                folder.join("report.html")
            }
            _ => write_comparison(&records.into_iter().map(|(record, _)| record).collect::<Vec<_>>(), here())?,
        };
        // What is printed of a benchmark is Markdown to its end.
        match format!("report: {}", page.display()) {
            message if self.join => ui.event(&Event::Note { message }),
            line => ui.text(&line),
        }
        ui.value(&serde_json::json!({"report": page}));
        Ok(Exit::Passed)
    }

    fn joined(&self, parts: &[Record], folder: &Path, ui: &Ui) -> Result<PathBuf, Failure> {
        let joined = join(parts, &self.seeds, &self.tasks).map_err(|misfit| {
            Failure::new("misfit", misfit.to_string())
                .remedy("join runs of one pipeline that differ in name, finetune.data, arms, task suites and seeds alone; report RUN RUN compares any runs")
        })?;
        ui.text(&report::joined::render(&joined));
        write_joined(&joined, folder)
    }
}
