#![allow(clippy::unwrap_used)]
use super::*;
use crate::mask::Mask;
use crate::model::backend::cpu::with_threads;
use crate::model::backend::{AdamW, Selection};
use crate::random::{mix, normal};

fn numbers(count: usize, stream: u64) -> Vec<f32> {
    (0..count as u64).map(|i| normal(mix(stream), i)).collect()
}

fn nearest(x: f32) -> f64 {
    f64::from(half::bf16::from_f32(x).to_f32())
}

/// Shapes with odd sums, ragged panels, ragged steps, and more pairs than are summed at once.
const SHAPES: [(usize, usize, usize); 11] = [
    (8, 8, 8),
    (56, 56, 20),
    (1, 1, 1),
    (1, 48, 2),
    (3, 50, 5),
    (8, 96, 31),
    (17, 100, 64),
    (70, 47, 33),
    (129, 300, 20),
    (200, 7, 900),
    (9, 49, 1537),
];

#[test]
fn rounding_is_the_half_crates() {
    for bits in (0..=u32::MAX).step_by(65_521).chain([0x7f80_0000, 0xff80_0000, 0x7f80_0001, 0x7fff_ffff, 0x3f80_8000, 0x3f81_8000]) {
        let x = f32::from_bits(bits);
        assert_eq!(round(x), u32::from(half::bf16::from_f32(x).to_bits()), "{bits:#x}");
        if !x.is_nan() {
            assert_eq!(widen(round(x)).to_bits(), half::bf16::from_f32(x).to_f32().to_bits());
        }
    }
}

/// x · wᵀ, xᵀ · y and dy · w, all three as products of the rounded factors.
#[test]
fn products_are_the_sums_of_rounded_factors() {
    for (m, n, k) in SHAPES {
        let (x, w) = (numbers(m * k, 1), numbers(n * k, 2));
        let transposed = |x: &[f32], rows: usize, columns: usize| -> Vec<f32> {
            (0..rows * columns).map(|i| x[(i % rows) * columns + i / rows]).collect()
        };
        let weight = Bf16::new(&w, n, k);
        let mut forward = vec![f32::NAN; m * n];
        product(&mut forward, &Left::of(&x, k), weight.factor(), false);
        for (at, &found) in forward.iter().enumerate() {
            let (i, j) = (at / n, at % n);
            let terms = || (0..k).map(|l| nearest(x[i * k + l]) * nearest(w[j * k + l]));
            let (exact, size): (f64, f64) = (terms().sum(), terms().map(f64::abs).sum());
            assert!((f64::from(found) - exact).abs() <= 2e-6 * size, "{m}×{n}×{k} at {i},{j}: {found} for {exact}");
        }
        // The same factors in another order of memory: the same sums, bit for bit.
        let mut other = vec![f32::NAN; m * n];
        product(&mut other, &Left::transposed(&transposed(&x, m, k), m), &Right::of(&transposed(&w, n, k), n), false);
        assert_eq!(forward, other, "{m}×{n}×{k} transposed");
        let mut back = vec![f32::NAN; m * n];
        product(&mut back, &Left::of(&x, k), &Bf16::new(&transposed(&w, n, k), k, n).untransposed(), false);
        assert_eq!(forward, back, "{m}×{n}×{k} untransposed");
        product(&mut back, &Left::of(&x, k), weight.factor(), true);
        let doubled = forward.iter().zip(&back).all(|(&one, &two)| (two - 2.0 * one).abs() <= 1e-5 * (1.0 + one.abs()));
        assert!(doubled, "{m}×{n}×{k} added");
    }
}

/// Whichever this processor prefers.
#[test]
fn fused_multiplications_have_the_bits_of_products_of_pairs() {
    for (m, n, k) in SHAPES {
        let (x, weight) = (numbers(m * k, 5), Bf16::new(&numbers(n * k, 6), n, k));
        let turned: Vec<f32> = (0..m * k).map(|i| x[(i % m) * k + i / m]).collect();
        for left in [Left::of(&x, k), Left::transposed(&turned, m)] {
            for add in [false, true] {
                let [fused, pairs] = [true, false].map(|fused| {
                    let mut c = numbers(m * n, 7);
                    product_by(fused, &mut c, &left, weight.factor(), add);
                    c
                });
                assert_eq!(fused, pairs, "{m}×{n}×{k}, added {add}");
            }
        }
    }
}

