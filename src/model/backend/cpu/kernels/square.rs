//! Squares of sixteen by sixteen pairs, turned in registers.

use super::pairs::Pair;
use super::simd::LANES;

/// Rows become columns.
#[inline(always)]
pub fn transpose(square: &mut [[Pair; LANES]; LANES]) {
    #[cfg(target_arch = "x86_64")]
    if super::simd::has_avx512() {
        // SAFETY: the processor has the features.
        return unsafe { transpose_in_registers(square) };
    }
    *square = plain(square);
}

/// The same in plain Rust.
#[inline(always)]
pub fn plain(square: &[[Pair; LANES]; LANES]) -> [[Pair; LANES]; LANES] {
    std::array::from_fn(|c| std::array::from_fn(|i| square[i][c]))
}

/// Fours of rows first, then fours of fours.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn transpose_in_registers(square: &mut [[Pair; LANES]; LANES]) {
    use std::arch::x86_64::{
        __m512i, _mm512_shuffle_i32x4, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    };
    // SAFETY: both are 16 times 512 bits of plain numbers.
    let rows: [__m512i; LANES] = unsafe { std::mem::transmute(*square) };
    let mut fours = rows;
    for i in (0..LANES).step_by(4) {
        let (a, b) = (_mm512_unpacklo_epi32(rows[i], rows[i + 1]), _mm512_unpackhi_epi32(rows[i], rows[i + 1]));
        let (c, d) = (_mm512_unpacklo_epi32(rows[i + 2], rows[i + 3]), _mm512_unpackhi_epi32(rows[i + 2], rows[i + 3]));
        fours[i] = _mm512_unpacklo_epi64(a, c);
        fours[i + 1] = _mm512_unpackhi_epi64(a, c);
        fours[i + 2] = _mm512_unpacklo_epi64(b, d);
        fours[i + 3] = _mm512_unpackhi_epi64(b, d);
    }
    let mut columns = fours;
    for j in 0..4 {
        let (a, b) = (_mm512_shuffle_i32x4::<0x88>(fours[j], fours[4 + j]), _mm512_shuffle_i32x4::<0xdd>(fours[j], fours[4 + j]));
        let (c, d) = (_mm512_shuffle_i32x4::<0x88>(fours[8 + j], fours[12 + j]), _mm512_shuffle_i32x4::<0xdd>(fours[8 + j], fours[12 + j]));
        columns[j] = _mm512_shuffle_i32x4::<0x88>(a, c);
        columns[4 + j] = _mm512_shuffle_i32x4::<0x88>(b, d);
        columns[8 + j] = _mm512_shuffle_i32x4::<0xdd>(a, c);
        columns[12 + j] = _mm512_shuffle_i32x4::<0xdd>(b, d);
    }
    // SAFETY: as above.
    *square = unsafe { std::mem::transmute::<[__m512i; LANES], [[Pair; LANES]; LANES]>(columns) };
}
