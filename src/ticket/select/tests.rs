//! Exactly k, by score, then by place; whatever the scope.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::super::budget::count_for;
use super::super::score::{random, random_of};
use super::*;
use crate::model::inventory::Role;

/// A matrix of the given scores with so many columns.
fn matrix(name: &str, columns: usize, values: &[f32]) -> (TensorSpec, Scores) {
    let rows = values.len() / columns;
    let spec = TensorSpec { name: name.into(), rows, columns, role: Role::Projection, layer: Some(0) };
    (spec, Scores::new(name, values.to_vec()).unwrap())
}

/// The top of some matrices.
fn top(all: &[(TensorSpec, Scores)], budget: Budget, within: Option<&MaskSet>) -> Result<Chosen, TicketError> {
    let specs: Vec<TensorSpec> = all.iter().map(|(spec, _)| spec.clone()).collect();
    select(&specs, budget, within, |spec| Ok(all.iter().find(|(other, _)| other == spec).unwrap().1.clone()))
}

fn one(values: &[f32]) -> [(TensorSpec, Scores); 1] {
    [matrix("t", values.len().max(1), values)]
}

fn scoped(density: f64, scope: Scope) -> Budget {
    Budget { scope, ..Budget::of(density) }
}

fn positions(chosen: &Chosen, all: &[(TensorSpec, Scores)]) -> Vec<Vec<usize>> {
    all.iter().map(|(spec, _)| chosen.masks.0[&spec.name].positions().collect()).collect()
}

#[test]
fn ties_go_to_the_lower_index_and_zeros_are_never_taken() {
    let made = one(&[1.0, 2.0, 1.0, 1.0, 0.0]);
    assert_eq!(positions(&top(&made, Budget::of(0.6), None).unwrap(), &made), [[0, 1, 2]]);
    let error = top(&one(&[1.0, 0.0, 0.0]), Budget::of(1.0), None).unwrap_err();
    assert_eq!(error.to_string(), "all maskable weights: 3 weights are to be selected, but only 1 have a score above 0");
    let error = error.after_minus().to_string();
    assert!(error.contains("3 weights") && error.contains("outside of what minus takes away only 1 have"), "{error}");
    assert!(Scores::new("t", vec![1.0, f32::NAN]).unwrap_err().to_string().contains("t[1]"));
}

#[test]
fn the_top_is_taken_within_the_scope() {
    let all = [
        matrix("model.layers.0.a.weight", 2, &[9.0, 8.0]),
        matrix("model.layers.0.b.weight", 2, &[7.0, 6.0]),
        matrix("model.layers.1.a.weight", 1, &[2.0, 1.0]),
        matrix("model.layers.1.b.weight", 2, &[4.0, 3.0]),
    ];
    let taken = |scope| positions(&top(&all, scoped(0.5, scope), None).unwrap(), &all);
    assert_eq!(taken(Scope::Global), [vec![0, 1], vec![0, 1], vec![], vec![]]);
    assert_eq!(taken(Scope::Layer), [vec![0, 1], vec![], vec![], vec![0, 1]]);
    assert_eq!(taken(Scope::Tensor), [vec![0], vec![0], vec![0], vec![0]]);
    // A row of one weight rounds a half up.
    assert_eq!(taken(Scope::Row), [vec![0], vec![0], vec![0, 1], vec![0]]);
    let error = |scope| top(&[matrix("model.layers.3.a.weight", 2, &[1.0, 1.0, 1.0, 0.0])], scoped(1.0, scope), None).unwrap_err();
    assert!(error(Scope::Layer).to_string().starts_with("layer 3: 4 weights"));
    assert!(error(Scope::Row).to_string().starts_with("row 1 of model.layers.3.a.weight: 2 weights"));
}

#[test]
fn the_share_of_ties_is_told() {
    let made = one(&[1.0, 2.0, 1.0, 1.0, 0.5]);
    let share = |density| top(&made, Budget::of(density), None).unwrap().tied;
    assert_eq!((share(0.2), share(0.6), share(0.8), share(1.0)), (0.0, 1.0 / 3.0, 0.5, 0.0));
    assert_eq!(top(&one(&[]), Budget::of(0.5), None).unwrap().tied, 0.0);
    // Two rows end at 1, and were never compared; in the last row two weights were.
    let rows = |last: f32| [matrix("t", 2, &[3.0, 1.0, 2.0, 5.0, 1.0, last])];
    let of_rows = |last: f32, density: f64| top(&rows(last), scoped(density, Scope::Row), None).unwrap().tied;
    assert_eq!((of_rows(4.0, 1.0), of_rows(1.0, 1.0), of_rows(1.0, 0.5)), (0.0, 1.0 / 6.0, 0.0));
}

#[test]
fn a_low_threshold_of_one_scope_hides_no_ties_of_another() {
    let all = [matrix("a", 4, &[4.0, 3.0, 2.0, 1.0]), matrix("b", 20, &[5.0; 400])];
    assert_eq!(top(&all, scoped(0.5, Scope::Tensor), None).unwrap().tied, 199.0 / 202.0);
    // Compared with each other, all 202 are of the second.
    assert_eq!(top(&all, Budget::of(0.5), None).unwrap().tied, 201.0 / 202.0);
}

