//! A decoder with a model's weights.

use crate::error::Failure;
use crate::model::backend::Backend;
use crate::model::backend::cpu::Cpu;
use crate::model::decoder::Decoder;

use super::fetch::Model;

/// How it is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compute {
    /// Threads; results do not depend on it.
    pub threads: usize,
}

impl Compute {
    /// A decoder with the model's weights.
    ///
    /// # Errors
    /// When the backend cannot hold them.
    pub fn load(self, model: &Model) -> Result<Decoder<Cpu>, Failure> {
        Ok(Decoder::new(model.config.clone(), Cpu::default(), |spec| model.weights.widened(&spec.name))?)
    }

    /// What decides the last bits of results; part of every key.
    pub fn numerics(self) -> String {
        Cpu::default().numerics()
    }
}
