//! `steadfast clean`: frees what no run uses.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::artifact::folder::runs_below;
use crate::artifact::store::Store;
use crate::error::{Exit, Failure, shell_word};
use crate::ui::Ui;

/// Arguments of `clean`.
#[derive(Debug, Args)]
pub struct Clean {
    /// Also what an interrupted run would go on from: unfinished stages and, while there are any, the finished ones that no record names.
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
    kept_unfinished: usize,
}

impl Clean {
    pub(super) fn carry_out(&self, ui: &Ui) -> Result<Exit, Failure> {
        let (mut kept, mut of_runs) = (0, 0);
        let used = || -> Result<BTreeSet<String>, Failure> {
            let (mut used, runs) = (BTreeSet::new(), runs_below(&self.runs)?);
            for run in &runs {
                used.extend(stages_of(run)?);
            }
            (kept, of_runs) = (used.len(), runs.len());
            Ok(used)
        };
        let store = Store::new(self.runs.join(".store"));
        let swept = store.sweep(used, self.unfinished, self.dry_run)?;
        let (answers, of_answers) = if self.answers { store.forget_answers(self.dry_run)? } else { (0, 0) };
        let (stages, bytes) = (swept.stages, swept.bytes + of_answers);
        let (removed, kept_unfinished) = (!self.dry_run, swept.held);
        ui.value(&Freed { removed, stages, answers, bytes, kept_for_runs: kept, kept_unfinished });
        let verb = if self.dry_run { "would free" } else { "freed" };
        ui.text(&format!(
            "{verb} {stages} stages{}, {:.2} GB; {kept} stages are kept for {of_runs} runs in {}{}",
            if self.answers { format!(" and {answers} answers of endpoints") } else { String::new() },
            bytes as f64 / 1e9,
            self.runs.display(),
            match swept.held {
                0 => String::new(),
                held => format!(", {held} for an interrupted run to go on from: --unfinished frees these too"),
            }
        ));
        Ok(Exit::Passed)
    }
}

/// The keys of the stages that a run's record names, whatever its version.
fn stages_of(run: &Path) -> Result<Vec<String>, Failure> {
    #[derive(Deserialize)]
    struct Named {
        stages: Vec<Stage>,
    }
    #[derive(Deserialize)]
    struct Stage {
        key: String,
        answers: Option<IgnoredAny>,
    }
    let file = run.join("run.json");
    let read = std::fs::read(&file).map_err(|error| error.to_string());
    let named = read.and_then(|text| serde_json::from_slice::<Named>(&text).map_err(|error| error.to_string())).map_err(|problem| {
        // It may name any stage: nothing is removed.
        Failure::new("damaged-record", format!("the stages that {} names cannot be read: {problem}", file.display()))
            .remedy(format!("if nobody needs that run, remove its folder and clean again: rm -r {}", shell_word(run)))
    })?;
    Ok(named.stages.into_iter().filter(|stage| stage.answers.is_none()).map(|stage| stage.key).collect())
}
