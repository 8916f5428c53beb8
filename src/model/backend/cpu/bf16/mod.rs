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
use super::kernels::fused::{self, Wide, wide_step};
use super::kernels::pairs::{Ahead, COLUMNS, DEPTH, Pair, Place, ROWS, step};
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
    product_by(fused::preferred(), c, a, b, add);
}

/// By fused multiplications, or by the processor's own products of pairs.
fn product_by(fused: bool, c: &mut [f32], a: &Left, b: &Right, add: bool) {
    let (rows, columns) = (a.rows, b.columns);
    assert_eq!(a.pairs, b.pairs, "pairs of a product");
    assert_eq!(c.len(), rows * columns, "the output of a product");
    // Few rows are generation, where every weight is read once: small pieces keep all threads busy.
    let wide = if rows <= TILE_ROWS / 2 { 1 } else { TILE_PANELS };
    let tiles = Tile::cut(c, columns, &every(TILE_ROWS, rows), &every(wide * COLUMNS, columns));
    tiles.into_par_iter().for_each(|mut c| {
        let (row, column) = c.place();
        part(fused, &mut c, (a, row), (b, column / COLUMNS), 0..a.pairs, add);
    });
}

/// c = a · b, or c += a · b, on the calling thread: some rows of a, some pairs of both, and the first columns of b; the rows of `c` stand
/// `stride` numbers apart. The first row is a multiple of [`ROWS`] where a's rows are interleaved, and its pairs begin with the first.
pub fn block(c: &mut [f32], stride: usize, (a, rows): (&Left, Range<usize>), b: &Right, pairs: Range<usize>, columns: usize, add: bool) {
    assert!(rows.end <= a.rows && columns <= b.columns && pairs.len() <= a.pairs, "a product's part");
    part(fused::preferred(), &mut Tile::whole(c, rows.len(), columns, stride), (a, rows.start), (b, 0), pairs, add);
}

/// A tile of a product: of rows of `a` from one on, and panels of `b` from one on. The pairs are b's; a's begin with its first.
fn part(
    fused: bool,
    c: &mut Tile<'_, f32>,
    (a, first_row): (&Left, usize),
    (b, first_panel): (&Right, usize),
    pairs: Range<usize>,
    add: bool,
) {
    let (steps, panels) = (c.rows().div_ceil(ROWS), c.columns().div_ceil(COLUMNS));
    let mut wide = Wide::default();
    for from in (0..pairs.len()).step_by(DEPTH) {
        let (depth, add) = (DEPTH.min(pairs.len() - from), add || from > 0);
        for i in 0..steps * panels {
            // What is widened of the left factor meets all panels before it is dropped; otherwise a panel meets all rows.
            let (step_at, panel) = if fused { (i / panels, i % panels) } else { (i % steps, i / steps) };
            let right = &b.panels[((first_panel + panel) * b.pairs + pairs.start + from) * COLUMNS..][..depth * COLUMNS];
            let place = place(c, step_at * ROWS, panel * COLUMNS);
            let (left, strides) = a.step(first_row + place.row, place.height, from, depth);
            let ahead = match (fused && panels > 1, step_at) {
                (false, _) => ahead(right.len(), step_at, steps),
                // The first rows bring all panels into the second cache.
                (true, 0) => Ahead { distance: FAR, step: COLUMNS },
                (true, _) => Ahead { distance: NEAR, step: COLUMNS },
            };
            if fused && place.height == ROWS {
                if panel == 0 {
                    wide.fill(left, strides, depth);
                }
                wide_step(c, place, &wide, right, add, ahead);
            } else {
                step(c, place, left, strides, right, add, ahead);
            }
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
