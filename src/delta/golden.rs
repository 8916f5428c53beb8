//! Cases of the shared golden file, two tensors of 20 weights; its results are rounded to six decimals. The unrounded ones are
//! PyTorch 2.15's on the same formulas (PEFT's `prune`, `calculate_majority_sign_mask` with `total`, `disjoint_merge`), bit by bit.
//! It has no case of DARE, whose draws belong to a generator: that one is numpy's, with ours in Python's integers
//! (`tests/reference/edits.py`).
#![allow(clippy::unwrap_used)]

use serde_json::Value;

use super::arithmetic::{drop_and_rescale, keep_largest, kept_count, task_arithmetic, ties};
use crate::random::stream;

const A: [f32; 20] = [
    0.001, 0.299, -0.274, -0.891, -0.455, -0.992, 0.06, 1.34, -0.492, -0.62, 0.49, 0.357, 0.105, -0.93, -0.029, 0.695, -1.344, -0.458,
    -1.901, -1.29,
];
const B: [f32; 20] = [
    -1.842, -0.235, -1.267, 0.271, 0.157, -0.187, -2.517, -0.539, -0.049, 0.113, -1.53, -0.478, -0.979, -0.809, 1.061, -0.808, -0.033,
    0.884, -0.584, -0.112,
];

fn pruned(values: &[f32], k: usize) -> Vec<f32> {
    let mut values = values.to_vec();
    keep_largest(&mut values, k);
    values
}

#[test]
fn magnitude_pruning_keeps_its_own_k() {
    let cases: [(f64, usize, &[usize]); 5] = [
        (0.1, 2, &[16, 18]),
        (0.25, 5, &[5, 7, 16, 18, 19]),
        (0.33, 6, &[5, 7, 13, 16, 18, 19]),
        (0.5, 10, &[3, 5, 7, 8, 9, 13, 15, 16, 18, 19]),
        (0.9, 18, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17, 18, 19]),
    ];
    for (density, k, kept) in cases {
        assert_eq!(kept_count(density, A.len()), k, "{density}");
        let expected: Vec<f32> = (0..20).map(|i| if kept.contains(&i) { A[i] } else { 0.0 }).collect();
        assert_eq!(pruned(&A, k), expected, "{density}");
    }
    // The trap of the golden file: (1 − 0.9) · 40 is 3.999…, whose whole part is 3.
    assert_eq!(kept_count(1.0 - 0.9, 40), 3);
    // Of ties at the threshold exactly k stay; a threshold would keep three here.
    assert_eq!(pruned(&[1.0, -1.0, 0.5, 2.0], 2), [1.0, 0.0, 0.0, 2.0]);
    assert_eq!((pruned(&A, 0), pruned(&A, 20)), (vec![0.0; 20], A.to_vec()));
}

fn held(made: &[f32], torch: &[f32; 20], golden: &[f64; 20]) {
    assert_eq!(made, torch);
    let rounded: Vec<f64> = made.iter().map(|&value| (f64::from(value) * 1e6).round() / 1e6).collect();
    assert_eq!(rounded, golden);
}

#[test]
fn ties_as_peft() {
    let of = |density| {
        let k = kept_count(density, 20);
        ties(&[pruned(&A, k), pruned(&B, k)], &[1.0, 1.0])
    };
    held(
        &of(0.5),
        &[
            -1.842,
            0.0,
            -1.267,
            -0.891,
            0.0,
            -0.992,
            -2.517,
            1.34,
            -0.492,
            -0.62,
            -1.53,
            0.0,
            -0.979,
            -0.86950004,
            1.061,
            -0.808,
            -1.344,
            0.884,
            -1.2425001,
            -1.29,
        ],
        &[
            -1.842, 0.0, -1.267, -0.891, 0.0, -0.992, -2.517, 1.34, -0.492, -0.62, -1.53, 0.0, -0.979, -0.8695, 1.061, -0.808, -1.344,
            0.884, -1.2425, -1.29,
        ],
    );
    held(
        &of(1.0),
        &[
            -1.842,
            0.299,
            -0.77049994,
            -0.891,
            -0.455,
            -0.5895,
            -2.517,
            1.34,
            -0.2705,
            -0.62,
            -1.53,
            -0.478,
            -0.979,
            -0.86950004,
            1.061,
            -0.808,
            -0.6885,
            0.884,
            -1.2425001,
            -0.701,
        ],
        &[
            -1.842, 0.299, -0.7705, -0.891, -0.455, -0.5895, -2.517, 1.34, -0.2705, -0.62, -1.53, -0.478, -0.979, -0.8695, 1.061, -0.808,
            -0.6885, 0.884, -1.2425, -0.701,
        ],
    );
    // The sum 0 elects plus; two that agree are averaged; a scale enters behind the election.
    assert_eq!(ties(&[vec![2.0, 1.0, -1.0], vec![-2.0, 3.0, -3.0]], &[1.0, 0.5]), [2.0, 1.25, -1.25]);
}

