//! A weight matrix in bfloat16, with f32 numbers only where it is trained.

use rayon::prelude::*;

use super::super::adamw;
use super::super::memory::Numbers;
use super::super::pull;
use super::super::simd::dispatched;
use super::pack::{Right, pair_up_lanes};
use super::{COLUMNS, Pair, round, widen};
use crate::mask::Mask;
use crate::model::backend::{AdamW, Selection};

/// A weight (O, I). Products see the nearest bfloat16 of every number: what autocast computes from a bfloat16 model. Where it is
/// trained, or where bfloat16 cannot hold it, the f32 number itself is kept beside.
#[derive(Debug, Clone, PartialEq)]
pub struct Bf16 {
    /// The transpose, (I, O): a row of the weight is a lane.
    factor: Right,
    /// O.
    rows: usize,
    /// I.
    columns: usize,
    masters: Masters,
}

/// The f32 numbers.
#[derive(Debug, Clone, PartialEq)]
enum Masters {
    /// None: bfloat16 holds every number exactly.
    None,
    /// Every one, row-major.
    All(Numbers<f32>),
    /// Those of a mask, in ascending row-major order; bfloat16 holds the others exactly.
    Some(Mask, Numbers<f32>),
}

dispatched! {
    /// Pairs of columns in lanes of rows, row pair by row pair, become pairs of rows in lanes of columns; lanes without a column are zero.
    fn turn(from: &[Pair], to: &mut [Pair]) {
        for (pair, to) in to.chunks_exact_mut(COLUMNS).enumerate() {
            for (lane, two) in to.chunks_exact_mut(2).enumerate() {
                // Of two neighbouring rows, the numbers in an even and an odd column.
                let (one, other) = match from.get(lane * COLUMNS + 2 * pair..lane * COLUMNS + 2 * pair + 2) {
                    Some(rows) => (rows[0], rows[1]),
                    None => (0, 0),
                };
                two[0] = (one & 0xffff) | (other << 16);
                two[1] = (one >> 16) | (other & 0xffff_0000);
            }
        }
    }
}

impl Bf16 {
    /// Of row-major numbers.
    pub fn new(values: &[f32], rows: usize, columns: usize) -> Self {
        let pairs = columns.div_ceil(2);
        let panels = Numbers::zeros(rows.div_ceil(COLUMNS) * COLUMNS * pairs);
        let mut factor = Right { panels, depth: columns, pairs, columns: rows };
        fill(&mut factor, values);
        let exact = values.par_iter().all(|&value| value.to_bits() & 0xffff == 0);
        let masters = if exact { Masters::None } else { Masters::All(Numbers::of(values)) };
        Self { factor, rows, columns, masters }
    }

    /// (O, I).
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// The transpose (I, O), as a right factor: x · wᵀ.
    pub fn factor(&self) -> &Right {
        &self.factor
    }

    /// The weight itself (O, I), as a right factor: dy · w.
    pub fn untransposed(&self) -> Right {
        let (pairs, columns) = (self.rows.div_ceil(2), self.columns);
        let mut panels: Numbers<Pair> = Numbers::blank(columns.div_ceil(COLUMNS) * COLUMNS * pairs);
        // A panel of columns takes, of every panel of rows, the pairs of its columns.
        panels.par_chunks_mut((COLUMNS * pairs).max(1)).enumerate().for_each(|(panel, to)| {
            let first = panel * COLUMNS / 2;
            for (from, to) in self.factor.panels.chunks(COLUMNS * self.factor.pairs).zip(to.chunks_mut(COLUMNS * COLUMNS / 2)) {
                let last = (first + COLUMNS / 2).min(self.factor.pairs);
                turn(&from[first * COLUMNS..last * COLUMNS], to);
            }
        });
        Right { panels, depth: self.rows, pairs, columns }
    }

    /// Every number, row-major: f32 where it is kept.
    pub fn values(&self) -> Vec<f32> {
        let mut values = match &self.masters {
            Masters::All(masters) => return masters.to_vec(),
            _ => vec![0.0; self.rows * self.columns],
        };
        values.par_chunks_mut(self.columns.max(1)).enumerate().for_each(|(row, to)| self.row(row, to));
        if let Masters::Some(mask, masters) = &self.masters {
            mask.positions().zip(masters.iter()).for_each(|(at, &master)| values[at] = master);
        }
        values
    }

    /// A row in bfloat16, into `to` (I).
    pub fn row(&self, row: usize, to: &mut [f32]) {
        let mut at = (row / COLUMNS * self.factor.pairs) * COLUMNS + row % COLUMNS;
        for two in to.chunks_mut(2) {
            let pair = self.factor.panels[at];
            two[0] = widen(pair & 0xffff);
            if let Some(odd) = two.get_mut(1) {
                *odd = widen(pair >> 16);
            }
            at += COLUMNS;
        }
    }

