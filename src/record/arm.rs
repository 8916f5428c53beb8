//! What every arm did: its training and its measurements.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lost::Became;
use super::measures::{Comparison, Likelihood};
use super::race::Race;
use super::suite::{JudgeError, Verdict};

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
    /// What it trained; none for `aligned` and `base`, and for arms that are made of another one's weights.
    pub training: Option<TrainingSummary>,
    /// What was done to another arm's weights to make it, in its first seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<EditSummary>,
    /// What each of several tasks did, in its first seed; empty where there is one task. [`Self::training`] is then all of them together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskTraining>,
    /// What became of the tasks of an arm that learnt them side by side, in its first seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<MergeSummary>,
    /// How its recipe was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub race: Option<Race>,
    /// Its cells; several seeds, tasks and steps give several.
    pub cells: Vec<Cell>,
}

/// What the training of one of several tasks did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskTraining {
    /// The task.
    pub name: String,
    /// Its training, counted by itself.
    pub training: TrainingSummary,
    /// Whether it trained weights of its own, which no other task of the arm trains.
    pub own_weights: bool,
}

/// What an arm's training did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingSummary {
    /// Weights that were trained; of a LoRA arm, the numbers in its factors.
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
    /// Of an arm with `project`: the steps whose gradient pointed against that of its rows, and was projected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projected: Option<u64>,
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

impl TrainingSummary {
    /// What is told of several seeds: the first's training, but one that stopped early before any that did not, since nothing may be
    /// decided of such an arm.
    pub fn of_seeds(first: Option<Self>, next: Option<Self>) -> Option<Self> {
        let stops = |training: &Option<Self>| training.as_ref().is_some_and(|training| training.stopped.is_some());
        if first.is_none() || stops(&next) && !stops(&first) { next } else { first }
    }
}

/// What an arm did that trains nothing itself: it edits the saved weights of another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EditSummary {
    /// The arm whose weights were edited.
    pub from: String,
    /// Digest of these weights.
    pub weights: String,
    /// Weights whose saved bits differ from that arm's.
    pub changed: u64,
    /// Their share of all parameters.
    pub changed_share: f64,
    /// Of an edit that projects updates: how many matrices it projected, and how many it looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projected: Option<(u64, u64)>,
    /// Norm of the difference from that arm's weights, after rounding to the saved dtype.
    pub distance: f64,
    /// Norm of the difference from the aligned weights, after rounding to the saved dtype.
    pub update_norm: f64,
    /// Share of the edit (sum of absolute values) that rounding to the saved dtype erased.
    pub erased_by_rounding: f64,
    /// Weights that the edit had to leave alone, or to make the aligned ones again, whose bits differ; anything but 0 is a defect.
    pub kept_changed: u64,
    /// Wall time, in seconds.
    pub seconds: f64,
}

/// What merging the tasks of an arm did, each of which was trained from the aligned model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MergeSummary {
    /// Weights that at least one task changed.
    pub weights: u64,
    /// Of these, weights that several tasks changed.
    pub shared: u64,
    /// Of these, weights that some tasks raised and others lowered.
    pub opposed: u64,
    /// Weights whose saved bits differ from the aligned model's.
    pub changed: u64,
    /// Weights that the merge would have moved, and rounding to the saved dtype left as they were.
    pub erased: u64,
    /// Norm of the difference from the aligned weights, after rounding to the saved dtype.
    pub update_norm: f64,
    /// Weights that no task changed, and whose bits differ; anything but 0 is a defect.
    pub kept_changed: u64,
    /// Wall time, in seconds.
    pub seconds: f64,
}

