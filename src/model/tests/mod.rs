//! The decoder on small random models: gradients against finite differences, packing, threads.
#![allow(clippy::unwrap_used)]

mod beginning;
mod generation;
mod put;

use std::collections::BTreeMap;

use super::backend::cpu::{Cpu, Precision, with_threads};
use super::backend::{AdamW, Backend, BackendError, Heads, Pieces, Selection};
use super::batch::{Example, Packed};
use super::config::ModelConfig;
use super::decoder::{Decoder, Trained};
use super::generate::{Sampling, generate};
use super::inventory::{Role, inventory};
use crate::mask::Mask;

/// A small model with every optional part, or with none.
fn config(rich: bool) -> ModelConfig {
    ModelConfig {
        vocab_size: 61,
        hidden_size: 20,
        intermediate_size: 28,
        layers: 2,
        heads: 4,
        key_value_heads: 2,
        head_dim: if rich { 6 } else { 8 },
        rms_norm_eps: 1e-5,
        rope_theta: 10000.0,
        rope_scaling: None,
        max_position_embeddings: 128,
        tie_word_embeddings: !rich,
        qkv_bias: rich,
        qk_norm: rich,
        bos_token: None,
        end_tokens: vec![2],
    }
}

/// Numbers in −1..1 from a counter, so that a test needs no generator.
fn noise(seed: u64, i: usize) -> f32 {
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(i as u64).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z ^= z >> 29;
    z = z.wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 32;
    (z % 20_001) as f32 / 10_000.0 - 1.0
}

fn decoder(config: &ModelConfig) -> Decoder<Cpu> {
    let mut seed = 0;
    Decoder::new(config.clone(), Cpu::default(), |spec| -> Result<Vec<f32>, BackendError> {
        seed += 1;
        let (centre, width) = if spec.role == Role::Norm { (1.0, 0.2) } else { (0.0, 0.4) };
        Ok((0..spec.len()).map(|i| centre + width * noise(seed, i)).collect())
    })
    .unwrap()
}

fn row(seed: u64, length: usize) -> Example {
    let tokens = (0..length).map(|i| ((noise(seed, i) + 1.0) * 30.0) as u32).collect();
    Example { tokens, supervised: (0..length).map(|i| i * 3 > length).collect() }
}

fn batch() -> Packed {
    Packed::from_examples(&[row(1, 7), row(2, 3), row(3, 11)])
}

fn everything(config: &ModelConfig) -> Trained {
    inventory(config).into_iter().map(|spec| (spec.name, Selection::Everything)).collect()
}

fn all_gradients(decoder: &mut Decoder<Cpu>, batch: &Packed, trained: &Trained) -> BTreeMap<String, Vec<f32>> {
    let mut gradients = decoder.new_gradients(trained).unwrap();
    decoder.gradients(batch, 0.5, trained, &mut gradients).unwrap();
    gradients.iter().map(|(name, gradient)| (name.clone(), decoder.backend_mut().download(gradient).unwrap())).collect()
}

#[test]
fn every_gradient_equals_central_differences() {
    for rich in [false, true] {
        let config = config(rich);
        let mut decoder = decoder(&config);
        let batch = batch();
        let trained = everything(&config);
        let gradients = all_gradients(&mut decoder, &batch, &trained);
        assert_eq!(gradients.len(), inventory(&config).len());
        let loss = |decoder: &mut Decoder<Cpu>| -> f64 { decoder.losses(&batch).unwrap().iter().map(|&v| 0.5 * f64::from(v)).sum() };
        for (name, gradient) in &gradients {
            assert!(gradient.iter().any(|&g| g != 0.0), "{name} has no gradient");
            // Along the gradient's own direction the slope is its norm: one comparison that every entry takes part in.
            let norm = gradient.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
            let start = decoder.values(name).unwrap();
            let step = 2e-2 / norm.max(1.0);
            let mut at = |t: f64| {
                let moved: Vec<f32> = start.iter().zip(gradient).map(|(&w, &g)| (f64::from(w) + t * f64::from(g) / norm) as f32).collect();
                decoder.set_values(name, &moved).unwrap();
                loss(&mut decoder)
            };
            let slope = (8.0 * (at(step) - at(-step)) - (at(2.0 * step) - at(-2.0 * step))) / (12.0 * step);
            decoder.set_values(name, &start).unwrap();
            assert!((slope - norm).abs() < 2e-3 * norm + 1e-4, "{name} (rich: {rich}): slope {slope}, norm {norm}");
        }
    }
}

