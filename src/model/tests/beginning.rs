//! Rows that begin alike: what they begin with is computed once, and nothing else changes.

use std::collections::BTreeMap;

use super::{all_gradients, config, decoder, everything, row};
use crate::model::backend::cpu::{Cpu, Precision, with_threads};
use crate::model::batch::{Example, Packed};
use crate::model::decoder::{Decoder, InputSquares};
use crate::model::layout::Layout;

/// Rows that begin with the same eleven tokens, two of which are learnt; one row is a beginning of another.
fn rows() -> Vec<Example> {
    let begun = |seed: u64, length: usize| {
        let (beginning, rest) = (row(50, 11), row(seed, length));
        let supervised = (0..11).map(|i| i == 4 || i == 10).chain((0..length).map(|i| i % 4 != 1)).collect();
        Example { tokens: [beginning.tokens, rest.tokens].concat(), supervised }
    };
    vec![begun(1, 7), begun(2, 1), begun(3, 70), begun(1, 4), begun(4, 20)]
}

#[test]
fn losses_and_gradients_are_those_of_every_row_alone() {
    for rich in [false, true] {
        let config = config(rich);
        let (mut decoder, trained, rows) = (decoder(&config), everything(&config), rows());
        let batch = Packed::from_examples(&rows);
        assert_eq!(Layout::of(&batch).tokens.len() + 4 * 11, batch.tokens.len());
        let (mut losses, mut sums) = (Vec::new(), BTreeMap::<String, Vec<f64>>::new());
        for row in &rows {
            let alone = Packed::from_examples([row]);
            losses.extend(decoder.losses(&alone).unwrap());
            for (name, gradient) in all_gradients(&mut decoder, &alone, &trained) {
                let sum = sums.entry(name).or_insert_with(|| vec![0.0; gradient.len()]);
                sum.iter_mut().zip(gradient).for_each(|(sum, part)| *sum += f64::from(part));
            }
        }
        let found = decoder.losses(&batch).unwrap();
        assert_eq!(found.len(), losses.len());
        assert!(found.iter().zip(&losses).all(|(a, b)| (a - b).abs() < 1e-5), "rich: {rich}: {found:?} {losses:?}");
        let together = all_gradients(&mut decoder, &batch, &trained);
        for (name, gradient) in &together {
            let norm = sums[name].iter().map(|sum| sum * sum).sum::<f64>().sqrt();
            let far = gradient.iter().zip(&sums[name]).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum::<f64>().sqrt();
            assert!(norm > 0.0 && far < 1e-5 * norm, "{name} (rich: {rich}): {far} of {norm}");
        }
        decoder.set_checkpointing(true);
        assert!(together == all_gradients(&mut decoder, &batch, &trained), "checkpointing changes bits (rich: {rich})");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits_in_both_precisions() {
    let config = config(false);
    let outcome = |threads, precision| {
        with_threads(threads, || {
            let exact = decoder(&config);
            let mut decoder = Decoder::new(config.clone(), Cpu::new(precision), |spec| exact.values(&spec.name)).unwrap();
            let gradients = all_gradients(&mut decoder, &Packed::from_examples(&rows()), &everything(&config));
            gradients.values().flatten().map(|g| g.to_bits()).collect::<Vec<_>>()
        })
        .unwrap()
    };
    for precision in [Precision::F32, Precision::Bf16] {
        let one = outcome(1, precision);
        assert!(one == outcome(2, precision) && one == outcome(4, precision));
    }
}

#[test]
fn a_poisoned_neighbour_spreads_nothing_behind_the_same_beginning() {
    let mut decoder = decoder(&config(false));
    let mut table = decoder.values("model.embed_tokens.weight").unwrap();
    table[60 * 20..61 * 20].fill(f32::NAN);
    decoder.set_values("model.embed_tokens.weight", &table).unwrap();
    let mut rows = rows();
    rows[1].tokens[11] = 60;
    rows[1].supervised.fill(false);
    let logits = decoder.logits(&Packed::from_examples(&rows)).unwrap();
    // The tied head makes token 60's own logit NaN; every other logit of the healthy rows is as before.
    assert!(!logits.is_empty() && logits.chunks(61).all(|row| row[..60].iter().all(|logit| logit.is_finite())));
}

#[test]
fn inputs_of_chosen_tokens_are_counted_for_every_row() {
    let (mut decoder, rows) = (decoder(&config(true)), rows());
    let chosen = |row: &Example| (0..row.tokens.len()).filter(|i| i % 3 != 0).collect::<Vec<_>>();
    let (mut together, mut alone) = (InputSquares::new(), InputSquares::new());
    let batch = Packed::from_examples(&rows);
    let starts = batch.row_starts.iter().zip(&rows);
    let places: Vec<usize> = starts.flat_map(|(&start, row)| chosen(row).into_iter().map(move |i| start + i)).collect();
    decoder.add_input_squares(&batch, &places, &mut together).unwrap();
    for row in &rows {
        decoder.add_input_squares(&Packed::from_examples([row]), &chosen(row), &mut alone).unwrap();
    }
    assert_eq!(together.len(), alone.len());
    for (name, sums) in &together {
        assert!(sums.iter().zip(&alone[name]).all(|(a, b)| (a - b).abs() < 1e-4 * b.max(1e-3)), "{name}");
    }
    assert!(decoder.add_input_squares(&batch, &[batch.tokens.len()], &mut together).is_err());
}
