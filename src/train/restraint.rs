//! What holds a training back, beside what may move: the aligned model's own predictions and weights, and rows that are not to be forgotten.

use super::anchor::Anchor;
use super::elastic::Elastic;
use super::project::Projection;
use crate::model::backend::{Backend, Done};
use crate::model::constraint::Constraint;

/// Restraints of a training; by default none.
pub struct Restraints<B: Backend> {
    /// The constraints of every row of every source, see [`FirstTokens`](super::first_tokens::FirstTokens); empty, or a row's none, where it
    /// is learnt freely.
    pub constraints: Vec<Vec<Vec<Constraint>>>,
    /// Rows on which the aligned model's distributions are kept.
    pub anchor: Option<Anchor<B>>,
    /// What pulls the weights back to the aligned model's.
    pub elastic: Option<Elastic<B>>,
    /// Rows whose loss no step's gradient may raise.
    pub projection: Option<Projection<B>>,
}

impl<B: Backend> Default for Restraints<B> {
    fn default() -> Self {
        Self { constraints: Vec::new(), anchor: None, elastic: None, projection: None }
    }
}

impl<B: Backend> Restraints<B> {
    /// Those of a row; none where it is learnt freely.
    pub fn of(&self, source: usize, row: usize) -> &[Constraint] {
        self.constraints.get(source).and_then(|rows| rows.get(row)).map_or(&[], Vec::as_slice)
    }

    /// How many tokens of their own rows a step reads, from 1.
    ///
    /// # Errors
    /// When the step is behind the last one of the run.
    pub fn tokens(&mut self, step: u64) -> Done<usize> {
        let anchor = self.anchor.as_mut().map(|anchor| anchor.tokens(step)).transpose()?;
        let projection = self.projection.as_mut().map(|projection| projection.tokens(step));
        Ok(anchor.unwrap_or(0) + projection.unwrap_or(0))
    }
}
