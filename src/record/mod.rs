//! What a run measured: the narrow waist between running and telling.
//!
//! The HTML report, the Markdown summary, JUnit, the CLI tables and the gate read only this, so each of them can be made
//! again from `run.json` alone. Rates are fractions in 0..=1, times in seconds, losses in nats per token.

mod arm;
mod audit;
mod baseline;
mod equal;
mod gate;
mod lost;
mod manner;
mod measures;
mod probes;
mod race;
mod suite;
mod usage;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::arm::{Arm, Cell, Chosen, Completion, EditSummary, Figure, MergeSummary, Rouge, TaskTraining, TrainingSummary, task_loss};
pub use self::audit::{Audit, AuditRow};
pub use self::baseline::{BASELINE_VERSION, Baseline, Kept};
pub use self::equal::{AtUtility, Difference, EqualUtility, Estimate, Level, UtilityTable, WithinBudget};
pub use self::gate::{Decision, GateOutcome, RuleOutcome};
pub use self::lost::{Became, Incoherence};
pub use self::manner::{Manner, Sampled, System};
pub use self::measures::{Comparison, Likelihood, Preferred, Window};
pub use self::probes::{FirstToken, ProbeReference, ReferenceRefusal};
pub use self::race::{Heat, Race, RaceEnd, RacePoint, Tried, Winner};
pub use self::suite::{Expect, JudgeError, JudgeInfo, Measured, Quantization, SuiteInfo, SuiteItem, Verdict};
pub use self::usage::{NO_ANSWER, Usage};

/// The version of the format of `run.json`; a reader refuses any other.
pub const RECORD_VERSION: u32 = 3;

/// Everything that a run measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`RECORD_VERSION`].
    pub version: u32,
    /// Whether every text was left out: prompts, references, choices, replies, the probes' refusals and their tokens. Ids, categories,
    /// verdicts, figures and digests are all there, and what replaced each lost refusal ([`Completion::became`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_text: bool,
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
    /// Digests (`sha256:…`) by what they are of: `model.base`, `model.aligned`, `model.ARM`, `model.judge.NAME` (weights, however they are
    /// split into files), `text.aligned` (tokenizer, template, system message, configuration), `template.aligned` (the same without the configuration), `data.align.0`, `data.ticket`, `data.finetune.0` (in a sequence `data.finetune.TASK.0`),
    /// `data.probes.harmful`, `suite.harmful` (the rows that were chosen, in order), `judge.phrases` (its rules), `judge.NAME` of a
    /// classifier (weights, tokenizer, configuration, labels, input and thresholds).
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
    /// What the probes compare with; none where the pipeline has no probes, or the run stopped before them.
    pub probes: Option<ProbeReference>,
    /// Which rows of the custom data pull against the refusals; none where nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// The arms, in the pipeline's order; `aligned` (the reference) and, where evaluated, `base` come first.
    pub arms: Vec<Arm>,
    /// What a reader must know.
    pub warnings: Vec<String>,
    /// The gate's reasoning; none when the run stopped before it.
    pub gate: Option<GateOutcome>,
}

impl Record {
    /// What weights were rounded to for the replies to any suite.
    pub fn quantization(&self) -> Option<Quantization> {
        self.suites.values().find_map(|suite| suite.quantization)
    }
}

/// A model that took part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelOrigin {
    /// `base`, `aligned`, `judge.NAME` of a classifier.
    pub role: String,
    /// As written: `hf://owner/name@revision`, a folder, a file.
    pub source: String,
    /// The resolved commit, for hub sources.
    pub revision: Option<String>,
    /// Digest of the weights; `unknown (endpoint)` behind an endpoint.
    pub weights: String,
    /// Parameters, tied ones once.
    pub parameters: u64,
    /// Parameters that a mask may hold; 0 of a judge.
    pub maskable: u64,
    /// The dtype that the weights are stored in.
    pub dtype: String,
    /// What was asked of an endpoint; none of a model that ran here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// What is told of a ticket without its bits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TicketSummary {
    /// `snip`, `task-vector`, `random`, …
    pub score: String,
    /// `global`, `tensor`, `layer`, `row`.
    pub scope: String,
    /// `row` or `column` where these were taken whole; none of single weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structure: Option<String>,
    /// Share of maskable weights, in (0, 1].
    pub density: f64,
    /// Weights in the ticket.
    pub count: u64,
    /// Maskable weights.
    pub maskable: u64,
    /// What it was scored on.
    pub data: Option<String>,
    /// On what other data the top of the same score was taken away, and its share of maskable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minus: Option<(String, f64)>,
    /// On what other data the same score divides it, and ε in mean scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<(String, f64)>,
    /// The ticket that this one differs from in its data alone: its control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin_of: Option<String>,
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
    /// Wall time when it was carried out, in seconds (of the earlier run, when reused; of this run, where an endpoint was asked).
    pub seconds: f64,
    /// Where an endpoint was asked: the answers that were needed, and those of them that were in the store. It is reused where all were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<(u64, u64)>,
}