#[test]
fn a_row_does_not_see_its_neighbours() {
    let config = config(false);
    let mut decoder = decoder(&config);
    let alone = decoder.losses(&Packed::from_examples(&[row(3, 11)])).unwrap();
    let together = decoder.losses(&Packed::from_examples(&[row(9, 70), row(3, 11), row(8, 5)])).unwrap();
    let before = row(9, 70).supervised_tokens();
    for (a, b) in alone.iter().zip(&together[before..]) {
        assert!((a - b).abs() < 1e-5, "{a} alone, {b} in company");
    }
    // A neighbour whose embedding is poisoned spreads nothing.
    let mut table = decoder.values("model.embed_tokens.weight").unwrap();
    table[60 * 20..61 * 20].fill(f32::NAN);
    decoder.set_values("model.embed_tokens.weight", &table).unwrap();
    let poisoned = Example { tokens: vec![60; 6], supervised: vec![false; 6] };
    let embedded = decoder.embedded(&[60]).unwrap();
    assert!(decoder.backend_mut().download(&embedded).unwrap()[0].is_nan());
    let mut trained = Trained::new();
    trained.insert("model.layers.0.self_attn.q_proj.weight".into(), Selection::Nothing);
    let packed = Packed::from_examples(&[poisoned, row(3, 11)]);
    let hidden_only = decoder.logits(&packed).unwrap();
    // The tied head makes token 60's own logit NaN; every other logit of the healthy row is as before.
    assert!(hidden_only.chunks(61).all(|row| row[..60].iter().all(|v| v.is_finite())));
}

#[test]
fn a_subset_has_the_dense_gradient_at_its_positions_bit_for_bit() {
    for rich in [false, true] {
        let config = config(rich);
        let mut decoder = decoder(&config);
        let dense = all_gradients(&mut decoder, &batch(), &everything(&config));
        let masks: BTreeMap<String, Mask> =
            inventory(&config).iter().map(|spec| (spec.name.clone(), Mask::from_fn(spec.len(), |i| i % 3 == 1))).collect();
        // Norms and biases are trained whole or not at all.
        let trained: Trained = inventory(&config)
            .iter()
            .filter(|spec| spec.maskable() || matches!(spec.role, Role::Embedding | Role::Head))
            .map(|spec| (spec.name.clone(), Selection::Subset(masks[&spec.name].clone())))
            .collect();
        let sparse = all_gradients(&mut decoder, &batch(), &trained);
        for (name, gradient) in sparse {
            let expected: Vec<f32> = masks[&name].positions().map(|i| dense[&name][i]).collect();
            let same =
                gradient.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits() || (name.contains("embed") && (a - b).abs() < 1e-5));
            assert!(same && gradient.len() == expected.len(), "{name}");
        }
    }
}

#[test]
fn one_two_and_four_threads_give_the_same_bits() {
    let config = ModelConfig { vocab_size: 900, hidden_size: 64, intermediate_size: 800, head_dim: 16, ..config(false) };
    let rows: Vec<Example> = (0..6).map(|i| row(i, 90 + i as usize)).collect();
    let batch = Packed::from_examples(&rows);
    let prompts: Vec<Vec<u32>> = rows.iter().map(|row| row.tokens.clone()).collect();
    let sampling = Sampling { max_new_tokens: 6, temperature: 0.0, top_p: 1.0, seed: 0, end_tokens: vec![] };
    let outcome = |threads| {
        with_threads(threads, || {
            let mut decoder = decoder(&config);
            let gradients = all_gradients(&mut decoder, &batch, &everything(&config));
            let bits: Vec<u32> = gradients.values().flatten().map(|g| g.to_bits()).collect();
            (bits, generate(&mut decoder, &prompts, &sampling, 4, &mut |_, _| {}).unwrap())
        })
        .unwrap()
    };
    let one = outcome(1);
    assert!(one == outcome(2), "2 threads differ from 1");
    assert!(one == outcome(4), "4 threads differ from 1");
}

#[test]
fn checkpointing_changes_no_bit() {
    for rich in [false, true] {
        let config = config(rich);
        let trained = everything(&config);
        let mut decoder = decoder(&config);
        let kept = all_gradients(&mut decoder, &batch(), &trained);
        decoder.set_checkpointing(true);
        assert!(kept == all_gradients(&mut decoder, &batch(), &trained), "rich: {rich}");
    }
}

