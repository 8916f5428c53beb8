//! x · wᵀ for few rows of x: generation, where reading the weights once is what it costs.
//!
//! The `gemm` crate packs the weights anew for every product, which few rows do not pay back. Here each output is one dot
//! product in [`LANES`] fixed lanes, so the result depends neither on the tile sizes nor on the threads.

use rayon::prelude::*;

use super::simd::{LANES, fold, has_avx512};

/// Up to this many rows the products run here.
pub const MOST_ROWS: usize = 64;
/// Weight rows of one piece of work.
const PIECE: usize = 96;

/// Outputs are (rows of x, outputs), row-major. Every piece owns a range of columns, so writes go through a pointer.
#[derive(Clone, Copy)]
struct Columns {
    data: *mut f32,
    stride: usize,
}
// SAFETY: pieces write disjoint columns, and the slice outlives the parallel loop.
unsafe impl Send for Columns {}
// SAFETY: as above.
unsafe impl Sync for Columns {}

impl Columns {
    /// Adds to or sets one output.
    #[inline(always)]
    fn put(self, row: usize, column: usize, value: f32, add: bool) {
        // SAFETY: `product` checked rows and columns against the slice; no other thread has this column.
        unsafe {
            let at = self.data.add(row * self.stride + column);
            *at = if add { *at + value } else { value };
        }
    }
}

/// Only where [`available`]: c = x · wᵀ, or c += x · wᵀ: x (rows, k), w (outputs, k), c (rows, outputs), all row-major.
pub fn product(c: &mut [f32], x: &[f32], w: &[f32], k: usize, add: bool) {
    assert!(available(), "this processor has no AVX-512");
    let (rows, outputs) = (x.len() / k, w.len() / k);
    assert!(x.len() == rows * k && w.len() == outputs * k && c.len() == rows * outputs, "shapes of a product");
    let out = Columns { data: c.as_mut_ptr(), stride: outputs };
    w.par_chunks(PIECE * k).enumerate().for_each(|(piece, w)| {
        // SAFETY: the features were asserted above.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            columns(out, piece * PIECE, x, w, k, add);
        }
    });
}

/// Whether this processor runs the kernel; others take the general product.
pub fn available() -> bool {
    has_avx512()
}

/// The outputs of a few weight rows.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn columns(out: Columns, first: usize, x: &[f32], w: &[f32], k: usize, add: bool) {
    let (rows, outputs) = (x.len() / k, w.len() / k);
    let mut o = 0;
    while o < outputs {
        let width = if outputs - o >= 6 { 6 } else { 1 };
        let mut t = 0;
        while t < rows {
            let height = if rows - t >= 4 { 4 } else { 1 };
            let (x, w) = (&x[t * k..(t + height) * k], &w[o * k..(o + width) * k]);
            match (width, height) {
                (6, 4) => tile::<6, 4>(out, first + o, t, x, w, k, add),
                (6, _) => tile::<6, 1>(out, first + o, t, x, w, k, add),
                (_, 4) => tile::<1, 4>(out, first + o, t, x, w, k, add),
                _ => tile::<1, 1>(out, first + o, t, x, w, k, add),
            }
            t += height;
        }
        o += width;
    }
}

/// W weight rows times X rows of x.
#[cfg(target_arch = "x86_64")]
#[inline]
#[allow(clippy::needless_range_loop)] // fixed loops over registers
#[target_feature(enable = "avx512f")]
fn tile<const W: usize, const X: usize>(out: Columns, column: usize, row: usize, x: &[f32], w: &[f32], k: usize, add: bool) {
    use std::arch::x86_64::{_mm512_fmadd_ps, _mm512_loadu_ps, _mm512_setzero_ps, _mm512_storeu_ps};
    assert!(x.len() == X * k && w.len() == W * k, "a tile's rows");
    let mut sums = [[_mm512_setzero_ps(); W]; X];
    let whole = k - k % LANES;
    for at in (0..whole).step_by(LANES) {
        let mut weights = [_mm512_setzero_ps(); W];
        for j in 0..W {
            // SAFETY: row j ends at (j + 1)·k, and at + LANES ≤ whole ≤ k.
            weights[j] = unsafe { _mm512_loadu_ps(w.as_ptr().add(j * k + at)) };
        }
        for i in 0..X {
            // SAFETY: as above.
            let v = unsafe { _mm512_loadu_ps(x.as_ptr().add(i * k + at)) };
            for j in 0..W {
                sums[i][j] = _mm512_fmadd_ps(v, weights[j], sums[i][j]);
            }
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        for (j, sum) in sums.iter().enumerate() {
            let mut lanes = [0.0f32; LANES];
            // SAFETY: the array has the register's sixteen numbers.
            unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), *sum) };
            let rest: f32 = (whole..k).map(|l| x[i * k + l] * w[j * k + l]).sum();
            out.put(row + i, column + j, fold(lanes) + rest, add);
        }
    }
}
