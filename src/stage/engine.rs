//! A decoder with a model's weights.

use crate::error::Failure;
use crate::model::backend::cpu::{Cpu, Precision};
use crate::model::backend::{Backend, BackendError};
use crate::model::decoder::Decoder;
use crate::model::inventory::TensorSpec;
use crate::pipeline::settings::ComputeDtype;

use super::fetch::Model;

/// How it is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compute {
    /// Threads; results do not depend on it.
    pub threads: usize,
    precision: Precision,
}

impl Compute {
    /// On so many threads, as a pipeline wants it and this processor has it.
    pub fn new(threads: usize, wanted: ComputeDtype) -> Self {
        let precision = match wanted {
            ComputeDtype::Auto => Precision::best(),
            ComputeDtype::F32 => Precision::F32,
            ComputeDtype::Bf16 => Precision::Bf16,
        };
        Self { threads, precision }
    }

    /// A decoder with the model's weights.
    ///
    /// # Errors
    /// When the backend cannot hold them.
    pub fn load(self, model: &Model) -> Result<Decoder<Cpu>, Failure> {
        Ok(self.load_with(model, |spec| model.weights.widened(&spec.name))?)
    }

    /// A decoder of the model's architecture with weights that `load` gives, in f32.
    ///
    /// # Errors
    /// What `load` fails with, or the backend, when it cannot hold them.
    pub fn load_with<E: From<BackendError>>(
        self,
        model: &Model,
        load: impl FnMut(&TensorSpec) -> Result<Vec<f32>, E>,
    ) -> Result<Decoder<Cpu>, E> {
        Decoder::new(model.config.clone(), Cpu::new(self.precision), load)
    }

    /// What decides the last bits of results; part of every key.
    pub fn numerics(self) -> String {
        Cpu::new(self.precision).numerics()
    }
}
