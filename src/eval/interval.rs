//! Intervals and tests for rates: 95 %, two-sided.

/// The 97.5 % quantile of the normal distribution: that of every 95 % interval.
pub const Z: f64 = 1.959_963_984_540_054;

/// Wilson's score interval of a rate; none of no trials. Source: Wilson (1927).
pub fn wilson(hits: u64, trials: u64) -> Option<(f64, f64)> {
    if trials == 0 {
        return None;
    }
    Some(wilson_with(hits as f64 / trials as f64, trials as f64, Z))
}

/// Wilson's interval of a rate p over n trials, which need not be whole, with this quantile.
pub fn wilson_with(p: f64, n: f64, quantile: f64) -> (f64, f64) {
    let z = quantile;
    let centre = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    (((centre - half) / scale).max(0.0), ((centre + half) / scale).min(1.0))
}

/// The mean of numbers by seed and prompt, with its variance when both are samples of many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Crossed {
    /// The mean.
    pub mean: f64,
    /// Its variance.
    pub variance: f64,
    /// Degrees of freedom of the variance.
    pub freedom: f64,
}

/// The mean over S seeds (rows, at least two) and N prompts (columns, at least two), both random. The variance of the mean is
/// (MS_seed + MS_prompt − MS_rest) ÷ (S N), at least what seeds or prompts alone would give; its freedom is Satterthwaite's.
/// None for fewer, or rows of unequal length.
///
/// Sources: two-way random effects without replication (Searle, Casella, McCulloch 1992, chapter 4), Satterthwaite (1946).
pub fn crossed(values: &[Vec<f64>]) -> Option<Crossed> {
    let (s, n) = (values.len(), values.first()?.len());
    if s < 2 || n < 2 || values.iter().any(|row| row.len() != n) {
        return None;
    }
    let (seeds, prompts) = (s as f64, n as f64);
    let by_seed: Vec<f64> = values.iter().map(|row| row.iter().sum::<f64>() / prompts).collect();
    let by_prompt: Vec<f64> = (0..n).map(|p| values.iter().map(|row| row[p]).sum::<f64>() / seeds).collect();
    let mean = by_seed.iter().sum::<f64>() / seeds;
    let squares = |means: &[f64]| means.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let (df_seed, df_prompt) = (seeds - 1.0, prompts - 1.0);
    let df_rest = df_seed * df_prompt;
    let ms_seed = prompts * squares(&by_seed) / df_seed;
    let ms_prompt = seeds * squares(&by_prompt) / df_prompt;
    let rest = values
        .iter()
        .zip(&by_seed)
        .flat_map(|(row, of_seed)| row.iter().zip(&by_prompt).map(move |(value, of_prompt)| (value - of_seed - of_prompt + mean).powi(2)));
    let ms_rest = rest.sum::<f64>() / df_rest;
    let joint = ms_seed + ms_prompt - ms_rest;
    let (variance, freedom) = if joint >= ms_seed.max(ms_prompt) {
        (joint, joint.powi(2) / (ms_seed.powi(2) / df_seed + ms_prompt.powi(2) / df_prompt + ms_rest.powi(2) / df_rest))
    } else if ms_seed > ms_prompt {
        (ms_seed, df_seed)
    } else {
        (ms_prompt, df_prompt)
    };
    Some(Crossed { mean, variance: variance / (seeds * prompts), freedom })
}

/// The 97.5 % quantile of Student's distribution; the normal one's for very many degrees of freedom.
pub fn t_quantile(freedom: f64) -> f64 {
    t_quantile_beside(freedom, Z)
}

/// The quantile of Student's distribution that leaves as much above it as the normal distribution leaves above `z`.
pub fn t_quantile_beside(freedom: f64, z: f64) -> f64 {
    use statrs::distribution::{ContinuousCDF, StudentsT};
    if freedom > 1e6 {
        return z;
    }
    // The lower tail: 1 less a small number would lose its digits.
    StudentsT::new(0.0, 1.0, freedom.max(1.0)).map_or(f64::INFINITY, |student| -student.inverse_cdf(above(z)))
}

/// The chance that a number of Student's distribution lies above `t`.
pub fn t_above(t: f64, freedom: f64) -> f64 {
    use statrs::distribution::{ContinuousCDF, StudentsT};
    if freedom > 1e6 {
        return above(t);
    }
    StudentsT::new(0.0, 1.0, freedom.max(1.0)).map_or(1.0, |student| student.cdf(-t))
}

/// The chance that a normal number lies above `z`.
pub fn above(z: f64) -> f64 {
    statrs::function::erf::erfc(z / std::f64::consts::SQRT_2) / 2.0
}

