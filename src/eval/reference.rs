//! Every statistic that the gate decides by, beside statsmodels, scipy and formulas written down again
//! (`tests/reference/statistics.py`).
#![allow(clippy::unwrap_used)]

use serde::Deserialize;
use serde_json::Value;

use super::bootstrap::bootstrap;
use super::gate::ratio_interval;
use super::interval::{Crossed, crossed, holm, mcnemar_exact, needed_prompts, newcombe_paired, t_above, t_quantile_beside, wilson};
use super::judge_error::true_rate;
use super::outcomes::{Hits, Outcomes};
use super::scores::Scores;
use crate::record::Measured;

/// Some of the reference numbers, by their name.
fn reference<T: for<'a> Deserialize<'a>>(name: &str) -> T {
    let whole: Value = serde_json::from_str(include_str!("../../tests/reference/statistics.json")).unwrap();
    serde_json::from_value(whole[name].clone()).unwrap()
}

fn near(found: f64, expected: f64, what: impl std::fmt::Debug) {
    close(found, expected, 1e-8, what);
}

fn close(found: f64, expected: f64, tolerance: f64, what: impl std::fmt::Debug) {
    assert!((found - expected).abs() <= tolerance, "{what:?}: {found}, expected {expected}");
}

/// (both, first alone, second alone, neither)
type Table = (usize, usize, usize, usize);

fn pairs((a, b, c, d): Table) -> Vec<(bool, bool)> {
    let kinds = [((true, true), a), ((true, false), b), ((false, true), c), ((false, false), d)];
    kinds.into_iter().flat_map(|(pair, n)| std::iter::repeat_n(pair, n)).collect()
}

#[test]
fn wilsons_interval_is_statsmodels() {
    for (hits, trials, low, high) in reference::<Vec<(u64, u64, f64, f64)>>("wilson") {
        let found = wilson(hits, trials).unwrap();
        near(found.0, low, (hits, trials));
        near(found.1, high, (hits, trials));
    }
}

#[test]
fn newcombes_interval_is_that_of_statsmodels_wilson_limits() {
    for (table, difference, low, high) in reference::<Vec<(Table, f64, f64, f64)>>("newcombe") {
        let found = newcombe_paired(&pairs(table)).unwrap();
        near(found.0, difference, table);
        near(found.1, low, table);
        near(found.2, high, table);
    }
}

#[test]
fn mcnemars_test_is_statsmodels() {
    for (b, c, p) in reference::<Vec<(u64, u64, f64)>>("mcnemar") {
        near(mcnemar_exact(b, c), p, (b, c));
    }
}

#[test]
fn holms_adjustment_is_statsmodels() {
    for (values, adjusted) in reference::<Vec<(Vec<f64>, Vec<f64>)>>("holm") {
        holm(&values).into_iter().zip(adjusted).for_each(|(found, expected)| near(found, expected, &values));
    }
}

#[derive(Deserialize)]
struct Margin {
    table: Table,
    margin: f64,
    decision: String,
    p: f64,
    needed: Option<u64>,
    wald: f64,
}

#[test]
fn margins_are_decided_with_the_p_value_and_the_sample_that_they_need() {
    let cases: Vec<Margin> = reference("margins");
    assert!(["pass", "fail", "inconclusive"].iter().all(|word| cases.iter().any(|case| case.decision == *word)));
    for Margin { table, margin, decision, p, needed, wald } in cases {
        let what = (table, margin);
        let side = |of: &dyn Fn(&(bool, bool)) -> bool| {
            Outcomes(vec![pairs(table).iter().map(|pair| Hits::count(std::iter::once(of(pair)))).collect()])
        };
        let change = side(&|pair| pair.0).minus(&side(&|pair| pair.1)).unwrap();
        let found = if change.high <= margin {
            "pass"
        } else if change.low > margin {
            "fail"
        } else {
            "inconclusive"
        };
        assert_eq!(found, decision, "{what:?}");
        let as_it_is = |(_, low, high): (f64, f64, f64), _: f64| (low, high);
        close(change.beyond(margin, as_it_is), p, 1e-7, what);
        // A fail is what has a p-value below the one side of 95 %.
        assert_eq!(p < 0.025, decision == "fail", "{what:?}");
        assert_eq!(needed_prompts(&pairs(table), margin, as_it_is), needed, "{what:?}");
        // The plain formula's number, rounded up to the next multiple that is tried, where the normal approximation is any good.
        if let Some(needed) = needed.filter(|_| decision == "inconclusive" && wald > 300.0) {
            assert!((1.0..2.1).contains(&(needed as f64 / wald)), "{what:?}: {needed}, {wald}");
        }
    }
}

