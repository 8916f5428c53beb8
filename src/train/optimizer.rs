//! AdamW with state at trained positions only, and clipping on the gradients that are used.

use std::collections::BTreeMap;

use super::TrainError;
use super::updater::{Read, Updater, no_part};
use crate::model::backend::{AdamW, Backend, Selection};
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

impl Settings {
    /// The step of a number, from 1. Clips as `torch.nn.utils.clip_grad_norm_`: by max ÷ (norm + 1e-6), never up.
    pub(super) fn step(&self, number: u64, norm: f64, learning_rate: f64) -> AdamW {
        let limit = self.max_grad_norm;
        let scale = if limit > 0.0 { (limit / (norm + 1e-6)).min(1.0) } else { 1.0 };
        AdamW {
            learning_rate,
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
            weight_decay: self.weight_decay,
            step: number,
            gradient_scale: scale as f32,
        }
    }
}

/// First and second moments by tensor, compact.
pub struct Optimizer<B: Backend> {
    settings: Settings,
    /// (m, v) by tensor name.
    moments: BTreeMap<String, (B::Buffer, B::Buffer)>,
    /// Steps carried out.
    steps: u64,
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
}

impl<B: Backend> Updater<B> for Optimizer<B> {
    /// The norm of all gradients together, in the order of the tensors' names.
    fn norm(&mut self, decoder: &mut Decoder<B>, gradients: &Gradients<B>) -> Result<f64, TrainError> {
        let mut sum = 0.0;
        for gradient in gradients.values() {
            sum += decoder.backend_mut().sum_of_squares(gradient)?;
        }
        Ok(sum.sqrt())
    }

    fn step(
        &mut self,
        decoder: &mut Decoder<B>,
        trained: &Trained,
        gradients: &Gradients<B>,
        norm: f64,
        learning_rate: f64,
    ) -> Result<(), TrainError> {
        self.steps += 1;
        let step = self.settings.step(self.steps, norm, learning_rate);
        for (name, gradient) in gradients {
            let (Some(selection), Some((m, v))) = (trained.get(name), self.moments.get_mut(name)) else { continue };
            let weight_decay = if self.undecayed.contains(name) { 0.0 } else { step.weight_decay };
            let step = AdamW { weight_decay, ..step };
            decoder.update(name, |backend, w| backend.adamw(w, selection, gradient, m, v, &step))?;
        }
        Ok(())
    }

    /// The masters at trained positions (`w.NAME`), and both moments (`m.NAME`, `v.NAME`).
    fn parts(&self, decoder: &Decoder<B>) -> Vec<(String, usize)> {
        let of = |(name, (m, _)): (&String, &(B::Buffer, B::Buffer))| {
            let (rows, columns) = decoder.backend().shape(m);
            ["w", "m", "v"].map(|part| (format!("{part}.{name}"), rows * columns))
        };
        self.moments.iter().flat_map(of).collect()
    }

    fn part(&self, decoder: &Decoder<B>, trained: &Trained, name: &str) -> Result<Vec<f32>, TrainError> {
        let (part, tensor) = name.split_once('.').ok_or_else(|| no_part(name))?;
        let (m, v) = self.moments.get(tensor).ok_or_else(|| no_part(name))?;
        match part {
            "w" => {
                let values = decoder.values(tensor)?;
                Ok(match trained.get(tensor) {
                    Some(Selection::Subset(mask)) => mask.positions().map(|i| values[i]).collect(),
                    _ => values,
                })
            }
            "m" => Ok(decoder.backend().download(m)?),
            _ => Ok(decoder.backend().download(v)?),
        }
    }

    fn restore(&mut self, decoder: &mut Decoder<B>, trained: &Trained, steps: u64, read: Read<'_>) -> Result<(), TrainError> {
        for (name, moments) in &mut self.moments {
            let (rows, columns) = decoder.backend().shape(&moments.0);
            let part = |part: &str| read(&format!("{part}.{name}"), rows * columns);
            let (masters, m, v) = (part("w")?, part("m")?, part("v")?);
            let Some(selection) = trained.get(name) else { continue };
            decoder.update(name, |backend, w| backend.put(w, selection, &masters))?;
            let backend = decoder.backend_mut();
            *moments = (backend.upload(&m, 1, m.len())?, backend.upload(&v, 1, v.len())?);
        }
        self.steps = steps;
        Ok(())
    }
}
