//! The inner loop of products with bfloat16 factors: a few rows times one panel of columns.

use super::tile::Tile;

/// Two bfloat16 numbers, the even one in the low half.
pub type Pair = u32;

/// Rows of one step of the kernel.
pub const ROWS: usize = 8;
/// Columns of a panel.
pub const COLUMNS: usize = 48;
/// Pairs that are summed in registers before the sums go to memory.
pub const DEPTH: usize = 384;

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

/// Whether this processor multiplies bfloat16 numbers itself; others take the plain loop, which is slow.
pub fn available() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        super::simd::has_avx512() && is_x86_feature_detected!("avx512bf16")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// The even and the odd number of a pair, as the processor's instruction reads them.
#[inline(always)]
pub fn numbers(pair: Pair) -> (f32, f32) {
    (flushed(widen(pair & 0xffff)), flushed(widen(pair >> 16)))
}

/// A sum, [`flushed`], and the two products of two pairs, as the processor's instruction adds them.
#[inline(always)]
pub fn add_products(sum: f32, left: (f32, f32), right: Pair) -> f32 {
    let right = numbers(right);
    flushed(left.0.mul_add(right.0, flushed(left.1.mul_add(right.1, sum))))
}

/// Zero, with its sign, for a number below the normal ones.
#[inline(always)]
pub fn flushed(x: f32) -> f32 {
    let bits = x.to_bits();
    if bits & 0x7f80_0000 == 0 { f32::from_bits(bits & 0x8000_0000) } else { x }
}

/// How far apart rows and pairs of the left factor are.
#[derive(Clone, Copy)]
pub struct Strides {
    /// Between two rows.
    pub row: usize,
    /// Between two pairs of a row.
    pub pair: usize,
}

/// What is fetched into caches while a step runs: for each of its pairs one line a register, so many pairs behind the step's own.
#[derive(Clone, Copy)]
pub struct Ahead {
    /// Of the first pair.
    pub distance: usize,
    /// Between two pairs' lines.
    pub step: usize,
}

