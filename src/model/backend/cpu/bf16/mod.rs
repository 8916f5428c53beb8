//! Products with bfloat16 factors and f32 sums: [`product`] of a [`Left`] and a [`Right`] factor.
//!
//! Two neighbours along the summed dimension are one [`Pair`] of 32 bits, the even one in the low half. Each output is one sum over
//! its pairs, in their order, in the lanes of its own register: no number of rows, of threads, or of neighbours changes its bits.

mod kernel;
mod pack;
pub mod sampled;
mod square;
mod weight;

use std::ops::Range;

use rayon::prelude::*;

use super::out::Out;

use self::kernel::Ahead;
pub use self::kernel::available;
pub use self::pack::{Left, Right};
pub use self::weight::Bf16;

/// Two bfloat16 numbers.
type Pair = u32;

/// Rows of one step of the kernel.
const ROWS: usize = 8;
/// Columns of a panel.
const COLUMNS: usize = 48;
/// Pairs that are summed in registers before the sums go to memory.
const DEPTH: usize = 384;
/// How far ahead of its use the right factor is fetched from the second cache, in numbers.
const NEAR: usize = 8 * COLUMNS;
/// The same from memory.
const FAR: usize = 64 * COLUMNS;
/// Rows of one piece of work.
const TILE_ROWS: usize = 128;
/// Panels of one piece of work.
const TILE_PANELS: usize = 4;

/// The bits of the nearest bfloat16, ties to even.
#[inline(always)]
pub fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    // Rounding could carry a NaN's mantissa away.
    if x.is_nan() { (bits >> 16) | 0x40 } else { rounded }
}

/// The number of bfloat16 bits.
#[inline(always)]
pub fn widen(bits: u32) -> f32 {
    f32::from_bits(bits << 16)
}

/// c = a · b, or c += a · b; `c` (M, N) is row-major.
pub fn product(c: &mut [f32], a: &Left, b: &Right, add: bool) {
    let (rows, columns) = (a.rows, b.columns);
    assert_eq!(a.pairs, b.pairs, "pairs of a product");
    assert_eq!(c.len(), rows * columns, "the output of a product");
    let panels = columns.div_ceil(COLUMNS);
    // Few rows are generation, where every weight is read once: small pieces keep all threads busy.
    let wide = if rows <= TILE_ROWS / 2 { 1 } else { TILE_PANELS };
    let tiles: Vec<(usize, usize)> =
        (0..rows).step_by(TILE_ROWS).flat_map(|row| (0..panels).step_by(wide).map(move |panel| (row, panel))).collect();
    let out = Out::of(c);
    tiles.into_par_iter().for_each(|(first_row, panel)| {
        let (last_row, last_panel) = ((first_row + TILE_ROWS).min(rows), (panel + wide).min(panels));
        for from in (0..a.pairs).step_by(DEPTH) {
            let depth = DEPTH.min(a.pairs - from);
            for panel in panel..last_panel {
                let width = COLUMNS.min(columns - panel * COLUMNS);
                let right = &b.panels[(panel * b.pairs + from) * COLUMNS..][..depth * COLUMNS];
                for row in (first_row..last_row).step_by(ROWS) {
                    let height = ROWS.min(last_row - row);
                    let ahead = ahead(right.len(), (row - first_row) / ROWS, (last_row - first_row).div_ceil(ROWS));
                    let (left, strides) = a.step(row, height, from, depth);
                    // SAFETY: rows and columns lie inside `c`, whose size was checked; no other piece of work has them.
                    unsafe {
                        kernel::step(
                            left,
                            strides,
                            right,
                            out.at(row * columns + panel * COLUMNS),
                            columns,
                            (height, width),
                            add || from > 0,
                            ahead,
                        );
                    }
                }
            }
        }
    });
}

/// c = a · b, or c += a · b, on the calling thread: some rows of a, some pairs of both, and the first columns of b; the rows of `c` stand
/// `stride` numbers apart. The first row is a multiple of [`ROWS`] where a's rows are interleaved, and its pairs begin with the first.
pub fn block(c: &mut [f32], stride: usize, (a, rows): (&Left, Range<usize>), b: &Right, pairs: Range<usize>, columns: usize, add: bool) {
    assert!(columns <= stride && (rows.len() - 1) * stride + columns <= c.len(), "the output of a product");
    assert!(rows.end <= a.rows && columns <= b.columns && pairs.len() <= a.pairs, "a product's part");
    let out = Out::of(c);
    for panel in 0..columns.div_ceil(COLUMNS) {
        let width = COLUMNS.min(columns - panel * COLUMNS);
        let right = &b.panels[(panel * b.pairs + pairs.start) * COLUMNS..][..pairs.len() * COLUMNS];
        for row in rows.clone().step_by(ROWS) {
            let height = ROWS.min(rows.end - row);
            let (left, strides) = a.step(row, height, 0, pairs.len());
            let ahead = Ahead { distance: NEAR, step: COLUMNS };
            // SAFETY: rows and columns lie inside `c`, as was asserted, which is this call's alone.
            unsafe {
                let at = out.at((row - rows.start) * stride + panel * COLUMNS);
                kernel::step(left, strides, right, at, stride, (height, width), add, ahead);
            }
        }
    }
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
