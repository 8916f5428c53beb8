//! AdamW with state at trained positions only, and clipping on the gradients that are used.

use std::collections::BTreeMap;

use super::TrainError;
use crate::model::backend::{AdamW, Backend};
use crate::model::decoder::{Decoder, Gradients, Trained};
use crate::model::inventory::{Role, TensorSpec};

/// Settings that stay the same over the steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled; norms and biases have none.
    pub weight_decay: f64,
    /// Gradients are scaled down to this norm; 0 = no clipping.
    pub max_grad_norm: f64,
}

/// First and second moments by tensor, compact.
pub struct Optimizer<B: Backend> {
    settings: Settings,
    /// (m, v) by tensor name.
    pub(super) moments: BTreeMap<String, (B::Buffer, B::Buffer)>,
    /// Steps carried out.
    pub(super) steps: u64,
    undecayed: Vec<String>,
}

impl<B: Backend> Optimizer<B> {
    /// State at zero for every trained weight.
    ///
    /// # Errors
    /// When the device cannot hold it.
    pub fn new(decoder: &mut Decoder<B>, specs: &[TensorSpec], trained: &Trained, settings: Settings) -> Result<Self, TrainError> {
        let first = decoder.new_gradients(trained)?;
        let second = decoder.new_gradients(trained)?;
        let moments = first.into_iter().zip(second.into_values()).map(|((name, m), v)| (name, (m, v))).collect();
        let undecayed = specs.iter().filter(|spec| matches!(spec.role, Role::Norm | Role::Bias)).map(|spec| spec.name.clone()).collect();
        Ok(Self { settings, moments, steps: 0, undecayed })
    }

    /// The norm of all gradients together, in the order of the tensors' names.
    ///
    /// # Errors
    /// When the device fails.
    pub fn norm(decoder: &mut Decoder<B>, gradients: &Gradients<B>) -> Result<f64, TrainError> {
        let mut sum = 0.0;
        for gradient in gradients.values() {
            sum += decoder.backend_mut().sum_of_squares(gradient)?;
        }
        Ok(sum.sqrt())
    }

    /// One step. Clips as `torch.nn.utils.clip_grad_norm_`: by max ÷ (norm + 1e-6), never up.
    ///
    /// # Errors
    /// When the device fails.
    pub fn step(
        &mut self,
        decoder: &mut Decoder<B>,
        trained: &Trained,
        gradients: &Gradients<B>,
        norm: f64,
        learning_rate: f64,
    ) -> Result<(), TrainError> {
        self.steps += 1;
        let limit = self.settings.max_grad_norm;
        let scale = if limit > 0.0 { (limit / (norm + 1e-6)).min(1.0) } else { 1.0 };
        for (name, gradient) in gradients {
            let (Some(selection), Some((m, v))) = (trained.get(name), self.moments.get_mut(name)) else { continue };
            let step = AdamW {
                learning_rate,
                beta1: self.settings.beta1,
                beta2: self.settings.beta2,
                epsilon: self.settings.epsilon,
                weight_decay: if self.undecayed.contains(name) { 0.0 } else { self.settings.weight_decay },
                step: self.steps,
                gradient_scale: scale as f32,
            };
            decoder.update(name, |backend, w| backend.adamw(w, selection, gradient, m, v, &step))?;
        }
        Ok(())
    }
}