/// Where the outputs of a step stand in a tile: from (row, column) on, `height` ≤ [`ROWS`] rows of `width` ≤ [`COLUMNS`] columns.
#[derive(Clone, Copy)]
pub struct Place {
    /// The first row.
    pub row: usize,
    /// The first column.
    pub column: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// c = left · right, or c += left · right as one sum that begins with c, at a place of a tile. Meanwhile later parts of the right
/// factor are fetched into caches.
///
/// # Panics
/// When the place is not inside the tile, or a factor is too short for it.
pub fn step(c: &mut Tile<'_, f32>, place: Place, left: &[Pair], strides: Strides, right: &[Pair], add: bool, ahead: Ahead) {
    let Place { height, width, .. } = place;
    let pairs = right.len() / COLUMNS;
    assert!(right.len() == pairs * COLUMNS && (1..=COLUMNS).contains(&width), "a panel of {} pairs, {width} columns", right.len());
    assert!((1..=ROWS).contains(&height), "{height} rows of a step");
    let last = || (height - 1).checked_mul(strides.row)?.checked_add((pairs - 1).checked_mul(strides.pair)?);
    assert!(pairs > 0 && last().is_some_and(|last| last < left.len()), "rows of a step");
    #[cfg(target_arch = "x86_64")]
    if available() {
        let (stride, c) = (c.stride(), c.part(place.row, place.column, height, width));
        // SAFETY: the features are there, the factors' sizes were asserted, and the place is inside the tile, which is borrowed alone.
        unsafe {
            match height {
                ROWS => rows::<8>(pairs, left, strides, right, c, stride, width, add, ahead),
                7 => rows::<7>(pairs, left, strides, right, c, stride, width, add, ahead),
                6 => rows::<6>(pairs, left, strides, right, c, stride, width, add, ahead),
                5 => rows::<5>(pairs, left, strides, right, c, stride, width, add, ahead),
                4 => rows::<4>(pairs, left, strides, right, c, stride, width, add, ahead),
                3 => rows::<3>(pairs, left, strides, right, c, stride, width, add, ahead),
                2 => rows::<2>(pairs, left, strides, right, c, stride, width, add, ahead),
                _ => rows::<1>(pairs, left, strides, right, c, stride, width, add, ahead),
            }
        }
        return;
    }
    let _ = ahead;
    plain(c, place, left, strides, right, add);
}

/// The same in plain Rust, with the same bits: the odd product of a pair first, each sum rounded and, if it is below the normal numbers, zero.
pub fn plain(c: &mut Tile<'_, f32>, place: Place, left: &[Pair], strides: Strides, right: &[Pair], add: bool) {
    let Place { row, column, height, width } = place;
    for i in 0..height {
        let c = &mut c.row(row + i)[column..column + width];
        let mut sums = [0.0f32; COLUMNS];
        if add {
            sums.iter_mut().zip(&*c).for_each(|(sum, &c)| *sum = flushed(c));
        }
        for (p, right) in right.chunks_exact(COLUMNS).enumerate() {
            let left = numbers(left[i * strides.row + p * strides.pair]);
            for (sum, &right) in sums.iter_mut().zip(right) {
                *sum = add_products(*sum, left, right);
            }
        }
        c.copy_from_slice(&sums[..width]);
    }
}

/// H rows times a panel: three registers of sums a row.
///
/// # Safety
/// The processor has the features; `left` has the rows' pairs and `right` `pairs` · [`COLUMNS`]; `c` points to H rows
/// of `width` numbers, `stride` numbers apart, that nothing else reads or writes meanwhile.
#[cfg(target_arch = "x86_64")]
#[allow(clippy::too_many_arguments, clippy::needless_range_loop)] // fixed loops over registers
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn rows<const H: usize>(
    pairs: usize,
    left: &[Pair],
    strides: Strides,
    right: &[Pair],
    c: *mut f32,
    stride: usize,
    width: usize,
    add: bool,
    ahead: Ahead,
) {
    use std::arch::x86_64::{
        __m512bh, __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps,
        _mm512_set1_epi32, _mm512_setzero_ps,
    };
    use std::mem::transmute;
    let mask = |j: usize| if width <= 16 * j { 0 } else { ((1u32 << 16.min(width - 16 * j)) - 1) as u16 };
    let mut sums = [[_mm512_setzero_ps(); 3]; H];
    if add {
        for i in 0..H {
            for j in 0..3 {
                // SAFETY: the mask leaves out what is past the row's `width` numbers, for which the caller vouches.
                sums[i][j] = unsafe { _mm512_maskz_loadu_ps(mask(j), c.wrapping_add(i * stride + 16 * j)) };
            }
        }
    }
    let (mut a, mut b) = (left.as_ptr(), right.as_ptr());
    let mut fetched = b.wrapping_add(ahead.distance);
    for _ in 0..pairs {
        let mut panel = [_mm512_set1_epi32(0); 3];
        for j in 0..3 {
            // SAFETY: `right` has `pairs` · 48 pairs, of which this is the (3 · pair + j)-th sixteen.
            panel[j] = unsafe { _mm512_loadu_si512(b.add(16 * j).cast()) };
        }
        for j in 0..3 {
            // A prefetch of what does not exist does nothing.
            _mm_prefetch::<_MM_HINT_T0>(fetched.wrapping_add(16 * j).cast());
        }
        for i in 0..H {
            // SAFETY: the caller vouches for row i of `left`.
            let pair = unsafe { _mm512_set1_epi32(*a.add(i * strides.row) as i32) };
            for j in 0..3 {
                // SAFETY: the same 512 bits, as pairs of bfloat16.
                let (left, right) = unsafe { (transmute::<__m512i, __m512bh>(pair), transmute::<__m512i, __m512bh>(panel[j])) };
                sums[i][j] = _mm512_dpbf16_ps(sums[i][j], left, right);
            }
        }
        // Past the last pair neither is read.
        a = a.wrapping_add(strides.pair);
        b = b.wrapping_add(COLUMNS);
        fetched = fetched.wrapping_add(ahead.step);
    }
    for i in 0..H {
        for j in 0..3 {
            // SAFETY: as for the loads.
            unsafe { _mm512_mask_storeu_ps(c.wrapping_add(i * stride + 16 * j), mask(j), sums[i][j]) };
        }
    }
}
