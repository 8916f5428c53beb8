//! `steadfast gate RUN`.

use std::path::PathBuf;

use clap::Args;

use super::baseline::read_baseline;
use super::read_record;
use crate::error::{Exit, Failure};
use crate::eval::gate::decide;
use crate::eval::rule::{Condition, Rule};
use crate::report::annotations;
use crate::run::exit_of;
use crate::ui::Ui;

/// Arguments of `gate`.
#[derive(Debug, Args)]
pub struct Gate {
    /// The run's folder, or its run.json.
    run: PathBuf,
    /// What drops and rises are measured from, instead of the run's aligned model: what `baseline update` wrote.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Prints the rules that do not hold as commands to a GitHub runner, and nothing else.
    #[arg(long)]
    annotations: bool,
}

impl Gate {
    pub(super) fn carry_out(&self, ui: &Ui) -> Result<Exit, Failure> {
        let (record, _) = read_record(&self.run)?;
        let rules: Vec<Rule> = serde_json::from_value(record.pipeline["gate"].clone())
            .map_err(|error| Failure::new("damaged-record", format!("the record's rules: {error}")))?;
        let baseline = self.baseline.as_deref().map(read_baseline).transpose()?;
        let compared = |rule: &Rule| matches!(rule.condition, Condition::DropAtMost(_) | Condition::RiseAtMost(_));
        if baseline.is_some() && !rules.iter().any(compared) {
            return Err(Failure::new("nothing-to-compare", "the baseline is compared with nothing: no rule of the run is about a drop or a rise")
                .remedy("add one to the pipeline, and run it again: {arm: aligned, metric: harmful.refusal_rate, drop_at_most: 0.05}; or leave --baseline out"));
        }
        let outcome = decide(&record, &rules, baseline.as_ref());
        if self.annotations {
            annotations::render(&outcome).lines().for_each(|line| ui.result(line));
            return Ok(exit_of(outcome.decision));
        }
        ui.value(&outcome);
        for rule in &outcome.rules {
            ui.text(&format!("{:?}: {}: {}", rule.decision, rule.rule, rule.reason));
        }
        ui.text(&format!("{:?}: {}", outcome.decision, outcome.headline));
        Ok(exit_of(outcome.decision))
    }
}
