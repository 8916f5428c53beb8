//! The settings over which arms are swept.

/// A grid of settings; an empty list leaves an arm its own.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Grid {
    /// Peak learning rates, each above 0.
    pub learning_rate: Vec<f64>,
    /// Trained shares of maskable, in (0, 1]; for arms that have one.
    pub density: Vec<f64>,
    /// Optimizer steps, each at least 1.
    pub max_steps: Vec<u64>,
}
