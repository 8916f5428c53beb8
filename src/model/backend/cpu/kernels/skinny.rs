//! x · wᵀ for few rows of x, where reading w once is what it costs: each output is one dot product in sixteen fixed lanes, so that all
//! instruction sets make the same bits.

use super::simd::dot;
#[cfg(target_arch = "x86_64")]
use super::simd::{LANES, fold, has_avx2, has_avx512};
use super::tile::Tile;

/// Whether this processor runs the kernel; others take the general product: the plain twin is slow.
pub fn available() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        has_avx512() || has_avx2()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Only where [`available`]: c = x · wᵀ, or c += x · wᵀ: x (rows, k), w (outputs, k), both row-major, c (rows, outputs).
///
/// # Panics
/// When it is not available, or the shapes do not fit.
pub fn multiply(c: &mut Tile<'_, f32>, x: &[f32], w: &[f32], k: usize, add: bool) {
    assert!(available(), "this processor has neither AVX-512 nor AVX2");
    assert!(x.len() == c.rows() * k && w.len() == c.columns() * k, "shapes of a product");
    #[cfg(target_arch = "x86_64")]
    // SAFETY: each of the two is called where its features are.
    unsafe {
        if has_avx512() { columns(c, x, w, k, add) } else { narrow(c, x, w, k, add) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    plain(c, x, w, k, add);
}

/// The same in plain Rust.
pub fn plain(c: &mut Tile<'_, f32>, x: &[f32], w: &[f32], k: usize, add: bool) {
    for (t, x) in x.chunks_exact(k).enumerate() {
        for (to, w) in c.row(t).iter_mut().zip(w.chunks_exact(k)) {
            let found = dot(x, w);
            *to = if add { *to + found } else { found };
        }
    }
}

/// Puts an output's lanes together, with the products behind the last whole register.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn put(to: &mut f32, lanes: [f32; LANES], rest_x: &[f32], rest_w: &[f32], add: bool) {
    let rest: f32 = rest_x.iter().zip(rest_w).map(|(x, w)| x * w).sum();
    let found = fold(lanes) + rest;
    *to = if add { *to + found } else { found };
}

/// Two weight rows and two rows of x at a time: so many sums fit into the registers of AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn narrow(c: &mut Tile<'_, f32>, x: &[f32], w: &[f32], k: usize, add: bool) {
    let (rows, outputs) = (c.rows(), c.columns());
    for o in (0..outputs).step_by(2) {
        for t in (0..rows).step_by(2) {
            match (outputs - o, rows - t) {
                (1, 1) => narrow_block::<1, 1>(c, o, t, &x[t * k..], &w[o * k..], k, add),
                (1, _) => narrow_block::<1, 2>(c, o, t, &x[t * k..], &w[o * k..], k, add),
                (_, 1) => narrow_block::<2, 1>(c, o, t, &x[t * k..], &w[o * k..], k, add),
                _ => narrow_block::<2, 2>(c, o, t, &x[t * k..], &w[o * k..], k, add),
            }
        }
    }
}

/// The first W weight rows times the first X rows of x; sixteen lanes are two registers.
#[cfg(target_arch = "x86_64")]
#[inline]
#[allow(clippy::needless_range_loop)] // fixed loops over registers
#[target_feature(enable = "avx2,fma")]
fn narrow_block<const W: usize, const X: usize>(
    c: &mut Tile<'_, f32>,
    column: usize,
    row: usize,
    x: &[f32],
    w: &[f32],
    k: usize,
    add: bool,
) {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps};
    const HALF: usize = LANES / 2;
    assert!(x.len() >= X * k && w.len() >= W * k, "a block's rows");
    let mut sums = [[[_mm256_setzero_ps(); 2]; W]; X];
    let whole = k - k % LANES;
    for at in (0..whole).step_by(LANES) {
        for half in 0..2 {
            let at = at + HALF * half;
            let mut weights = [_mm256_setzero_ps(); W];
            for j in 0..W {
                // SAFETY: row j ends at (j + 1)·k, and at + HALF ≤ whole ≤ k.
                weights[j] = unsafe { _mm256_loadu_ps(w.as_ptr().add(j * k + at)) };
            }
            for i in 0..X {
                // SAFETY: as above.
                let v = unsafe { _mm256_loadu_ps(x.as_ptr().add(i * k + at)) };
                for j in 0..W {
                    sums[i][j][half] = _mm256_fmadd_ps(v, weights[j], sums[i][j][half]);
                }
            }
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        let outputs = &mut c.row(row + i)[column..column + W];
        for (j, (sum, to)) in sums.iter().zip(outputs).enumerate() {
            let mut lanes = [0.0f32; LANES];
            // SAFETY: the two registers together have the array's sixteen numbers.
            unsafe {
                _mm256_storeu_ps(lanes.as_mut_ptr(), sum[0]);
                _mm256_storeu_ps(lanes.as_mut_ptr().add(HALF), sum[1]);
            }
            put(to, lanes, &x[i * k + whole..(i + 1) * k], &w[j * k + whole..(j + 1) * k], add);
        }
    }
}

/// A few weight rows and a few rows of x at a time.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn columns(c: &mut Tile<'_, f32>, x: &[f32], w: &[f32], k: usize, add: bool) {
    let (rows, outputs) = (c.rows(), c.columns());
    let mut o = 0;
    while o < outputs {
        let width = if outputs - o >= 6 { 6 } else { 1 };
        let mut t = 0;
        while t < rows {
            let height = if rows - t >= 4 { 4 } else { 1 };
            let (x, w) = (&x[t * k..(t + height) * k], &w[o * k..(o + width) * k]);
            match (width, height) {
                (6, 4) => block::<6, 4>(c, o, t, x, w, k, add),
                (6, _) => block::<6, 1>(c, o, t, x, w, k, add),
                (_, 4) => block::<1, 4>(c, o, t, x, w, k, add),
                _ => block::<1, 1>(c, o, t, x, w, k, add),
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
fn block<const W: usize, const X: usize>(c: &mut Tile<'_, f32>, column: usize, row: usize, x: &[f32], w: &[f32], k: usize, add: bool) {
    use std::arch::x86_64::{_mm512_fmadd_ps, _mm512_loadu_ps, _mm512_setzero_ps, _mm512_storeu_ps};
    assert!(x.len() == X * k && w.len() == W * k, "a block's rows");
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
        let outputs = &mut c.row(row + i)[column..column + W];
        for (j, (sum, to)) in sums.iter().zip(outputs).enumerate() {
            let mut lanes = [0.0f32; LANES];
            // SAFETY: the array has the register's sixteen numbers.
            unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), *sum) };
            put(to, lanes, &x[i * k + whole..(i + 1) * k], &w[j * k + whole..(j + 1) * k], add);
        }
    }
}
