//! How an arm's tasks become one model that did not learn them one after another.

use serde::Serialize;

/// Every task is trained from the aligned model, and what each changed is merged into it. Formulas and sources:
/// [`crate::delta::arithmetic`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Merge {
    /// How task vectors become one.
    pub method: MergeMethod,
    /// The share of weights that stays, in (0, 1]: of each tensor's (`ties`), of those that changed (`dare`); none of the other methods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub density: Option<f64>,
    /// What task vectors are multiplied with: one for all, or one for each task in its order; empty for `union`, which computes nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scale: Vec<f64>,
}

/// How task vectors become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MergeMethod {
    /// Disjoint changes side by side, bit for bit: of tasks with weights of their own.
    Union,
    /// Σ scale · vector.
    TaskArithmetic,
    /// The largest of each, and the mean of those that agree in sign.
    Ties,
    /// Σ scale · vector, of which a random share stays, rescaled.
    Dare,
}
