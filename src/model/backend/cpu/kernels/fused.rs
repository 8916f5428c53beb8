//! A whole step of the kernel by fused multiplications of f32, with the bits of the processor's own products of bfloat16.
//!
//! On Intel's processors one of those takes as long as four fused multiplications, which do the work of two. A product of two bfloat16
//! numbers is exact in f32, and the instruction adds a pair's odd product first, then its even one, each sum rounded to nearest and numbers
//! below the smallest normal one taken for zero: so do these. On AMD's processors the instruction is the faster way.

use std::mem::MaybeUninit;
use std::sync::OnceLock;

use super::pairs::{Ahead, COLUMNS, DEPTH, Pair, Place, ROWS, Strides, add_products, flushed, widen};
use super::simd::dispatched;
use super::tile::Tile;

/// Numbers of one half, even or odd, of all pairs that are widened at a time.
const HALF: usize = ROWS * DEPTH;

/// Whether this processor is faster by these than by its own instruction.
pub fn preferred() -> bool {
    static INTEL: OnceLock<bool> = OnceLock::new();
    *INTEL.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        {
            let vendor = std::arch::x86_64::__cpuid(0);
            super::pairs::available() && [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).concat() == b"GenuineIntel"
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            false
        }
    })
}

/// A step as [`super::pairs::step`], with the same bits, of [`ROWS`] rows that were widened.
///
/// # Panics
/// When the place is not inside the tile or has another height, or the factors have not the same pairs.
pub fn wide_step(c: &mut Tile<'_, f32>, place: Place, left: &Wide, right: &[Pair], add: bool, ahead: Ahead) {
    let Place { row, column, height, width } = place;
    assert!(height == ROWS && width <= COLUMNS, "{height} rows of {width} columns");
    let mut sums = [[0.0f32; COLUMNS]; ROWS];
    if add {
        for (i, sums) in sums.iter_mut().enumerate() {
            copy(&mut sums[..width], &c.row(row + i)[column..column + width]);
        }
    }
    left.add_to(&mut sums, right, ahead);
    for (i, sums) in sums.iter().enumerate() {
        copy(&mut c.row(row + i)[column..column + width], &sums[..width]);
    }
}

/// Copies numbers; mostly a whole panel's.
#[inline(always)]
fn copy(to: &mut [f32], from: &[f32]) {
    match (to.first_chunk_mut::<COLUMNS>(), from.first_chunk::<COLUMNS>()) {
        (Some(to), Some(from)) => *to = *from,
        _ => to.copy_from_slice(from),
    }
}

/// [`ROWS`] rows of the left factor, each number in f32: the even ones of all pairs, then the odd ones.
#[repr(align(64))]
pub struct Wide {
    numbers: [MaybeUninit<f32>; 2 * HALF],
    /// Pairs that were written of each row.
    pairs: usize,
    /// Whether the rows' numbers stand beside each other, or each row's.
    interleaved: bool,
}

impl Default for Wide {
    /// Of no pairs.
    fn default() -> Self {
        Self { numbers: [const { MaybeUninit::uninit() }; 2 * HALF], pairs: 0, interleaved: false }
    }
}

impl Wide {
    /// The first pairs of [`ROWS`] rows.
    ///
    /// # Panics
    /// When there are more than [`DEPTH`] or fewer than `pairs` in `left`, or neither rows nor pairs stand beside each other.
    pub fn fill(&mut self, left: &[Pair], strides: Strides, pairs: usize) {
        assert!(pairs <= DEPTH && (strides.pair == 1 || (strides.row, strides.pair) == (1, ROWS)), "{pairs} pairs that are widened");
        self.pairs = 0;
        self.interleaved = strides.pair == ROWS && strides.row == 1;
        let (even, odd) = self.numbers.split_at_mut(HALF);
        if self.interleaved {
            let count = ROWS * pairs;
            widened(&mut even[..count], &mut odd[..count], &left[..count]);
        } else {
            for row in 0..ROWS {
                let to = row * DEPTH..row * DEPTH + pairs;
                widened(&mut even[to.clone()], &mut odd[to], &left[row * strides.row..][..pairs]);
            }
        }
        self.pairs = pairs;
    }

