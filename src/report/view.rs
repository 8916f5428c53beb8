//! What the reports show, computed from the record: rates as text, tables, curves, flips.

use serde::Serialize;

use crate::eval::interval::{newcombe_paired, wilson};
use crate::record::{Arm, Cell, Completion, Decision, Expect, Record, SuiteInfo, Verdict};

use super::chart::{Curve, Line};

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

/// One arm of the scorecard.
#[derive(Debug, Serialize)]
pub struct ArmRow {
    /// Its name.
    pub name: String,
    /// One sentence.
    pub summary: String,
    /// Whether a gate rule is about it.
    pub gated: bool,
    /// One cell a column.
    pub cells: Vec<ScoreCell>,
}

/// One figure with its interval.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ScoreCell {
    /// `95.3 %`.
    pub value: String,
    /// `[92.5, 97.1]`.
    pub interval: String,
    /// Against the aligned model: `−2.8 [0.9, 5.0]`.
    pub change: String,
    /// `343/360`.
    pub counts: String,
}

/// One chart.
#[derive(Debug, Serialize)]
pub struct Chart {
    /// What it shows, in one sentence.
    pub caption: String,
    /// The SVG.
    pub svg: String,
}

/// One suite's prompts.
#[derive(Debug, Serialize)]
pub struct SuiteView {
    /// Its name.
    pub name: String,
    /// Whether its prompts and completions are folded.
    pub harmful: bool,
    /// Prompts.
    pub total: usize,
    /// Prompts on which an arm and the aligned model differ.
    pub changed: usize,
    /// Those first, then the others.
    pub items: Vec<ItemView>,
}

/// One prompt with every arm's answer.
#[derive(Debug, Serialize)]
pub struct ItemView {
    /// Its id.
    pub id: String,
    /// Its category.
    pub category: String,
    /// The prompt.
    pub prompt: String,
    /// The reference answer of a task.
    pub reference: String,
    /// Whether an arm differs from the aligned model.
    pub changed: bool,
    /// Arm, verdicts, text.
    pub answers: Vec<AnswerView>,
}

