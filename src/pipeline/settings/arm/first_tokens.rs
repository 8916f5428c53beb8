//! How the first tokens of an arm's replies are held.

use serde::Serialize;

/// The first-token constraint: a reply's tokens may become likelier than the aligned model has them, the less freely the larger their β is.
/// Source: Qi et al. (2406.05946), section 4.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FirstTokens {
    /// β of the first tokens, in their order; each ≥ 0, and 0 holds nothing.
    pub betas: Vec<f64>,
    /// β of all that follow.
    pub rest: f64,
}

impl Default for FirstTokens {
    /// The paper's.
    fn default() -> Self {
        Self { betas: vec![0.5, 2.0, 2.0, 2.0, 2.0], rest: 0.1 }
    }
}
