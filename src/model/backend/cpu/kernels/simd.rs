//! Element-wise loops compiled for several instruction sets, with the best one picked at run time.

/// Defines a function whose body is compiled for AVX-512, AVX2 and the baseline, and dispatches at run time.
/// Each variant rounds every operation alike (no reassociation), except that reductions go through [`LANES`] fixed lanes.
macro_rules! dispatched {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $visibility fn $name($($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            fn plain($($argument: $type),*) $(-> $result)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
                fn avx512($($argument: $type),*) $(-> $result)? { plain($($argument),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($argument: $type),*) $(-> $result)? { plain($($argument),*) }
                if $crate::model::backend::cpu::kernels::simd::has_avx512() {
                    // Of this statement: the body stands under the lint of where it is written.
                    #[allow(unsafe_code)]
                    // SAFETY: the processor has the features.
                    return unsafe { avx512($($argument),*) };
                }
                if $crate::model::backend::cpu::kernels::simd::has_avx2() {
                    #[allow(unsafe_code)]
                    // SAFETY: the processor has the features.
                    return unsafe { avx2($($argument),*) };
                }
            }
            plain($($argument),*)
        }
    };
}
pub(crate) use dispatched;

/// Partial sums of a reduction: fixed, so that every instruction set adds in the same order.
pub const LANES: usize = 16;

/// Whether the AVX-512 variants run: all of them ask here, so that a program built without the feature `avx512` has none.
pub fn has_avx512() -> bool {
    #[cfg(all(target_arch = "x86_64", feature = "avx512"))]
    {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
    }
    #[cfg(not(all(target_arch = "x86_64", feature = "avx512")))]
    {
        false
    }
}

/// Whether the AVX2 variants run where those do not.
#[cfg(target_arch = "x86_64")]
pub fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// The instruction set in use, for the record.
pub fn level() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if has_avx512() {
            return "avx512";
        }
        if has_avx2() {
            return "avx2";
        }
    }
    "baseline"
}

/// Σ a·b.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (ac, bc) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = ac.remainder().iter().zip(bc.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in ac.zip(bc) {
        for i in 0..LANES {
            lanes[i] = a[i].mul_add(b[i], lanes[i]);
        }
    }
    fold(lanes) + rest
}

/// Brings a place into the first cache, if there is one.
#[inline(always)]
pub fn fetch(x: &[f32], at: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch of what does not exist does nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(x.as_ptr().wrapping_add(at).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (x, at);
}

/// Adds the lanes pairwise.
#[inline(always)]
pub fn fold(lanes: [f32; LANES]) -> f32 {
    let mut sums = lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
        width /= 2;
    }
    sums[0]
}

/// eˣ within 2 ulp for |x| < 87, clamped outside: range reduction by ln 2 and a polynomial, so that loops vectorise. For that there is no
/// conversion and no checked sum in it: 1.5 · 2²³ plus x·log₂e has the rounded exponent in its lowest bits, where a shift takes it from.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, 12_582_912.0);
    let n = shifted - 12_582_912.0;
    let r = (-n).mul_add(0.693_359_4, x);
    let r = (-n).mul_add(-2.121_944_4e-4, r);
    let mut p = 1.987_569_1e-4f32;
    p = p.mul_add(r, 1.398_199_9e-3);
    p = p.mul_add(r, 8.333_452e-3);
    p = p.mul_add(r, 4.166_579_6e-2);
    p = p.mul_add(r, 1.666_666_5e-1);
    p = p.mul_add(r, 0.5);
    let y = (p * r).mul_add(r, r + 1.0);
    y * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

/// The largest number of a row; −∞ of an empty one.
#[inline(always)]
pub fn max(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder().iter().fold(f32::NEG_INFINITY, |m, &v| if v > m { v } else { m });
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] = if chunk[i] > lanes[i] { chunk[i] } else { lanes[i] };
        }
    }
    lanes.iter().fold(rest, |m, &v| if v > m { v } else { m })
}

/// Replaces a row by e^(scale·v − peak) and returns the sum.
#[inline(always)]
pub fn exponentiate(row: &mut [f32], scale: f32, peak: f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let mut chunks = row.chunks_exact_mut(LANES);
    for chunk in chunks.by_ref() {
        for i in 0..LANES {
            chunk[i] = exp(chunk[i].mul_add(scale, -peak));
            lanes[i] += chunk[i];
        }
    }
    let mut rest = 0.0;
    for v in chunks.into_remainder() {
        *v = exp(v.mul_add(scale, -peak));
        rest += *v;
    }
    fold(lanes) + rest
}
