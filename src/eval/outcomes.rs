//! Whether prompts count, over all seeds of an arm: rates and differences with their intervals.

use super::interval::{
    Crossed, Z, above, crossed, mcnemar_exact, needed_prompts, newcombe_of, newcombe_paired, newcombe_paired_with, t_quantile,
    t_quantile_beside, wilson, wilson_with,
};
use super::scores::{DUST, Mean, Scores, paired};

/// How many replies to each prompt count: one row a seed, one column a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcomes(pub Vec<Vec<Hits>>);

/// Of the replies to one prompt, those that count, and all: one, unless several were drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hits {
    /// At most [`Self::of`].
    pub hits: usize,
    /// At least 1.
    pub of: usize,
}

impl Hits {
    /// Counts replies.
    pub fn count(replies: impl Iterator<Item = bool>) -> Self {
        replies.fold(Self { hits: 0, of: 0 }, |found, counts| Self { hits: found.hits + usize::from(counts), of: found.of + 1 })
    }

    /// The share that counts, from 0 to 1.
    pub fn share(self) -> f64 {
        self.hits as f64 / self.of.max(1) as f64
    }

    fn any(self) -> bool {
        self.hits > 0
    }
}

/// A difference of two rates on the same prompts.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// First less second.
    pub value: f64,
    /// The lower limit of its 95 % interval.
    pub low: f64,
    /// The upper one.
    pub high: f64,
    /// Two-sided exact McNemar p-value, where both sides have one seed.
    pub p: Option<f64>,
    /// The difference of every prompt's share, by seed: from −1 to 1.
    pub values: Vec<Vec<f64>>,
    basis: Basis,
}

/// What a difference's interval is made from.
#[derive(Debug, Clone, PartialEq)]
enum Basis {
    /// Newcombe's, of one seed with one reply a prompt.
    Pairs(Vec<(bool, bool)>),
    /// The wider of Student's and Newcombe's on either side: the standard error, its degrees of freedom, the prompts where there is one
    /// seed, and the [`table`] of pairs.
    Student { error: f64, freedom: f64, prompts: Option<usize>, table: [f64; 4] },
}

/// No margin is tried at a quantile above this one, which leaves a chance of 1e-9.
const FARTHEST: f64 = 6.0;

impl Difference {
    /// About how many prompts would put the interval on one side of `margin`, see [`needed_prompts`]; none for several seeds.
    pub fn needed_prompts(&self, margin: f64, widen: impl Fn((f64, f64, f64), f64) -> (f64, f64)) -> Option<u64> {
        match &self.basis {
            Basis::Pairs(pairs) => needed_prompts(pairs, margin, widen),
            Basis::Student { error, freedom, prompts, .. } => {
                let (low, high) = widen((self.value, self.low, self.high), Z);
                Mean { value: self.value, low, high, prompts: (*prompts)?, error: *error, freedom: *freedom }.needed_prompts(margin)
            }
        }
    }

    /// The one-sided p-value of a true difference of at most `margin`: the level at which the interval's lower limit, after `widen`
    /// (as in [`needed_prompts`]), lies on it. 1 where the difference itself is no larger; never below 1e-9.
    pub fn beyond(&self, margin: f64, widen: impl Fn((f64, f64, f64), f64) -> (f64, f64)) -> f64 {
        let beyond = |z: f64| widen(self.at(z), z).0 > margin;
        if !beyond(0.0) {
            return 1.0;
        }
        let (mut inside, mut outside) = (0.0, FARTHEST);
        if beyond(outside) {
            return above(outside);
        }
        for _ in 0..50 {
            let middle = (inside + outside) / 2.0;
            if beyond(middle) {
                inside = middle;
            } else {
                outside = middle;
            }
        }
        above(inside)
    }

    /// Other limits of this difference, at least as far apart as what its own are kept to.
    pub fn widened(&self, limits: (f64, f64)) -> (f64, f64) {
        match &self.basis {
            Basis::Pairs(_) => limits,
            Basis::Student { table, .. } => widened(limits, *table, Z),
        }
    }

