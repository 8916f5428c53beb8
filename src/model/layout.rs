//! Which tokens of a pass are computed: what all its rows begin with, once, and the rest of each.

use super::backend::Pieces;
use super::batch::Packed;

/// A shared beginning shorter than this is not worth a piece of its own: a begin mark and a role.
const LEAST_SHARED: usize = 8;

/// Packed rows as a pass computes them. Where all rows begin with the same tokens (a system prompt), those stand first, once, and behind
/// them the rest of each row: a token's states depend on nothing but the tokens before it, so that they are the same for all rows, and
/// the gradients that reach them are the sum over rows.
///
/// U is the number of computed tokens; without a common beginning it is T, in the order of the packed rows.
pub(super) struct Layout {
    /// Token ids, (U).
    pub tokens: Vec<u32>,
    /// The position of every token inside its row, (U).
    pub positions: Vec<u32>,
    /// Where each packed token is computed, (T).
    pub places: Vec<usize>,
    starts: Vec<usize>,
    prefix: usize,
}

impl Layout {
    /// Of some packed rows. At least one token of every row is its own.
    pub fn of(batch: &Packed) -> Self {
        let rows: Vec<&[u32]> = batch.row_starts.windows(2).map(|row| &batch.tokens[row[0]..row[1]]).collect();
        let prefix = shared_prefix(&rows);
        let mut layout = Self {
            tokens: Vec::with_capacity(batch.tokens.len()),
            positions: Vec::with_capacity(batch.tokens.len()),
            places: Vec::with_capacity(batch.tokens.len()),
            starts: vec![0],
            prefix,
        };
        if prefix > 0 {
            layout.append(&rows[0][..prefix], 0);
        }
        for row in rows {
            let own = layout.tokens.len();
            layout.places.extend((0..prefix).chain(own..own + row.len() - prefix));
            layout.append(&row[prefix..], prefix);
        }
        layout
    }

    fn append(&mut self, tokens: &[u32], first_position: usize) {
        self.tokens.extend_from_slice(tokens);
        self.positions.extend((first_position..first_position + tokens.len()).map(|position| position as u32));
        self.starts.push(self.tokens.len());
    }

    /// What attention has to know.
    pub fn pieces(&self) -> Pieces<'_> {
        Pieces { starts: &self.starts, prefix: self.prefix }
    }

    /// Where the hidden states that predict supervised tokens are computed, (N); two rows may share one.
    pub fn targets(&self, batch: &Packed) -> Vec<usize> {
        batch.targets.iter().map(|target| self.places[target.position]).collect()
    }
}

/// How many tokens several rows begin with alike, less than the shortest has; 0 where that saves nothing.
pub(super) fn shared_prefix(rows: &[&[u32]]) -> usize {
    let [first, others @ ..] = rows else { return 0 };
    let alike = |row: &&[u32]| first.iter().zip(*row).take_while(|(a, b)| a == b).count().min(row.len().saturating_sub(1));
    let length = others.iter().map(alike).min().unwrap_or(0).min(first.len().saturating_sub(1));
    if length < LEAST_SHARED { 0 } else { length }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::batch::Example;

    fn packed(rows: &[Vec<u32>]) -> Packed {
        let rows: Vec<Example> = rows.iter().map(|row| Example { tokens: row.clone(), supervised: vec![true; row.len()] }).collect();
        Packed::from_examples(&rows)
    }

    fn beginning(length: u32, rest: &[u32]) -> Vec<u32> {
        (0..length).map(|token| 100 + token).chain(rest.iter().copied()).collect()
    }

    fn positions(batch: &Packed) -> Vec<u32> {
        batch.row_starts.windows(2).flat_map(|row| 0..(row[1] - row[0]) as u32).collect()
    }

    #[test]
    fn a_common_beginning_is_computed_once() {
        let batch = packed(&[beginning(9, &[1, 2]), beginning(9, &[3]), beginning(9, &[1, 4, 5])]);
        let layout = Layout::of(&batch);
        assert_eq!(layout.tokens, beginning(9, &[1, 2, 3, 1, 4, 5]));
        assert_eq!(layout.positions, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 9, 9, 10, 11]);
        assert_eq!((layout.starts.as_slice(), layout.prefix), ([0, 9, 11, 12, 15].as_slice(), 9));
        assert_eq!(layout.places.iter().map(|&place| layout.tokens[place]).collect::<Vec<_>>(), batch.tokens);
        assert_eq!(layout.places.iter().map(|&place| layout.positions[place]).collect::<Vec<_>>(), positions(&batch));
        // What is learnt inside the beginning is learnt from every row.
        let targets = layout.targets(&batch);
        assert_eq!(targets.iter().filter(|&&place| place == 3).count(), 3);
        assert_eq!(targets.len(), batch.targets.len());
    }

    #[test]
    fn a_row_keeps_a_token_of_its_own() {
        let layout = Layout::of(&packed(&[beginning(12, &[]), beginning(12, &[]), beginning(12, &[7])]));
        assert_eq!((layout.prefix, layout.starts), (11, vec![0, 11, 12, 13, 15]));
    }

    #[test]
    fn rows_without_a_beginning_worth_it_stay_as_they_are() {
        for rows in [vec![], vec![beginning(30, &[])], vec![beginning(7, &[1, 2]), beginning(7, &[3])], vec![beginning(30, &[1]), vec![5]]]
        {
            let batch = packed(&rows);
            let layout = Layout::of(&batch);
            assert_eq!((&layout.tokens, &layout.positions), (&batch.tokens, &positions(&batch)));
            assert_eq!((layout.starts.as_slice(), layout.prefix), (batch.row_starts.as_slice(), 0));
            assert_eq!(layout.places, (0..batch.tokens.len()).collect::<Vec<_>>());
        }
    }
}
