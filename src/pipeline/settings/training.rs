//! Hyperparameters, and how a base and an aligned model are made.

use serde::Serialize;

use super::Train;
use crate::data::spec::DataSpec;
use crate::train::schedule::Scheduler;

/// Hyperparameters under their Hugging Face Trainer names.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Training {
    /// Optimizer steps.
    pub max_steps: u64,
    /// Tokens that all steps read together at most, those of rows that hold the training back too: it has as many steps as fit, and no
    /// more than [`Self::max_steps`]; none = whatever these read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
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

/// A short dense training, without weight decay, that shows which weights matter, and is then taken back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Calibration {
    /// Optimizer steps: several, since one adaptive step moves every weight alike.
    pub steps: u64,
    /// Peak learning rate: without warm-up, on the schedule of the training that it is for; constant where it is a ticket's score.
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
    /// Seed of the data order; none: the first of the pipeline's. Runs with other seeds then start from one aligned model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}