    /// The difference and its interval at a quantile of the normal distribution.
    fn at(&self, quantile: f64) -> (f64, f64, f64) {
        match &self.basis {
            Basis::Pairs(pairs) => newcombe_paired_with(pairs, quantile).unwrap_or((self.value, self.low, self.high)),
            Basis::Student { error, freedom, table, .. } => {
                let half = t_quantile_beside(*freedom, quantile) * error;
                let (low, high) = widened((self.value - half, self.value + half), *table, quantile);
                (self.value, low, high)
            }
        }
    }
}

impl Outcomes {
    /// Whether nothing was asked.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Vec::is_empty)
    }

    /// Whether every seed has this many prompts.
    pub fn has_prompts(&self, prompts: usize) -> bool {
        self.0.iter().all(|seed| seed.len() == prompts)
    }

    /// The replies that count, and all, over all seeds.
    pub fn counts(&self) -> (usize, usize) {
        let all = || self.0.iter().flatten();
        (all().map(|found| found.hits).sum(), all().map(|found| found.of).sum())
    }

    /// Replies to each prompt; 1 of nothing.
    pub fn samples(&self) -> usize {
        self.0.iter().flatten().map(|found| found.of).max().unwrap_or(1)
    }

    /// Prompts of one seed: seeds say little new of the same prompts.
    pub fn trials(&self) -> f64 {
        self.0.first().map_or(0.0, |seed| seed.len() as f64)
    }

    /// The share that counts; none of nothing.
    pub fn rate(&self) -> Option<f64> {
        let (hits, all) = self.counts();
        (all > 0).then(|| hits as f64 / all as f64)
    }

    /// The 95 % interval of the rate: Wilson's for one seed with one reply a prompt. For several seeds, Wilson's form with Student's
    /// quantile and as many trials as would give the variance of the mean over seeds and prompts, both taken as samples
    /// ([`crossed`]); for one seed with several replies a prompt likewise with the variance over prompts: the replies to one prompt
    /// are a cluster, and say little new of other prompts.
    pub fn interval(&self) -> Option<(f64, f64)> {
        let (hits, all) = self.counts();
        if self.0.len() < 2 && self.samples() == 1 {
            return wilson(hits as u64, all as u64);
        }
        let shares = self.shares();
        let Crossed { mean, variance, freedom } = if shares.len() > 1 { crossed(&shares)? } else { clustered(shares.first()?)? };
        let prompts = self.0[0].len() as f64;
        let binomial = mean * (1.0 - mean);
        // Replies that all agree say nothing new; no trial counts twice.
        let trials = if variance > DUST { (binomial / variance).min(all as f64) } else { prompts };
        let quantile = if variance > DUST { t_quantile(freedom) } else { t_quantile(f64::INFINITY) };
        Some(wilson_with(mean, trials, quantile))
    }

    /// This rate less another on the same prompts ([`paired`]). For one seed with one reply a prompt the interval is Newcombe's. For
    /// several seeds it is Student's, with the variance of the mean difference over seeds and prompts ([`crossed`]), and with several
    /// replies a prompt that of the prompts' shares ([`Scores::minus`]); but neither of its limits is nearer than Newcombe's of the
    /// fourfold table of the prompts' mean shares, whose total is the prompts of one seed: a variance says too little where few prompts
    /// differ. None without pairs.
    ///
    /// Source: Newcombe (1998), method 10, as in [`newcombe_paired`]; tables that are not whole are this program's.
    pub fn minus(&self, other: &Self) -> Option<Difference> {
        let (first, second) = (self.shares(), other.shares());
        let values = paired(&first, &second)?;
        let table = table(&first, &second);
        if self.samples().max(other.samples()) > 1 {
            let Mean { value, low, high, prompts, error, freedom } = Scores::shares(first).minus(&Scores::shares(second))?;
            let (low, high) = widened((low, high), table, Z);
            let prompts = (values.len() == 1).then_some(prompts);
            return Some(Difference { value, low, high, p: None, values, basis: Basis::Student { error, freedom, prompts, table } });
        }
        match crossed(&values).filter(|found| found.variance > DUST) {
            Some(Crossed { mean, variance, freedom }) => {
                let half = t_quantile(freedom) * variance.sqrt();
                let (low, high) = widened((mean - half, mean + half), table, Z);
                let basis = Basis::Student { error: variance.sqrt(), freedom, prompts: None, table };
                Some(Difference { value: mean, low, high, p: None, values, basis })
            }
            None => {
                let pairs: Vec<(bool, bool)> =
                    self.0.first()?.iter().zip(other.0.first()?).map(|(first, second)| (first.any(), second.any())).collect();
                let (value, low, high) = newcombe_paired(&pairs)?;
                let changed = |pair| pairs.iter().filter(|&&found| found == pair).count() as u64;
                let p = mcnemar_exact(changed((true, false)), changed((false, true)));
                Some(Difference { value, low, high, p: Some(p), values, basis: Basis::Pairs(pairs) })
            }
        }
    }

    /// The outcomes of these prompts alone, by their places.
    pub fn of(&self, places: &[usize]) -> Self {
        Self(self.0.iter().map(|seed| places.iter().filter_map(|&place| seed.get(place).copied()).collect()).collect())
    }

    /// Each prompt's share, by seed.
    pub fn shares(&self) -> Vec<Vec<f64>> {
        self.0.iter().map(|seed| seed.iter().map(|found| found.share()).collect()).collect()
    }
}

