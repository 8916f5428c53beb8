//! A decoder with a model's weights.

use crate::error::Failure;
use crate::model::backend::cpu::Precision;
use crate::model::backend::{Backend, BackendError, Done};
use crate::model::decoder::Decoder;
use crate::model::inventory::TensorSpec;
use crate::pipeline::settings::ComputeDtype;
use crate::record::Quantization;

use super::fetch::Model;

/// What decoders run on: slices, or, in a program that is built for a graphics processor, candle's tensors.
#[cfg(not(feature = "tensor"))]
pub type Engine = crate::model::backend::cpu::Cpu;
/// What decoders run on.
#[cfg(feature = "tensor")]
pub type Engine = crate::model::backend::tensor::Candle;

/// How it is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compute {
    /// Threads; results do not depend on it.
    pub threads: usize,
    precision: Precision,
    quantization: Option<Quantization>,
}

impl Compute {
    /// On so many threads, as a pipeline wants it and this processor has it.
    pub fn new(threads: usize, wanted: ComputeDtype) -> Self {
        let precision = match wanted {
            ComputeDtype::Auto if cfg!(feature = "tensor") => Precision::F32,
            ComputeDtype::Auto => Precision::best(),
            ComputeDtype::F32 => Precision::F32,
            ComputeDtype::Bf16 => Precision::Bf16,
        };
        Self { threads, precision, quantization: None }
    }

    /// The same with weights rounded, for replies.
    pub fn rounding(self, quantization: Option<Quantization>) -> Self {
        Self { quantization, ..self }
    }

    /// A decoder with the model's weights.
    ///
    /// # Errors
    /// When the backend cannot hold them, or does not compute as it is asked to.
    pub fn load(self, model: &Model) -> Result<Decoder<Engine>, Failure> {
        Ok(self.load_with(model, |spec| model.weights.widened(&spec.name))?)
    }

    /// A decoder of the model's architecture with weights that `load` gives, in f32.
    ///
    /// # Errors
    /// What `load` fails with, or the backend, when it cannot hold them or does not compute as it is asked to.
    pub fn load_with<E: From<BackendError>>(
        self,
        model: &Model,
        load: impl FnMut(&TensorSpec) -> Result<Vec<f32>, E>,
    ) -> Result<Decoder<Engine>, E> {
        Decoder::new(model.config.clone(), self.engine()?, load)
    }

    #[cfg(not(feature = "tensor"))]
    fn engine(self) -> Done<Engine> {
        let engine = Engine::new(self.precision);
        Ok(match self.quantization {
            Some(Quantization::Q8_0) => engine.in_q8_0(),
            None => engine,
        })
    }

    #[cfg(feature = "tensor")]
    fn engine(self) -> Done<Engine> {
        match (self.precision, self.quantization) {
            (Precision::F32, None) => Engine::on_first_device(),
            (_, Some(Quantization::Q8_0)) => Err(BackendError { backend: "tensor", message: "it has no weights in q8_0".into() }),
            (Precision::Bf16, None) => Err(BackendError {
                backend: "tensor",
                message: "it computes in f32, and bf16 was asked for: write model.compute_dtype: f32 or auto".into(),
            }),
        }
    }

    /// What decides the last bits of results; part of every key. Where the device cannot be opened, its error: nothing is loaded then.
    pub fn numerics(self) -> String {
        self.engine().map_or_else(|error| error.to_string(), |engine| engine.numerics())
    }
}
