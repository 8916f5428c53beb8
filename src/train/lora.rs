//! LoRA: two thin factors beside each frozen matrix are trained, and held merged.
//!
//! A matrix W0 (O, I) has factors A (r, I) and B (O, r); the model computes with W = W0 + s·B·A, s = α ÷ r. The decoder holds W itself:
//! its dense gradient dW gives the factors' by the chain rule, dB = s·dW·Aᵀ and dA = s·Bᵀ·dW, AdamW moves A and B, and W is computed
//! again from W0, never added to. So there is one decoder for all arms, the trained matrix and the merged one are the same, and nothing is
//! lost by merging; in exchange each step computes the whole dW, so that a LoRA arm saves no time or memory beside a dense one. All
//! sums are f32 in a fixed order: the same bits for any number of threads.
//!
//! Source: Hu et al. (2106.09685), initialised as PEFT's `LoraLayer.reset_lora_parameters`: A uniform in ±1 ÷ √I (Kaiming, a = √5), B
//! zero, so that training begins at W0. Without dropout. Weight decay applies to A and B, as it does with the Trainer.

use std::collections::BTreeMap;

use super::TrainError;
use super::optimizer::Settings;
use super::updater::{Read, Updater, no_part};
use crate::model::backend::{Backend, Selection};
use crate::model::decoder::{Decoder, Gradients, Trained};
use crate::model::product::{times, times_transposed, transposed_times};
use crate::random::{mix, stream};

/// Draws are apart from those of arms, tickets and the data order.
const FIRST_FACTOR: u64 = 0x6c6f_7261;

/// The size of the factors, and how much their product counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// r.
    pub rank: usize,
    /// α; the product counts α ÷ r.
    pub alpha: f64,
    /// Decides the first A.
    pub seed: u64,
}

/// The factors of every trained matrix, with their optimizer state.
pub struct Lora<B: Backend> {
    scale: f32,
    settings: Settings,
    adapters: BTreeMap<String, Adapter<B>>,
    steps: u64,
}

/// One matrix.
struct Adapter<B: Backend> {
    /// W0, (O, I).
    frozen: Vec<f32>,
    /// (r, I).
    a: Factor<B>,
    /// (O, r).
    b: Factor<B>,
}

/// A trained factor.
struct Factor<B: Backend> {
    rows: usize,
    columns: usize,
    weight: B::Weight,
    gradient: B::Buffer,
    m: B::Buffer,
    v: B::Buffer,
}

impl<B: Backend> Factor<B> {
    fn new(backend: &mut B, values: &[f32], rows: usize, columns: usize) -> Result<Self, TrainError> {
        let mut zeros = || backend.zeros(1, rows * columns);
        let (gradient, m, v) = (zeros()?, zeros()?, zeros()?);
        Ok(Self { rows, columns, weight: backend.load(values, rows, columns)?, gradient, m, v })
    }
}

impl<B: Backend> Lora<B> {
    /// Factors for every matrix of `trained`, of which each must be trained as a whole. The decoder keeps its weights.
    ///
    /// # Errors
    /// When a tensor does not exist or the device cannot hold the factors.
    pub fn new(decoder: &mut Decoder<B>, trained: &Trained, shape: Shape, settings: Settings) -> Result<Self, TrainError> {
        let mut adapters = BTreeMap::new();
        for name in trained.keys() {
            let (rows, columns) = decoder.backend().size(decoder.parameter(name)?);
            let frozen = decoder.values(name)?;
            let first = first_factor(shape.seed, name, shape.rank, columns);
            let backend = decoder.backend_mut();
            let a = Factor::new(backend, &first, shape.rank, columns)?;
            let b = Factor::new(backend, &vec![0.0; rows * shape.rank], rows, shape.rank)?;
            adapters.insert(name.clone(), Adapter { frozen, a, b });
        }
        Ok(Self { scale: (shape.alpha / shape.rank as f64) as f32, settings, adapters, steps: 0 })
    }

    /// The numbers that are trained: r · (I + O) a matrix.
    pub fn count(&self) -> u64 {
        self.adapters.values().map(|Adapter { a, b, .. }| (a.rows * a.columns + b.rows * b.columns) as u64).sum()
    }

    /// A (r, I) and B (O, r) of a matrix, row-major.
    ///
    /// # Errors
    /// When the matrix has no factors or the device fails.
    pub fn factors(&self, decoder: &Decoder<B>, name: &str) -> Result<(Vec<f32>, Vec<f32>), TrainError> {
        let Adapter { a, b, .. } = self.adapters.get(name).ok_or_else(|| no_part(name))?;
        Ok((decoder.backend().values(&a.weight)?, decoder.backend().values(&b.weight)?))
    }

    /// Replaces the factors of a matrix, and the matrix in the decoder.
    ///
    /// # Errors
    /// When the matrix has no factors, or their sizes do not fit.
    pub fn set_factors(&mut self, decoder: &mut Decoder<B>, name: &str, a: &[f32], b: &[f32]) -> Result<(), TrainError> {
        let adapter = self.adapters.get_mut(name).ok_or_else(|| no_part(name))?;
        let backend = decoder.backend_mut();
        adapter.a.weight = backend.load(a, adapter.a.rows, adapter.a.columns)?;
        adapter.b.weight = backend.load(b, adapter.b.rows, adapter.b.columns)?;
        merge(decoder, name, adapter, self.scale)
    }
}