/// How many prompts count on both sides, on the first alone, on the second alone and on neither, by each prompt's mean share over seeds
/// and replies. Two shares differ by as little as they can: of 0.5 and 0.75 a quarter of the prompt counts on the second side alone.
fn table(first: &[Vec<f64>], second: &[Vec<f64>]) -> [f64; 4] {
    let mean = |seeds: &[Vec<f64>], prompt: usize| seeds.iter().filter_map(|seed| seed.get(prompt)).sum::<f64>() / seeds.len() as f64;
    let mut sums = [0.0; 4];
    for prompt in 0..first.first().map_or(0, Vec::len) {
        let (first, second) = (mean(first, prompt), mean(second, prompt));
        let both = first.min(second);
        let cells = [both, first - both, second - both, 1.0 - first.max(second)];
        sums.iter_mut().zip(cells).for_each(|(sum, cell)| *sum += cell);
    }
    sums
}

/// Limits of a difference that are at least as far apart as Newcombe's of a table of pairs with this quantile, from −1 to 1.
fn widened((low, high): (f64, f64), table: [f64; 4], quantile: f64) -> (f64, f64) {
    let (low, high) = newcombe_of(table, quantile).map_or((low, high), |(_, l, h)| (l.min(low), h.max(high)));
    (low.max(-1.0), high.min(1.0))
}

