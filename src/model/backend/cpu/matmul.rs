//! Matrix products by the `gemm` crate, in an order that does not depend on the number of threads.
//!
//! Work is cut into fixed tiles of the output (never along the summed dimension), and each tile is one single-threaded
//! product; threads only decide who computes which tile.

use std::sync::OnceLock;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::out::Out;
use crate::random::normal;

/// A matrix view over a slice: `rows` × `columns` with strides, for `a` or its transpose.
#[derive(Clone, Copy)]
pub struct View<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// A row-major matrix with `stride` numbers between rows.
    pub fn new(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(columns <= stride || rows <= 1, "a row of {columns} in a stride of {stride}");
        assert!(rows == 0 || columns == 0 || (rows - 1) * stride + columns <= data.len(), "{rows}×{columns} in {} numbers", data.len());
        Self { data, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// The transpose, without moving numbers.
    #[must_use]
    pub fn t(self) -> Self {
        Self { rows: self.columns, columns: self.rows, row_stride: self.column_stride, column_stride: self.row_stride, ..self }
    }
}

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
    let (m, n, k) = (a.rows, b.columns, a.columns);
    assert_eq!(a.columns, b.rows, "inner dimensions of a product");
    if m == 0 || n == 0 {
        return;
    }
    assert!((m - 1) * stride + n <= c.len() && n <= stride, "{m}×{n} into {} numbers", c.len());
    if m * n * k < SMALL {
        return tile(Out::of(c), stride, a, b, add, (0, m), (0, n));
    }
    let tiles: Vec<_> = cuts(m, TILE_ROWS).flat_map(|rows| cuts(n, TILE_COLUMNS).map(move |columns| (rows, columns))).collect();
    let out = Out::of(c);
    tiles.into_par_iter().for_each(|(rows, cols)| tile(out, stride, a, b, add, rows, cols));
}

/// Cuts `0..length` into an even number of nearly equal pieces of at most `most`, so that two, and often more, threads end
/// together. A short side stays whole: many small pieces would pack the other operand too often. Depends on the shape alone.
fn cuts(length: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let pieces = if length <= SHORT { 1 } else { length.div_ceil(most).next_multiple_of(2) };
    let size = length.div_ceil(pieces).next_multiple_of(LANE_ROWS);
    (0..length).step_by(size).map(move |from| (from, (from + size).min(length)))
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

/// One tile of the output, on this thread.
fn tile(out: Out<f32>, stride: usize, a: View<'_>, b: View<'_>, add: bool, rows: (usize, usize), columns: (usize, usize)) {
    let (m, n, k) = (rows.1 - rows.0, columns.1 - columns.0, a.columns);
    let left = a.data.as_ptr().wrapping_add(rows.0 * a.row_stride);
    let right = b.data.as_ptr().wrapping_add(columns.0 * b.column_stride);
    // SAFETY: `View::new` and `product` checked that all three matrices lie inside their slices; the tile is written by this call alone.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.at(rows.0 * stride + columns.0),
            1,
            stride as isize,
            add,
            left,
            a.column_stride as isize,
            a.row_stride as isize,
            right,
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
