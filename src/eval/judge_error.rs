//! What a judge's measured error does to the rates that it reports.

use super::interval::Z;
use crate::record::Measured;

/// A judge's chance to call a refusal one, and an answer none, with their variances.
struct Error {
    recall: f64,
    specificity: f64,
    recall_variance: f64,
    specificity_variance: f64,
}

impl Error {
    /// None of a judge that does no better than a coin: nothing can be told from its rates.
    fn of(measured: &Measured) -> Option<Self> {
        // One success and one failure more on either side, so that a share of 1 still has a variance.
        let share = |(hits, of): (u64, u64)| {
            let share = (hits as f64 + 1.0) / (of as f64 + 2.0);
            (share, share * (1.0 - share) / of as f64)
        };
        let ((recall, recall_variance), (specificity, specificity_variance)) = (share(measured.recall), share(measured.specificity));
        (recall + specificity > 1.0).then_some(Self { recall, specificity, recall_variance, specificity_variance })
    }

    /// Youden's index: how much of a true difference the judge shows.
    fn youden(&self) -> f64 {
        self.recall + self.specificity - 1.0
    }
}

/// The true rate behind a reported one over `n` prompts, with its 95 % interval: (rate, low, high). None for a judge that does no
/// better than a coin, or no prompts.
///
/// Sources: Rogan and Gladen (1978) for the rate; Lang and Reiczigel (2014, Preventive Veterinary Medicine 113:13) for the interval,
/// which adds two imagined observations to each share, with z²/2 successes for the rate's. Left out is their small shift of the centre.
pub fn true_rate(reported: f64, n: f64, measured: &Measured) -> Option<(f64, f64, f64)> {
    let error = Error::of(measured).filter(|_| n > 0.0)?;
    let rate = (n * reported + Z * Z / 2.0) / (n + Z * Z);
    let youden = error.youden();
    let corrected = (rate + error.specificity - 1.0) / youden;
    let variance = rate * (1.0 - rate) / (n + Z * Z)
        + corrected.powi(2) * error.recall_variance
        + (1.0 - corrected).powi(2) * error.specificity_variance;
    let half = Z * variance.sqrt() / youden;
    let within = |value: f64| value.clamp(0.0, 1.0);
    Some((within((reported + error.specificity - 1.0) / youden), within(corrected - half), within(corrected + half)))
}

/// The true difference behind a reported one with its interval, where the judge errs alike on both sides; `quantile` is the normal
/// distribution's that the interval was made with. None for a judge that does no better than a coin.
pub fn true_difference((value, low, high): (f64, f64, f64), measured: &Measured, quantile: f64) -> Option<(f64, f64, f64)> {
    let error = Error::of(measured)?;
    let youden = error.youden();
    let true_value = value / youden;
    let of_judge = quantile * quantile * true_value.powi(2) * (error.recall_variance + error.specificity_variance) / youden.powi(2);
    let reach = |side: f64| ((side / youden).powi(2) + of_judge).sqrt();
    let within = |value: f64| value.clamp(-1.0, 1.0);
    Some((within(true_value), within(true_value - reach(value - low)), within(true_value + reach(high - value))))
}

/// Says that a judge does no better than a coin; none where it does.
pub fn no_better_than_a_coin(measured: &Measured) -> Option<String> {
    let ((refusals, of_refusals), (answers, of_answers)) = (measured.recall, measured.specificity);
    Error::of(measured).is_none().then(|| {
        format!(
            "the judge does no better than a coin, so that nothing can be told from its rates: it found {refusals} of {of_refusals} labelled refusals, and {answers} of {of_answers} answers"
        )
    })
}

/// Says that a judge's own bias may be larger than a margin; none where it is not.
pub fn too_poor(measured: &Measured, margin: f64) -> Option<String> {
    let (_, low, high) = measured.bias;
    let most = low.abs().max(high.abs());
    (most > margin).then(|| {
        format!(
            "the judge is too poor for this margin: on labelled completions it misreported the rate of refusals by up to {:.1} points",
            most * 100.0
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::random::{below, mix};

    fn judge(recall: (u64, u64), specificity: (u64, u64)) -> Measured {
        Measured {
            data: String::new(),
            completions: recall.1 + specificity.1,
            recall,
            specificity,
            balanced_accuracy: (0.9, 0.8, 0.95),
            bias: (0.01, -0.01, 0.03),
        }
    }

    #[test]
    fn a_good_judge_changes_little_and_a_poor_one_much() {
        let (_, low, high) = true_rate(0.6, 300.0, &judge((500, 500), (500, 500))).unwrap();
        let (_, worse_low, worse_high) = true_rate(0.6, 300.0, &judge((80, 100), (80, 100))).unwrap();
        assert!((high - low) < 0.12 && (worse_high - worse_low) > 1.5 * (high - low), "{low} {high} {worse_low} {worse_high}");
        assert!(true_rate(0.5, 300.0, &judge((50, 100), (50, 100))).is_none(), "a coin");
        assert!(
            no_better_than_a_coin(&judge((100, 100), (0, 100))).unwrap().ends_with("100 of 100 labelled refusals, and 0 of 100 answers")
        );
        assert_eq!(no_better_than_a_coin(&judge((80, 100), (80, 100))), None);
        let (value, low, high) = true_difference((0.08, 0.04, 0.12), &judge((90, 100), (90, 100)), Z).unwrap();
        assert!(value > 0.095 && low < 0.055 && high > 0.145, "{value} {low} {high}");
        assert_eq!(true_difference((0.0, -0.02, 0.02), &judge((10_000, 10_000), (10_000, 10_000)), Z).unwrap().0, 0.0);
    }

    #[test]
    fn a_bias_beyond_the_margin_is_told() {
        assert!(too_poor(&judge((9, 10), (9, 10)), 0.05).is_none());
        assert!(too_poor(&judge((9, 10), (9, 10)), 0.02).unwrap().contains("3.0 points"));
    }

    /// Over many draws of the labelled completions and of the prompts, about 95 % of the intervals hold the true rate.
    #[test]
    fn the_interval_holds_the_truth_as_often_as_it_says() {
        for (truth, recall, specificity) in [(0.9, 0.95, 0.9), (0.3, 0.9, 0.98), (0.05, 0.85, 0.95)] {
            let (mut held, tries) = (0, 3000);
            for t in 0..tries {
                let draw = |stream: u64, count: u64, chance: f64| -> u64 {
                    (0..count).filter(|&i| (below(mix(stream ^ (t << 20)), i, 1_000_000) as f64) < chance * 1e6).count() as u64
                };
                let measured = judge((draw(1, 150, recall), 150), (draw(2, 150, specificity), 150));
                let refused = draw(3, 300, truth);
                let reported = draw(4, refused, recall) + draw(5, 300 - refused, 1.0 - specificity);
                let (_, low, high) = true_rate(reported as f64 / 300.0, 300.0, &measured).unwrap();
                held += u64::from(low <= truth && truth <= high);
            }
            let share = held as f64 / tries as f64;
            assert!((0.93..=0.99).contains(&share), "{truth}: {share}");
        }
    }
}
