//! Weights made of other weights, without training: what is done to a tuned model to bring the alignment back.
//!
//! Every edit works tensor by tensor on three models of one shape: the aligned model, one that was tuned from it, and, where the edit
//! needs it, the base that the aligned model was made of. It is a function of their stored numbers, computed in f64 or in f32 sums of a
//! fixed order.

pub mod interpolate;
pub mod resta;
pub mod restore;
pub mod safe_lora;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use self::safe_lora::Projection;
use crate::error::Explain;
use crate::mask::Mask;
use crate::model::inventory::TensorSpec;

/// An edit of tuned weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// θ_aligned + w · (θ_tuned − θ_aligned), see [`interpolate`].
    Interpolate {
        /// w, in 0..=1: 0 is the aligned model, 1 the tuned one.
        weight: f64,
    },
    /// The weights of a ticket are the aligned model's again, see [`restore`].
    Restore,
    /// θ_tuned + γ · (θ_aligned − θ_base), see [`resta`].
    Resta {
        /// γ, above 0.
        scale: f64,
        /// The share of the update that is dropped first, in [0, 1); the rest is scaled up (DARE).
        drop: f64,
    },
    /// Updates that lie badly to the alignment are projected onto it, see [`safe_lora`].
    SafeLora {
        /// τ, in [-1, 1]: updates whose cosine with their projection is below it are projected.
        threshold: f64,
    },
}

/// One tensor in the models that an edit reads; all slices are row-major and of the tensor's size.
#[derive(Clone, Copy)]
pub struct Tensor<'a> {
    /// Which tensor.
    pub spec: &'a TensorSpec,
    /// In the aligned model.
    pub aligned: &'a [f32],
    /// In the tuned model.
    pub tuned: &'a [f32],
    /// In the base; none where the edit does not need it.
    pub base: Option<&'a [f32]>,
    /// The ticket's weights; none where the ticket does not hold the tensor.
    pub ticket: Option<&'a Mask>,
    /// Decides what is dropped.
    pub seed: u64,
}

/// What became of one tensor.
pub struct Edited {
    /// Its numbers, row-major.
    pub values: Vec<f32>,
    /// What [`Edit::SafeLora`] found; none for other edits, and for tensors that it leaves alone.
    pub projection: Option<Projection>,
}

/// An edit that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The edit needs the base.
    #[error("the edit needs the base of the aligned model")]
    NoBase,
    /// Models of different shapes.
    #[error("{tensor} has {found} weights in the {model}, the aligned model's has {expected}")]
    Shape {
        /// The tensor.
        tensor: String,
        /// `tuned model`, `base`.
        model: &'static str,
        /// Its weights there.
        found: usize,
        /// And in the aligned model.
        expected: usize,
    },
}

impl Explain for EditError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoBase => "no-base",
            Self::Shape { .. } => "weights-mismatch",
        }
    }

    fn remedy(&self) -> Option<String> {
        Some("write model.base: the model that the aligned one was made of".into())
    }
}

impl Edit {
    /// Whether it reads the base.
    pub fn needs_base(&self) -> bool {
        matches!(self, Self::Resta { .. } | Self::SafeLora { .. })
    }

    /// Whether its result depends on a seed.
    pub fn is_seeded(&self) -> bool {
        matches!(self, Self::Resta { drop, .. } if *drop > 0.0)
    }

    /// The tensor's numbers after the edit.
    ///
    /// # Errors
    /// When the models' sizes differ, or the base is needed and not there.
    pub fn apply(&self, tensor: &Tensor<'_>) -> Result<Edited, EditError> {
        tensor.check()?;
        let base = || tensor.base.ok_or(EditError::NoBase);
        let (values, projection) = match *self {
            Self::Interpolate { weight } => (interpolate::interpolate(tensor.aligned, tensor.tuned, weight), None),
            Self::Restore => (restore::restore(tensor.aligned, tensor.tuned, tensor.ticket), None),
            Self::Resta { scale, drop } => (resta::resta(tensor, base()?, scale, drop), None),
            Self::SafeLora { threshold } if tensor.spec.maskable() => safe_lora::safe_lora(tensor, base()?, threshold),
            Self::SafeLora { .. } => (tensor.tuned.to_vec(), None),
        };
        Ok(Edited { values, projection })
    }

    /// The weights that must have the tuned model's bits after the edit, told from its inputs alone, not from what [`Self::apply`] makes
    /// of them: the proof that nothing else changed.
    pub fn keeps(&self, tensor: &Tensor<'_>) -> Mask {
        let same = |a: &[f32], b: &[f32], i: usize| a[i].to_bits() == b[i].to_bits();
        let update_is_nothing = |i: usize| same(tensor.aligned, tensor.tuned, i);
        let n = tensor.spec.len();
        match self {
            Self::Interpolate { .. } => Mask::from_fn(n, update_is_nothing),
            Self::Restore => tensor.ticket.map_or_else(|| Mask::full(n), Mask::complement),
            Self::Resta { drop, .. } => Mask::from_fn(n, |i| {
                tensor.base.is_some_and(|base| same(tensor.aligned, base, i)) && (*drop == 0.0 || update_is_nothing(i))
            }),
            Self::SafeLora { .. } if tensor.spec.maskable() && !(0..n).all(update_is_nothing) => Mask::empty(n),
            Self::SafeLora { .. } => Mask::full(n),
        }
    }
}

impl Tensor<'_> {
    fn check(&self) -> Result<(), EditError> {
        let expected = self.aligned.len();
        for (model, found) in [("tuned model", Some(self.tuned.len())), ("base", self.base.map(<[f32]>::len))] {
            if let Some(found) = found.filter(|&found| found != expected) {
                return Err(EditError::Shape { tensor: self.spec.name.clone(), model, found, expected });
            }
        }
        Ok(())
    }
}