/// The whole decoder in Q8_0 is the f32 one with its weights rounded, up to the rounding of activations; what it cannot do, it refuses.
#[test]
fn eight_bits_follow_f32_forward_and_refuse_the_rest() {
    for rich in [false, true] {
        let config = config(rich);
        let exact = decoder(&config);
        let mut coarse = Decoder::new(config.clone(), Cpu::default().in_q8_0(), |spec| exact.values(&spec.name)).unwrap();
        let mut rounded = Decoder::new(config.clone(), Cpu::default(), |spec| coarse.values(&spec.name)).unwrap();
        let close = |a: &[f32], b: &[f32], most: f32| a.iter().zip(b).all(|(a, b)| (a - b).abs() < most);
        for spec in inventory(&config) {
            let (exact, coarse) = (exact.values(&spec.name).unwrap(), coarse.values(&spec.name).unwrap());
            let largest = exact.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            assert!(close(&exact, &coarse, if spec.rows > 1 { largest / 200.0 } else { f32::MIN_POSITIVE }), "{}", spec.name);
        }
        assert!(close(&coarse.losses(&batch()).unwrap(), &rounded.losses(&batch()).unwrap(), 0.1), "rich: {rich}");
        let trained = everything(&config);
        let mut gradients = coarse.new_gradients(&trained).unwrap();
        let refused = coarse.gradients(&batch(), 1.0, &trained, &mut gradients).unwrap_err();
        assert!(refused.to_string().contains("Q8_0"), "{refused}");
        let mut cpu = Cpu::default().in_q8_0();
        let mut w = cpu.load(&[0.5; 64], 2, 32).unwrap();
        let [x, y, mut gradient, mut m, mut v] = [(1, 32), (1, 2), (1, 64), (1, 64), (1, 64)].map(|(r, c)| cpu.zeros(r, c).unwrap());
        let step = AdamW { learning_rate: 1e-2, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, step: 1, gradient_scale: 1.0 };
        assert!(cpu.linear(&x, [(&w, None)]).is_ok());
        assert!(cpu.linear_dx([(&y, &w)]).is_err());
        assert!(cpu.divergence(&x, &w, (&x, &w), 1.0, None).is_err());
        assert!(cpu.adamw(&mut w, &Selection::Everything, &gradient, &mut m, &mut v, &step).is_err());
        assert!(cpu.pull_back(&w, &Selection::Everything, &m, &v, &mut gradient).is_err());
        assert!(cpu.put(&mut w, &Selection::Everything, &[0.5; 64]).is_err());
    }
}

/// The whole decoder with factors in bfloat16 is the f32 one with its weights rounded, up to the rounding of activations.
#[test]
fn bfloat16_follows_f32() {
    for rich in [false, true] {
        let config = config(rich);
        let trained = everything(&config);
        let mut exact = decoder(&config);
        let mut coarse = Decoder::new(config.clone(), Cpu::new(Precision::Bf16), |spec| exact.values(&spec.name)).unwrap();
        for spec in inventory(&config) {
            assert_eq!(coarse.values(&spec.name).unwrap(), exact.values(&spec.name).unwrap(), "{} keeps its numbers", spec.name);
        }
        let losses = |decoder: &mut Decoder<Cpu>| decoder.losses(&batch()).unwrap();
        for (a, b) in losses(&mut exact).iter().zip(losses(&mut coarse)) {
            assert!((a - b).abs() < 0.1, "{a} {b}");
        }
        let (one, other) = (all_gradients(&mut exact, &batch(), &trained), all_gradients(&mut coarse, &batch(), &trained));
        for (name, gradient) in &one {
            let far: f64 = gradient.iter().zip(&other[name]).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
            let size: f64 = gradient.iter().map(|a| f64::from(*a).powi(2)).sum::<f64>().sqrt();
            assert!(far < 0.1 * size, "{name} (rich: {rich}): {far} of {size}");
        }
        // Generation reads the same weights in the same order, alone or in company.
        let prompts: Vec<Vec<u32>> = (0..9).map(|n| row(n, 3 + n as usize).tokens).collect();
        let sampling = Sampling { max_new_tokens: 12, temperature: 0.0, top_p: 1.0, seed: 0, end_tokens: vec![] };
        let together = generate(&mut coarse, &prompts, &sampling, 9, &mut |_, _| {}).unwrap();
        for (prompt, reply) in prompts.iter().zip(&together) {
            assert_eq!(generate(&mut coarse, std::slice::from_ref(prompt), &sampling, 1, &mut |_, _| {}).unwrap()[0], *reply);
        }
    }
}

