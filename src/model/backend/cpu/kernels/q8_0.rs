//! The inner loop of products whose factors are whole numbers from −127 to 127 in blocks of 32 with a scale each: a few rows times
//! one panel of outputs.
//!
//! A block's products are summed exactly, as integers; each output is one sum over its blocks, in their order. So every instruction set,
//! and the plain twin, makes the same bits.

use super::simd::LANES;
#[cfg(target_arch = "x86_64")]
use super::simd::{has_avx2, has_avx512};
use super::tile::Tile;

/// Neighbours along the summed dimension that share a scale.
pub const BLOCK: usize = 32;
/// Four neighbours, a byte each, the first in the lowest.
pub type Four = u32;
/// Fours of a block.
pub const FOURS: usize = BLOCK / 4;
/// Rows of one step.
pub const ROWS: usize = 16;
/// How far ahead of its use the panel is fetched, in fours.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 16 * OUTPUTS * FOURS;
/// Outputs of a panel.
pub const OUTPUTS: usize = LANES;
/// What is added to a weight's number, so that its byte has no sign.
pub const OFFSET: i32 = 128;

/// Some rows of the left factor, row by row: signed bytes, with what their blocks are multiplied by.
#[derive(Clone, Copy)]
pub struct Left<'a> {
    /// [`FOURS`] a block.
    pub fours: &'a [Four],
    /// One a block.
    pub scales: &'a [f32],
    /// One a block: −[`OFFSET`] times the sum of its numbers, which takes the weights' offset out again.
    pub starts: &'a [i32],
}

/// A panel of the right factor, block by block: bytes that stand [`OFFSET`] too high.
#[derive(Clone, Copy)]
pub struct Panel<'a> {
    /// Of each block, four by four, those of each of the [`OUTPUTS`].
    pub fours: &'a [Four],
    /// Of each block, those of each of the [`OUTPUTS`].
    pub scales: &'a [f32],
}

/// c = left · panel, or c += left · panel as sums that begin with c, at the first `width` columns from `column` on of the rows from `row` on.
///
/// # Panics
/// When the place is not inside the tile, or the factors do not fit each other.
pub fn step(c: &mut Tile<'_, f32>, (row, column, width): (usize, usize, usize), left: Left<'_>, panel: Panel<'_>, add: bool) {
    let blocks = panel.scales.len() / OUTPUTS;
    let height = left.scales.len().checked_div(blocks).unwrap_or(0);
    assert!((1..=ROWS).contains(&height) && (1..=OUTPUTS).contains(&width), "{height} rows of a step, {width} columns");
    assert!(panel.scales.len() == blocks * OUTPUTS && panel.fours.len() == blocks * OUTPUTS * FOURS, "a panel of {blocks} blocks");
    assert!(left.scales.len() == height * blocks && left.starts.len() == height * blocks, "rows of a step");
    assert!(left.fours.len() == height * blocks * FOURS, "numbers of a step");
    let mut sums = [[0.0f32; OUTPUTS]; ROWS];
    if add {
        for (i, sums) in sums[..height].iter_mut().enumerate() {
            sums[..width].copy_from_slice(&c.row(row + i)[column..column + width]);
        }
    }
    add_products(&mut sums[..height], left, panel);
    for (i, sums) in sums[..height].iter().enumerate() {
        c.row(row + i)[column..column + width].copy_from_slice(&sums[..width]);
    }
}