/// The difference rate(first) − rate(second) on the same prompts, with Newcombe's interval: (difference, low, high); none of
/// no pairs. Source: Newcombe (1998, Statistics in Medicine 17:2635), method 10: Wilson limits joined with the correlation φ,
/// whose numerator is corrected for continuity where positive.
pub fn newcombe_paired(pairs: &[(bool, bool)]) -> Option<(f64, f64, f64)> {
    newcombe_paired_with(pairs, Z)
}

/// [`newcombe_paired`] with this quantile of the normal distribution.
pub fn newcombe_paired_with(pairs: &[(bool, bool)], quantile: f64) -> Option<(f64, f64, f64)> {
    let count = |first, second| pairs.iter().filter(|&&pair| pair == (first, second)).count() as f64;
    newcombe_of([count(true, true), count(true, false), count(false, true), count(false, false)], quantile)
}

/// [`newcombe_paired_with`] of a table of pairs: those that count on both sides, on the first alone, on the second alone and on neither.
/// Averages of several tables need not be whole.
pub fn newcombe_of([a, b, c, d]: [f64; 4], quantile: f64) -> Option<(f64, f64, f64)> {
    let n = a + b + c + d;
    if n <= 0.0 {
        return None;
    }
    let (p1, p2) = ((a + b) / n, (a + c) / n);
    let ((l1, u1), (l2, u2)) = (wilson_with(p1, n, quantile), wilson_with(p2, n, quantile));
    let margins = (a + b) * (c + d) * (a + c) * (b + d);
    let phi = if margins == 0.0 {
        0.0
    } else {
        let numerator = a * d - b * c;
        let corrected = if numerator > n / 2.0 {
            numerator - n / 2.0
        } else if numerator >= 0.0 {
            0.0
        } else {
            numerator
        };
        corrected / margins.sqrt()
    };
    let (dl1, du1, dl2, du2) = (p1 - l1, u1 - p1, p2 - l2, u2 - p2);
    let below = (dl1 * dl1 - 2.0 * phi * dl1 * du2 + du2 * du2).max(0.0).sqrt();
    let above = (du1 * du1 - 2.0 * phi * du1 * dl2 + dl2 * dl2).max(0.0).sqrt();
    let difference = p1 - p2;
    Some((difference, (difference - below).max(-1.0), (difference + above).min(1.0)))
}

/// How likely at least so many hits among as many trials are, where each is one with the probability `share`, from 0 to 1.
pub fn binomial_at_least(hits: u64, trials: u64, share: f64) -> f64 {
    if hits == 0 {
        return 1.0;
    }
    if hits > trials || share <= 0.0 {
        return 0.0;
    }
    if share >= 1.0 {
        return 1.0;
    }
    // From the first term on, in logarithms: it may be smaller than any f64.
    let mut log_term = (0..hits).map(|i| ((trials - i) as f64 / (hits - i) as f64).ln()).sum::<f64>();
    log_term += hits as f64 * share.ln() + (trials - hits) as f64 * (-share).ln_1p();
    let mut sum = 0.0;
    for i in hits..=trials {
        sum += log_term.exp();
        log_term += ((trials - i) as f64 / (i + 1) as f64).ln() + share.ln() - (-share).ln_1p();
    }
    sum.min(1.0)
}

/// Two-sided exact McNemar p-value of discordant pairs: `first_only` and `second_only` under a fair coin; 1 without any.
pub fn mcnemar_exact(first_only: u64, second_only: u64) -> f64 {
    let (n, k) = (first_only + second_only, first_only.min(second_only));
    // Σ C(n, i) / 2^n in logarithms, so that large counts do not overflow.
    let mut log_choose = 0.0;
    let mut tail = 0.0;
    for i in 0..=k {
        if i > 0 {
            log_choose += ((n - i + 1) as f64).ln() - (i as f64).ln();
        }
        tail += (log_choose - n as f64 * std::f64::consts::LN_2).exp();
    }
    (2.0 * tail).min(1.0)
}

/// A p-value as it is told: `p = 0.031`, `p < 0.001`.
pub(super) fn p_text(p: f64) -> String {
    if p < 0.001 { "p < 0.001".into() } else { format!("p = {p:.3}") }
}

/// p-values adjusted for being several (Holm 1979), in the order given: the chance of any false alarm among them stays below the
/// level that each adjusted one is compared with.
pub fn holm(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]).then(a.cmp(&b)));
    let (mut adjusted, mut least) = (vec![0.0; values.len()], 0.0_f64);
    for (rank, &at) in order.iter().enumerate() {
        least = least.max((values.len() - rank) as f64 * values[at]).min(1.0);
        adjusted[at] = least;
    }
    adjusted
}