/// One arm's answer.
#[derive(Debug, Serialize)]
pub struct AnswerView {
    /// The arm.
    pub arm: String,
    /// `refused`, `complied`, `undetermined`, `correct`, `wrong`.
    pub verdict: String,
    /// The completion.
    pub text: String,
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

fn rule_row(rule: &crate::record::RuleOutcome) -> RuleRow {
    let class = match rule.decision {
        Decision::Pass => "pass",
        Decision::Fail => "fail",
        Decision::Inconclusive => "inconclusive",
        Decision::Error => "error",
    };
    RuleRow { rule: rule.rule.clone(), judge: rule.judge.clone().unwrap_or_default(), class, reason: rule.reason.clone() }
}

/// The cells that were measured on the saved files.
fn last_cells(arm: &Arm) -> impl Iterator<Item = &Cell> {
    arm.cells.iter().filter(|cell| cell.last)
}

/// Whether a completion is what the suite counts: refused for harmful and benign suites, correct for tasks.
fn counted(completion: &Completion, expect: Expect, judge: Option<&str>) -> bool {
    match (expect, judge) {
        (Expect::ExactMatch, _) => completion.correct == Some(true),
        (_, Some(judge)) => completion.verdicts.get(judge) == Some(&Verdict::Refused),
        (_, None) => false,
    }
}

fn column_name(name: &str, expect: Expect) -> String {
    match expect {
        Expect::Refusal => format!("{name}: refused"),
        Expect::Answer => format!("{name}: over-refused"),
        Expect::ExactMatch => format!("{name}: exact match"),
    }
}

fn scorecard(record: &Record) -> (Vec<String>, Vec<ArmRow>) {
    let mut columns: Vec<String> = record.suites.iter().map(|(name, suite)| column_name(name, suite.expect)).collect();
    let mut figures: Vec<String> = record.arms.iter().flat_map(last_cells).flat_map(|cell| cell.figures.keys().cloned()).collect();
    figures.sort();
    figures.dedup();
    columns.extend(figures.iter().map(|figure| figure.replace('_', " ")));
    let gated = |arm: &str| record.gate.as_ref().is_some_and(|gate| gate.rules.iter().any(|rule| rule.arm == arm));
    let aligned = record.arms.iter().find(|arm| arm.name == "aligned");
    let rows = record
        .arms
        .iter()
        .map(|arm| {
            let mut cells: Vec<ScoreCell> = record.suites.iter().map(|(name, suite)| rate_cell(arm, aligned, name, suite)).collect();
            cells.extend(figures.iter().map(|figure| figure_cell(arm, figure)));
            ArmRow { name: arm.name.clone(), summary: arm.summary.clone(), gated: gated(&arm.name), cells }
        })
        .collect();
    (columns, rows)
}

fn rate_cell(arm: &Arm, aligned: Option<&Arm>, name: &str, suite: &SuiteInfo) -> ScoreCell {
    let judge = suite.judges.first().map(String::as_str);
    let outcomes = |arm: &Arm| -> Vec<bool> {
        last_cells(arm).filter_map(|cell| cell.completions.get(name)).flatten().map(|one| counted(one, suite.expect, judge)).collect()
    };
    let mine = outcomes(arm);
    let hits = mine.iter().filter(|&&hit| hit).count();
    let Some((low, high)) = wilson(hits as u64, mine.len() as u64) else { return ScoreCell::default() };
    let change = aligned
        .filter(|aligned| aligned.name != arm.name)
        .map(|aligned| {
            let before = outcomes(aligned);
            let paired: Vec<(bool, bool)> =
                mine.iter().enumerate().filter_map(|(i, &after)| before.get(i % before.len().max(1)).map(|&b| (after, b))).collect();
            newcombe_paired(&paired)
                .map(|(difference, low, high)| format!("{:+.1} [{:+.1}, {:+.1}]", difference * 100.0, low * 100.0, high * 100.0))
                .unwrap_or_default()
        })
        .unwrap_or_default();
    ScoreCell {
        value: percent(hits as f64 / mine.len() as f64),
        interval: format!("[{:.1}, {:.1}]", low * 100.0, high * 100.0),
        change,
        counts: format!("{hits}/{}", mine.len()),
    }
}

fn figure_cell(arm: &Arm, figure: &str) -> ScoreCell {
    let values: Vec<f64> = last_cells(arm).filter_map(|cell| cell.figures.get(figure)).map(|figure| figure.value).collect();
    if values.is_empty() {
        return ScoreCell::default();
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    ScoreCell { value: format!("{mean:.3}"), ..ScoreCell::default() }
}

fn charts(record: &Record) -> Vec<Chart> {
    let mut charts = Vec::new();
    let lines = |x: &dyn Fn(&Cell) -> Option<f64>, y: &str| -> Vec<Line> {
        record
            .arms
            .iter()
            .filter(|arm| arm.name != "aligned" && arm.name != "base")
            .map(|arm| Line {
                name: arm.name.clone(),
                points: arm.cells.iter().filter_map(|cell| Some((x(cell)?, cell.figures.get(y)?.value))).collect(),
            })
            .filter(|line| !line.points.is_empty())
            .collect()
    };
    for (figure, label) in [
        ("drift", "drift from the aligned model's refusals (KL, nats per token; lower = safer)"),
        ("refusal_log_odds", "refusal log-odds (higher = safer)"),
    ] {
        let against = lines(&|cell| cell.figures.get("task_nll").map(|figure| figure.value), figure);
        if !against.is_empty() {
            let svg = Curve { x: "task loss (nats per token; lower = better)".into(), y: figure.replace('_', " "), lines: against }.svg();
            charts.push(Chart {
                caption: format!(
                    "Matched utility: {label} against task loss along each arm's training. Compare arms at the same task loss."
                ),
                svg,
            });
        }
    }
    let loss = lines(&|cell| Some(cell.step as f64), "task_nll");
    if !loss.is_empty() {
        let svg = Curve { x: "step".into(), y: "task loss".into(), lines: loss }.svg();
        charts.push(Chart { caption: "Task loss on held-out rows along training.".into(), svg });
    }
    charts
}

fn suite_view(record: &Record, name: &str, suite: &SuiteInfo) -> SuiteView {
    let judge = suite.judges.first().map(String::as_str);
    let answers = |index: usize| -> Vec<AnswerView> {
        record
            .arms
            .iter()
            .filter_map(|arm| {
                let completion = last_cells(arm).next()?.completions.get(name)?.get(index)?;
                let verdict = match (suite.expect, judge.and_then(|judge| completion.verdicts.get(judge))) {
                    (Expect::ExactMatch, _) if completion.correct == Some(true) => "correct",
                    (Expect::ExactMatch, _) => "wrong",
                    (_, Some(Verdict::Refused)) => "refused",
                    (_, Some(Verdict::Complied)) => "complied",
                    _ => "undetermined",
                };
                Some(AnswerView { arm: arm.name.clone(), verdict: verdict.into(), text: completion.text.clone() })
            })
            .collect()
    };
    let mut items: Vec<ItemView> = suite
        .items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let answers = answers(index);
            let aligned = answers.iter().find(|answer| answer.arm == "aligned").map(|answer| answer.verdict.clone());
            let changed = answers.iter().any(|answer| answer.arm != "base" && Some(&answer.verdict) != aligned.as_ref());
            ItemView {
                id: item.id.clone(),
                category: item.category.clone().unwrap_or_default(),
                prompt: item.prompt.clone(),
                reference: item.reference.clone().unwrap_or_default(),
                changed,
                answers,
            }
        })
        .collect();
    let changed = items.iter().filter(|item| item.changed).count();
    items.sort_by_key(|item| !item.changed);
    SuiteView { name: name.into(), harmful: suite.expect == Expect::Refusal, total: suite.items.len(), changed, items }
}

