//! Products with bfloat16 factors and f32 sums: [`product`] of a [`Left`] and a [`Right`] factor.
//!
//! Two neighbours along the summed dimension are one [`Pair`] of 32 bits, the even one in the low half. Each output is one sum over
//! its pairs, in their order, in the lanes of its own register: no number of rows, of threads, or of neighbours changes its bits.

mod pack;
mod weight;

use std::ops::Range;

use rayon::prelude::*;

pub use self::pack::{Left, Right};
pub use self::weight::Bf16;
use super::kernels::fused::{self, DEPTH, Wide};
use super::kernels::pairs::{Ahead, COLUMNS, Pair, Place, ROWS, step, wide_step};
pub use super::kernels::pairs::{available, round, widen};
use super::kernels::tile::{Tile, every};

/// How far ahead of its use the right factor is fetched from the second cache, in numbers.
const NEAR: usize = 8 * COLUMNS;
/// The same from memory.
const FAR: usize = 64 * COLUMNS;
/// Rows of one piece of work.
const TILE_ROWS: usize = 128;
/// Panels of one piece of work.
const TILE_PANELS: usize = 4;

/// c = a · b, or c += a · b; `c` (M, N) is row-major.
pub fn product(c: &mut [f32], a: &Left, b: &Right, add: bool) {
    let (rows, columns) = (a.rows, b.columns);
    assert_eq!(a.pairs, b.pairs, "pairs of a product");
    assert_eq!(c.len(), rows * columns, "the output of a product");
    // Few rows are generation, where every weight is read once: small pieces keep all threads busy.
    let wide = if rows <= TILE_ROWS / 2 { 1 } else { TILE_PANELS };
    let tiles = Tile::cut(c, columns, &every(TILE_ROWS, rows), &every(wide * COLUMNS, columns));
    tiles.into_par_iter().for_each(|mut c| {
        let (first_row, first_column) = c.place();
        let (steps, panels) = (c.rows().div_ceil(ROWS), c.columns().div_ceil(COLUMNS));
        let (fused, mut wide) = (fused::preferred(), Wide::new());
        for from in (0..a.pairs).step_by(DEPTH) {
            let depth = DEPTH.min(a.pairs - from);
            for i in 0..steps * panels {
                // What is widened of the left factor meets all panels before it is dropped; else a panel meets all rows.
                let (row, column) = if fused { (i / panels * ROWS, i % panels * COLUMNS) } else { (i % steps * ROWS, i / steps * COLUMNS) };
                let panel = (first_column + column) / COLUMNS;
                let right = &b.panels[(panel * b.pairs + from) * COLUMNS..][..depth * COLUMNS];
                let place = place(&c, row, column);
                let (left, strides) = a.step(first_row + row, place.height, from, depth);
                if fused && place.height == ROWS {
                    if column == 0 {
                        wide.fill(left, strides, depth);
                    }
                    wide_step(&mut c, place, &wide, right, add || from > 0, Ahead { distance: NEAR, step: COLUMNS });
                } else {
                    step(&mut c, place, left, strides, right, add || from > 0, ahead(right.len(), row / ROWS, steps));
                }
            }
        }
    });
}

/// c = a · b, or c += a · b, on the calling thread: some rows of a, some pairs of both, and the first columns of b; the rows of `c` stand
/// `stride` numbers apart. The first row is a multiple of [`ROWS`] where a's rows are interleaved, and its pairs begin with the first.
pub fn block(c: &mut [f32], stride: usize, (a, rows): (&Left, Range<usize>), b: &Right, pairs: Range<usize>, columns: usize, add: bool) {
    assert!(rows.end <= a.rows && columns <= b.columns && pairs.len() <= a.pairs, "a product's part");
    let mut c = Tile::whole(c, rows.len(), columns, stride);
    for column in (0..columns).step_by(COLUMNS) {
        let right = &b.panels[(column / COLUMNS * b.pairs + pairs.start) * COLUMNS..][..pairs.len() * COLUMNS];
        for row in (0..rows.len()).step_by(ROWS) {
            let place = place(&c, row, column);
            let (left, strides) = a.step(rows.start + row, place.height, 0, pairs.len());
            step(&mut c, place, left, strides, right, add, Ahead { distance: NEAR, step: COLUMNS });
        }
    }
}

/// A step's outputs from (row, column) on: as many as it makes, or as there are.
fn place(c: &Tile<'_, f32>, row: usize, column: usize) -> Place {
    Place { row, column, height: ROWS.min(c.rows() - row), width: COLUMNS.min(c.columns() - column) }
}

/// What one of several steps over the same panel, `len` numbers long, fetches.
fn ahead(len: usize, step: usize, steps: usize) -> Ahead {
    match (steps, step + 1 == steps) {
        (1, _) => Ahead { distance: FAR, step: COLUMNS },
        // Few steps: the panel behind comes from memory, in equal parts with each.
        (2..=4, _) => Ahead { distance: len + len / steps * step, step: COLUMNS / steps },
        // Many: the panel comes from the second cache again and again, the one behind it with the last.
        (_, false) => Ahead { distance: NEAR, step: COLUMNS },
        (_, true) => Ahead { distance: len, step: COLUMNS },
    }
}

#[cfg(test)]
mod tests;
