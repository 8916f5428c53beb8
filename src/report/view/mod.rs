//! What the reports show, computed from the record: rates as text, tables, curves, flips.

mod curves;
mod facts;
mod prompts;
mod scorecard;
mod words;

use serde::Serialize;

pub use self::curves::Chart;
use self::curves::charts;
use self::facts::{facts, ticket_sentence};
use self::prompts::suite_view;
pub use self::prompts::{AnswerView, ItemView, SuiteView};
use self::scorecard::scorecard;
pub use self::scorecard::{ArmRow, ScoreCell};
use self::words::memory;
pub use self::words::{duration, percent};
use crate::record::{Decision, Record, RuleOutcome};

/// Everything that the templates need.
#[derive(Debug, Serialize)]
pub struct View {
    /// The pipeline's name.
    pub name: String,
    /// The run's id.
    pub run_id: String,
    /// The program with its version.
    pub program: String,
    /// UTC start.
    pub started: String,
    /// `12 min 03 s`.
    pub duration: String,
    /// `1.4 GiB`.
    pub memory: String,
    /// `PASS`, `FAIL`, `INCONCLUSIVE`, `ERROR`, `NO GATE`.
    pub verdict: &'static str,
    /// `pass`, `fail`, `inconclusive`, `error`: the style.
    pub verdict_class: &'static str,
    /// The one sentence.
    pub headline: String,
    /// Further sentences.
    pub findings: Vec<String>,
    /// The rules.
    pub rules: Vec<RuleRow>,
    /// Column heads of the scorecard.
    pub columns: Vec<String>,
    /// One row an arm.
    pub arms: Vec<ArmRow>,
    /// Curves as SVG.
    pub charts: Vec<Chart>,
    /// Prompts whose answer changed against the aligned model, by suite.
    pub suites: Vec<SuiteView>,
    /// Warnings.
    pub warnings: Vec<String>,
    /// Stage, seconds, reused.
    pub stages: Vec<(String, String, bool)>,
    /// Digests, numerics and models as name and value.
    pub facts: Vec<(String, String)>,
    /// Tickets: name and one sentence.
    pub tickets: Vec<(String, String)>,
    /// The resolved pipeline as text.
    pub pipeline: String,
}

/// One rule as shown.
#[derive(Debug, Serialize)]
pub struct RuleRow {
    /// The rule.
    pub rule: String,
    /// The judge.
    pub judge: String,
    /// `pass`, ….
    pub class: &'static str,
    /// Why.
    pub reason: String,
}

/// Computes what the reports show.
pub fn view(record: &Record) -> View {
    let (verdict, verdict_class) = match record.gate.as_ref().map(|gate| gate.decision) {
        Some(Decision::Pass) => ("PASS", "pass"),
        Some(Decision::Fail) => ("FAIL", "fail"),
        Some(Decision::Inconclusive) => ("INCONCLUSIVE", "inconclusive"),
        Some(Decision::Error) => ("ERROR", "error"),
        None => ("NO GATE", "inconclusive"),
    };
    let gate = record.gate.as_ref();
    let (columns, arms) = scorecard(record);
    View {
        name: record.name.clone(),
        run_id: record.run_id.clone(),
        program: record.program.clone(),
        started: record.started.clone(),
        duration: duration(record.seconds),
        memory: memory(record.peak_memory_bytes),
        verdict,
        verdict_class,
        headline: gate.map_or_else(|| "no gate was decided".into(), |gate| gate.headline.clone()),
        findings: gate.map(|gate| gate.findings.clone()).unwrap_or_default(),
        rules: gate.map(|gate| gate.rules.iter().map(rule_row).collect()).unwrap_or_default(),
        columns,
        arms,
        charts: charts(record),
        suites: record.suites.iter().map(|(name, suite)| suite_view(record, name, suite)).collect(),
        warnings: record.warnings.clone(),
        stages: record.stages.iter().map(|stage| (stage.stage.clone(), duration(stage.seconds), stage.reused)).collect(),
        facts: facts(record),
        tickets: record.tickets.iter().map(|(name, ticket)| (name.clone(), ticket_sentence(ticket))).collect(),
        pipeline: serde_json::to_string_pretty(&record.pipeline).unwrap_or_default(),
    }
}

fn rule_row(rule: &RuleOutcome) -> RuleRow {
    let class = match rule.decision {
        Decision::Pass => "pass",
        Decision::Fail => "fail",
        Decision::Inconclusive => "inconclusive",
        Decision::Error => "error",
    };
    RuleRow { rule: rule.rule.clone(), judge: rule.judge.clone().unwrap_or_default(), class, reason: rule.reason.clone() }
}
