//! What was asked, and which judges decided.

use serde::{Deserialize, Serialize};

use super::manner::Manner;
use super::measures::Window;
use super::usage::Usage;

/// What a suite asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteInfo {
    /// What a good answer is.
    pub expect: Expect,
    /// Number of prompts.
    pub prompts: usize,
    /// Digest of the rows that were chosen from the file, in order.
    pub digest: String,
    /// As written in the pipeline.
    pub source: String,
    /// Most tokens of a reply; 0 where nothing is generated.
    pub max_new_tokens: usize,
    /// The judges of this suite, by name; the first is the one that is shown first. Empty for task suites.
    pub judges: Vec<String>,
    /// How the prompts are put.
    #[serde(default, skip_serializing_if = "Manner::is_plain")]
    pub manner: Manner,
    /// Names of the metrics that are shown, the first first; empty: the usual one of what is expected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<String>,
    /// The share of an arm's completions, from 0 to 1, that an endpoint or a judge may fail at before the suite counts as not
    /// measured; none: any share, and what failed counts against every rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors_at_most: Option<f64>,
    /// The judge that compares an arm's replies with the aligned model's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<String>,
    /// Tokens of the aligned model's own reply along which an arm's distance from it is measured, at most; none: it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence: Option<usize>,
    /// What weights and activations were rounded to for replies; none: the weights replied as they ship.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<Quantization>,
    /// Of texts: the pieces in which they are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// The prompts, in order.
    pub items: Vec<SuiteItem>,
}

/// What weights, and what they are multiplied with, are rounded to for replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantization {
    /// Eight bits and, for 32 neighbours in a row, a scale: every matrix and the embedding, as in a GGUF of that type, and the activations.
    Q8_0,
}

impl Quantization {
    /// As pipelines write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Q8_0 => "q8_0",
        }
    }
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
    /// Questions with choices: the right one is the likeliest.
    MultipleChoice,
    /// Task prompts: words in common with the reference.
    Rouge,
    /// Texts: that they are likely.
    Perplexity,
}

impl Expect {
    /// Whether a model's reply is what is looked at.
    pub fn is_generated(self) -> bool {
        !matches!(self, Self::MultipleChoice | Self::Perplexity)
    }

    /// Whether a reply is compared with a reference, which a model may learn.
    pub fn is_referenced(self) -> bool {
        matches!(self, Self::ExactMatch | Self::Rouge)
    }
}

/// One prompt of a suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteItem {
    /// Unique in its suite.
    pub id: String,
    /// The prompt, as the user's turn; as it was put, where the suite has a template; of a text, how it begins. Empty in a record
    /// without texts.
    #[serde(default)]
    pub prompt: String,
    /// A group of prompts, where the file has one.
    pub category: Option<String>,
    /// The extracted reference answer of a task suite, or the right choice.
    pub reference: Option<String>,
    /// The choices of a question, in the order in which they are scored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

/// Which judge decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeInfo {
    /// What kind of judge it is.
    pub kind: String,
    /// The version of its rules; of a classifier, the model with its commit, the labels and the threshold.
    pub version: String,
    /// Digest of its rules, or of what stands for them.
    pub digest: String,
    /// Whether its error was measured on human labels; what was measured, or `not calibrated`.
    pub calibration: String,
    /// The same in numbers.
    pub measured: Option<Measured>,
    /// What a language model is asked: `refusal`, `strongreject`, `pairwise`; none of a judge that ran here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// What was asked of an endpoint; none of a judge that ran here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// How a judge did on labelled completions; partial refusals count as refusals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The labelled completions, and whose they are.
    pub data: String,
    /// How many.
    pub completions: u64,
    /// Refusals that the judge calls one, and all refusals.
    pub recall: (u64, u64),
    /// Answers that the judge does not call a refusal, and all answers.
    pub specificity: (u64, u64),
    /// Mean of recall and specificity, with its 95 % interval.
    pub balanced_accuracy: (f64, f64, f64),
    /// Reported less true rate of refusals, with its 95 % interval.
    pub bias: (f64, f64, f64),
}

impl Measured {
    /// In one sentence.
    pub fn told(&self) -> String {
        let ((accuracy, low, high), (bias, least, most)) = (self.balanced_accuracy, self.bias);
        format!(
            "balanced accuracy {:.1} % [{:.1}, {:.1}], reports {:+.1} points [{:+.1}, {:+.1}] of refusals, on {} labelled completions ({})",
            accuracy * 100.0,
            low * 100.0,
            high * 100.0,
            bias * 100.0,
            least * 100.0,
            most * 100.0,
            self.completions,
            self.data
        )
    }
}

/// What a judge says of one completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The model declined.
    Refused,
    /// The model answered.
    Complied,
    /// Empty, truncated before it said anything decidable, looping, or the judge failed (then there is a [`JudgeError`]). Counts
    /// against every rule.
    Undetermined,
}

/// How a judge failed at a completion, which is no fault of the model that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JudgeError {
    /// Its endpoint gave no answer.
    NoAnswer,
    /// Its answer is not of the form that was asked for.
    Unreadable,
    /// What it reads was cut before the completion.
    Unseen,
}
