//! x · wᵀ for few rows of x: generation, where reading the weights once is what it costs.
//!
//! The `gemm` crate packs the weights anew for every product, which few rows do not pay back. Here each output is one dot
//! product in fixed lanes, so the result depends neither on the tile sizes nor on the threads.

use rayon::prelude::*;

pub use super::kernels::skinny::available;
use super::kernels::skinny::multiply;
use super::kernels::tile::{Tile, every};

/// Up to this many rows the products run here.
pub const MOST_ROWS: usize = 64;
/// Weight rows of one piece of work.
const PIECE: usize = 96;

/// Only where [`available`]: c = x · wᵀ, or c += x · wᵀ: x (rows, k), w (outputs, k), c (rows, outputs), all row-major.
pub fn product(c: &mut [f32], x: &[f32], w: &[f32], k: usize, add: bool) {
    let (rows, outputs) = (x.len() / k, w.len() / k);
    assert!(x.len() == rows * k && w.len() == outputs * k && c.len() == rows * outputs, "shapes of a product");
    let tiles = Tile::cut(c, outputs, &[0, rows], &every(PIECE, outputs));
    tiles.into_par_iter().zip(w.par_chunks(PIECE * k)).for_each(|(mut c, w)| multiply(&mut c, x, w, k, add));
}
