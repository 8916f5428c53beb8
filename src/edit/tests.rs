//! What an edit must leave alone, bit by bit; the numbers are in `tests/it/edit.rs`.
#![allow(clippy::unwrap_used)]

use super::{Edit, EditError, Tensor};
use crate::mask::Mask;
use crate::model::inventory::{Role, TensorSpec};
use crate::random::{normal, stream};

const ROWS: usize = 6;
const COLUMNS: usize = 10;

fn spec(role: Role) -> TensorSpec {
    TensorSpec { name: "model.layers.0.mlp.up_proj.weight".into(), rows: ROWS, columns: COLUMNS, role, layer: Some(0) }
}

fn numbers(seed: u64) -> Vec<f32> {
    let stream = stream(seed, "numbers");
    (0..(ROWS * COLUMNS) as u64).map(|i| 0.3 * normal(stream, i)).collect()
}

/// Aligned, tuned and base weights: every third weight is as aligned in the tuned model, every fourth in the base, and one is −0.
fn models() -> [Vec<f32>; 3] {
    let (mut aligned, tuned, base) = (numbers(1), numbers(2), numbers(3));
    aligned[12] = -0.0;
    let pick = |other: &[f32], every: usize| -> Vec<f32> {
        aligned.iter().zip(other).enumerate().map(|(i, (&a, &b))| if i % every == 0 { a } else { b }).collect()
    };
    let (tuned, base) = (pick(&tuned, 3), pick(&base, 4));
    [aligned, tuned, base]
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn every_edit_keeps_the_bits_that_it_says_it_keeps() {
    let [aligned, tuned, base] = models();
    let ticket = Mask::from_fn(tuned.len(), |i| i % 5 < 2);
    let edits = [
        Edit::Interpolate { weight: 0.4 },
        Edit::Restore,
        Edit::Resta { scale: 0.5, drop: 0.0 },
        Edit::Resta { scale: 0.5, drop: 0.6 },
        Edit::SafeLora { threshold: 1.0 },
    ];
    for (edit, role) in edits.iter().flat_map(|edit| [Role::Projection, Role::Embedding].map(|role| (edit, role))) {
        let spec = spec(role);
        let tensor = Tensor { spec: &spec, aligned: &aligned, tuned: &tuned, base: Some(&base), ticket: Some(&ticket), seed: 3 };
        let (values, kept) = (edit.apply(&tensor).unwrap().values, edit.keeps(&tensor));
        assert!(kept.positions().all(|i| values[i].to_bits() == tuned[i].to_bits()), "{edit:?} {role:?}");
        let moved = (0..values.len()).filter(|&i| values[i].to_bits() != tuned[i].to_bits()).count();
        let free = kept.complement().count();
        assert!(moved <= free && moved * 10 >= free * 6, "{edit:?} {role:?}: {moved} of {free} moved");
        assert_eq!(free == 0, matches!(edit, Edit::SafeLora { .. }) && role == Role::Embedding, "{edit:?} {role:?}");
    }
}

#[test]
fn the_ends_of_the_interpolation_are_the_models_themselves() {
    let [aligned, tuned, _] = models();
    let spec = spec(Role::Norm);
    let tensor = Tensor { spec: &spec, aligned: &aligned, tuned: &tuned, base: None, ticket: None, seed: 0 };
    for (weight, expected) in [(0.0, &aligned), (1.0, &tuned)] {
        assert_eq!(bits(&Edit::Interpolate { weight }.apply(&tensor).unwrap().values), bits(expected));
    }
}

#[test]
fn a_ticket_is_restored_to_the_bit_and_nothing_else() {
    let [aligned, tuned, _] = models();
    let (ticket, spec) = (Mask::from_fn(tuned.len(), |i| i % 5 < 2), spec(Role::Projection));
    let tensor = Tensor { spec: &spec, aligned: &aligned, tuned: &tuned, base: None, ticket: Some(&ticket), seed: 0 };
    let values = Edit::Restore.apply(&tensor).unwrap().values;
    for (i, value) in values.iter().enumerate() {
        assert_eq!(value.to_bits(), if i % 5 < 2 { aligned[i] } else { tuned[i] }.to_bits());
    }
    let outside = Tensor { ticket: None, ..tensor };
    assert_eq!(bits(&Edit::Restore.apply(&outside).unwrap().values), bits(&tuned));
}

/// DARE: about the share is dropped, the rest is divided by what is left, and the seed alone decides which.
#[test]
fn what_resta_drops_is_a_share_and_the_rest_makes_up_for_it() {
    let n = 40_000;
    let spec = TensorSpec { rows: 200, columns: 200, ..spec(Role::Projection) };
    let aligned: Vec<f32> = (0..n).map(|i| normal(1, i)).collect();
    let tuned: Vec<f32> = aligned.iter().map(|value| value + 0.5).collect();
    let values = |seed| {
        let tensor = Tensor { spec: &spec, aligned: &aligned, tuned: &tuned, base: Some(&aligned), ticket: None, seed };
        Edit::Resta { scale: 1.0, drop: 0.75 }.apply(&tensor).unwrap().values
    };
    let (found, again, other) = (values(1), values(1), values(2));
    assert_eq!(bits(&found), bits(&again));
    assert_ne!(bits(&found), bits(&other));
    let update = |i: usize| f64::from(found[i]) - f64::from(aligned[i]);
    let kept: Vec<f64> = (0..n as usize).map(update).filter(|update| *update != 0.0).collect();
    let share = kept.len() as f64 / n as f64;
    assert!((share - 0.25).abs() < 0.01, "{share}");
    assert!(kept.iter().all(|update| (update - 2.0).abs() < 1e-5));
}

#[test]
fn models_that_do_not_fit_are_errors() {
    let [aligned, tuned, base] = models();
    let spec = spec(Role::Projection);
    let tensor = Tensor { spec: &spec, aligned: &aligned, tuned: &tuned, base: None, ticket: None, seed: 0 };
    for edit in [Edit::Resta { scale: 1.0, drop: 0.0 }, Edit::SafeLora { threshold: 0.5 }] {
        assert!(matches!(edit.apply(&tensor), Err(EditError::NoBase)) && edit.needs_base());
        let short = Tensor { base: Some(&base[1..]), ..tensor };
        let error = edit.apply(&short).err().unwrap().to_string();
        assert!(error.contains("up_proj") && error.contains("59") && error.contains("60"), "{error}");
    }
    assert!(matches!(Edit::Restore.apply(&Tensor { tuned: &tuned[1..], ..tensor }), Err(EditError::Shape { .. })));
}

#[test]
fn an_alignment_or_an_update_of_nothing_has_no_projection() {
    let [aligned, tuned, base] = models();
    let spec = spec(Role::Projection);
    let tensor = Tensor { spec: &spec, aligned: &aligned, tuned: &tuned, base: Some(&base), ticket: None, seed: 0 };
    let edit = Edit::SafeLora { threshold: 1.0 };
    for alone in [Tensor { base: Some(&aligned), ..tensor }, Tensor { tuned: &aligned, ..tensor }] {
        let edited = edit.apply(&alone).unwrap();
        assert_eq!((bits(&edited.values), edited.projection), (bits(alone.tuned), None));
    }
    assert!(edit.apply(&tensor).unwrap().projection.unwrap().projected);
}
