//! How the gradients of a step become weights.

use super::TrainError;
use crate::model::backend::Backend;
use crate::model::decoder::{Decoder, Gradients, Trained};

/// Gives a part of a checkpoint by its name, of the length that it must have.
pub type Read<'a> = &'a dyn Fn(&str, usize) -> Result<Vec<f32>, TrainError>;

/// Makes of the gradients of the trained weights their next values, and remembers what it needs for that. A step is
/// [`Self::norm`] and then [`Self::step`], with the same gradients.
pub trait Updater<B: Backend> {
    /// The norm of what is clipped.
    ///
    /// # Errors
    /// When the device fails.
    fn norm(&mut self, decoder: &mut Decoder<B>, gradients: &Gradients<B>) -> Result<f64, TrainError>;

    /// One step.
    ///
    /// # Errors
    /// When the device fails.
    fn step(
        &mut self,
        decoder: &mut Decoder<B>,
        trained: &Trained,
        gradients: &Gradients<B>,
        norm: f64,
        learning_rate: f64,
    ) -> Result<(), TrainError>;

    /// What a checkpoint holds of weights and state: names, with their numbers of f32.
    fn parts(&self, decoder: &Decoder<B>) -> Vec<(String, usize)>;

    /// The numbers of one of these.
    ///
    /// # Errors
    /// When the device fails or there is no such part.
    fn part(&self, decoder: &Decoder<B>, trained: &Trained, name: &str) -> Result<Vec<f32>, TrainError>;

    /// Puts all parts back, into the decoder too, as they were after `steps` steps.
    ///
    /// # Errors
    /// What `read` fails with, or the device.
    fn restore(&mut self, decoder: &mut Decoder<B>, trained: &Trained, steps: u64, read: Read<'_>) -> Result<(), TrainError>;
}

/// A name that no part has.
pub(super) fn no_part(name: &str) -> TrainError {
    TrainError::Backend(crate::model::backend::BackendError { backend: "any", message: format!("a checkpoint has no part {name}") })
}