#[test]
fn adamw_moves_only_selected_weights_and_follows_the_formula() {
    let mut cpu = Cpu::default();
    let n = 100_003;
    let start: Vec<f32> = (0..n).map(|i| noise(5, i)).collect();
    let gradient: Vec<f32> = (0..n).map(|i| noise(6, i)).collect();
    let mask = Mask::from_fn(n, |i| i % 7 == 3);
    let chosen: Vec<f32> = mask.positions().map(|i| gradient[i]).collect();
    let k = chosen.len();
    let selection = Selection::Subset(mask.clone());
    let mut w = cpu.load(&start, 1, n).unwrap();
    let g = cpu.upload(&chosen, 1, k).unwrap();
    let (mut m, mut v) = (cpu.zeros(1, k).unwrap(), cpu.zeros(1, k).unwrap());
    let mut expected: Vec<f64> = start.iter().map(|&w| f64::from(w)).collect();
    let (mut em, mut ev) = (vec![0.0; n], vec![0.0; n]);
    for step in 1..=20 {
        let settings = AdamW { learning_rate: 1e-2, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.1, step, gradient_scale: 0.5 };
        cpu.adamw(&mut w, &selection, &g, &mut m, &mut v, &settings).unwrap();
        for i in mask.positions() {
            let g = f64::from(gradient[i]) * 0.5;
            em[i] = 0.9 * em[i] + 0.1 * g;
            ev[i] = 0.999 * ev[i] + 0.001 * g * g;
            let t = step as i32;
            let (mhat, vhat): (f64, f64) = (em[i] / (1.0 - 0.9f64.powi(t)), ev[i] / (1.0 - 0.999f64.powi(t)));
            expected[i] = expected[i] * (1.0 - 1e-2 * 0.1) - 1e-2 * mhat / (vhat.sqrt() + 1e-8);
        }
    }
    let got = cpu.values(&w).unwrap();
    for i in 0..n {
        if mask.contains(i) {
            assert!((f64::from(got[i]) - expected[i]).abs() < 2e-6, "{i}: {} for {}", got[i], expected[i]);
        } else {
            assert_eq!(got[i].to_bits(), start[i].to_bits(), "weight {i} is frozen");
        }
    }
}

#[test]
fn everything_equals_a_full_subset_bit_for_bit() {
    let config = config(true);
    let name = "model.layers.1.mlp.down_proj.weight";
    let run = |selection: Selection| {
        let mut decoder = decoder(&config);
        let trained = Trained::from([(name.to_owned(), selection.clone())]);
        let len = decoder.values(name).unwrap().len();
        let backend = decoder.backend_mut();
        let (mut m, mut v) = (backend.zeros(1, len).unwrap(), backend.zeros(1, len).unwrap());
        for step in 1..=3 {
            let mut gradients = decoder.new_gradients(&trained).unwrap();
            decoder.gradients(&batch(), 0.1, &trained, &mut gradients).unwrap();
            let settings =
                AdamW { learning_rate: 1e-2, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.1, step, gradient_scale: 1.0 };
            decoder.update(name, |backend, w| backend.adamw(w, &selection, &gradients[name], &mut m, &mut v, &settings)).unwrap();
        }
        decoder.values(name).unwrap().iter().map(|w| w.to_bits()).collect::<Vec<_>>()
    };
    assert_eq!(run(Selection::Everything), run(Selection::Subset(Mask::full(20 * 28))));
}

