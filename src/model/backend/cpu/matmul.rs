//! Matrix products by the `gemm` crate, in an order that does not depend on the number of threads.
//!
//! Work is cut into fixed tiles of the output (never along the summed dimension), and each tile is one single-threaded
//! product; threads only decide who computes which tile.

use std::sync::OnceLock;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

pub use super::kernels::dense::View;
use super::kernels::dense::multiply;
use super::kernels::tile::{Tile, every};
use crate::random::normal;

/// Output rows of a tile: enough that packing the other operand is paid back.
const TILE_ROWS: usize = 512;
/// Output columns of a tile.
const TILE_COLUMNS: usize = 768;
/// A side up to this long is not cut.
const SHORT: usize = 128;
/// Pieces are multiples of this, so that full kernels cover them.
const LANE_ROWS: usize = 48;
/// Products with fewer multiplications than this run on the calling thread.
const SMALL: usize = 1 << 18;

/// c = a · b, or c += a · b; `c` is row-major with `stride` numbers between rows. Sums run over k in an order fixed by the shapes.
pub fn product(c: &mut [f32], stride: usize, a: View<'_>, b: View<'_>, add: bool) {
    let (m, n, k) = (a.rows(), b.columns(), a.columns());
    assert_eq!(k, b.rows(), "inner dimensions of a product");
    if m == 0 || n == 0 {
        return;
    }
    if m * n * k < SMALL {
        return multiply(&mut Tile::whole(c, m, n, stride), a, b, add);
    }
    let tiles = Tile::cut(c, stride, &cuts(m, TILE_ROWS), &cuts(n, TILE_COLUMNS));
    tiles.into_par_iter().for_each(|mut c| {
        let (row, column) = c.place();
        let (rows, columns) = (row..row + c.rows(), column..column + c.columns());
        multiply(&mut c, a.part(rows), b.t().part(columns).t(), add);
    });
}

/// Cuts `0..length` into an even number of nearly equal pieces of at most `most`, so that two, and often more, threads end
/// together. A short side stays whole: many small pieces would pack the other operand too often. Depends on the shape alone.
fn cuts(length: usize, most: usize) -> Vec<usize> {
    let pieces = if length <= SHORT { 1 } else { length.div_ceil(most).next_multiple_of(2) };
    every(length.div_ceil(pieces).next_multiple_of(LANE_ROWS), length)
}

/// A digest of the order in which products are summed: `gemm` cuts the summed dimension by the size of the first cache, so that
/// two processors with the same instructions may round differently. Taken from the bits of products in which the order shows.
pub fn order() -> &'static str {
    static ORDER: OnceLock<String> = OnceLock::new();
    ORDER.get_or_init(|| {
        let numbers = |count: usize, stream: u64| -> Vec<f32> { (0..count as u64).map(|i| normal(stream, i)).collect() };
        let mut digest = Sha256::new();
        for (rows, summed) in [(64, 4096), (64, 1536), (64, 576), (48, 96)] {
            let (a, b) = (numbers(rows * summed, 1), numbers(rows * summed, 2));
            let mut c = vec![0.0; rows * rows];
            product(&mut c, rows, View::new(&a, rows, summed, summed), View::new(&b, rows, summed, summed).t(), false);
            c.iter().for_each(|value| digest.update(value.to_le_bytes()));
        }
        digest.finalize()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
    })
}