    /// Adds these rows times a panel of as many pairs to the sums.
    ///
    /// # Panics
    /// When the panel has another number of pairs.
    pub fn add_to(&self, sums: &mut [[f32; COLUMNS]; ROWS], right: &[Pair], ahead: Ahead) {
        assert!(right.len() == self.pairs * COLUMNS, "a panel of {} numbers for {} pairs", right.len(), self.pairs);
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        if self.pairs > 0 && super::simd::has_avx512() {
            // SAFETY: the processor has the feature; `fill` wrote as many pairs of all rows as `right` has, in this arrangement.
            return unsafe {
                if self.interleaved {
                    add_in_registers::<4, { 4 * ROWS }>(sums, &self.numbers, right, ahead);
                } else {
                    add_in_registers::<{ 4 * DEPTH }, 4>(sums, &self.numbers, right, ahead);
                }
            };
        }
        let _ = ahead;
        self.plain(sums, right);
    }

    /// The same in plain Rust.
    fn plain(&self, sums: &mut [[f32; COLUMNS]; ROWS], right: &[Pair]) {
        for (i, sums) in sums.iter_mut().enumerate() {
            sums.iter_mut().for_each(|sum| *sum = flushed(*sum));
            for (p, right) in right.chunks_exact(COLUMNS).enumerate() {
                let at = if self.interleaved { p * ROWS + i } else { i * DEPTH + p };
                // SAFETY: `fill` wrote as many pairs of all rows as `right` has, in this arrangement.
                let (even, odd) = unsafe { (self.numbers[at].assume_init(), self.numbers[HALF + at].assume_init()) };
                let left = (flushed(even), flushed(odd));
                sums.iter_mut().zip(right).for_each(|(sum, &right)| *sum = add_products(*sum, left, right));
            }
        }
    }
}

dispatched! {
    /// The even and the odd numbers of some pairs.
    fn widened(even: &mut [MaybeUninit<f32>], odd: &mut [MaybeUninit<f32>], pairs: &[Pair]) {
        for ((even, odd), &pair) in even.iter_mut().zip(odd).zip(pairs) {
            even.write(widen(pair & 0xffff));
            odd.write(widen(pair >> 16));
        }
    }
}

