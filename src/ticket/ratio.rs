//! A score on both sides as a ratio: what weighs much for one behaviour and little for another.

use super::TicketError;
use super::score::Scores;

/// score ÷ (score on other data + ε) of a tensor's weights, with ε = `epsilon`, above 0 on the scale of the other scores. A weight that
/// the other data do not touch gets score ÷ ε, which is large and yet ordered by the score itself; one that has no score stays at 0.
///
/// Source: ours, after the two rankings of Wei et al. (2402.05162, section 3.2), of which a weight must there be at the top of one and not
/// of the other; here one number weighs both.
///
/// # Errors
/// When a ratio is no finite f32.
pub fn ratio(scores: &Scores, other: &Scores, epsilon: f64) -> Result<Scores, TicketError> {
    let of = |(&value, &other): (&f32, &f32)| (f64::from(value) / (f64::from(other) + epsilon)) as f32;
    Scores::new(&scores.tensor, scores.values.iter().zip(&other.values).map(of).collect())
}

/// Σ and number of scores of several tensors, for their mean; f64, in the order in which they are added.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sum {
    sum: f64,
    count: usize,
}

impl Sum {
    /// Adds a tensor's.
    pub fn add(&mut self, scores: &Scores) {
        self.sum += scores.values.iter().map(|&value| f64::from(value)).sum::<f64>();
        self.count += scores.values.len();
    }

    /// The mean; 0 of none.
    pub fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }
}
