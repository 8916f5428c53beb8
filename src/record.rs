//! What a run measured: the narrow waist between running and telling.
//!
//! The HTML report, the Markdown summary, JUnit, the CLI tables and the gate read only this, so each of them can be made
//! again from `run.json` alone. Rates are fractions in 0..=1, times in seconds, losses in nats per token.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the format of `run.json`; a reader refuses any other.
pub const RECORD_VERSION: u32 = 1;

/// Everything that a run measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`RECORD_VERSION`].
    pub version: u32,
    /// The pipeline's name.
    pub name: String,
    /// The run's folder name: UTC start and the first characters of the run's key.
    pub run_id: String,
    /// The program's version.
    pub program: String,
    /// UTC start, RFC 3339.
    pub started: String,
    /// Wall time of the whole run, in seconds; stages that were reused count nothing.
    pub seconds: f64,
    /// The largest resident memory, in bytes; 0 where the system does not tell.
    pub peak_memory_bytes: u64,
    /// The resolved pipeline: every key with its value.
    pub pipeline: serde_json::Value,
    /// Model, data and file digests (`sha256:…`) by what they are: `model.base`, `data.finetune`, `suite.harmful`, `judge.phrases`.
    pub digests: BTreeMap<String, String>,
    /// What decides the last bits: backend with kernel path, compute dtype, threads.
    pub numerics: BTreeMap<String, String>,
    /// Where the models came from.
    pub models: Vec<ModelOrigin>,
    /// The tickets, by name; `ticket` is the pipeline's own.
    pub tickets: BTreeMap<String, TicketSummary>,
    /// The stages in the order in which they ran.
    pub stages: Vec<StageTiming>,
    /// The suites, by name.
    pub suites: BTreeMap<String, SuiteInfo>,
    /// The judges, by name.
    pub judges: BTreeMap<String, JudgeInfo>,
    /// The arms, in the pipeline's order; `aligned` (the reference) and, where evaluated, `base` come first.
    pub arms: Vec<Arm>,
    /// What a reader must know.
    pub warnings: Vec<String>,
    /// The gate's reasoning; none when the run stopped before it.
    pub gate: Option<GateOutcome>,
}

/// A model that took part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelOrigin {
    /// `base`, `aligned`.
    pub role: String,
    /// As written: `hf://owner/name@revision`, a folder, a file.
    pub source: String,
    /// The resolved commit, for hub sources.
    pub revision: Option<String>,
    /// Digest of the weights.
    pub weights: String,
    /// Parameters, tied ones once.
    pub parameters: u64,
    /// Parameters that a mask may hold.
    pub maskable: u64,
    /// The dtype that the weights are stored in.
    pub dtype: String,
}

/// What is told of a ticket without its bits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TicketSummary {
    /// `snip`, `task-vector`, `random`, …
    pub score: String,
    /// `global`, `tensor`, `layer`.
    pub scope: String,
    /// Share of maskable weights, in (0, 1].
    pub density: f64,
    /// Weights in the ticket.
    pub count: u64,
    /// Maskable weights.
    pub maskable: u64,
    /// What it was scored on.
    pub data: Option<String>,
    /// Seed of a random ticket.
    pub seed: Option<u64>,
    /// Digest of the ticket's file.
    pub digest: String,
    /// Share of each kind of projection (`q_proj`, …) that is in the ticket.
    pub density_by_kind: BTreeMap<String, f64>,
    /// Jaccard overlap with the pipeline's own ticket, and what chance would give; for other tickets.
    pub overlap: Option<(f64, f64)>,
}

/// How long a stage took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageTiming {
    /// `fetch`, `align`, `extract`, `finetune protected`, `evaluate protected`, …
    pub stage: String,
    /// The stage's key.
    pub key: String,
    /// Whether its result was found in the store.
    pub reused: bool,
    /// Wall time when it was carried out, in seconds (of the earlier run, when reused).
    pub seconds: f64,
}

/// What a suite asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteInfo {
    /// What a good answer is.
    pub expect: Expect,
    /// Number of prompts.
    pub prompts: usize,
    /// Digest of the file.
    pub digest: String,
    /// As written in the pipeline.
    pub source: String,
    /// The judges of this suite, by name; the first is the one that is shown first. Empty for task suites.
    pub judges: Vec<String>,
    /// The prompts, in order.
    pub items: Vec<SuiteItem>,
}

/// What a good answer of a suite is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Harmful prompts: a refusal.
    Refusal,
    /// Benign prompts: an answer.
    Answer,
    /// Task prompts: the reference answer after extraction.
    ExactMatch,
}

/// One prompt of a suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteItem {
    /// Unique in its suite.
    pub id: String,
    /// The prompt, as the user's turn.
    pub prompt: String,
    /// A group of prompts, where the file has one.
    pub category: Option<String>,
    /// The extracted reference answer of a task suite.
    pub reference: Option<String>,
}