#[test]
fn task_arithmetic_with_a_scale_each() {
    held(
        &task_arithmetic(&[A.to_vec(), B.to_vec()], &[0.5, -0.25]),
        &[
            0.461,
            0.20825,
            0.17975,
            -0.51325,
            -0.26675,
            -0.44924998,
            0.65924996,
            0.80475,
            -0.23375,
            -0.33825,
            0.6275,
            0.29799998,
            0.29725,
            -0.26275,
            -0.27975,
            0.5495,
            -0.66375,
            -0.45,
            -0.8045,
            -0.617,
        ],
        &[
            0.461, 0.20825, 0.17975, -0.51325, -0.26675, -0.44925, 0.65925, 0.80475, -0.23375, -0.33825, 0.6275, 0.298, 0.29725, -0.26275,
            -0.27975, 0.5495, -0.66375, -0.45, -0.8045, -0.617,
        ],
    );
}

#[test]
fn dare_as_numpy() {
    let reference: Value = serde_json::from_str(include_str!("../../tests/reference/edits.json")).unwrap();
    let dare = &reference["dare"];
    let numbers = |value: &Value| -> Vec<f32> { value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect() };
    let places: Vec<usize> = dare["places"].as_array().unwrap().iter().map(|place| place.as_u64().unwrap() as usize).collect();
    let (seed, name) = (reference["seed"].as_u64().unwrap(), dare["name"].as_str().unwrap());
    let mut dropped = Vec::new();
    for delta in dare["deltas"].as_array().unwrap() {
        let mut values = numbers(&delta["vector"]);
        let draws = stream(seed, &format!("{} {name}", delta["digest"].as_str().unwrap()));
        drop_and_rescale(&mut values, places.iter().copied(), dare["density"].as_f64().unwrap(), draws);
        assert_eq!(values, numbers(&delta["dropped"]));
        dropped.push(values);
    }
    assert_eq!(dropped.len(), 2);
    assert_eq!(task_arithmetic(&dropped, &numbers(&dare["scales"])), numbers(&dare["merged"]));
}

/// Its law, on many weights.
#[test]
fn dare_drops_the_rest_and_keeps_the_mean() {
    let n = 100_000;
    for density in [0.1, 0.5, 0.9] {
        let mut values = vec![3.0f32; n];
        drop_and_rescale(&mut values, 0..n, density, 17);
        let kept = values.iter().filter(|value| **value != 0.0).count() as f64 / n as f64;
        assert!((kept - density).abs() < 4.0 * (density * (1.0 - density) / n as f64).sqrt(), "{kept} of {density}");
        assert!(values.iter().all(|&value| value == 0.0 || value == 3.0 / density as f32));
    }
    // A weight's draw depends on its place in the tensor, not on what else the delta holds.
    let draw = |positions: &[usize]| {
        let mut values = vec![1.0; positions.len()];
        drop_and_rescale(&mut values, positions.iter().copied(), 0.5, 17);
        values
    };
    let all = draw(&(0..64).collect::<Vec<_>>());
    assert_eq!(draw(&[3, 10, 63]), [all[3], all[10], all[63]]);
    let mut same = vec![0.5; 8];
    drop_and_rescale(&mut same, 0..8, 1.0, 17);
    assert_eq!(same, [0.5; 8]);
}
