//! The resolved pipeline: every key with its value, aliases made canonical, `like:` carried out, paths absolute.
//!
//! Stages read only this. It is what `steadfast check` prints and what `run.json` holds.

use std::path::PathBuf;

use jiff::civil::Date;
use serde::Serialize;

pub use super::classifier_judge::{ClassifierJudge, PLACES};
pub use super::endpoint_judge::{Comparer, EndpointJudge};
pub use crate::data::choices::ChoiceForm;
pub use crate::data::spec::{Columns, DataFormat, DataSpec};
use crate::data::template::DATE;
pub use crate::eval::judge::rubric::Rubric;
pub use crate::eval::rule::{Among, Bound, Condition, Extract, Rule};
pub use crate::hub::chat::{Endpoint, Price};
pub use crate::record::{Expect, Manner, Sampled, System, Window};
pub use crate::ticket::select::Scope;
pub use crate::train::schedule::Scheduler;

/// A whole pipeline, checked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pipeline {
    /// Names the runs: letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// Seeds of data order and random tickets; every arm runs once for each. At least one.
    pub seeds: Vec<u64>,
    /// The models.
    pub model: Model,
    /// How the base is made; none when it is given.
    pub pretrain: Option<Pretrain>,
    /// How the base becomes the aligned model; none when it is given.
    pub align: Option<Align>,
    /// The pipeline's tickets in order; the first is named `ticket`, the others as under `tickets:`.
    pub tickets: Vec<Ticket>,
    /// The custom task and the arms; none for an evaluation of the aligned model alone.
    pub finetune: Option<Finetune>,
    /// What is measured.
    pub evaluate: Evaluate,
    /// The rules.
    pub gate: Vec<Rule>,
}

/// The models.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Model {
    /// Before safety alignment; as written, paths absolute. Needed with `align:` and by a `task-vector` ticket, unless `pretrain:` makes it.
    pub base: Option<String>,
    /// The aligned model; none when `align:` makes it from the base.
    pub aligned: Option<String>,
    /// A model behind a URL, instead of both, in a pipeline that only evaluates.
    pub endpoint: Option<Endpoint>,
    /// A Jinja file that replaces the model's own chat template.
    pub chat_template: Option<PathBuf>,
    /// The first system message of every conversation that has none; none leaves it to the template.
    pub system: Option<String>,
    /// The day that `strftime_now` shows in chat templates.
    #[serde(serialize_with = "as_text")]
    pub date: Date,
    /// What weights are saved in: `source`, the type of the model that they come from (bf16 for a GGUF), or `f32`, in which
    /// no part of an update is lost to rounding.
    pub dtype: Dtype,
    /// What products round their factors to.
    pub compute_dtype: ComputeDtype,
}

impl Model {
    /// The model of a source as it is, without a pipeline around it.
    pub fn of(source: &str) -> Self {
        Self {
            base: None,
            aligned: Some(source.to_owned()),
            endpoint: None,
            chat_template: None,
            system: None,
            date: DATE,
            dtype: Dtype::Source,
            compute_dtype: ComputeDtype::Auto,
        }
    }

    /// [`Self::compute_dtype`], which is no longer `auto` where weights are kept in f32.
    pub fn computes_in(&self) -> ComputeDtype {
        match (self.compute_dtype, self.dtype) {
            (ComputeDtype::Auto, Dtype::F32) => ComputeDtype::F32,
            (wanted, _) => wanted,
        }
    }
}

/// What products round their factors to; sums and trained weights are f32 always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ComputeDtype {
    /// bfloat16 where the processor multiplies it and weights are not kept in f32 ([`Model::dtype`]), f32 elsewhere: a model is kept in
    /// f32 for updates that bfloat16 would hide. The record says which.
    Auto,
    /// Not at all.
    F32,
    /// bfloat16, weights and activations alike; slow where the processor does not multiply it.
    Bf16,
}

fn as_text<S: serde::Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(date)
}

/// A floating-point type for stored weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// The type of the model that is trained; bfloat16 for a GGUF.
    Source,
    /// IEEE single.
    F32,
}

impl Dtype {
    /// The type that is asked for; none for the source's own.
    pub fn wanted(self) -> Option<crate::model::weights::Dtype> {
        match self {
            Self::Source => None,
            Self::F32 => Some(crate::model::weights::Dtype::F32),
        }
    }
}

/// Hyperparameters under their Hugging Face Trainer names.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Training {
    /// Optimizer steps.
    pub max_steps: u64,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Rows a micro-batch.
    pub per_device_train_batch_size: usize,
    /// Micro-batches a step.
    pub gradient_accumulation_steps: usize,
    /// Longest row, in tokens; longer ones are cut on the right.
    pub max_length: usize,
    /// Decoupled; norms and biases have none.
    pub weight_decay: f64,
    /// Gradients are scaled down to this norm; 0 = no clipping.
    pub max_grad_norm: f64,
    /// Shape of the learning rate over the steps.
    pub lr_scheduler_type: Scheduler,
    /// Steps over which the learning rate rises from 0.
    pub warmup_steps: u64,
    /// Decay of AdamW's first moment.
    pub adam_beta1: f64,
    /// Decay of AdamW's second moment.
    pub adam_beta2: f64,
    /// Added to the root of AdamW's second moment.
    pub adam_epsilon: f64,
    /// A resume checkpoint is written every so many steps; 0 = never.
    pub save_steps: u64,
    /// Whether the forward pass of each layer is computed again in the backward pass instead of kept: about a quarter slower, in a
    /// fraction of the memory. The same bits either way.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gradient_checkpointing: bool,
}