    /// One AdamW step on the selected numbers; `gradient`, `m` and `v` are compact.
    pub fn adamw(&mut self, selection: &Selection, gradient: &[f32], m: &mut [f32], v: &mut [f32], step: &AdamW) {
        self.keep_masters(selection);
        match (selection, &mut self.masters) {
            (Selection::Nothing, _) | (_, Masters::None) => return,
            (Selection::Subset(mask), Masters::All(masters)) => adamw::selected(masters, mask, gradient, m, v, step),
            // The compact orders are the same.
            (_, Masters::All(masters) | Masters::Some(_, masters)) => adamw::dense(masters, gradient, m, v, step),
        }
        self.round_masters();
    }

    /// Puts numbers, compact, in the place of the selected ones. The f32 numbers that are kept are those that a step keeps.
    pub fn put(&mut self, selection: &Selection, values: &[f32]) {
        self.keep_masters(selection);
        match (selection, &mut self.masters) {
            (Selection::Nothing, _) | (_, Masters::None) => return,
            (Selection::Subset(mask), Masters::All(masters)) => mask.positions().zip(values).for_each(|(at, &value)| masters[at] = value),
            // The compact orders are the same.
            (_, Masters::All(masters) | Masters::Some(_, masters)) => masters.copy_from_slice(values),
        }
        self.round_masters();
    }

    /// How many f32 numbers are kept.
    #[cfg(test)]
    pub fn masters(&self) -> usize {
        match &self.masters {
            Masters::None => 0,
            Masters::All(masters) | Masters::Some(_, masters) => masters.len(),
        }
    }

    /// Adds stiffness · (w − rest) of the selected numbers to `gradient`; all but the weight are compact. Where f32 numbers are not kept yet,
    /// those in bfloat16 are exact.
    pub fn pull_back(&self, selection: &Selection, stiffness: &[f32], rest: &[f32], gradient: &mut [f32]) {
        match (selection, &self.masters) {
            (Selection::Nothing, _) => {}
            (Selection::Subset(mask), Masters::Some(have, masters)) if mask == have => pull::dense(masters, stiffness, rest, gradient),
            (Selection::Everything, Masters::All(masters)) => pull::dense(masters, stiffness, rest, gradient),
            (Selection::Subset(mask), Masters::All(masters)) => pull::selected(masters, mask, stiffness, rest, gradient),
            (Selection::Everything, _) => pull::dense(&self.values(), stiffness, rest, gradient),
            (Selection::Subset(mask), _) => pull::selected(&self.values(), mask, stiffness, rest, gradient),
        }
    }

    /// Makes f32 numbers be kept at least where the selection is.
    fn keep_masters(&mut self, selection: &Selection) {
        let kept = match (selection, &self.masters) {
            (Selection::Nothing, _) | (_, Masters::All(_)) => true,
            (Selection::Subset(mask), Masters::Some(have, _)) => mask == have,
            _ => false,
        };
        if kept {
            return;
        }
        let values = self.values();
        self.masters = match (selection, &self.masters) {
            (Selection::Subset(mask), Masters::None) => {
                Masters::Some(mask.clone(), Numbers::of(&mask.positions().map(|at| values[at]).collect::<Vec<_>>()))
            }
            _ => Masters::All(Numbers::of(&values)),
        };
    }

    /// Puts the nearest bfloat16 of every kept number into its place.
    fn round_masters(&mut self) {
        let (mask, values) = match &self.masters {
            Masters::None => return,
            Masters::All(values) => return fill(&mut self.factor, values),
            Masters::Some(mask, values) => (mask, values),
        };
        let (rows, columns, pairs) = (self.rows, self.columns, self.factor.pairs);
        let mut starts = vec![0];
        for row in 0..rows {
            starts.push(starts[row] + mask.count_between(row * columns, (row + 1) * columns));
        }
        self.factor.panels.par_chunks_mut((COLUMNS * pairs).max(1)).enumerate().for_each(|(panel, to)| {
            // Halves of pairs: a number is written without a look at its neighbour, for which memory would have to be waited for.
            let to: &mut [u16] = bytemuck::cast_slice_mut(to);
            for row in panel * COLUMNS..((panel + 1) * COLUMNS).min(rows) {
                let mut values = values[starts[row]..starts[row + 1]].iter();
                mask.positions_between(row * columns, (row + 1) * columns).for_each(|at| {
                    let column = at - row * columns;
                    if let Some(&value) = values.next() {
                        to[(column / 2 * COLUMNS + row % COLUMNS) * 2 + half(column)] = round(value) as u16;
                    }
                });
            }
        });
    }
}

/// Where a column is in its pair.
fn half(column: usize) -> usize {
    if cfg!(target_endian = "big") { 1 - column % 2 } else { column % 2 }
}

/// Puts row-major numbers into panels of their transpose.
fn fill(factor: &mut Right, values: &[f32]) {
    let (rows, columns, pairs) = (factor.columns, factor.depth, factor.pairs);
    factor.panels.par_chunks_mut((COLUMNS * pairs).max(1)).enumerate().for_each(|(panel, to)| {
        let last = ((panel + 1) * COLUMNS).min(rows);
        pair_up_lanes(to, &values[panel * COLUMNS * columns..last * columns], columns);
    });
}
