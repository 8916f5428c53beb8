//! `steadfast clean`: frees what no run uses.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::read_record;
use crate::artifact::folder::runs_below;
use crate::artifact::store::Store;
use crate::error::{Exit, Failure};
use crate::ui::Ui;

/// Arguments of `clean`.
#[derive(Debug, Args)]
pub struct Clean {
    /// Also what an interrupted run would go on from.
    #[arg(long)]
    unfinished: bool,
    /// Also the answers of endpoints, each of which cost a request.
    #[arg(long)]
    answers: bool,
    /// Says what would be removed, and removes nothing.
    #[arg(long)]
    dry_run: bool,
    /// The folder for runs and their store.
    #[arg(long, value_name = "FOLDER", default_value = "runs")]
    runs: PathBuf,
}

/// What was, or would be, removed.
#[derive(Serialize)]
struct Freed {
    removed: bool,
    stages: usize,
    answers: usize,
    bytes: u64,
    kept_for_runs: usize,
}

impl Clean {
    pub(super) fn carry_out(&self, ui: &Ui) -> Result<Exit, Failure> {
        let mut used = BTreeSet::new();
        let runs = runs_below(&self.runs)?;
        for run in &runs {
            // A record that cannot be read may name any stage: nothing is removed.
            let stages = read_record(run)?.0.stages.into_iter().filter(|stage| stage.answers.is_none());
            used.extend(stages.map(|stage| stage.key));
        }
        let store = Store::new(self.runs.join(".store"));
        let (stages, of_stages) = store.sweep(&used, self.unfinished, self.dry_run)?;
        let (answers, of_answers) = if self.answers { store.forget_answers(self.dry_run)? } else { (0, 0) };
        let bytes = of_stages + of_answers;
        ui.value(&Freed { removed: !self.dry_run, stages, answers, bytes, kept_for_runs: used.len() });
        let verb = if self.dry_run { "would free" } else { "freed" };
        ui.text(&format!(
            "{verb} {stages} stages{}, {:.2} GB; {} stages are kept for {} runs in {}",
            if self.answers { format!(" and {answers} answers of endpoints") } else { String::new() },
            bytes as f64 / 1e9,
            used.len(),
            runs.len(),
            self.runs.display()
        ));
        Ok(Exit::Passed)
    }
}