/// Adds to each row's sums its products with the panel.
fn add_products(sums: &mut [[f32; OUTPUTS]], left: Left<'_>, panel: Panel<'_>) {
    #[cfg(target_arch = "x86_64")]
    {
        if has_avx512() && is_x86_feature_detected!("avx512vnni") {
            // SAFETY: the processor has the features; `step` asserted the sizes, and that there are at most sixteen rows.
            unsafe {
                match sums.len() {
                    16 => wide::<2, 8>(sums, left, panel),
                    15 => wide::<3, 5>(sums, left, panel),
                    14 => wide::<2, 7>(sums, left, panel),
                    13 => wide::<13, 1>(sums, left, panel),
                    12 => wide::<2, 6>(sums, left, panel),
                    11 => wide::<11, 1>(sums, left, panel),
                    10 => wide::<2, 5>(sums, left, panel),
                    9 => wide::<3, 3>(sums, left, panel),
                    8 => wide::<1, 8>(sums, left, panel),
                    7 => wide::<1, 7>(sums, left, panel),
                    6 => wide::<1, 6>(sums, left, panel),
                    5 => wide::<1, 5>(sums, left, panel),
                    4 => wide::<1, 4>(sums, left, panel),
                    3 => wide::<1, 3>(sums, left, panel),
                    2 => wide::<1, 2>(sums, left, panel),
                    _ => wide::<1, 1>(sums, left, panel),
                }
            }
            return;
        }
        if has_avx2() {
            let blocks = panel.scales.len() / OUTPUTS;
            for (i, sums) in sums.chunks_mut(HALF).enumerate() {
                let (from, to) = (i * HALF * blocks, (i * HALF + sums.len()) * blocks);
                let left =
                    Left { fours: &left.fours[from * FOURS..to * FOURS], scales: &left.scales[from..to], starts: &left.starts[from..to] };
                // SAFETY: as above, of at most four rows.
                unsafe {
                    match sums.len() {
                        4 => narrow::<4>(sums, left, panel),
                        3 => narrow::<3>(sums, left, panel),
                        2 => narrow::<2>(sums, left, panel),
                        _ => narrow::<1>(sums, left, panel),
                    }
                }
            }
            return;
        }
    }
    plain(sums, left, panel);
}

/// The same in plain Rust.
pub fn plain(sums: &mut [[f32; OUTPUTS]], left: Left<'_>, panel: Panel<'_>) {
    let blocks = panel.scales.len() / OUTPUTS;
    for (i, sums) in sums.iter_mut().enumerate() {
        for block in 0..blocks {
            let mut whole = [left.starts[i * blocks + block]; OUTPUTS];
            for g in 0..FOURS {
                let x = left.fours[(i * blocks + block) * FOURS + g].to_le_bytes();
                let fours = &panel.fours[(block * FOURS + g) * OUTPUTS..][..OUTPUTS];
                for (whole, four) in whole.iter_mut().zip(fours) {
                    let products = four.to_le_bytes().into_iter().zip(x).map(|(w, x)| i32::from(w) * i32::from(x as i8));
                    *whole += products.sum::<i32>();
                }
            }
            let scale = left.scales[i * blocks + block];
            for ((sum, whole), w) in sums.iter_mut().zip(whole).zip(&panel.scales[block * OUTPUTS..]) {
                *sum = (whole as f32).mul_add(w * scale, *sum);
            }
        }
    }
}

/// A panel in registers of sixteen outputs, by the instruction that sums four products of bytes: G groups of H rows, of which a group's
/// integers are in registers at a time. Meanwhile what comes behind the panel is fetched into caches.
///
/// # Safety
/// The processor has the features; the panel has whole blocks, the left factor as many of G · H rows, and there are as many sums.
#[cfg(target_arch = "x86_64")]
#[allow(clippy::needless_range_loop)] // fixed loops over registers
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn wide<const G: usize, const H: usize>(sums: &mut [[f32; OUTPUTS]], left: Left<'_>, panel: Panel<'_>) {
    use std::arch::x86_64::{
        _MM_HINT_T0, _mm_prefetch, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512,
        _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
    };
    let blocks = panel.scales.len() / OUTPUTS;
    let mut found = [[_mm512_setzero_ps(); H]; G];
    for group in 0..G {
        for i in 0..H {
            // SAFETY: there are G · H rows of sixteen sums.
            found[group][i] = unsafe { _mm512_loadu_ps(sums.as_ptr().add(group * H + i).cast()) };
        }
    }
    for block in 0..blocks {
        let mut w = [_mm512_set1_epi32(0); FOURS];
        for g in 0..FOURS {
            let at = panel.fours.as_ptr().wrapping_add((block * FOURS + g) * OUTPUTS);
            // A prefetch of what does not exist does nothing.
            _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD).cast());
            // SAFETY: a block of the panel has eight times sixteen fours.
            w[g] = unsafe { _mm512_loadu_si512(at.cast()) };
        }
        let at = panel.scales.as_ptr().wrapping_add(block * OUTPUTS);
        _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD / FOURS).cast());
        // SAFETY: a block of the panel has sixteen scales.
        let scales = unsafe { _mm512_loadu_ps(at) };
        for group in 0..G {
            let mut whole = [_mm512_set1_epi32(0); H];
            for i in 0..H {
                // SAFETY: each of the rows has one for each block.
                whole[i] = unsafe { _mm512_set1_epi32(*left.starts.as_ptr().add((group * H + i) * blocks + block)) };
            }
            for g in 0..FOURS {
                for i in 0..H {
                    // SAFETY: each of the rows has eight for each block.
                    let x = unsafe { _mm512_set1_epi32(*left.fours.as_ptr().add(((group * H + i) * blocks + block) * FOURS + g) as i32) };
                    whole[i] = _mm512_dpbusd_epi32(whole[i], w[g], x);
                }
            }
            for i in 0..H {
                // SAFETY: each of the rows has one for each block.
                let scale = unsafe { _mm512_set1_ps(*left.scales.as_ptr().add((group * H + i) * blocks + block)) };
                found[group][i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole[i]), _mm512_mul_ps(scales, scale), found[group][i]);
            }
        }
    }
    for group in 0..G {
        for i in 0..H {
            // SAFETY: as for the loads.
            unsafe { _mm512_storeu_ps(sums.as_mut_ptr().add(group * H + i).cast(), found[group][i]) };
        }
    }
}