/// How a base is made from nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pretrain {
    /// Its shape.
    pub architecture: Architecture,
    /// The sources: texts, and conversations of which the replies are learnt.
    pub data: Vec<DataSpec>,
    /// Hyperparameters.
    pub training: Training,
}

/// The shape of a new Llama with tied embeddings, under the names of `config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Architecture {
    /// Tokens of the tokenizer that is learnt from the data; at least the 256 bytes and four special tokens.
    pub vocab_size: usize,
    /// C.
    pub hidden_size: usize,
    /// F.
    pub intermediate_size: usize,
    /// L.
    pub num_hidden_layers: usize,
    /// H; divides C into heads of an even size.
    pub num_attention_heads: usize,
    /// KV; divides H.
    pub num_key_value_heads: usize,
    /// The longest sequence, in tokens.
    pub max_position_embeddings: usize,
}

/// A short dense training that shows which weights matter, and is then taken back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Calibration {
    /// Optimizer steps: several, since one adaptive step moves every weight alike.
    pub steps: u64,
    /// Learning rate, constant.
    pub learning_rate: f64,
}

impl Default for Calibration {
    fn default() -> Self {
        Self { steps: 12, learning_rate: 3e-5 }
    }
}

/// How the base becomes the aligned model: rows from every source in equal number in each step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Align {
    /// The sources.
    pub data: Vec<DataSpec>,
    /// Hyperparameters.
    pub training: Training,
    /// What is trained: `all`, `maskable`, or `ticket`: the weights that a calibration on the same data moves most (LoTA).
    pub train: Train,
    /// Share of maskable that `ticket` trains, in (0, 1].
    pub density: Option<f64>,
    /// How `ticket` finds its weights.
    pub calibration: Calibration,
}

/// How a ticket is extracted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ticket {
    /// `ticket` for the pipeline's own.
    pub name: String,
    /// The score.
    pub score: Score,
    /// What gradients are taken on; none for `task-vector`, `magnitude` and `random`.
    pub data: Option<DataSpec>,
    /// Share of maskable weights, in (0, 1].
    pub density: f64,
    /// Within what the top is taken.
    pub scope: Scope,
    /// Longest row, in tokens.
    pub max_length: usize,
    /// The short training of a `calibrate` score.
    pub calibration: Calibration,
    /// A ticket file made earlier, instead of all of the above.
    pub file: Option<PathBuf>,
}

impl Score {
    /// The scores by their names.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("snip", Self::Snip),
        ("gradient", Self::Gradient),
        ("calibrate", Self::Calibrate),
        ("task-vector", Self::TaskVector),
        ("magnitude", Self::Magnitude),
        ("random", Self::Random),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, score)| *score == self).map_or("", |(name, _)| name)
    }

    /// Whether it is taken on data.
    pub fn needs_data(self) -> bool {
        matches!(self, Self::Snip | Self::Gradient | Self::Calibrate)
    }
}

/// How much a weight matters, larger = more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Score {
    /// |θ_aligned − θ_base|.
    TaskVector,
    /// |θ_after − θ_aligned| after a short training on the data.
    Calibrate,
    /// |mean gradient|.
    Gradient,
    /// |θ · mean gradient|.
    Snip,
    /// |θ|.
    Magnitude,
    /// Seeded noise: the control.
    Random,
}

/// The custom task and the arms.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finetune {
    /// The user's rows.
    pub data: Vec<DataSpec>,
    /// The arms, in order.
    pub arms: Vec<Arm>,
}

/// One way from aligned to tuned, with `like:` carried out and the section's defaults filled in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Arm {
    /// Its name.
    pub name: String,
    /// What it trains.
    pub train: Train,
    /// Trained share of maskable, in (0, 1]; with `complement`, the task's own top inside it (LoTTO).
    pub density: Option<f64>,
    /// The ticket it stays outside of, or trains.
    pub ticket: Option<ArmTicket>,
    /// The short training that finds a LoTTO arm's own ticket.
    pub calibration: Calibration,
    /// Hyperparameters.
    pub training: Training,
    /// Other rows that are mixed into its batches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
}

/// Rows of other data, such as refusals, in an arm's batches: what they teach is rehearsed while the task is learnt. The number of rows of
/// a step stays, so that the arm sees the task less often. Source: Qi et al. (2310.03693), section 5; Bianchi et al. (2309.07875).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replay {
    /// The rows; several sources take turns.
    pub data: Vec<DataSpec>,
    /// Their share of all rows, in (0, 1), evenly spread.
    pub share: f64,
}

/// What an arm trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Train {
    /// Every parameter.
    All,
    /// Every weight that a mask may hold.
    Maskable,
    /// Maskable minus the ticket.
    Complement,
    /// The ticket.
    Ticket,
    /// A random share of maskable, of the arm's density.
    Random,
    /// Nothing: the aligned model again.
    None,
}

/// Which ticket an arm uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArmTicket {
    /// One of the pipeline's, by name.
    Named(String),
    /// A random one of the same density, drawn from the arm's seed.
    Random {
        /// The ticket whose density and scope it takes.
        like: String,
        /// Which draw, from 0.
        draw: u32,
    },
}

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
    /// Whether the base is evaluated too.
    pub base: bool,
    /// Figures along the training curve.
    pub probes: Option<Probes>,
    /// How far arms are from the aligned model on the suites' prompts; none: it is not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub divergence: Option<Divergence>,
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
}
