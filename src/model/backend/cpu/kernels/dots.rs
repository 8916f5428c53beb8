//! Sums of products of one column of tokens with several others.

use super::pairs::{Pair, add_products, numbers};
use super::simd::{LANES, dot, fold};
#[cfg(target_arch = "x86_64")]
use super::simd::{has_avx2, has_avx512};

/// Of columns of pairs: one sum for each of the other columns, in [`LANES`] fixed lanes: no other column changes its bits.
///
/// # Panics
/// When a column is not as long as `one`, or that is no multiple of [`LANES`].
pub fn dots<const N: usize>(one: &[Pair], columns: [&[Pair]; N]) -> [f32; N] {
    assert!(columns.iter().all(|column| column.len() == one.len()) && one.len().is_multiple_of(LANES), "columns of different lengths");
    #[cfg(target_arch = "x86_64")]
    if super::pairs::available() {
        // SAFETY: the processor has the features, and all columns are whole registers of the same length.
        return unsafe { in_registers(one, columns) };
    }
    plain(one, columns)
}

/// The same in plain Rust, with the same bits.
pub fn plain<const N: usize>(one: &[Pair], columns: [&[Pair]; N]) -> [f32; N] {
    columns.map(|other| {
        let mut lanes = [0.0f32; LANES];
        for (a, b) in one.chunks_exact(LANES).zip(other.chunks_exact(LANES)) {
            for i in 0..LANES {
                lanes[i] = add_products(lanes[i], numbers(a[i]), b[i]);
            }
        }
        fold(lanes)
    })
}

/// # Safety
/// The processor has the features; every column is as long as `one`, a multiple of [`LANES`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn in_registers<const N: usize>(one: &[Pair], columns: [&[Pair]; N]) -> [f32; N] {
    use std::arch::x86_64::{__m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_setzero_ps};
    use std::mem::transmute;
    let mut sums = [_mm512_setzero_ps(); N];
    let at = columns.map(<[Pair]>::as_ptr);
    for from in (0..one.len()).step_by(LANES) {
        // SAFETY: sixteen pairs from `from` on lie inside every column, for which the caller vouches; they are read as bfloat16.
        unsafe {
            let left = transmute::<__m512i, __m512bh>(_mm512_loadu_si512(one.as_ptr().add(from).cast()));
            for i in 0..N {
                let right = transmute::<__m512i, __m512bh>(_mm512_loadu_si512(at[i].add(from).cast()));
                sums[i] = _mm512_dpbf16_ps(sums[i], left, right);
            }
        }
    }
    sums.map(|sum| folded(sum))
}

/// The sum of a register's lanes.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
fn folded(sum: std::arch::x86_64::__m512) -> f32 {
    let mut lanes = [0.0; LANES];
    // SAFETY: there are sixteen.
    unsafe { std::arch::x86_64::_mm512_storeu_ps(lanes.as_mut_ptr(), sum) };
    fold(lanes)
}

/// Whether the lanes of eight sums in f32 fill all registers, so that fewer at a time are faster.
pub fn few_registers() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        !has_avx512()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Of columns in f32: one sum for each of the other columns, in [`LANES`] fixed lanes, the same bits by all instructions.
///
/// # Panics
/// When a column is not as long as `one`, or that is no multiple of [`LANES`].
pub fn dots_f32<const N: usize>(one: &[f32], columns: [&[f32]; N]) -> [f32; N] {
    assert!(columns.iter().all(|column| column.len() == one.len()) && one.len().is_multiple_of(LANES), "columns of different lengths");
    #[cfg(target_arch = "x86_64")]
    {
        if has_avx512() {
            // SAFETY: the processor has the feature, and all columns are whole registers of the same length.
            return unsafe { in_registers_f32(one, columns) };
        }
        if has_avx2() {
            // SAFETY: as above.
            return unsafe { in_halves_f32(one, columns) };
        }
    }
    plain_f32(one, columns)
}

/// The same in plain Rust.
pub fn plain_f32<const N: usize>(one: &[f32], columns: [&[f32]; N]) -> [f32; N] {
    columns.map(|other| dot(one, other))
}

/// # Safety
/// The processor has the feature; every column is as long as `one`, a multiple of [`LANES`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn in_registers_f32<const N: usize>(one: &[f32], columns: [&[f32]; N]) -> [f32; N] {
    use std::arch::x86_64::{_mm512_fmadd_ps, _mm512_loadu_ps, _mm512_setzero_ps};
    let mut sums = [_mm512_setzero_ps(); N];
    let at = columns.map(<[f32]>::as_ptr);
    for from in (0..one.len()).step_by(LANES) {
        // SAFETY: sixteen numbers from `from` on lie inside every column, for which the caller vouches.
        unsafe {
            let left = _mm512_loadu_ps(one.as_ptr().add(from));
            for i in 0..N {
                sums[i] = _mm512_fmadd_ps(left, _mm512_loadu_ps(at[i].add(from)), sums[i]);
            }
        }
    }
    sums.map(|sum| folded(sum))
}

/// Sixteen lanes are two registers.
///
/// # Safety
/// The processor has the features; every column is as long as `one`, a multiple of [`LANES`].
#[cfg(target_arch = "x86_64")]
#[allow(clippy::needless_range_loop)] // fixed loops over registers
#[target_feature(enable = "avx2,fma")]
unsafe fn in_halves_f32<const N: usize>(one: &[f32], columns: [&[f32]; N]) -> [f32; N] {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps};
    const HALF: usize = LANES / 2;
    let mut sums = [[_mm256_setzero_ps(); 2]; N];
    let at = columns.map(<[f32]>::as_ptr);
    for from in (0..one.len()).step_by(LANES) {
        for half in 0..2 {
            let from = from + HALF * half;
            // SAFETY: eight numbers from `from` on lie inside every column, for which the caller vouches.
            unsafe {
                let left = _mm256_loadu_ps(one.as_ptr().add(from));
                for i in 0..N {
                    sums[i][half] = _mm256_fmadd_ps(left, _mm256_loadu_ps(at[i].add(from)), sums[i][half]);
                }
            }
        }
    }
    sums.map(|sum| {
        let mut lanes = [0.0; LANES];
        // SAFETY: the two registers together have the array's sixteen numbers.
        unsafe {
            _mm256_storeu_ps(lanes.as_mut_ptr(), sum[0]);
            _mm256_storeu_ps(lanes.as_mut_ptr().add(HALF), sum[1]);
        }
        fold(lanes)
    })
}
