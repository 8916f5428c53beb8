//! Encoders that say what a text is: BERT and ModernBERT with a classification head. Inference alone, for judges.
//!
//! Rows of several texts are packed without padding, and no token sees another row. Every sum runs in an order that its own row fixes,
//! so that a text has the same logits, bit for bit, whatever stands beside it, on any number of threads.
//!
//! candle-transformers 0.11 has both architectures, and its layers agree with transformers, but not its heads: BERT has none, and
//! ModernBERT's gives probabilities, and none where `id2label` or `label2id` is missing. It passes over biases and other activations that
//! a configuration asks for, and over norms that are missing. Several texts at once need padding there, which changes last bits with the
//! neighbours, and one at a time takes four times as long (ModernBERT-large, 64 tokens: 2.4 s and 0.6 s of processor time); its
//! element-wise operations run on a pool of threads of its own, which wait in a loop, whatever `--threads` says. Hence these few passes over
//! the kernels of [`backend::cpu`](super::backend::cpu).

mod attention;
mod bert;
mod config;
mod modernbert;
mod ops;
mod weights;

use self::bert::Bert;
pub use self::config::{Biases, EncoderConfig, Family, Kind, Turning};
use self::modernbert::ModernBert;
pub use self::ops::Activation;
use self::ops::Linear;
use self::weights::Tensors;
use super::backend::Backend;
use super::backend::cpu::{Cpu, Precision};
use super::config::ConfigError;
use super::weights::{Weights, WeightsError};
use crate::error::Explain;

/// An encoder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EncoderError {
    /// Another architecture.
    #[error("architecture {found:?} is not supported as a classifier; supported: {supported}")]
    Architecture {
        /// What the file names.
        found: String,
        /// What would work.
        supported: String,
    },
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The weights cannot be read, or do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A token that the embedding has no row for.
    #[error("the tokenizer gives {what} {found}, the model has {most}: they are of two models")]
    Unknown {
        /// `token`, `token type`.
        what: &'static str,
        /// Its number.
        found: u32,
        /// How many there are.
        most: usize,
    },
    /// A row without tokens, or with more than the model reads.
    #[error("a text has {tokens} tokens, the model reads 1 to {most}")]
    Length {
        /// T.
        tokens: usize,
        /// The model's own limit.
        most: usize,
    },
    /// The logits are no numbers.
    #[error("the model gives {0} instead of a number: its weights are damaged")]
    NoNumber(f32),
}

impl Explain for EncoderError {
    fn code(&self) -> &'static str {
        match self {
            Self::Architecture { .. } => "unsupported-model",
            Self::Config(error) => error.code(),
            Self::Weights(error) => error.code(),
            Self::Unknown { .. } => "weights-mismatch",
            Self::Length { .. } => "too-long",
            Self::NoNumber(_) => "damaged-weights",
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::Architecture { .. } | Self::Config(ConfigError::Architecture { .. } | ConfigError::Unsupported { .. }) => {
                Some("choose another classifier, for example hf://NousResearch/Minos-v1@COMMIT".into())
            }
            Self::Config(error) => error.remedy(),
            Self::Weights(error) => error.remedy(),
            Self::Unknown { .. } | Self::NoNumber(_) => Some("download or copy the whole folder again".into()),
            Self::Length { .. } => None,
        }
    }
}

/// One text as tokens.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// (T), special tokens included.
    pub tokens: &'a [u32],
    /// The token type of each, as the tokenizer gives them; ModernBERT has none and does not look at them.
    pub types: &'a [u32],
}

/// Rows behind one another.
struct Packed {
    /// (N).
    tokens: Vec<u32>,
    /// (N).
    types: Vec<u32>,
    /// Where each row begins, and N.
    starts: Vec<usize>,
}

impl Packed {
    /// The place of each token in its row.
    fn positions(&self) -> Vec<u32> {
        self.starts.windows(2).flat_map(|row| 0..(row[1] - row[0]) as u32).collect()
    }

    fn longest(&self) -> usize {
        self.starts.windows(2).map(|row| row[1] - row[0]).max().unwrap_or(0)
    }
}

/// An encoder with its head and weights, in f32.
pub struct Encoder {
    config: EncoderConfig,
    layers: Layers,
    /// (labels, C).
    classifier: Linear,
}

enum Layers {
    Bert(Bert),
    ModernBert(ModernBert),
}

impl Encoder {
    /// Checks that the weights are those of the configuration: every tensor with its shape, and no other.
    ///
    /// # Errors
    /// Missing, extra and mis-shaped tensors at once.
    pub fn check(config: &EncoderConfig, weights: &Weights) -> Result<(), EncoderError> {
        Ok(weights::check(config, weights)?)
    }

    /// Loads the weights, widened to f32.
    ///
    /// # Errors
    /// When the weights do not fit.
    pub fn new(config: EncoderConfig, weights: &Weights) -> Result<Self, EncoderError> {
        Self::check(&config, weights)?;
        let tensors = Tensors::new(&config, weights);
        let layers = match &config.family {
            Family::Bert { activation, .. } => Layers::Bert(Bert::load(&tensors, &config, *activation)?),
            Family::ModernBert { turning, mean, .. } => Layers::ModernBert(ModernBert::load(&tensors, &config, turning, *mean)?),
        };
        Ok(Self { layers, classifier: tensors.linear("classifier")?, config })
    }

    /// What decides the last bits of logits; part of every key that they are kept under. Products are of f32, whatever trains.
    pub fn numerics() -> String {
        Cpu::new(Precision::F32).numerics()
    }

    /// The logits of every row, one a label, none of them NaN or infinite.
    ///
    /// # Errors
    /// When a row is empty or too long, a token or a token type is not in the model, or a logit is no number.
    pub fn logits(&self, rows: &[Row<'_>]) -> Result<Vec<Vec<f32>>, EncoderError> {
        let mut packed = Packed { tokens: Vec::new(), types: Vec::new(), starts: vec![0] };
        let most = self.config.max_position_embeddings;
        for row in rows {
            if row.tokens.is_empty() || row.tokens.len() > most || row.types.len() != row.tokens.len() {
                return Err(EncoderError::Length { tokens: row.tokens.len(), most });
            }
            packed.tokens.extend_from_slice(row.tokens);
            packed.types.extend_from_slice(row.types);
            packed.starts.push(packed.tokens.len());
        }
        let types = match self.config.family {
            Family::Bert { types, .. } => types,
            Family::ModernBert { .. } => usize::MAX,
        };
        for (what, numbers, most) in [("token", &packed.tokens, self.config.vocab_size), ("token type", &packed.types, types)] {
            if let Some(&found) = numbers.iter().find(|&&number| number as usize >= most) {
                return Err(EncoderError::Unknown { what, found, most });
            }
        }
        let width = self.config.hidden_size;
        let pooled = match &self.layers {
            Layers::Bert(layers) => layers.pooled(&packed, width),
            Layers::ModernBert(layers) => layers.pooled(&packed, width),
        };
        let logits: Vec<Vec<f32>> = pooled.iter().map(|row| self.classifier.forward(row)).collect();
        match logits.iter().flatten().find(|logit| !logit.is_finite()) {
            Some(&found) => Err(EncoderError::NoNumber(found)),
            None => Ok(logits),
        }
    }
}

/// Rows of a table: (N) → (N, C).
fn embedded(table: &[f32], numbers: &[u32], width: usize) -> Vec<f32> {
    numbers.iter().flat_map(|&number| &table[number as usize * width..][..width]).copied().collect()
}