/// Mean and variance of the mean over clusters of equal size; none of fewer than two.
///
/// Source: Miller (2024), Adding Error Bars to Evals, arXiv 2411.00640, section 2.2: with equal clusters the clustered standard error is
/// that of the clusters' means.
fn clustered(shares: &[f64]) -> Option<Crossed> {
    let count = shares.len() as f64;
    (shares.len() > 1).then_some(())?;
    let mean = shares.iter().sum::<f64>() / count;
    let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / (count - 1.0) / count;
    Some(Crossed { mean, variance, freedom: count - 1.0 })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::random::{below, mix};

    fn draw(seeds: usize, prompts: usize, hit: impl Fn(usize, usize) -> bool) -> Outcomes {
        drawn(seeds, prompts, 1, |s, p, _| hit(s, p))
    }

    fn drawn(seeds: usize, prompts: usize, samples: usize, hit: impl Fn(usize, usize, usize) -> bool) -> Outcomes {
        let of = |s: usize, p: usize| Hits::count((0..samples).map(|i| hit(s, p, i)));
        Outcomes((0..seeds).map(|s| (0..prompts).map(|p| of(s, p)).collect()).collect())
    }

    #[test]
    fn one_seed_has_wilsons_and_newcombes_intervals() {
        let (a, b) = (draw(1, 60, |_, p| p < 57), draw(1, 60, |_, p| p < 50));
        assert_eq!(a.interval(), wilson(57, 60));
        let difference = a.minus(&b).unwrap();
        let pairs: Vec<_> = a.0[0].iter().zip(&b.0[0]).map(|(a, b)| (a.any(), b.any())).collect();
        assert_eq!((difference.value, difference.low, difference.high), newcombe_paired(&pairs).unwrap());
        assert_eq!(difference.p, Some(mcnemar_exact(7, 0)));
    }

    #[test]
    fn the_same_replies_for_every_seed_are_no_more_prompts() {
        let (one, five) = (draw(1, 100, |_, p| p % 5 != 0), draw(5, 100, |_, p| p % 5 != 0));
        let ((low, high), (l, h)) = (one.interval().unwrap(), five.interval().unwrap());
        assert!(h - l >= high - low && h - l < 1.6 * (high - low), "{low}..{high}, {l}..{h}");
        let pooled = wilson(400, 500).unwrap();
        assert!(h - l > 2.0 * (pooled.1 - pooled.0));
        assert!(five.minus(&five).unwrap().high > 0.0, "no difference seen is no proof of none");
    }

    #[test]
    fn seeds_that_disagree_widen_the_interval() {
        let agree = draw(5, 300, |s, p| below(mix(s as u64), p as u64, 10) < 8);
        let disagree = draw(5, 300, |s, p| below(mix(s as u64), p as u64, 10) < [4, 10, 8, 10, 8][s]);
        let width = |outcomes: &Outcomes| outcomes.interval().map(|(low, high)| high - low).unwrap();
        assert!(width(&disagree) > 3.0 * width(&agree), "{} {}", width(&disagree), width(&agree));
        let aligned = draw(1, 300, |_, p| p < 290);
        let (close, far) = (aligned.minus(&agree).unwrap(), aligned.minus(&disagree).unwrap());
        assert!(far.high - far.low > 3.0 * (close.high - close.low) && close.low > 0.05 && far.low < 0.05, "{close:?} {far:?}");
        assert_eq!(close.p, None);
    }

    /// Of many draws with true rate 0.8 over prompts and seeds, about 95 % of the intervals hold it.
    #[test]
    fn the_interval_over_seeds_holds_the_truth_as_often_as_it_says() {
        let (mut held, tries) = (0, 4000);
        for t in 0..tries {
            let uniform = |stream: u64, i: u64| below(mix(stream ^ (t << 32)), i, 1_000_000) as f64 / 1e6;
            // A prompt's and a seed's part move the chance of each reply, with mean 0.
            let drawn = draw(5, 200, |s, p| {
                let chance = 0.8 + 0.3 * (uniform(1, p as u64) - 0.5) + 0.1 * (uniform(2, s as u64) - 0.5);
                uniform(3 + s as u64, p as u64) < chance
            });
            let (low, high) = drawn.interval().unwrap();
            held += u64::from(low <= 0.8 && 0.8 <= high);
        }
        let share = held as f64 / tries as f64;
        assert!((0.935..=0.98).contains(&share), "{share}");
    }

    #[test]
    fn replies_to_one_prompt_are_a_cluster() {
        // The same reply eight times is one reply; its interval is no narrower.
        let (one, eight) = (draw(1, 200, |_, p| p % 4 != 0), drawn(1, 200, 8, |_, p, _| p % 4 != 0));
        let width = |(low, high): (f64, f64)| high - low;
        assert_eq!(eight.counts(), (1200, 1600));
        assert!(width(eight.interval().unwrap()) > 0.99 * width(one.interval().unwrap()));
        // Replies that differ of themselves tell more than one, and less than as many prompts.
        let free = drawn(1, 200, 8, |_, p, i| below(mix(i as u64), p as u64, 4) != 0);
        let pooled = wilson(free.counts().0 as u64, 1600).unwrap();
        assert!(width(free.interval().unwrap()) < 0.6 * width(one.interval().unwrap()));
        assert!(width(free.interval().unwrap()) > 0.9 * width(pooled));
        let change = eight.minus(&drawn(1, 200, 8, |_, p, i| p % 4 != 0 && (p % 10 != 1 || i >= 4))).unwrap();
        assert!((change.value - 0.05).abs() < 1e-12 && change.p.is_none(), "{change:?}");
        assert!(change.low > 0.01 && change.high < 0.09 && change.needed_prompts(0.06, |(_, low, high), _| (low, high)).unwrap() > 200);
    }

    /// Of many draws with clusters, about 95 % of the intervals hold the rate of all prompts.
    #[test]
    fn the_clustered_interval_holds_the_truth_as_often_as_it_says() {
        let (mut held, tries) = (0, 3000);
        for t in 0..tries {
            let uniform = |stream: u64, i: u64| below(mix(stream ^ (t << 32)), i, 1_000_000) as f64 / 1e6;
            // A prompt's chance is the square root of a uniform number: two thirds on average.
            let drawn = drawn(1, 100, 5, |_, p, i| uniform(2 + i as u64, p as u64) < uniform(1, p as u64).sqrt());
            let (low, high) = drawn.interval().unwrap();
            held += u64::from(low <= 2.0 / 3.0 && 2.0 / 3.0 <= high);
        }
        let share = held as f64 / tries as f64;
        assert!((0.935..=0.965).contains(&share), "{share}");
    }

    /// Seeds and replies that are all alike say nothing new, however few prompts differ.
    #[test]
    fn the_same_replies_again_never_narrow_a_difference() {
        for lost in 0..15 {
            let aligned = |seeds, samples| drawn(seeds, 300, samples, |_, p, _| p < 278);
            let tuned = |seeds, samples| drawn(seeds, 300, samples, |_, p, _| p < 278 - lost);
            let one = aligned(1, 1).minus(&tuned(1, 1)).unwrap();
            for (seeds, samples) in [(3, 1), (5, 1), (1, 8), (3, 8)] {
                // A side with one seed is paired with each of the other's.
                for before in [aligned(seeds, samples), aligned(1, samples)] {
                    let more = before.minus(&tuned(seeds, samples)).unwrap();
                    let what = (lost, seeds, samples, &one, more.low, more.high);
                    assert!((more.value - one.value).abs() < 1e-12, "{what:?}");
                    assert!(more.low <= one.low + 1e-12 && more.high >= one.high - 1e-12, "{what:?}");
                    let as_it_is = |(_, low, high): (f64, f64, f64), _: f64| (low, high);
                    assert!(more.beyond(0.005, as_it_is) >= one.beyond(0.005, as_it_is) - 1e-12, "{what:?}");
                }
            }
        }
        // By hand: nine lost of 300 are 3.0 points [0.92, 5.46].
        let nine = drawn(3, 300, 1, |_, p, _| p < 278).minus(&drawn(3, 300, 1, |_, p, _| p < 269)).unwrap();
        assert!((nine.low - 0.0092).abs() < 5e-5 && (nine.high - 0.0546).abs() < 5e-5, "{nine:?}");
        // Nor does one reply that differs, of 900.
        let none = draw(3, 300, |_, _| true).minus(&draw(3, 300, |_, _| true)).unwrap();
        let lone = draw(3, 300, |_, _| true).minus(&draw(3, 300, |s, p| (s, p) != (0, 0))).unwrap();
        assert!(lone.high > none.high && lone.high - lone.low > none.high - none.low, "{none:?} {lone:?}");
    }

    /// Of many draws where few prompts differ, the interval over seeds holds the true difference as often as it says.
    #[test]
    fn a_small_difference_over_seeds_is_held_as_often_as_it_says() {
        let (mut held, tries) = (0, 2000);
        for t in 0..tries {
            let uniform = |stream: u64, i: u64| below(mix(stream ^ (t << 32)), i, 1_000_000) as f64 / 1e6;
            // Three prompts in two hundred are lost, and still refused by a tenth of the seeds.
            let tuned = draw(3, 300, |s, p| uniform(1, p as u64) >= 0.015 || uniform(2 + s as u64, p as u64) < 0.1);
            let found = draw(1, 300, |_, _| true).minus(&tuned).unwrap();
            held += u64::from(found.low <= 0.0135 && 0.0135 <= found.high);
        }
        let share = held as f64 / tries as f64;
        assert!(share >= 0.95, "{share}");
    }

    #[test]
    fn nothing_has_no_rate() {
        let none = Outcomes::default();
        assert!(none.is_empty() && none.rate().is_none() && none.interval().is_none() && none.minus(&none).is_none());
        assert!(draw(1, 3, |_, _| true).minus(&draw(1, 4, |_, _| true)).is_none(), "other prompts");
    }
}
