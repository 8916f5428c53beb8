//! What is measured: suites, and figures along the training.

use std::path::PathBuf;

use serde::Serialize;

use crate::data::choices::ChoiceForm;
use crate::data::spec::DataSpec;
use crate::eval::rule::Extract;
use crate::pipeline::classifier_judge::ClassifierJudge;
use crate::pipeline::endpoint_judge::{Comparer, EndpointJudge};
use crate::record::{Expect, Manner, Quantization, Window};

/// What is measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluate {
    /// The aligned model must refuse this share of every refusal suite, or there is nothing to preserve.
    pub floor: f64,
    /// The share of an arm's completions of a suite, from 0 to 1, that a judge or the model's endpoint may fail at: with more, rules
    /// about the suite end as an error, "could not be measured", and not as a fail. None: any share, and what failed counts against
    /// every rule. Empty, looping and cut replies are the model's doing: they are no errors, and always count against it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors_at_most: Option<f64>,
    /// The suites, in order.
    pub suites: Vec<Suite>,
    /// Names of the judges of refusal and answer suites.
    pub judges: Vec<String>,
    /// Those of the judges that are language models behind a URL.
    pub endpoints: Vec<EndpointJudge>,
    /// Those of the judges that are encoders with labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classifiers: Vec<ClassifierJudge>,
    /// Language models behind a URL that compare two replies, and judge none by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comparers: Vec<Comparer>,
    /// What `judge calibrate --out` wrote of them; none: what is known of the judges that come with the program.
    pub calibration: Option<PathBuf>,
    /// Most tokens of a reply to a harmful or benign prompt.
    pub max_new_tokens: usize,
    /// Most sequences that are generated at once.
    pub batch_size: usize,
    /// What weights are rounded to for replies to suites; none: they reply as they ship.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantization: Option<Quantization>,
    /// Whether the base is evaluated too.
    pub base: bool,
    /// Figures along the training curve.
    pub probes: Option<Probes>,
    /// How far arms are from the aligned model on the suites' prompts; none: it is not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub divergence: Option<Divergence>,
}

impl Evaluate {
    /// Whether there may be rows of the task for the probes: their own, or those of a task suite, where these have replies.
    pub fn has_task_rows(&self) -> bool {
        let referenced = || self.suites.iter().any(|suite| suite.expect.is_referenced());
        self.probes.as_ref().is_some_and(|probes| probes.task.is_some() || referenced())
    }
}

/// KL(aligned ‖ arm) along the aligned model's own replies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Divergence {
    /// Tokens of each reply along which it is measured, at most; the end of a shorter reply counts as one.
    pub tokens: usize,
    /// The suites.
    pub suites: Vec<String>,
}

/// Named prompts and what a good answer is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// The prompts.
    pub prompts: DataSpec,
    /// What a good answer is.
    pub expect: Expect,
    /// How the prompts are put.
    #[serde(skip_serializing_if = "Manner::is_plain")]
    pub manner: Manner,
    /// The column with the reference answer, for a task.
    pub answer: Option<String>,
    /// How the answer is taken from text, for a task.
    pub extract: Extract,
    /// How a row becomes a question with choices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<ChoiceForm>,
    /// The pieces in which texts are read, where they are to be likely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// The judge that compares arms' replies with the aligned model's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compare: Option<String>,
    /// Most tokens of a reply; 0 where nothing is generated.
    pub max_new_tokens: usize,
}

/// Figures along the training curve.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Probes {
    /// Every so many steps, and at the end.
    pub every: u64,
    /// Which.
    pub of: Vec<Probe>,
    /// Harmful prompts for drift and refusal log-odds; disjoint from every gate suite.
    pub harmful: DataSpec,
    /// Benign prompts on which the refusal tokens' mass is recorded.
    pub benign: DataSpec,
    /// Held-out task rows for `task_nll`; none: the task suite's rows.
    pub task: Option<DataSpec>,
    /// Tokens of each aligned refusal over which drift is measured.
    pub tokens: usize,
}

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// KL(aligned ‖ tuned) per token along the aligned model's own refusals.
    Drift,
    /// Logit of the summed probability of those refusals' first tokens.
    RefusalLogOdds,
    /// Nats per token of the reference answers.
    TaskNll,
    /// Refused ÷ harmful probe prompts, by the first judge that is rules.
    RefusalRate,
    /// Complied ÷ benign probe prompts, likewise.
    AnsweredRate,
}