/// The unit of measurement: arm × seed × after-task × step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Seed of data order and tickets.
    pub seed: u64,
    /// The task after which it was measured, or within which, where there are several; `finetune` where there is one; none before any,
    /// of a model into which all tasks were merged, and of what is made of it.
    pub after_task: Option<String>,
    /// Training step after which it was measured; in a sequence steps count on from task to task, of tasks side by side each counts its own,
    /// and their merge has the sum.
    pub step: u64,
    /// Whether this is the arm's end, measured on the saved files: one cell a seed. In a sequence the saved files of every task before
    /// the last, and of an arm that merges its tasks those of each, are measured likewise, in cells that are not the last and have completions.
    pub last: bool,
    /// Figures by name: probes (`drift`, `refusal_log_odds`, `task_nll`, `refusal_rate`, `answered_rate`), and on saved files
    /// `benign_refusal_mass` and, in a sequence, [`task_loss`] of every task's suite.
    pub figures: BTreeMap<String, Figure>,
    /// Completions by suite, in the order of [`SuiteInfo::items`](super::SuiteInfo::items); empty in probe-only cells.
    pub completions: BTreeMap<String, Vec<Completion>>,
}

/// The name of a figure: nats per token of the answers of a suite that measures a task of a sequence.
pub fn task_loss(suite: &str) -> String {
    format!("nll.{suite}")
}

/// One continuous figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// The mean.
    pub value: f64,
    /// Standard error over prompts; none where there is one value only.
    pub standard_error: Option<f64>,
    /// Over how many prompts or tokens.
    pub count: u64,
    /// Of a rate: the verdict on each prompt in order, one letter each: `r` refused, `c` complied, `u` undetermined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdicts: Option<String>,
}

/// What the model said to one prompt, and what was thought of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Completion {
    /// The text, without special tokens; of a question with choices, the likeliest one. Empty in a record without texts.
    #[serde(default)]
    pub text: String,
    /// Whether an end token ended it (else the token limit).
    pub ended: bool,
    /// Tokens produced.
    pub tokens: u32,
    /// Verdict by judge.
    pub verdicts: BTreeMap<String, Verdict>,
    /// Judges that failed at this completion, and how; their verdict is `undetermined`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub judge_errors: BTreeMap<String, JudgeError>,
    /// In a record without texts, where this reply lost a refusal of the aligned model: what stands there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub became: Option<Became>,
    /// Whether this is no reply at all: the endpoint that the model is behind gave none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unanswered: bool,
    /// For a task suite: what was extracted.
    pub extracted: Option<String>,
    /// For a task suite: whether it equals the reference. For a question with choices: whether the likeliest is the right one.
    pub correct: Option<bool>,
    /// For a question with choices: how likely each is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Chosen>,
    /// For a suite with reference texts: what it has in common with the reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rouge: Option<Rouge>,
    /// Score by judge, in 0..=1, of judges that give one (StrongREJECT's: 1 is the most harmful); none where it could not be read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, f64>,
    /// KL(aligned ‖ this model) per token, in nats, along the first tokens of the aligned model's own greedy reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl: Option<f64>,
    /// Beside the aligned model's reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared: Option<Comparison>,
    /// For a text: how likely it is. Nothing is generated then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likelihood: Option<Likelihood>,
    /// Where several replies were drawn ([`Sampled`](super::Sampled)): the others; this one is the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<Completion>,
}

impl Completion {
    /// All replies to the prompt, this one first.
    pub fn samples(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.more)
    }

    /// Puts every `samples` replies to one prompt, which stand together, into the first of them.
    pub fn gathered(replies: Vec<Self>, samples: usize) -> Vec<Self> {
        let mut gathered: Vec<Self> = Vec::with_capacity(replies.len() / samples.max(1));
        for (i, reply) in replies.into_iter().enumerate() {
            match gathered.last_mut() {
                Some(first) if i % samples != 0 => first.more.push(reply),
                _ => gathered.push(reply),
            }
        }
        gathered
    }
}

/// Words in common with a reference: F1 from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rouge {
    /// Of single words.
    pub rouge1: f64,
    /// Of pairs of words.
    pub rouge2: f64,
    /// Of the longest common subsequence of words.
    #[serde(rename = "rougeL")]
    pub rouge_l: f64,
}

/// What a model makes of the choices of a question; of equals, the first counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    /// The choice with the highest summed log-likelihood, from 0.
    pub index: usize,
    /// The choice whose log-likelihood a character is the highest.
    pub index_norm: usize,
    /// Whether that one is right.
    pub correct_norm: bool,
    /// Summed log-likelihood of each choice after the context, in nats.
    pub log_likelihoods: Vec<f64>,
}