/// About how many prompts would put the whole interval of a paired difference on one side of `margin`, when the rates stay as
/// measured; none when no number up to 128 times as many would. `widen` makes of (difference, low, high), and the quantile that they
/// were made with, the limits that decide. A next sample has about an even chance to decide: its rates fall on either side.
pub fn needed_prompts(pairs: &[(bool, bool)], margin: f64, widen: impl Fn((f64, f64, f64), f64) -> (f64, f64)) -> Option<u64> {
    for factor in [2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128] {
        let repeated: Vec<_> = pairs.iter().copied().cycle().take(pairs.len() * factor).collect();
        if newcombe_paired(&repeated).map(|found| widen(found, Z)).is_some_and(|(low, high)| high <= margin || low > margin) {
            return Some(repeated.len() as u64);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 5e-5, "{found}, expected {expected}");
    }

    /// `scipy.stats.binom.sf(hits - 1, trials, share)`.
    #[test]
    fn binomial_tails_are_those_of_scipy() {
        for (hits, trials, share, wanted) in [
            (5, 36, 0.05, 0.032362707258672074),
            (4, 36, 0.05, 0.10367880095884704),
            (30, 300, 0.05, 0.00028179403230916563),
            (5, 20, 0.1, 0.043174495284463404),
            (0, 9, 0.5, 1.0),
            (1, 20, 0.0, 0.0),
        ] {
            let found = binomial_at_least(hits, trials, share);
            assert!((found - wanted).abs() < 1e-12 + 1e-9 * wanted, "{hits} of {trials}: {found}, expected {wanted}");
        }
    }

    #[test]
    fn nothing_has_no_interval_and_no_p_value() {
        assert_eq!((wilson(0, 0), newcombe_paired(&[]), mcnemar_exact(0, 0)), (None, None, 1.0));
        assert!(holm(&[]).is_empty());
        near(t_quantile(1e9), Z);
    }

    fn pairs(a: usize, b: usize, c: usize, d: usize) -> Vec<(bool, bool)> {
        [((true, true), a), ((true, false), b), ((false, true), c), ((false, false), d)]
            .into_iter()
            .flat_map(|(pair, n)| std::iter::repeat_n(pair, n))
            .collect()
    }

    /// Newcombe (1998), table III, method 10: the published limits of these four-fold tables.
    #[test]
    fn paired_interval_is_the_published_one() {
        for (table, low, high) in [
            ((36, 12, 2, 0), 0.0569, 0.3404),
            ((20, 12, 2, 16), 0.0562, 0.3292),
            ((0, 54, 0, 0), 0.9061, 1.0),
            ((0, 0, 0, 54), -0.0664, 0.0664),
        ] {
            let (_, l, h) = newcombe_paired(&pairs(table.0, table.1, table.2, table.3)).unwrap();
            assert!((l - low).abs() < 6e-5 && (h - high).abs() < 6e-5, "{table:?}: {l} {h}, published {low} {high}");
        }
        assert_eq!(newcombe_paired(&[]), None);
    }

    /// By hand: seeds (1, 2 | 3, 6) have mean 3, MS_seed 9, MS_prompt 4, MS_rest 1, so variance 12 / 4.
    #[test]
    fn the_variance_of_a_crossed_mean_is_the_textbooks() {
        let Crossed { mean, variance, freedom } = crossed(&[vec![1.0, 2.0], vec![3.0, 6.0]]).unwrap();
        near(mean, 3.0);
        near(variance, 3.0);
        near(freedom, 144.0 / (81.0 + 16.0 + 1.0));
        assert_eq!(crossed(&[vec![1.0, 2.0]]), None);
        assert_eq!(crossed(&[vec![1.0, 2.0], vec![1.0]]), None);
    }

    #[test]
    fn more_prompts_can_decide_a_margin() {
        let small = pairs(55, 2, 1, 2);
        assert!(newcombe_paired(&small).unwrap().2 > 0.05);
        let as_it_is = |(_, low, high), _: f64| (low, high);
        let needed = needed_prompts(&small, 0.05, as_it_is).unwrap();
        assert!(needed > 60 && needed < 2000, "{needed}");
        // A drop above the margin is decided too, the other way.
        let above = pairs(56, 4, 0, 0);
        assert!(newcombe_paired(&above).unwrap().1 < 0.05 && needed_prompts(&above, 0.05, as_it_is).is_some());
        assert_eq!(needed_prompts(&pairs(57, 3, 0, 0), 0.05, as_it_is), None, "a drop of just the margin stays undecided");
    }
}