#[test]
fn students_distribution_is_scipys() {
    for (freedom, z, quantile, above) in reference::<Vec<(f64, f64, f64, f64)>>("students") {
        let found = t_quantile_beside(freedom, z);
        close(found / quantile, 1.0, 1e-6, (freedom, z));
        close(t_above(z, freedom), above, 1e-9, (freedom, z));
    }
}

#[derive(Deserialize)]
struct OfScores {
    scores: Vec<f64>,
    interval: (f64, f64),
    beyond: Vec<(f64, f64)>,
}

#[test]
fn a_means_interval_and_test_are_scipys() {
    let OfScores { scores, interval, beyond } = reference("mean");
    let found = Scores::shares(vec![scores]).mean().unwrap();
    near(found.low, interval.0, "low");
    near(found.high, interval.1, "high");
    for (margin, p) in beyond {
        near(found.beyond(margin), p, margin);
    }
}

#[derive(Deserialize)]
struct OfCrossed {
    values: Vec<Vec<f64>>,
    mean: f64,
    variance: f64,
    freedom: f64,
}

#[test]
fn the_variance_over_seeds_and_prompts_is_that_of_statsmodels_mean_squares() {
    for OfCrossed { values, mean, variance, freedom } in reference::<Vec<OfCrossed>>("crossed") {
        let found: Crossed = crossed(&values).unwrap();
        near(found.mean, mean, "mean");
        near(found.variance, variance, "variance");
        close(found.freedom / freedom, 1.0, 1e-8, "freedom");
    }
}

#[derive(Deserialize)]
struct OfRatio {
    first: Vec<f64>,
    second: Vec<f64>,
    interval: (f64, f64),
}

#[test]
fn a_ratios_interval_is_the_closed_form_of_fiellers() {
    let OfRatio { first, second, interval } = reference("fieller");
    let found = ratio_interval(&[first], std::slice::from_ref(&second)).unwrap();
    near(found.0, interval.0, "low");
    near(found.1, interval.1, "high");
    // A gain that may be none has no ratio.
    let centred = second.iter().map(|value| value - second.iter().sum::<f64>() / second.len() as f64).collect();
    assert_eq!(ratio_interval(&[second], &[centred]), None);
}

#[derive(Deserialize)]
struct OfJudge {
    reported: f64,
    n: f64,
    recall: (u64, u64),
    specificity: (u64, u64),
    rate: f64,
    low: f64,
    high: f64,
    simulated: (f64, f64),
}

#[test]
fn the_rate_behind_a_judge_is_rogan_and_gladens() {
    for OfJudge { reported, n, recall, specificity, rate, low, high, simulated } in reference::<Vec<OfJudge>>("rogan_gladen") {
        let measured = Measured {
            data: String::new(),
            completions: recall.1 + specificity.1,
            recall,
            specificity,
            balanced_accuracy: (0.9, 0.8, 1.0),
            bias: (0.0, -0.1, 0.1),
        };
        let found = true_rate(reported, n, &measured).unwrap();
        for (found, expected) in [(found.0, rate), (found.1, low), (found.2, high)] {
            near(found, expected, (reported, n));
        }
        // The delta method is as good as drawing the three shares two million times.
        close(found.1, simulated.0, 0.006, "simulated low");
        close(found.2, simulated.1, 0.006, "simulated high");
    }
}

#[derive(Deserialize)]
struct OfBootstrap {
    values: Vec<Vec<f64>>,
    interval: (f64, f64),
}

#[test]
fn the_bootstrap_is_scipys_and_numpys_of_a_hundred_times_as_many_draws() {
    for OfBootstrap { values, interval } in reference::<Vec<OfBootstrap>>("bootstrap") {
        let (found, width) = (bootstrap(&values).unwrap(), interval.1 - interval.0);
        // Two thousand draws know a limit to about a fiftieth of the width.
        close(found.0, interval.0, 0.04 * width, values.len());
        close(found.1, interval.1, 0.04 * width, values.len());
        assert_eq!(bootstrap(&values), Some(found), "the same draws every time");
    }
    assert_eq!(bootstrap(&[]), None);
    assert_eq!(bootstrap(&[vec![1.0]]), None);
    assert_eq!(bootstrap(&[vec![1.0, 2.0], vec![1.0]]), None);
    assert_eq!(bootstrap(&[vec![0.5; 9], vec![0.5; 9]]), Some((0.5, 0.5)));
}
