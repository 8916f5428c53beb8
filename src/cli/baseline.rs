//! `steadfast baseline update RUN`: what an arm did, in a file to commit, for `steadfast gate --baseline`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::read_record;
use crate::artifact::write::write_bytes;
use crate::error::{Exit, Failure};
use crate::eval::metric::arm;
use crate::record::{BASELINE_VERSION, Baseline};
use crate::ui::Ui;

/// `baseline …`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Writes the verdicts of an arm, without prompts and replies; an older baseline at the same place is replaced.
    Update(Update),
}

/// Arguments of `baseline update`.
#[derive(Debug, Args)]
pub struct Update {
    /// The run's folder, or its run.json.
    run: PathBuf,
    /// The arm.
    #[arg(long, default_value = "aligned")]
    arm: String,
    /// The baseline.
    #[arg(long, value_name = "FILE", default_value = "baseline.json")]
    out: PathBuf,
}

impl Command {
    pub(super) fn carry_out(&self, ui: &Ui) -> Result<Exit, Failure> {
        let Self::Update(update) = self;
        update.carry_out(ui)
    }
}

impl Update {
    fn carry_out(&self, ui: &Ui) -> Result<Exit, Failure> {
        let (record, _) = read_record(&self.run)?;
        let Some(arm) = arm(&record, &self.arm) else {
            let have: Vec<&str> = record.arms.iter().map(|arm| arm.name.as_str()).collect();
            return Err(Failure::new("unknown-arm", format!("the run has no arm {:?}; it has {}", self.arm, have.join(", ")))
                .remedy(format!("choose one: --arm {}", have.first().unwrap_or(&"aligned"))));
        };
        if arm.cells.is_empty() {
            let message = format!("arm {} of the run was not measured: {}", arm.name, arm.summary);
            return Err(Failure::new("unknown-arm", message).remedy("choose another: --arm aligned"));
        }
        // Only a baseline is replaced: the user may have named another file by mistake.
        if self.out.exists() {
            read_baseline(&self.out)?;
        }
        let baseline = Baseline::of(&record, arm);
        let text = serde_json::to_string(&baseline).map_err(|error| Failure::new("internal", error.to_string()))?;
        // One prompt a line, so that a change shows which prompts changed.
        write_bytes(&self.out, text.replace("{\"id\"", "\n{\"id\"").as_bytes())?;
        let prompts: usize = baseline.suites.values().flat_map(|suite| &suite.seeds).map(Vec::len).sum();
        ui.value(&serde_json::json!({"baseline": self.out, "run": baseline.run, "arm": baseline.arm, "prompts": prompts}));
        ui.text(&format!("{}: {prompts} verdicts of arm {} of run {}", self.out.display(), baseline.arm, baseline.run));
        Ok(Exit::Passed)
    }
}

/// Reads what `baseline update` wrote.
pub(super) fn read_baseline(path: &Path) -> Result<Baseline, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new("file", format!("cannot read {}: {error}", path.display()))
            .remedy(format!("make it: steadfast baseline update runs/NAME/latest --out {}", path.display()))
    })?;
    let damaged = |what: String| {
        Failure::new("damaged-baseline", format!("{} is no baseline: {what}", path.display()))
            .remedy("make one under another name: steadfast baseline update runs/NAME/latest --out baseline.json")
    };
    let baseline: Baseline = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    if baseline.version != BASELINE_VERSION {
        return Err(damaged(format!("it has version {}, this program reads version {BASELINE_VERSION}", baseline.version)));
    }
    Ok(baseline)
}