/// Rows of one step in registers of eight.
#[cfg(target_arch = "x86_64")]
const HALF: usize = 4;

/// A panel in two registers of eight outputs. The instruction that sums two products of bytes takes one of them without a sign and holds
/// 16 bits, so the sign of x goes to the weight: 2 · 127 · 127 fits.
///
/// # Safety
/// As for [`wide`].
#[cfg(target_arch = "x86_64")]
#[allow(clippy::needless_range_loop)] // fixed loops over registers
#[target_feature(enable = "avx2,fma")]
unsafe fn narrow<const H: usize>(sums: &mut [[f32; OUTPUTS]], left: Left<'_>, panel: Panel<'_>) {
    use std::arch::x86_64::{
        _mm256_abs_epi8, _mm256_add_epi32, _mm256_cvtepi32_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16,
        _mm256_maddubs_epi16, _mm256_mul_ps, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps,
        _mm256_setzero_si256, _mm256_sign_epi8, _mm256_storeu_ps, _mm256_xor_si256,
    };
    let blocks = panel.scales.len() / OUTPUTS;
    // A byte that stands 128 too high, with its highest bit turned, is the signed number.
    let (offset, ones) = (_mm256_set1_epi8(OFFSET as u8 as i8), _mm256_set1_epi16(1));
    let mut found = [[_mm256_setzero_ps(); 2]; H];
    for i in 0..H {
        for half in 0..2 {
            // SAFETY: there are H rows of sixteen sums.
            found[i][half] = unsafe { _mm256_loadu_ps(sums.as_ptr().add(i).cast::<f32>().add(8 * half)) };
        }
    }
    for block in 0..blocks {
        let mut whole = [[_mm256_setzero_si256(); 2]; H];
        for g in 0..FOURS {
            for half in 0..2 {
                // SAFETY: a block of the panel has eight times sixteen fours, and one of a row eight.
                unsafe {
                    let w = _mm256_loadu_si256(panel.fours.as_ptr().add((block * FOURS + g) * OUTPUTS + 8 * half).cast());
                    let w = _mm256_xor_si256(w, offset);
                    for i in 0..H {
                        let x = _mm256_set1_epi32(*left.fours.as_ptr().add((i * blocks + block) * FOURS + g) as i32);
                        let two = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(w, x));
                        whole[i][half] = _mm256_add_epi32(whole[i][half], _mm256_madd_epi16(two, ones));
                    }
                }
            }
        }
        for half in 0..2 {
            // SAFETY: a block of the panel has sixteen scales, and one of a row one.
            unsafe {
                let scales = _mm256_loadu_ps(panel.scales.as_ptr().add(block * OUTPUTS + 8 * half));
                for i in 0..H {
                    let scale = _mm256_mul_ps(scales, _mm256_set1_ps(*left.scales.as_ptr().add(i * blocks + block)));
                    found[i][half] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole[i][half]), scale, found[i][half]);
                }
            }
        }
    }
    for i in 0..H {
        for half in 0..2 {
            // SAFETY: as for the loads.
            unsafe { _mm256_storeu_ps(sums.as_mut_ptr().add(i).cast::<f32>().add(8 * half), found[i][half]) };
        }
    }
}
