//! The ends of a sweep's settings, and lines between them.

use super::super::choice::{best_within, kept};
use super::super::level::levels;
use super::super::points::{Family, Point, Safety, Setting, pair_ends};
use super::super::{Reason, Utility};
use super::{near, point};

/// Of two settings that keep nearly as much, the one that over-refuses far less is the best; where good prompts were not asked, the other.
#[test]
fn what_is_over_refused_takes_part_in_the_choice() {
    let setting = |name: &str, refused: usize, over_refused: Option<usize>| {
        let of = |count: usize| (0..20).map(|prompt| f64::from(u8::from(prompt < count))).collect::<Vec<f64>>();
        let good_prompts = |count: usize| over_refused.map(|_| of(count)).unwrap_or_default();
        let safety = |value: usize, good: usize| Safety {
            value: value as f64 / 20.0,
            error: None,
            prompts: of(value),
            good_prompts: good_prompts(good),
        };
        let start = Point { safety: safety(20, 0), ..point(0.0, 1.0) };
        let end = Point { safety: safety(refused, over_refused.unwrap_or(0)), ..point(1.0, refused as f64 / 20.0) };
        Setting { name: name.into(), curves: vec![vec![start, end]] }
    };
    let of = |settings: Vec<Setting>| Family { name: "f".into(), measured: settings.clone(), settings };
    let best = kept(&of(vec![setting("refuses all", 20, Some(18)), setting("tells apart", 18, Some(2))]), 1.0, false).unwrap();
    assert_eq!(best.settings, ["tells apart"]);
    near(best.over_refused.unwrap().value, 0.1, 1e-12);
    let best = kept(&of(vec![setting("refuses all", 20, None), setting("tells apart", 18, None)]), 1.0, false).unwrap();
    assert_eq!(best.settings, ["refuses all"]);
}

/// A family of settings with nothing but ends, by seed: (utility, prompts refused of ten).
fn ends(settings: &[(&str, &[(f64, usize)])]) -> Family {
    let safety = |refused: usize| Safety {
        value: refused as f64 / 10.0,
        error: None,
        prompts: (0..10).map(|prompt| f64::from(u8::from(prompt < refused))).collect(),
        good_prompts: Vec::new(),
    };
    let at = |name: &str, utility: f64, refused: usize| Point { arm: name.into(), step: 9, utility, safety: safety(refused) };
    let setting = |(name, seeds): &(&str, &[(f64, usize)])| {
        let curve = |&(utility, refused): &(f64, usize)| vec![at("aligned", -4.0, 10), at(name, utility, refused)];
        Setting { name: (*name).into(), curves: seeds.iter().map(curve).collect() }
    };
    let measured: Vec<Setting> = settings.iter().map(setting).collect();
    let mut family = Family { name: "f".into(), settings: measured.clone(), measured };
    pair_ends(&mut family);
    family
}

/// Slow learnt less than fast in one seed and more in the other; a level between the slow ends is on a line in both.
#[test]
fn seeds_that_disagree_on_what_learnt_less_still_reach_what_both_reach() {
    let family = ends(&[("slow", &[(-1.2, 10), (-1.05, 10)]), ("fast", &[(-0.9, 5), (-0.95, 5)])]);
    let both = kept(&family, -1.1, false).unwrap();
    assert_eq!(both.by_seed.len(), 2);
    // Seed 0 a third of the way from slow to fast: 10 - 5/3 of ten; seed 1 on the way from the aligned model to slow: all.
    near(both.by_seed[0].0, (10.0 - 5.0 / 3.0) / 10.0, 1e-12);
    near(both.by_seed[1].0, 1.0, 1e-12);
    // A setting that learns more in one seed and less in the other is measured all the same.
    let crossing = ends(&[("a", &[(-1.0, 10), (-0.9, 10)]), ("b", &[(-0.9, 10), (-1.06, 10)])]);
    let best = best_within(&crossing, 1.0, 0.05, &Utility::TaskNll).unwrap();
    assert_eq!(best.arm, "a");
    near(best.utility, 0.95, 1e-12);
}

/// In seed 0 both ends of a line learnt more than in seed 2 either did: what is said to be reached can be read.
#[test]
fn what_is_reached_has_a_value() {
    let (slow, fast) = ([(-0.90, 10), (-1.02, 9), (-1.01, 9)], [(-0.91, 9), (-1.00, 8), (-1.03, 7)]);
    let family = ends(&[("slow", &slow), ("fast", &fast), ("wild", &[(-1.5, 0), (-1.5, 0), (-1.5, 0)])]);
    let level = super::super::level::reached(&family).unwrap();
    near(level, -1.02, 1e-12);
    let found = kept(&family, level, false).unwrap();
    assert_eq!(found.settings, ["slow"]);
    near(found.value, 28.0 / 30.0, 1e-12);
}

/// An arm whose slow end learnt more than the level, and kept all, is not judged by a line to its ruined fast end.
#[test]
fn who_learnt_more_and_kept_as_much_is_not_the_worse_for_it() {
    let family = ends(&[("slow", &[(-0.9, 10)]), ("fast", &[(-1.2, 0)])]);
    let found = kept(&family, -1.0, false).unwrap();
    assert_eq!((found.value, found.settings), (1.0, vec!["slow".to_owned()]));
    // Beyond its end there is nothing of it.
    assert_eq!(kept(&family, -0.8, false), None);
    near(family.aligned().unwrap(), 1.0, 1e-12);
}

/// A setting that forgot more than the aligned model knew is no level to compare at.
#[test]
fn no_level_is_below_the_aligned_model() {
    let (mine, other) = (ends(&[("p", &[(-4.2, 2)]), ("p-slow", &[(-4.1, 2)])]), ends(&[("c", &[(-1.0, 9)]), ("c-slow", &[(-2.0, 10)])]));
    assert_eq!(levels(&[&mine, &other], "p"), []);
    assert_eq!(levels(&[&other, &mine], "c"), [(Reason::End, -1.0)]);
}