/// Which judge decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeInfo {
    /// `phrases`.
    pub kind: String,
    /// The version of its rules.
    pub version: String,
    /// Digest of its rules.
    pub digest: String,
    /// Whether its error was measured on human labels; what was measured, or `not calibrated`.
    pub calibration: String,
}

/// What a judge says of one completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The model declined.
    Refused,
    /// The model answered.
    Complied,
    /// Empty, truncated before it said anything decidable, looping, or the judge failed. Counts against every rule.
    Undetermined,
}

/// One way from the aligned model to a tuned one, over all its cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// `aligned`, `unprotected`, `protected`, …
    pub name: String,
    /// Its resolved settings; null for `aligned` and `base`.
    pub settings: serde_json::Value,
    /// One sentence: `trains 10 % of maskable outside ticket "ticket" at 3e-4`.
    pub summary: String,
    /// What it trained; none for `aligned` and `base`.
    pub training: Option<TrainingSummary>,
    /// Its cells; several seeds, tasks and steps give several.
    pub cells: Vec<Cell>,
}

/// What an arm's training did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingSummary {
    /// Weights that were trained.
    pub trained: u64,
    /// Trained share of all parameters.
    pub trained_share: f64,
    /// Steps.
    pub steps: u64,
    /// Tokens fed, and those that were learnt.
    pub tokens: u64,
    /// Supervised tokens.
    pub supervised_tokens: u64,
    /// Rows that `max_length` cut.
    pub truncated_rows: u64,
    /// Loss of every step, in nats per supervised token.
    pub losses: Vec<f64>,
    /// Gradient norm of every step, before clipping.
    pub gradient_norms: Vec<f64>,
    /// Wall time of training, in seconds.
    pub seconds: f64,
    /// Norm of the update over the trained weights, after rounding to the saved dtype.
    pub update_norm: f64,
    /// Share of the update (sum of absolute values) that rounding to the saved dtype erased.
    pub erased_by_rounding: f64,
    /// Frozen weights whose bits differ in the saved files; anything but 0 is a defect.
    pub frozen_changed: u64,
    /// Why it stopped early: `loss is NaN at step 7`; none when it went to its end.
    pub stopped: Option<String>,
}

/// The unit of measurement: arm × seed × after-task × step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Seed of data order and tickets.
    pub seed: u64,
    /// The task after which it was measured, in a sequence; `finetune` where there is one task; none before any.
    pub after_task: Option<String>,
    /// Training step after which it was measured.
    pub step: u64,
    /// Whether this is the arm's end, measured on the saved files.
    pub last: bool,
    /// Figures by name: probes (`drift`, `refusal_log_odds`, `task_nll`) and others.
    pub figures: BTreeMap<String, Figure>,
    /// Completions by suite, in the order of [`SuiteInfo::items`]; empty in probe-only cells.
    pub completions: BTreeMap<String, Vec<Completion>>,
}

/// One continuous figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// The mean.
    pub value: f64,
    /// Standard error over prompts; none where there is one value only.
    pub standard_error: Option<f64>,
    /// Over how many prompts or tokens.
    pub count: u64,
}

/// What the model said to one prompt, and what was thought of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Completion {
    /// The text, without special tokens.
    pub text: String,
    /// Whether an end token ended it (else the token limit).
    pub ended: bool,
    /// Tokens produced.
    pub tokens: u32,
    /// Verdict by judge.
    pub verdicts: BTreeMap<String, Verdict>,
    /// For a task suite: what was extracted.
    pub extracted: Option<String>,
    /// For a task suite: whether it equals the reference.
    pub correct: Option<bool>,
}

/// The verdict of a rule or a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Holds.
    Pass,
    /// Does not hold.
    Fail,
    /// The sample cannot decide, or there was nothing to preserve.
    Inconclusive,
    /// A step it needs could not run.
    Error,
}

/// The gate's reasoning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateOutcome {
    /// The worst of its rules: error, else fail, else inconclusive, else pass.
    pub decision: Decision,
    /// The one sentence that a reader sees first, controls included.
    pub headline: String,
    /// Further sentences: what the controls did, whether any erosion was seen at all.
    pub findings: Vec<String>,
    /// One entry a rule and judge.
    pub rules: Vec<RuleOutcome>,
}

/// One rule's reasoning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleOutcome {
    /// The rule as a person would write it: `protected harmful.refusal_rate drop ≤ 5 points`.
    pub rule: String,
    /// The arm.
    pub arm: String,
    /// `suite.metric`.
    pub metric: String,
    /// The judge, for judged suites.
    pub judge: Option<String>,
    /// What was decided.
    pub decision: Decision,
    /// The measured value: a rate, a drop, a ratio.
    pub value: Option<f64>,
    /// Its 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// The limit.
    pub limit: f64,
    /// Why, in one sentence with the numbers.
    pub reason: String,
    /// For an inconclusive margin: about how many prompts would decide.
    pub needed_prompts: Option<u64>,
}
