//! The layers that an arm trains.

use serde::Serialize;

/// Layers, counted from 0. What belongs to no layer (the embedding, the last norm, the head) is then frozen, whatever the arm trains.
///
/// Source: layer freezing as in PEFT's `layers_to_transform`, and Lee et al., surgical fine-tuning (2210.11466).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Layers {
    /// Those from the first to the last, both included.
    Range {
        /// The first.
        from: usize,
        /// The last; none = the model's last.
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<usize>,
    },
    /// These, each once, ascending.
    Listed(Vec<usize>),
}

impl Layers {
    /// Whether a layer is among them.
    pub fn contains(&self, layer: usize) -> bool {
        match self {
            Self::Range { from, to } => layer >= *from && to.is_none_or(|to| layer <= to),
            Self::Listed(layers) => layers.contains(&layer),
        }
    }

    /// The largest number that is named.
    pub fn largest(&self) -> usize {
        match self {
            Self::Range { from, to } => to.unwrap_or(*from),
            Self::Listed(layers) => layers.last().copied().unwrap_or(0),
        }
    }
}

impl std::fmt::Display for Layers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Range { from, to: Some(to) } if from == to => write!(f, "layer {from}"),
            Self::Range { from, to: Some(to) } => write!(f, "layers {from} to {to}"),
            Self::Range { from, to: None } => write!(f, "the layers from {from} on"),
            Self::Listed(layers) => {
                let all: Vec<String> = layers.iter().map(usize::to_string).collect();
                write!(f, "layer{} {}", if layers.len() == 1 { "" } else { "s" }, all.join(", "))
            }
        }
    }
}
