//! How much a ticket takes: which share, within what, in which pieces.

use super::TicketError;

/// Within what the top of the scores is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// All maskable weights together.
    Global,
    /// The tensors of each layer together.
    Layer,
    /// Each tensor by itself.
    Tensor,
    /// Each output row of each matrix by itself: the comparison group of Wanda (Sun et al., 2306.11695).
    Row,
}

impl Scope {
    /// The scopes by their names.
    pub const NAMES: [(&'static str, Self); 4] =
        [("global", Self::Global), ("layer", Self::Layer), ("tensor", Self::Tensor), ("row", Self::Row)];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, scope)| *scope == self).map_or("", |(name, _)| name)
    }
}

/// What is taken or left as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Structure {
    /// A single weight.
    #[default]
    Weight,
    /// An output row of a matrix (O, I): I weights, everything that makes one output.
    Row,
    /// An input column of a matrix (O, I): O weights, everything that one input goes into.
    Column,
}

impl Structure {
    /// The structures by their names.
    pub const NAMES: [(&'static str, Self); 3] = [("weight", Self::Weight), ("row", Self::Row), ("column", Self::Column)];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, structure)| *structure == self).map_or("", |(name, _)| name)
    }

    /// Whether it is single weights; for keys and files that say nothing of the usual case.
    pub fn is_weight(&self) -> bool {
        *self == Self::Weight
    }
}

/// How much is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Share of the weights, in (0, 1].
    pub density: f64,
    /// Within what the top is taken.
    pub scope: Scope,
    /// In which pieces.
    pub structure: Structure,
}

impl Budget {
    /// Single weights, whatever tensor they are in.
    pub fn of(density: f64) -> Self {
        Self { density, scope: Scope::Global, structure: Structure::Weight }
    }

    /// As it is part of the key of a random ticket.
    pub fn told(&self) -> String {
        let structure = if self.structure.is_weight() { String::new() } else { format!(" {:?}", self.structure) };
        format!("{} {:?}{structure}", self.density, self.scope)
    }
}

/// k = floor(density · n + 0.5), in f64.
///
/// # Errors
/// When the density is not in (0, 1].
pub fn count_for(density: f64, n: usize) -> Result<usize, TicketError> {
    if !(density > 0.0 && density <= 1.0) {
        return Err(TicketError::Density(density));
    }
    Ok(((density * n as f64 + 0.5).floor() as usize).min(n))
}

/// `4` of `model.layers.4.mlp.up_proj.weight`.
pub(super) fn layer(tensor: &str) -> &str {
    tensor.split_once("layers.").map_or("", |(_, rest)| rest.split('.').next().unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn k_is_rounded_half_up_in_f64() {
        assert_eq!(count_for(0.1, 40).unwrap(), 4);
        // (1 − 0.9)·40 is 3.999…: cutting it off gives 3, a known trap.
        assert_eq!(count_for(1.0 - 0.9, 40).unwrap(), 4);
        assert_eq!(count_for(0.5, 5).unwrap(), 3);
        assert_eq!(count_for(1.0, 7).unwrap(), 7);
        assert!(count_for(0.0, 7).is_err() && count_for(1.1, 7).is_err() && count_for(f64::NAN, 7).is_err());
    }
}
