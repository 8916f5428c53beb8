//! Elastic weights: each trained weight is pulled back to where the aligned model has it, the harder the more its safety data depend on it.

use std::collections::BTreeMap;

use super::TrainError;
use super::order::Order;
use crate::model::backend::{Backend, Done, Selection};
use crate::model::batch::Example;
use crate::model::decoder::{Decoder, Gradients, Trained};

/// Which rows are looked at is the same for every seed of a training.
const STREAM: u64 = 0x656c_6173;

/// The rows on which F is measured: so many of all, without one twice, or all where there are no more. Each is a pass of its own, so that
/// thousands would take longer than a training.
pub fn sampled(rows: &[Example], count: usize) -> Vec<&Example> {
    let mut order = Order::new(vec![rows.len()], None, STREAM);
    let mut places: Vec<usize> = (0..count.min(rows.len())).filter_map(|_| order.next_row()).map(|(_, row)| row).collect();
    places.sort_unstable();
    places.into_iter().map(|place| &rows[place]).collect()
}

/// Adds λ/2 · Σ_i F̂_i · (θ_i − θ_aligned,i)² over the trained weights to a step's loss, whatever its number of rows and tokens. F̂ is the
/// diagonal of the empirical Fisher information of safety rows at the aligned weights ÷ its mean over the trained weights: its mean is 1,
/// so that λ is the stiffness of a usual weight and means about the same for models and data of every size. A weight on which no row
/// depends moves freely. Held are two numbers a trained weight.
///
/// The penalty's gradient goes the way of the loss's, through clipping and AdamW's moments. Compared with the paper there is one earlier
/// task, the alignment, and F is of the data's own replies and not of replies that the model draws.
/// Source: elastic weight consolidation, Kirkpatrick et al. (1612.00796), eq. 3.
pub struct Elastic<B: Backend> {
    /// (λ · F̂, θ_aligned) by tensor, compact (1, k); empty where λ is 0.
    springs: BTreeMap<String, (B::Buffer, B::Buffer)>,
}

impl<B: Backend> Elastic<B> {
    /// Of weights that are trained, from the model that `aligned` holds; `fisher` is F at these weights, compact, of every trained tensor,
    /// and may be on any scale. `strength` is λ ≥ 0; at 0 nothing is held.
    ///
    /// # Errors
    /// When F is not finite or nowhere above 0, lacks a tensor or has another size, or the backend fails.
    pub fn new(
        aligned: &mut Decoder<B>,
        trained: &Trained,
        mut fisher: BTreeMap<String, Vec<f32>>,
        strength: f64,
    ) -> Result<Self, TrainError> {
        let mut springs = BTreeMap::new();
        // In the order of the names, each tensor in its own order: the same bits for any number of threads.
        let (mut sum, mut count) = (0.0, 0);
        for values in fisher.values() {
            sum += values.iter().map(|&value| f64::from(value)).sum::<f64>();
            count += values.len();
        }
        let mean = sum / count.max(1) as f64;
        if !(mean.is_finite() && mean > 0.0) {
            return Err(TrainError::NoFisher { mean });
        }
        for (name, selection) in trained.iter().filter(|_| strength > 0.0) {
            let all = aligned.values(name)?;
            let rest = match selection {
                Selection::Nothing => continue,
                Selection::Everything => all,
                Selection::Subset(mask) => mask.positions().map(|at| all[at]).collect(),
            };
            let mut stiffness = fisher.remove(name).unwrap_or_default();
            stiffness.iter_mut().for_each(|value| *value = (strength * f64::from(*value) / mean) as f32);
            let backend = aligned.backend_mut();
            let spring = (backend.upload(&stiffness, 1, stiffness.len())?, backend.upload(&rest, 1, rest.len())?);
            springs.insert(name.clone(), spring);
        }
        Ok(Self { springs })
    }

    /// Adds the penalty's gradient at the decoder's weights.
    ///
    /// # Errors
    /// When other weights are trained than those that it was made for, or the backend fails.
    pub fn add_gradients(&self, decoder: &mut Decoder<B>, trained: &Trained, gradients: &mut Gradients<B>) -> Done<()> {
        for (name, (stiffness, rest)) in &self.springs {
            if let (Some(selection), Some(gradient)) = (trained.get(name), gradients.get_mut(name)) {
                decoder.update(name, |backend, w| backend.pull_back(w, selection, stiffness, rest, gradient))?;
            }
        }
        Ok(())
    }
}
