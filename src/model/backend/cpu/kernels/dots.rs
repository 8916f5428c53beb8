//! Sums of products of one column of pairs with several others.

use super::pairs::{Pair, widen};
use super::simd::{LANES, fold};

/// One sum for each of the other columns, in [`LANES`] fixed lanes: no other column changes its bits.
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

/// The same in plain Rust; sums in the same order, rounded after each product instead of each pair.
pub fn plain<const N: usize>(one: &[Pair], columns: [&[Pair]; N]) -> [f32; N] {
    columns.map(|other| {
        let mut lanes = [0.0f32; LANES];
        for (a, b) in one.chunks_exact(LANES).zip(other.chunks_exact(LANES)) {
            for i in 0..LANES {
                let even = widen(a[i] & 0xffff).mul_add(widen(b[i] & 0xffff), lanes[i]);
                lanes[i] = widen(a[i] >> 16).mul_add(widen(b[i] >> 16), even);
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
    use std::arch::x86_64::{__m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_setzero_ps, _mm512_storeu_ps};
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
    sums.map(|sum| {
        let mut lanes = [0.0; LANES];
        // SAFETY: there are sixteen.
        unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), sum) };
        fold(lanes)
    })
}
