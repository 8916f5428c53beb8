//! Whole rows and columns: exactly as many as the density says, by mean score.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::model::inventory::Role;
use crate::ticket::budget::Scope;
use crate::ticket::select::{Chosen, select};

fn matrix(name: &str, rows: usize, columns: usize) -> TensorSpec {
    TensorSpec { name: name.into(), rows, columns, role: Role::Projection, layer: Some(0) }
}

fn top(
    specs: &[TensorSpec],
    density: f64,
    scope: Scope,
    structure: Structure,
    within: Option<&MaskSet>,
    score: impl Fn(&TensorSpec, usize) -> f32,
) -> Result<Chosen, TicketError> {
    let budget = Budget { density, scope, structure };
    select(specs, budget, within, |spec| Scores::new(&spec.name, (0..spec.len()).map(|i| score(spec, i)).collect()))
}

#[test]
fn groups_of_one_size_are_counted_as_weights_are() {
    // 0.1 of 40 rows is 4, 0.5 of 5 rounds up to 3, (1 − 0.9) of 40 is 4 though it is a hair less in f64.
    for (rows, density, expected) in [(40, 0.1, 4), (5, 0.5, 3), (40, 1.0 - 0.9, 4), (7, 1.0, 7), (10, 0.04, 0), (10, 0.05, 1)] {
        let specs = [matrix("t", rows, 3)];
        let chosen = top(&specs, density, Scope::Tensor, Structure::Row, None, |_, i| (i / 3 + 1) as f32).unwrap();
        assert_eq!(chosen.masks.count(), expected * 3, "{density} of {rows} rows");
        // The last rows have the largest scores.
        assert_eq!(chosen.masks.0["t"].positions().next(), (expected > 0).then_some((rows - expected) * 3));
    }
}

#[test]
fn the_mean_of_a_group_decides_and_the_place_between_equals() {
    // Rows of 2 and of 4 weights: sums would prefer the long ones.
    let specs = [matrix("a", 2, 2), matrix("b", 2, 4)];
    let score = |spec: &TensorSpec, i: usize| match (spec.name.as_str(), i / spec.columns) {
        ("a", 0) => 3.0,
        ("a", _) => 2.0,
        (_, 0) => 2.0,
        _ => 1.0,
    };
    let rows = |density| -> Vec<Vec<usize>> {
        let chosen = top(&specs, density, Scope::Global, Structure::Row, None, score).unwrap();
        specs.iter().map(|spec| chosen.masks.0[&spec.name].positions().collect()).collect()
    };
    assert_eq!(rows(2.0 / 12.0), [vec![0, 1], vec![]]);
    // Of two equal means the one that stands first.
    assert_eq!(rows(4.0 / 12.0), [vec![0, 1, 2, 3], vec![]]);
    // Half of the next row fits: nearer with it. Just less than half: nearer without.
    assert_eq!(rows(6.0 / 12.0), [vec![0, 1, 2, 3], vec![0, 1, 2, 3]]);
    assert_eq!(rows(5.9 / 12.0), [vec![0, 1, 2, 3], vec![]]);
    let columns = top(&specs[1..], 0.5, Scope::Global, Structure::Column, None, |_, i| [1.0, 4.0, 2.0, 3.0][i % 4]).unwrap();
    assert_eq!(columns.masks.0["b"].positions().collect::<Vec<_>>(), [1, 3, 5, 7]);
}

#[test]
fn what_cannot_be_filled_is_an_error_and_ties_are_told() {
    let specs = [matrix("t", 4, 3)];
    let error = top(&specs, 0.75, Scope::Tensor, Structure::Row, None, |_, i| if i < 6 { 1.0 } else { 0.0 }).unwrap_err();
    assert_eq!(error.to_string(), "t: whole rows of 9 weights are to be selected, but those with a score above 0 have only 6");
    // A row of which one weight is no candidate is none.
    let within = MaskSet([("t".to_owned(), Mask::from_fn(12, |i| i != 4))].into());
    let chosen = top(&specs, 0.5, Scope::Tensor, Structure::Row, Some(&within), |_, i| 9.0 - (i / 3) as f32).unwrap();
    assert_eq!(chosen.masks.0["t"].positions().collect::<Vec<_>>(), [0, 1, 2, 6, 7, 8]);
    let tied = top(&specs, 0.75, Scope::Tensor, Structure::Row, None, |_, _| 1.0).unwrap().tied;
    assert_eq!(tied, 2.0 / 3.0);
}

proptest! {
    #[test]
    fn whole_groups_by_the_nearest_number_of_weights(
        values in prop::collection::vec(1e-3f32..1.0, 6 * 4 + 3 * 10), density in 0.01f64..=1.0, columns in any::<bool>()
    ) {
        let specs = [matrix("a", 6, 4), matrix("b", 3, 10)];
        let structure = if columns { Structure::Column } else { Structure::Row };
        let at = |spec: &TensorSpec, i: usize| values[if spec.name == "a" { i } else { 24 + i }];
        let chosen = top(&specs, density, Scope::Global, structure, None, at).unwrap();
        let mut groups: Vec<(f64, usize, usize, Vec<usize>)> = Vec::new();
        for (t, spec) in specs.iter().enumerate() {
            for group in 0..(if columns { spec.columns } else { spec.rows }) {
                let own: Vec<usize> = (0..spec.len()).filter(|&i| group_of(spec, structure, i) == group).collect();
                let mean = own.iter().map(|&i| f64::from(at(spec, i))).sum::<f64>() / own.len() as f64;
                groups.push((mean, t, group, own));
            }
        }
        groups.sort_by(|a, b| b.0.total_cmp(&a.0));
        // Every beginning of the ranking, by how near its weights are.
        let total = |k: usize| groups[..k].iter().map(|group| group.3.len()).sum::<usize>() as f64;
        let best = (0..=groups.len()).rev().min_by(|&a, &b| (total(a) - density * 54.0).abs().total_cmp(&(total(b) - density * 54.0).abs())).unwrap();
        let mut expected = MaskSet([("a".to_owned(), Mask::empty(24)), ("b".to_owned(), Mask::empty(30))].into());
        for (_, t, _, own) in &groups[..best] {
            own.iter().for_each(|&i| expected.0.get_mut(&specs[*t].name).unwrap().insert(i));
        }
        prop_assert_eq!(&chosen.masks, &expected);
        prop_assert!((chosen.masks.count() as f64 - density * 54.0).abs() <= 5.0);
    }
}