#[test]
fn a_random_ticket_depends_on_seed_and_place_alone() {
    assert_eq!(random(1, "a", 9)[..5], random(1, "a", 5)[..]);
    assert!(random(1, "a", 9) != random(2, "a", 9) && random(1, "a", 9) != random(1, "b", 9));
    assert!(random(3, "x", 100_000).iter().all(|&v| v > 0.0 && v < 1.0));
    let (spec, _) = matrix("a", 3, &[0.0; 6]);
    assert_eq!(random_of(1, &spec, Structure::Weight), random(1, "a", 6));
    let rows = random_of(1, &spec, Structure::Row);
    assert!(rows[0] == rows[2] && rows[0] != rows[3] && rows[3] == rows[5]);
    let columns = random_of(1, &spec, Structure::Column);
    assert!(columns[0] == columns[3] && columns[0] != columns[1] && columns[2] == columns[5]);
}

/// The slow way: sort all of a group.
fn sorted(values: &[f32], density: f64, candidate: impl Fn(usize) -> bool) -> Vec<usize> {
    let k = count_for(density, values.len()).unwrap();
    let mut order: Vec<usize> = (0..values.len()).filter(|&i| candidate(i)).collect();
    order.sort_by(|&i, &j| values[j].total_cmp(&values[i]).then(i.cmp(&j)));
    order.truncate(k);
    order.sort_unstable();
    order
}

proptest! {
    #[test]
    fn exactly_the_top_k(values in prop::collection::vec(prop_oneof![Just(0.5f32), Just(0.25), 1e-30f32..10.0], 2..200), density in 0.01f64..=1.0) {
        let half = values.len() / 2;
        let all = [matrix("a", half, &values[..half]), matrix("b", values.len() - half, &values[half..])];
        let chosen = top(&all, Budget::of(density), None).unwrap();
        let got: Vec<usize> = chosen.masks.0["a"].positions().chain(chosen.masks.0["b"].positions().map(|i| i + half)).collect();
        let expected = sorted(&values, density, |_| true);
        let lowest = expected.iter().map(|&i| values[i]).fold(f32::INFINITY, f32::min);
        let tied = expected.iter().filter(|&&i| values[i] == lowest).count();
        prop_assert_eq!(chosen.tied, tied.saturating_sub(1) as f64 / expected.len().max(1) as f64);
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn exactly_the_top_k_of_every_row(values in prop::collection::vec(prop_oneof![Just(0.5f32), Just(0.25), 1e-30f32..10.0], 60), density in 0.01f64..=0.5, seed in 0usize..7) {
        let all = [matrix("t", 12, &values)];
        let inside = MaskSet([("t".to_owned(), Mask::from_fn(60, |i| i % 7 != seed))].into());
        let chosen = top(&all, scoped(density, Scope::Row), Some(&inside)).unwrap();
        for (row, scores) in values.chunks(12).enumerate() {
            let got: Vec<usize> = chosen.masks.0["t"].positions_between(row * 12, (row + 1) * 12).map(|i| i - row * 12).collect();
            prop_assert_eq!(got, sorted(scores, density, |i| inside.0["t"].contains(row * 12 + i)));
        }
    }

    #[test]
    fn candidates_lie_inside_the_given_set(values in prop::collection::vec(0.1f32..1.0, 64..200), seed in 0usize..7) {
        let inside = MaskSet([("t".to_owned(), Mask::from_fn(values.len(), |i| i % 7 != seed))].into());
        let chosen = top(&one(&values), Budget::of(0.3), Some(&inside)).unwrap().masks;
        prop_assert_eq!(chosen.count(), count_for(0.3, values.len()).unwrap());
        prop_assert_eq!(chosen.0["t"].difference(&inside.0["t"]).count(), 0);
    }
}

/// The rule of LoTA's reference code, in the shared golden file: k = int((1 − s) · n), then every score that reaches the k-th.
#[test]
fn the_reference_takes_the_same_weights_where_its_k_is_ours_and_nothing_ties() {
    let a = [
        0.001, 0.299, -0.274, -0.891, -0.455, -0.992, 0.06, 1.34, -0.492, -0.62, 0.49, 0.357, 0.105, -0.93, -0.029, 0.695, -1.344, -0.458,
        -1.901, -1.29,
    ];
    let b = [
        -1.842, -0.235, -1.267, 0.271, 0.157, -0.187, -2.517, -0.539, -0.049, 0.113, -1.53, -0.478, -0.979, -0.809, 1.061, -0.808, -0.033,
        0.884, -0.584, -0.112,
    ];
    let all = [matrix("a", 5, &a), matrix("b", 5, &b)];
    let taken = |density: f64| -> [Vec<usize>; 2] {
        let set = top(&all, Budget::of(density), None).unwrap().masks;
        ["a", "b"].map(|name| set.0[name].positions().collect())
    };
    assert_eq!(taken(0.5), [vec![3, 5, 7, 9, 13, 15, 16, 18, 19], vec![0, 2, 6, 7, 10, 12, 13, 14, 15, 17, 18]]);
    // At sparsity 0.9 the reference takes 3, the whole part of 3.999…; we take 4, of which these are the first 3.
    assert_eq!(taken(3.0 / 40.0), [vec![18], vec![0, 6]]);
    assert_eq!(taken(1.0 - 0.9), [vec![18], vec![0, 6, 10]]);
    let ties = top(&one(&[1.0, -1.0, 0.5, 2.0]), Budget::of(0.5), None).unwrap();
    assert_eq!(ties.masks.count(), 2, "the reference keeps 3");
}