/// Few rows take another kernel than many where the processor has it: both must be the plain sum, ragged ends included.
#[test]
fn products_of_few_and_of_many_rows_are_the_plain_sum() {
    let mut cpu = Cpu::default();
    for (rows, outputs, k) in [(1, 1, 3), (5, 13, 40), (4, 6, 16), (33, 200, 97), (64, 7, 64), (65, 300, 97), (700, 130, 50)] {
        let x: Vec<f32> = (0..rows * k).map(|i| noise(1, i)).collect();
        let w: Vec<f32> = (0..outputs * k).map(|i| noise(2, i)).collect();
        let bias: Vec<f32> = (0..outputs).map(|i| noise(3, i)).collect();
        let (a, b) = (cpu.upload(&x, rows, k).unwrap(), cpu.load(&w, outputs, k).unwrap());
        let c = cpu.load(&bias, 1, outputs).unwrap();
        for with_bias in [false, true] {
            let [y] = cpu.linear(&a, [(&b, with_bias.then_some(&c))]).unwrap();
            for (at, found) in cpu.download(&y).unwrap().into_iter().enumerate() {
                let (t, o) = (at / outputs, at % outputs);
                let exact: f64 = (0..k).map(|l| f64::from(x[t * k + l]) * f64::from(w[o * k + l])).sum();
                let expected = exact + if with_bias { f64::from(bias[o]) } else { 0.0 };
                assert!((f64::from(found) - expected).abs() < 1e-4, "{rows}×{outputs}×{k} at {t},{o}");
            }
        }
    }
}

/// Attention with factors in bfloat16 is that in f32 up to the factors' rounding, also for one token, odd rows and odd heads.
#[test]
fn attention_in_bfloat16_follows_f32() {
    for (rows, size, continued) in [
        (vec![1], 2, false),
        (vec![1, 3, 66, 129], 6, false),
        (vec![200, 5], 64, false),
        (vec![49, 97], 50, false),
        (vec![30, 8], 8, false),
        (vec![56, 57], 56, false),
        (vec![9, 1, 70, 3], 6, true),
        (vec![66, 130, 1], 64, true),
    ] {
        let heads = Heads { query: 4, key_value: 2, size };
        let starts: Vec<usize> = std::iter::once(0)
            .chain(rows.iter().scan(0, |sum, n| {
                *sum += n;
                Some(*sum)
            }))
            .collect();
        let tokens = starts[rows.len()];
        let pieces = Pieces { starts: &starts, prefix: if continued { rows[0] } else { 0 } };
        let numbers = |stream: u64, width: usize| -> Vec<f32> { (0..tokens * width).map(|i| noise(stream, i)).collect() };
        let outcome = |precision: Precision| -> Vec<Vec<f32>> {
            let mut cpu = Cpu::new(precision);
            let q = cpu.upload(&numbers(1, 4 * size), tokens, 4 * size).unwrap();
            let k = cpu.upload(&numbers(2, 2 * size), tokens, 2 * size).unwrap();
            let v = cpu.upload(&numbers(3, 2 * size), tokens, 2 * size).unwrap();
            let d = cpu.upload(&numbers(4, 4 * size), tokens, 4 * size).unwrap();
            let out = cpu.attention(&q, &k, &v, pieces, heads).unwrap();
            let (dq, dk, dv) = cpu.attention_backward(&d, &q, &k, &v, &out, pieces, heads).unwrap();
            [&out.mixed, &out.log_sum_exp, &dq, &dk, &dv].map(|buffer| cpu.download(buffer).unwrap()).to_vec()
        };
        for (what, (exact, coarse)) in outcome(Precision::F32).iter().zip(outcome(Precision::Bf16)).enumerate() {
            let far: f64 = exact.iter().zip(&coarse).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
            let norm: f64 = exact.iter().map(|a| f64::from(*a).powi(2)).sum::<f64>().sqrt();
            assert!(far <= 0.01 * norm + 1e-6, "{what} of rows {rows:?}, heads of {size}: {far} of {norm}");
        }
    }
}

#[test]
fn passes_of_so_many_tokens_have_all_rows_in_order() {
    let rows: Vec<Example> = [4, 3, 3, 12, 1, 9, 0, 1].iter().enumerate().map(|(i, &length)| row(i as u64, length)).collect();
    let passes = Packed::within(&rows, 10);
    let lengths: Vec<usize> = passes.iter().map(|pass| pass.tokens.len()).collect();
    assert_eq!(lengths, [10, 12, 10, 1], "a row that is too long is alone");
    let tokens: Vec<u32> = passes.iter().flat_map(|pass| pass.tokens.clone()).collect();
    assert_eq!(tokens, rows.iter().flat_map(|row| row.tokens.clone()).collect::<Vec<_>>());
    assert!(Packed::within([], 10).is_empty());
}
