//! A decoder with a model's weights.

use crate::error::Failure;
use crate::model::backend::Backend;
use crate::model::backend::cpu::Cpu;
use crate::model::decoder::Decoder;
use crate::model::weights::WeightsError;

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
        let backend = Cpu::new(self.threads).map_err(WeightsError::from)?;
        Ok(Decoder::new(model.config.clone(), backend, |spec| model.weights.widened(&spec.name))?)
    }

    /// What decides the last bits of results; part of every key.
    ///
    /// # Errors
    /// When the backend cannot be started.
    pub fn numerics(self) -> Result<String, Failure> {
        Ok(Cpu::new(1).map_err(WeightsError::from)?.numerics())
    }
}