/// Rows stand `ROW` bytes apart and pairs `PAIR` bytes.
///
/// # Safety
/// The processor has AVX-512; in both halves of `wide` the rows' numbers were written for every row of `right`, which is at least one and whole
/// rows of [`COLUMNS`].
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[target_feature(enable = "avx512f")]
unsafe fn add_in_registers<const ROW: usize, const PAIR: usize>(
    sums: &mut [[f32; COLUMNS]; ROWS],
    wide: &[MaybeUninit<f32>; 2 * HALF],
    right: &[Pair],
    ahead: Ahead,
) {
    // Three products: a row's number, from where it stands, with the panel's; their sums.
    #[rustfmt::skip]
    macro_rules! row {
        ($at:literal, $a0:literal, $a1:literal, $a2:literal, $b0:literal, $b1:literal, $b2:literal) => {
            concat!(
                "vbroadcastss zmm30, dword ptr [rsi + {", $at, "}]\n",
                "vfmadd231ps zmm", $a0, ", zmm30, zmm", $b0, "\n",
                "vfmadd231ps zmm", $a1, ", zmm30, zmm", $b1, "\n",
                "vfmadd231ps zmm", $a2, ", zmm30, zmm", $b2,
            )
        };
    }
    macro_rules! load {
        ($i:literal) => {
            concat!("vmovups zmm", $i, ", zmmword ptr [rdx + 64*", $i, "]")
        };
    }
    macro_rules! store {
        ($i:literal) => {
            concat!("vmovups zmmword ptr [rdx + 64*", $i, "], zmm", $i)
        };
    }
    // Rounded to nearest, no exceptions, and small numbers are zero, those that are read and those that are made; then as it was.
    let (flushing, mut before) = (0x9fc0u32, 0u32);
    // SAFETY: reads inside `wide` and `right` and writes inside `sums` and `before`, for which the caller vouches and the types; a prefetch of what
    // does not exist does nothing; how numbers are rounded is put back before anything else computes.
    unsafe {
        std::arch::asm!(
            "stmxcsr dword ptr [r8]",
            "ldmxcsr dword ptr [r9]",
            "vpbroadcastd zmm31, eax",
            load!(0), load!(1), load!(2), load!(3), load!(4), load!(5), load!(6), load!(7),
            load!(8), load!(9), load!(10), load!(11), load!(12), load!(13), load!(14), load!(15),
            load!(16), load!(17), load!(18), load!(19), load!(20), load!(21), load!(22), load!(23),
            "2:",
            "vmovdqu32 zmm24, zmmword ptr [rdi]",
            "vmovdqu32 zmm25, zmmword ptr [rdi + 64]",
            "vmovdqu32 zmm26, zmmword ptr [rdi + 128]",
            "prefetcht0 [r10]",
            "prefetcht0 [r10 + 64]",
            "prefetcht0 [r10 + 128]",
            "vpandd zmm27, zmm24, zmm31",
            "vpandd zmm28, zmm25, zmm31",
            "vpandd zmm29, zmm26, zmm31",
            row!("o0", 0, 1, 2, 27, 28, 29),
            row!("o1", 3, 4, 5, 27, 28, 29),
            row!("o2", 6, 7, 8, 27, 28, 29),
            row!("o3", 9, 10, 11, 27, 28, 29),
            row!("o4", 12, 13, 14, 27, 28, 29),
            row!("o5", 15, 16, 17, 27, 28, 29),
            row!("o6", 18, 19, 20, 27, 28, 29),
            row!("o7", 21, 22, 23, 27, 28, 29),
            "vpslld zmm24, zmm24, 16",
            "vpslld zmm25, zmm25, 16",
            "vpslld zmm26, zmm26, 16",
            row!("e0", 0, 1, 2, 24, 25, 26),
            row!("e1", 3, 4, 5, 24, 25, 26),
            row!("e2", 6, 7, 8, 24, 25, 26),
            row!("e3", 9, 10, 11, 24, 25, 26),
            row!("e4", 12, 13, 14, 24, 25, 26),
            row!("e5", 15, 16, 17, 24, 25, 26),
            row!("e6", 18, 19, 20, 24, 25, 26),
            row!("e7", 21, 22, 23, 24, 25, 26),
            "add rsi, {pair}",
            "add rdi, {panel}",
            "add r10, r11",
            "dec rcx",
            "jnz 2b",
            store!(0), store!(1), store!(2), store!(3), store!(4), store!(5), store!(6), store!(7),
            store!(8), store!(9), store!(10), store!(11), store!(12), store!(13), store!(14), store!(15),
            store!(16), store!(17), store!(18), store!(19), store!(20), store!(21), store!(22), store!(23),
            "ldmxcsr dword ptr [r8]",
            o0 = const 4 * HALF, o1 = const 4 * HALF + ROW, o2 = const 4 * HALF + 2 * ROW, o3 = const 4 * HALF + 3 * ROW,
            o4 = const 4 * HALF + 4 * ROW, o5 = const 4 * HALF + 5 * ROW, o6 = const 4 * HALF + 6 * ROW, o7 = const 4 * HALF + 7 * ROW,
            e0 = const 0, e1 = const ROW, e2 = const 2 * ROW, e3 = const 3 * ROW,
            e4 = const 4 * ROW, e5 = const 5 * ROW, e6 = const 6 * ROW, e7 = const 7 * ROW,
            pair = const PAIR,
            panel = const 4 * COLUMNS,
            inout("rcx") right.len() / COLUMNS => _,
            inout("rsi") wide.as_ptr() => _,
            inout("rdi") right.as_ptr() => _,
            inout("r10") right.as_ptr().wrapping_add(ahead.distance) => _,
            in("r11") 4 * ahead.step,
            in("rdx") sums.as_mut_ptr(),
            in("r8") &raw mut before,
            in("r9") &raw const flushing,
            in("eax") 0xffff_0000u32,
            clobber_abi("sysv64"),
            options(nostack),
        );
    }
}