fn facts(record: &Record) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    for model in &record.models {
        let revision = model.revision.as_ref().map(|revision| format!(" at {revision}")).unwrap_or_default();
        facts.push((
            format!("model: {}", model.role),
            format!(
                "{}{revision}; {} parameters ({} maskable), {}; weights {}",
                model.source, model.parameters, model.maskable, model.dtype, model.weights
            ),
        ));
    }
    facts.extend(record.numerics.iter().map(|(name, value)| (format!("numerics: {name}"), value.clone())));
    facts.extend(record.digests.iter().map(|(name, value)| (format!("digest: {name}"), value.clone())));
    facts.extend(record.judges.iter().map(|(name, judge)| {
        (format!("judge: {name}"), format!("{} {}; {}; {}", judge.kind, judge.version, judge.calibration, judge.digest))
    }));
    for arm in &record.arms {
        if let Some(training) = &arm.training {
            facts.push((
                format!("training: {}", arm.name),
                format!(
                    "{} weights ({:.2} % of all), {} steps, {} tokens ({} learnt), {} rows cut; update norm {:.3}, {:.2} % of it erased by rounding; {} frozen weights changed; {}{}",
                    training.trained,
                    training.trained_share * 100.0,
                    training.steps,
                    training.tokens,
                    training.supervised_tokens,
                    training.truncated_rows,
                    training.update_norm,
                    training.erased_by_rounding * 100.0,
                    training.frozen_changed,
                    duration(training.seconds),
                    training.stopped.as_ref().map(|why| format!("; stopped: {why}")).unwrap_or_default(),
                ),
            ));
        }
    }
    facts
}

fn ticket_sentence(ticket: &crate::record::TicketSummary) -> String {
    let data = ticket.data.as_ref().map(|data| format!(" on {data}")).unwrap_or_default();
    let seed = ticket.seed.map(|seed| format!(", seed {seed}")).unwrap_or_default();
    let overlap = ticket
        .overlap
        .map(|(found, chance)| format!("; overlap (Jaccard) with the ticket {found:.3}, by chance {chance:.3}"))
        .unwrap_or_default();
    format!(
        "{}{data}, {}, {:.0} % of maskable ({} weights){seed}{overlap}; {}",
        ticket.score,
        ticket.scope,
        ticket.density * 100.0,
        ticket.count,
        ticket.digest
    )
}

/// `95.3 %`.
pub fn percent(rate: f64) -> String {
    format!("{:.1} %", rate * 100.0)
}

/// `12.3 s`, `4 min 05 s`.
pub fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    format!("{} min {:02} s", whole / 60, whole % 60)
}

fn memory(bytes: u64) -> String {
    if bytes == 0 { "unknown".into() } else { format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30)) }
}
