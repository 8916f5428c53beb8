//! The first-token constraint: the first tokens of a reply, in which a refusal is decided, are held near the aligned model's.

use crate::model::backend::{Backend, Done};
use crate::model::batch::{Example, Packed};
use crate::model::constraint::Constraint;
use crate::model::decoder::Decoder;

/// Rows of one pass.
const ROWS_AT_ONCE: usize = 8;

/// How strongly each token of a reply is held, see [`Constraint::beta`].
#[derive(Debug, Clone, PartialEq)]
pub struct FirstTokens {
    /// Of the first tokens, in their order.
    pub betas: Vec<f64>,
    /// Of all that follow.
    pub rest: f64,
}

impl FirstTokens {
    /// The constraint of every supervised token of every row, in the order of a batch's targets, from the model that `aligned` holds. A
    /// row's replies are counted each from its own first token.
    ///
    /// # Errors
    /// When a token is not in the vocabulary or the backend fails.
    pub fn constraints<B: Backend>(&self, aligned: &mut Decoder<B>, rows: &[Example]) -> Done<Vec<Vec<Constraint>>> {
        let mut constraints = Vec::with_capacity(rows.len());
        for part in rows.chunks(ROWS_AT_ONCE) {
            let losses = aligned.losses(&Packed::from_examples(part))?;
            let mut losses = losses.into_iter();
            for row in part {
                let places = places_in_replies(row);
                let of = |(place, aligned_loss): (usize, f32)| Constraint { aligned_loss, beta: self.beta(place) };
                constraints.push(places.into_iter().zip(losses.by_ref()).map(of).collect());
            }
        }
        Ok(constraints)
    }

    /// Of the token at a place of its reply, from 0.
    fn beta(&self, place: usize) -> f32 {
        self.betas.get(place).copied().unwrap_or(self.rest) as f32
    }
}

/// Where each supervised token stands in its reply, from 0.
fn places_in_replies(row: &Example) -> Vec<usize> {
    let (mut places, mut place) = (Vec::new(), 0);
    for &supervised in row.supervised.iter().skip(1) {
        if supervised {
            places.push(place);
            place += 1;
        } else {
            place = 0;
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reply_begins_anew() {
        let row =
            |supervised: &[u8]| Example { tokens: vec![1; supervised.len()], supervised: supervised.iter().map(|&s| s == 1).collect() };
        assert_eq!(places_in_replies(&row(&[0, 0, 1, 1, 1, 0, 1, 1])), [0, 1, 2, 0, 1]);
        // The first token of a row is predicted from nothing.
        assert_eq!(places_in_replies(&row(&[1, 1, 1])), [0, 1]);
        assert!(places_in_replies(&row(&[])).is_empty());
        let settings = FirstTokens { betas: vec![0.5, 2.0], rest: 0.1 };
        assert_eq!([0, 1, 2, 9].map(|place| settings.beta(place)), [0.5, 2.0, 0.1, 0.1]);
    }
}
