//! An encoder's tensors under the names that its layers ask for.

use std::collections::BTreeMap;

use super::config::EncoderConfig;
use super::ops::{Linear, Norm};
use crate::model::weights::{Weights, WeightsError};

/// Problems that are listed; a file of another model has as many as it has tensors.
const MOST: usize = 12;

/// Checks that the weights are those of the configuration: every tensor with its shape, and no other.
///
/// # Errors
/// All missing, extra and mis-shaped tensors at once.
pub(super) fn check(config: &EncoderConfig, weights: &Weights) -> Result<(), WeightsError> {
    let mut stored: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for name in weights.names() {
        stored.entry(config.canonical(name)).or_default().push(name);
    }
    let mut problems = Vec::new();
    for (name, shape) in config.tensors() {
        match stored.remove(&name).as_deref() {
            None => problems.push(format!("  missing: {name} {shape:?}")),
            Some([one]) if weights.shape(one) != Some(&shape) => {
                problems.push(format!("  shape of {one}: {:?}, expected {shape:?}", weights.shape(one).unwrap_or_default()));
            }
            Some([_]) => {}
            Some(several) => problems.push(format!("  {name} is there {} times: {}", several.len(), several.join(", "))),
        }
    }
    problems.extend(stored.into_values().flatten().map(|name| format!("  extra: {name}")));
    let more = problems.len().saturating_sub(MOST);
    problems.truncate(MOST);
    problems.extend((more > 0).then(|| format!("  … and {more} more")));
    if problems.is_empty() { Ok(()) } else { Err(WeightsError::Mismatch { problems }) }
}

/// Tensors that were checked, widened to f32 as they are asked for.
pub(super) struct Tensors<'a> {
    weights: &'a Weights,
    /// Stored names by those that layers ask for.
    names: BTreeMap<String, &'a str>,
}

impl<'a> Tensors<'a> {
    pub fn new(config: &EncoderConfig, weights: &'a Weights) -> Self {
        Self { weights, names: weights.names().map(|name| (config.canonical(name), name)).collect() }
    }

    pub fn get(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        self.weights.widened(self.names.get(name).copied().unwrap_or(name))
    }

    /// A vector that may not be there.
    fn or_none(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        if self.names.contains_key(name) { self.get(name) } else { Ok(Vec::new()) }
    }

    /// `NAME.weight`, and `NAME.bias` where there is one.
    pub fn linear(&self, name: &str) -> Result<Linear, WeightsError> {
        self.stacked(&[name])
    }

    /// Several matrices of the same inputs as one, one above the other.
    pub fn stacked(&self, names: &[&str]) -> Result<Linear, WeightsError> {
        let (mut weight, mut bias, mut outputs) = (Vec::new(), Vec::new(), 0);
        for name in names {
            let stored = format!("{name}.weight");
            outputs += self.names.get(&stored).and_then(|stored| self.weights.shape(stored)).map_or(0, |shape| shape[0]);
            weight.extend(self.get(&stored)?);
            bias.extend(self.or_none(&format!("{name}.bias"))?);
        }
        Ok(Linear::new(&weight, bias, outputs))
    }

    /// The same of a norm.
    pub fn norm(&self, name: &str, epsilon: f64) -> Result<Norm, WeightsError> {
        let (weight, bias) = (self.get(&format!("{name}.weight"))?, self.or_none(&format!("{name}.bias"))?);
        Ok(Norm { weight, bias, epsilon: epsilon as f32 })
    }
}
