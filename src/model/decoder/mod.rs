//! The decoder: explicit forward and backward passes, written once over a [`Backend`].

mod backward;
mod forward;
mod inputs;
mod layer;
mod names;

use std::collections::BTreeMap;

pub use self::inputs::InputSquares;
pub(super) use self::layer::Projected;
use self::names::{LayerNames, get, missing};
use super::backend::{Backend, BackendError, Done, RopeTable, Selection};
use super::config::ModelConfig;
use super::inventory::{TensorSpec, inventory};
use super::rope;

/// Which weights are trained, by tensor name; a tensor that is not named is not trained.
pub type Trained = BTreeMap<String, Selection>;

/// Compact gradients (1, k) by tensor name, for the tensors that are trained.
pub type Gradients<B> = BTreeMap<String, <B as Backend>::Buffer>;

/// Positions of the first rotary table; it grows when a longer row comes.
const FIRST_POSITIONS: usize = 512;

/// A model's weights on a backend, with its passes.
pub struct Decoder<B: Backend> {
    config: ModelConfig,
    backend: B,
    parameters: BTreeMap<String, B::Weight>,
    names: Vec<LayerNames>,
    rope: RopeTable,
    checkpointing: bool,
}

impl<B: Backend> Decoder<B> {
    /// Loads every tensor of the configuration, in inventory order.
    ///
    /// # Errors
    /// What `load` fails with, or the backend, when it cannot hold the weights.
    pub fn new<E: From<BackendError>>(
        config: ModelConfig,
        mut backend: B,
        mut load: impl FnMut(&TensorSpec) -> Result<Vec<f32>, E>,
    ) -> Result<Self, E> {
        let mut parameters = BTreeMap::new();
        for spec in inventory(&config) {
            let values = load(&spec)?;
            parameters.insert(spec.name.clone(), backend.load(&values, spec.rows, spec.columns)?);
        }
        let names = (0..config.layers).map(LayerNames::new).collect();
        let rope = rope::table(&config, FIRST_POSITIONS);
        Ok(Self { config, backend, parameters, names, rope, checkpointing: false })
    }

    /// The architecture.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The backend, to read from.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// The backend.
    pub fn backend_mut(&mut self) -> &mut B {
        &mut self.backend
    }

    /// Whether gradients keep only the input of each layer and carry out its forward pass again: the same bits in less memory and more
    /// time.
    pub fn set_checkpointing(&mut self, checkpointing: bool) {
        self.checkpointing = checkpointing;
    }

    /// A tensor's numbers, row-major.
    ///
    /// # Errors
    /// When the model has no such tensor or the device fails.
    pub fn values(&self, name: &str) -> Done<Vec<f32>> {
        self.backend.values(self.parameter(name)?)
    }

    /// Replaces a tensor's numbers.
    ///
    /// # Errors
    /// When the model has no such tensor or the number of values does not fit.
    pub fn set_values(&mut self, name: &str, values: &[f32]) -> Done<()> {
        let (rows, columns) = self.backend.size(self.parameter(name)?);
        let weight = self.backend.load(values, rows, columns)?;
        self.parameters.insert(name.to_owned(), weight);
        Ok(())
    }

    /// Runs an operation of the backend on one parameter.
    ///
    /// # Errors
    /// When the model has no such tensor, or what the operation fails with.
    pub fn update<T>(&mut self, name: &str, operation: impl FnOnce(&mut B, &mut B::Weight) -> Done<T>) -> Done<T> {
        match self.parameters.get_mut(name) {
            Some(parameter) => operation(&mut self.backend, parameter),
            None => Err(missing(name)),
        }
    }

    /// A parameter on the backend.
    ///
    /// # Errors
    /// When the model has no such tensor.
    pub fn parameter(&self, name: &str) -> Done<&B::Weight> {
        get(&self.parameters, name)
    }

    /// Compact zeros for every trained tensor.
    ///
    /// # Errors
    /// When the device cannot hold them or a tensor does not exist.
    pub fn new_gradients(&mut self, trained: &Trained) -> Done<Gradients<B>> {
        let mut gradients = BTreeMap::new();
        for (name, selection) in trained {
            let (rows, columns) = self.backend.size(self.parameter(name)?);
            let count = selection.count(rows * columns);
            if count > 0 {
                gradients.insert(name.clone(), self.backend.zeros(1, count)?);
            }
        }
        Ok(gradients)
    }
}