/// The first A: uniform in ±1 ÷ √I.
fn first_factor(seed: u64, name: &str, rank: usize, columns: usize) -> Vec<f32> {
    let (stream, bound) = (stream(seed ^ FIRST_FACTOR, name), 1.0 / (columns as f64).sqrt());
    let uniform = |i: u64| ((mix(stream ^ i) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    (0..(rank * columns) as u64).map(|i| (bound * (2.0 * uniform(i) - 1.0)) as f32).collect()
}

/// W = W0 + s·B·A into the decoder.
fn merge<B: Backend>(decoder: &mut Decoder<B>, name: &str, adapter: &Adapter<B>, scale: f32) -> Result<(), TrainError> {
    let Adapter { frozen, a, b } = adapter;
    let factors = (decoder.backend().values(&a.weight)?, decoder.backend().values(&b.weight)?);
    let mut merged = times(&factors.1, &factors.0, (b.rows, b.columns, a.columns)); // (O, I)
    merged.iter_mut().zip(frozen).for_each(|(value, w)| *value = w + scale * *value);
    Ok(decoder.set_values(name, &merged)?)
}

impl<B: Backend> Updater<B> for Lora<B> {
    /// Takes dA and dB from the gradients of the matrices; the norm of all of them together, in the order of the matrices' names.
    fn norm(&mut self, decoder: &mut Decoder<B>, gradients: &Gradients<B>) -> Result<f64, TrainError> {
        let mut sum = 0.0;
        for (name, Adapter { a, b, .. }) in &mut self.adapters {
            let Some(gradient) = gradients.get(name) else { continue };
            let backend = decoder.backend_mut();
            let dw = backend.download(gradient)?; // (O, I)
            let (rows, columns, rank) = (b.rows, a.columns, a.rows);
            let (old_a, old_b) = (backend.values(&a.weight)?, backend.values(&b.weight)?);
            let mut da = transposed_times(&old_b, &dw, (rank, rows, columns)); // (r, I)
            let mut db = times_transposed(&dw, &old_a, (rows, columns, rank)); // (O, r)
            da.iter_mut().chain(&mut db).for_each(|value| *value *= self.scale);
            a.gradient = backend.upload(&da, 1, da.len())?;
            b.gradient = backend.upload(&db, 1, db.len())?;
            sum += backend.sum_of_squares(&a.gradient)? + backend.sum_of_squares(&b.gradient)?;
        }
        Ok(sum.sqrt())
    }

    fn step(&mut self, decoder: &mut Decoder<B>, _: &Trained, _: &Gradients<B>, norm: f64, learning_rate: f64) -> Result<(), TrainError> {
        self.steps += 1;
        let step = self.settings.step(self.steps, norm, learning_rate);
        for (name, adapter) in &mut self.adapters {
            for Factor { weight, gradient, m, v, .. } in [&mut adapter.a, &mut adapter.b] {
                decoder.backend_mut().adamw(weight, &Selection::Everything, gradient, m, v, &step)?;
            }
            merge(decoder, name, adapter, self.scale)?;
        }
        Ok(())
    }

    /// Both factors (`a.NAME`, `b.NAME`) with their moments (`am.NAME`, …); W0 is the model's own.
    fn parts(&self, _: &Decoder<B>) -> Vec<(String, usize)> {
        let mut parts = Vec::new();
        for (name, adapter) in &self.adapters {
            for (letter, factor) in [("a", &adapter.a), ("b", &adapter.b)] {
                let size = factor.rows * factor.columns;
                parts.extend(["", "m", "v"].map(|part| (format!("{letter}{part}.{name}"), size)));
            }
        }
        parts
    }

    fn part(&self, decoder: &Decoder<B>, _: &Trained, name: &str) -> Result<Vec<f32>, TrainError> {
        let (part, tensor) = name.split_once('.').ok_or_else(|| no_part(name))?;
        let adapter = self.adapters.get(tensor).ok_or_else(|| no_part(name))?;
        let factor = if part.starts_with('a') { &adapter.a } else { &adapter.b };
        let backend = decoder.backend();
        Ok(match &part[1..] {
            "" => backend.values(&factor.weight)?,
            "m" => backend.download(&factor.m)?,
            _ => backend.download(&factor.v)?,
        })
    }

    fn restore(&mut self, decoder: &mut Decoder<B>, _: &Trained, steps: u64, read: Read<'_>) -> Result<(), TrainError> {
        for (name, adapter) in &mut self.adapters {
            for (letter, factor) in [("a", &mut adapter.a), ("b", &mut adapter.b)] {
                let size = factor.rows * factor.columns;
                let part = |part: &str| read(&format!("{letter}{part}.{name}"), size);
                let (values, m, v) = (part("")?, part("m")?, part("v")?);
                let backend = decoder.backend_mut();
                factor.weight = backend.load(&values, factor.rows, factor.columns)?;
                (factor.m, factor.v) = (backend.upload(&m, 1, size)?, backend.upload(&v, 1, size)?);
            }
            merge(decoder, name, adapter, self.scale)?;
        }
        self.steps = steps;
        Ok(())
    }
}
