//! A decoder with a model's weights.

use crate::error::Failure;
use crate::model::backend::Backend;
use crate::model::backend::cpu::{Cpu, Precision};
use crate::model::decoder::Decoder;
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
        Ok(Decoder::new(model.config.clone(), Cpu::new(self.precision), |spec| model.weights.widened(&spec.name))?)
    }

    /// What decides the last bits of results; part of every key.
    pub fn numerics(self) -> String {
        Cpu::new(self.precision).numerics()
    }
}