#[test]
fn a_row_has_the_same_bits_alone_in_company_and_on_any_threads() {
    let (m, n, k) = (150, 200, 900);
    let (x, weight) = (numbers(m * k, 3), Bf16::new(&numbers(n * k, 4), n, k));
    let outcome = |threads: usize| {
        with_threads(threads, || {
            let mut c = vec![0.0; m * n];
            product(&mut c, &Left::of(&x, k), weight.factor(), false);
            c
        })
        .unwrap()
    };
    let whole = outcome(1);
    assert!(whole == outcome(2) && whole == outcome(4));
    for row in [0, 7, 8, 127, 149] {
        let mut alone = vec![0.0; n];
        product(&mut alone, &Left::of(&x[row * k..(row + 1) * k], k), weight.factor(), false);
        assert_eq!(alone, whole[row * n..(row + 1) * n], "row {row}");
    }
}

#[test]
fn a_weight_gives_its_numbers_back_and_trains_like_f32() {
    let (rows, columns) = (50, 33);
    let coarse: Vec<f32> = numbers(rows * columns, 7).into_iter().map(|x| half::bf16::from_f32(x).to_f32()).collect();
    let fine = numbers(rows * columns, 8);
    assert_eq!(Bf16::new(&fine, rows, columns).values(), fine, "numbers that bfloat16 cannot hold are kept");
    let mask = Mask::from_fn(rows * columns, |i| i % 3 == 1);
    for (start, selection) in [
        (&coarse, Selection::Subset(mask.clone())),
        (&coarse, Selection::Everything),
        (&fine, Selection::Subset(mask.clone())),
        (&fine, Selection::Everything),
    ] {
        let count = selection.count(rows * columns);
        let gradient = numbers(count, 9);
        let mut weight = Bf16::new(start, rows, columns);
        let (mut m, mut v) = (vec![0.0; count], vec![0.0; count]);
        let mut plain = start.clone();
        let (mut pm, mut pv) = (m.clone(), v.clone());
        for step in 1..=4 {
            // So small that bfloat16 would lose most steps.
            let settings =
                AdamW { learning_rate: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, step, gradient_scale: 1.0 };
            weight.adamw(&selection, &gradient, &mut m, &mut v, &settings);
            match &selection {
                Selection::Subset(mask) => super::super::adamw::selected(&mut plain, mask, &gradient, &mut pm, &mut pv, &settings),
                _ => super::super::adamw::dense(&mut plain, &gradient, &mut pm, &mut pv, &settings),
            }
        }
        assert_eq!(weight.values(), plain, "masters are f32, frozen numbers keep their bits");
        let mut row = vec![0.0; columns];
        for at in 0..rows {
            weight.row(at, &mut row);
            let rounded: Vec<f32> = plain[at * columns..(at + 1) * columns].iter().map(|&x| half::bf16::from_f32(x).to_f32()).collect();
            assert_eq!(row, rounded, "products see the nearest bfloat16");
        }
    }
    // A second training of other positions keeps what the first one left.
    let mut weight = Bf16::new(&coarse, rows, columns);
    let settings = AdamW { learning_rate: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, step: 1, gradient_scale: 1.0 };
    for keep in [1, 2] {
        let mask = Mask::from_fn(rows * columns, |i| i % 3 == keep);
        let count = mask.count();
        let before = weight.values();
        weight.adamw(&Selection::Subset(mask.clone()), &vec![1.0; count], &mut vec![0.0; count], &mut vec![0.0; count], &settings);
        let after = weight.values();
        for i in 0..rows * columns {
            assert_eq!(before[i] == after[i], !mask.contains(i), "number {i}");
        }
    }
}
