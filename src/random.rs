//! Random numbers that depend on counters alone, so that nothing depends on threads, order or a library's generator.
//!
//! Source: SplitMix64 (Steele, Lea, Flood 2014).

/// The next state of SplitMix64: a bijection that scatters its input over all 64 bits.
pub fn mix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The stream of a name under a seed.
pub fn stream(seed: u64, name: &str) -> u64 {
    name.bytes().fold(mix(seed), |state, byte| mix(state ^ u64::from(byte)))
}

/// The `i`-th number of a stream as one of `0..n`; 0 where n is 0.
pub fn below(stream: u64, i: u64, n: usize) -> usize {
    ((u128::from(mix(stream ^ i)) * n as u128) >> 64) as usize
}

/// The `i`-th number of a stream with mean 0 and variance 1, within ±6: the sum of twelve uniform ones less six, which needs
/// no function that differs between systems.
pub fn normal(stream: u64, i: u64) -> f32 {
    // Twelve pieces of 21 bits, three from each word; their sum is exact in f64.
    let sum: u64 =
        (0..4).map(|word| mix(stream ^ (4 * i + word))).map(|z| (z & 0x1F_FFFF) + ((z >> 21) & 0x1F_FFFF) + ((z >> 42) & 0x1F_FFFF)).sum();
    ((sum as f64 + 6.0) / f64::from(1u32 << 21) - 6.0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_mean_nought_and_variance_one() {
        let n = 100_000;
        let values: Vec<f64> = (0..n).map(|i| f64::from(normal(7, i))).collect();
        let mean = values.iter().sum::<f64>() / n as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n as f64;
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }

    #[test]
    fn every_choice_comes_about_as_often() {
        let mut counts = [0; 7];
        (0..70_000).for_each(|i| counts[below(3, i, 7)] += 1);
        assert!(counts.iter().all(|&count| (9_500..10_500).contains(&count)), "{counts:?}");
        assert_eq!(below(3, 0, 0), 0);
    }
}
