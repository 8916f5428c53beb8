//! over: a ticket's score as a ratio to the same score on other data.

use crate::error::Failure;
use crate::model::inventory::TensorSpec;
use crate::pipeline::settings;
use crate::ticket::mask_set::maskable;
use crate::ticket::ratio::{Sum, ratio};
use crate::ticket::score::Scores;

use super::Context;
use super::rows::TrainingRows;
use super::scores::{Found, Models};

/// What scores are divided by: held is what [`Found`] holds for the score, beside that of the ticket's own data.
pub(super) struct Over<'a> {
    found: Found<'a>,
    epsilon: f64,
}

impl<'a> Over<'a> {
    /// Finds the ticket's score on the other rows, and from its mean over all maskable weights the ε that is added to it.
    ///
    /// # Errors
    /// As [`Found::on`]; when every score is 0.
    pub fn on(
        context: &Context<'_>,
        (settings, over): (&settings::Ticket, &settings::Over),
        models: Models<'a>,
        specs: &[TensorSpec],
        rows: &TrainingRows,
        seed: u64,
    ) -> Result<Self, Failure> {
        let found = Found::on(context, settings, models, specs, rows, seed)?;
        let mut sum = Sum::default();
        for spec in maskable(specs) {
            sum.add(&found.scores(spec)?);
        }
        if sum.mean() > 0.0 {
            return Ok(Self { found, epsilon: over.epsilon * sum.mean() });
        }
        let message = format!(
            "ticket {}: every {} score on the data of over is 0: nothing can be divided by it",
            settings.name,
            settings.score.name()
        );
        Err(Failure::new("too-few-scores", message).remedy("name rows of the task from which the model can still learn"))
    }

    /// The scores of a tensor on the ticket's own data, divided.
    ///
    /// # Errors
    /// When a score or a ratio is no number, or a tensor cannot be read.
    pub fn divide(&self, scores: &Scores, spec: &TensorSpec) -> Result<Scores, Failure> {
        Ok(ratio(scores, &self.found.scores(spec)?, self.epsilon)?)
    }
}
