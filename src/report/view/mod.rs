//! What the reports show, computed from the record: rates as text, tables, curves, prompts.

mod agreement;
mod answer;
mod audit;
mod changes;
mod comparison;
mod curves;
mod cut;
mod edits;
mod ends;
mod facts;
mod flips;
mod joined;
mod matched;
mod prompts;
mod races;
mod replaced;
mod scorecard;
mod sequences;
mod takes;
mod tradeoff;
mod training;
mod words;

use serde::Serialize;

use self::agreement::agreement;
pub use self::agreement::{AgreementRow, AgreementView};
pub use self::audit::{AuditView, AuditedView, audit};
use self::changes::changes;
pub use self::changes::{ChangeRow, ChangesView};
pub use self::comparison::{ComparisonArm, ComparisonRow, ComparisonView, RunView, comparison};
pub use self::curves::Chart;
use self::curves::charts;
use self::edits::edits;
pub use self::edits::{COLUMNS as EDIT_COLUMNS, EditRow};
use self::facts::facts;
pub use self::facts::{ProbesView, probes};
pub use self::flips::{FlipCell, FlipRow, FlipsView};
pub use self::joined::{JoinedCell, JoinedTask, JoinedView, joined};
pub use self::matched::{MatchedRow, MatchedView};
pub use self::prompts::{Data, ItemData, PromptsView, Said, SuiteData, prompts};
use self::races::races;
pub use self::races::{COLUMNS as RACE_COLUMNS, RaceRow, RaceView};
pub use self::replaced::{ReplacedRow, ReplacedView};
use self::replaced::{replaced, sentences};
use self::scorecard::scorecard;
pub use self::scorecard::{ArmRow, Column, ScoreCell};
pub use self::sequences::{SequenceRow, SequenceView};
use self::takes::Takes;
use self::training::training;
pub use self::training::{COLUMNS as TRAINING_COLUMNS, TrainingRow};
use self::words::memory;
pub use self::words::{duration, percent};
use crate::record::{Record, RuleOutcome, StageTiming};

/// Everything that is shown, apart from prompts and completions.
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
    /// The rule that the sentence is about, where it begins with one.
    pub headline_rule: String,
    /// The one sentence, without that rule.
    pub headline: String,
    /// Further sentences.
    pub findings: Vec<String>,
    /// The rules.
    pub rules: Vec<RuleRow>,
    /// Column heads of the scorecard.
    pub columns: Vec<Column>,
    /// One row an arm.
    pub arms: Vec<ArmRow>,
    /// Which judges decided, and whether they were ever checked against people.
    pub judges: String,
    /// Column heads of the training table.
    pub training_columns: [&'static str; 10],
    /// What each arm's training did.
    pub training: Vec<TrainingRow>,
    /// Column heads of the table of edits.
    pub edit_columns: [&'static str; 8],
    /// What was done to another arm's weights.
    pub edits: Vec<EditRow>,
    /// Column heads of the tables of races.
    pub race_columns: [&'static str; 5],
    /// How the recipes of arms were chosen.
    pub races: Vec<RaceView>,
    /// Arms at equal utility.
    pub matched: Vec<MatchedView>,
    /// What each task of a sequence did to all of them, by arm.
    pub sequences: Vec<SequenceView>,
    /// Curves as SVG.
    pub charts: Vec<Chart>,
    /// What became of the aligned model's answers.
    pub changes: Vec<ChangesView>,
    /// What replaced each lost refusal.
    pub replaced: Vec<ReplacedView>,
    /// How seeds and drawn replies are counted together; nothing where there is one.
    pub pooled: String,
    /// How far judges agree, where a suite has several.
    pub agreement: Vec<AgreementView>,
    /// Warnings.
    pub warnings: Vec<String>,
    /// Stage, time, `reused`, `3 of 8 answers` or nothing, key.
    pub stages: Vec<[String; 4]>,
    /// Models, tickets, judges, suites and numerics as name and value.
    pub facts: Vec<(String, String)>,
    /// Digests by what they are of.
    pub digests: Vec<(String, String)>,
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
    let (verdict, verdict_class) = words::verdict(record.gate.as_ref().map(|gate| gate.decision));
    let gate = record.gate.as_ref();
    let gated = |arm: &str| gate.is_some_and(|gate| gate.rules.iter().any(|rule| rule.arm == arm));
    let whole = gate.map_or("no gate was decided", |gate| gate.headline.as_str());
    let ruled = |rule: &RuleOutcome| Some((rule.rule.clone(), whole.strip_prefix(&rule.rule)?.strip_prefix(": ")?.to_owned()));
    let (headline_rule, headline) =
        gate.and_then(|gate| gate.rules.iter().find_map(ruled)).unwrap_or_else(|| (String::new(), whole.to_owned()));
    let (columns, arms) = scorecard(record, &gated);
    let replaced = replaced(record, &gated);
    let mut findings = gate.map(|gate| gate.findings.clone()).unwrap_or_default();
    findings.extend(sentences(&replaced));
    View {
        name: record.name.clone(),
        run_id: record.run_id.clone(),
        program: record.program.clone(),
        started: record.started.clone(),
        duration: duration(record.seconds),
        memory: memory(record.peak_memory_bytes),
        verdict,
        verdict_class,
        headline_rule,
        headline,
        findings,
        rules: gate.map(|gate| gate.rules.iter().map(rule_row).collect()).unwrap_or_default(),
        columns,
        arms,
        judges: record
            .judges
            .iter()
            .map(|(name, judge)| format!("{name} {} ({})", judge.version, judge.calibration))
            .collect::<Vec<_>>()
            .join(", "),
        training_columns: TRAINING_COLUMNS,
        training: training(record),
        edit_columns: EDIT_COLUMNS,
        edits: edits(record),
        race_columns: RACE_COLUMNS,
        races: races(record),
        matched: matched::tables(record),
        sequences: sequences::views(record),
        charts: charts(record, &gated),
        changes: changes(record, &gated),
        replaced,
        pooled: Takes::of(record).pooled(),
        agreement: agreement(record),
        warnings: record.warnings.clone(),
        stages: record.stages.iter().map(stage_row).collect(),
        facts: facts(record),
        digests: record.digests.iter().map(|(name, digest)| (name.clone(), digest.clone())).collect(),
        pipeline: serde_json::to_string_pretty(&record.pipeline).unwrap_or_default(),
    }
}

fn stage_row(stage: &StageTiming) -> [String; 4] {
    let reused = match stage.answers {
        Some((all, stored)) => format!("{stored} of {all} answers"),
        None if stage.reused => "reused".into(),
        None => String::new(),
    };
    [stage.stage.clone(), duration(stage.seconds), reused, stage.key.chars().take(24).collect()]
}

fn rule_row(rule: &RuleOutcome) -> RuleRow {
    let (_, class) = words::verdict(Some(rule.decision));
    RuleRow { rule: rule.rule.clone(), judge: rule.judge.clone().unwrap_or_default(), class, reason: rule.reason.clone() }
}
