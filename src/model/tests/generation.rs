//! Generation: the full forward pass, shared beginnings, sampling.

use super::{config, decoder, row};
use crate::model::backend::Backend;
use crate::model::backend::cpu::{Cpu, Precision};
use crate::model::backend::tensor::Candle;
use crate::model::batch::{Example, Packed};
use crate::model::config::ModelConfig;
use crate::model::decoder::Decoder;
use crate::model::generate::{Reply, Sampling, generate};

#[test]
fn greedy_generation_equals_the_full_forward_pass() {
    let config = config(true);
    let mut decoder = decoder(&config);
    let prompts: Vec<Vec<u32>> = [3, 9, 1, 14, 5].iter().map(|&n| row(n as u64, n).tokens).collect();
    let sampling = Sampling { max_new_tokens: 8, temperature: 0.0, top_p: 1.0, seed: 0, end_tokens: vec![2] };
    let replies = generate(&mut decoder, &prompts, &sampling, 2, &mut |_, _| {}).unwrap();
    for (prompt, reply) in prompts.iter().zip(&replies) {
        let mut tokens = prompt.clone();
        let mut expected = Vec::new();
        while expected.len() < 8 {
            let last = tokens.len();
            let example =
                Example { tokens: tokens.iter().copied().chain([0]).collect(), supervised: (0..=last).map(|i| i == last).collect() };
            let logits = decoder.logits(&Packed::from_examples(&[example])).unwrap();
            let best = (0..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best }) as u32;
            if best == 2 {
                break;
            }
            expected.push(best);
            tokens.push(best);
        }
        assert_eq!(reply.tokens, expected);
        assert_eq!(reply.ended, expected.len() < 8);
    }
}

/// A backend's replies to prompts together, where the beginning that they share is fed once, and to each alone.
fn together_and_alone<B: Backend>(config: &ModelConfig, backend: B, prompts: &[Vec<u32>]) -> (Vec<Reply>, Vec<Reply>) {
    let source = decoder(config);
    let mut decoder = Decoder::new(config.clone(), backend, |spec| source.values(&spec.name)).unwrap();
    let sampling = Sampling { max_new_tokens: 10, temperature: 0.0, top_p: 1.0, seed: 0, end_tokens: vec![] };
    let mut replies = |prompts: &[Vec<u32>]| generate(&mut decoder, prompts, &sampling, 2, &mut |_, _| {}).unwrap();
    let alone = prompts.iter().flat_map(|prompt| replies(std::slice::from_ref(prompt))).collect();
    (replies(prompts), alone)
}

#[test]
fn a_shared_beginning_changes_no_reply() {
    let config = config(true);
    let first = row(1, 20).tokens;
    // One is another's beginning, two are the same, and more prompts than seats.
    let ends: [&[u32]; 5] = [&[7, 3, 9, 11], &[5], &[], &[5], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]];
    let prompts: Vec<Vec<u32>> = ends.iter().map(|end| [first.as_slice(), end].concat()).collect();
    for (what, (together, alone)) in [
        ("f32", together_and_alone(&config, Cpu::default(), &prompts)),
        ("bf16", together_and_alone(&config, Cpu::new(Precision::Bf16), &prompts)),
        ("q8_0", together_and_alone(&config, Cpu::default().in_q8_0(), &prompts)),
        ("q8_0 beside bf16", together_and_alone(&config, Cpu::new(Precision::Bf16).in_q8_0(), &prompts)),
        ("candle", together_and_alone(&config, Candle::new(candle_core::Device::Cpu), &prompts)),
    ] {
        assert_eq!(together, alone, "{what}");
    }
}

#[test]
fn sampling_is_seeded_by_prompt_and_keeps_to_top_p() {
    let config = config(false);
    let mut decoder = decoder(&config);
    let prompts: Vec<Vec<u32>> = (0..6).map(|_| row(4, 6).tokens).collect();
    let sampling = Sampling { max_new_tokens: 10, temperature: 1.0, top_p: 1.0, seed: 7, end_tokens: vec![] };
    let one = generate(&mut decoder, &prompts, &sampling, 6, &mut |_, _| {}).unwrap();
    assert_eq!(
        one,
        generate(&mut decoder, &prompts, &sampling, 2, &mut |_, _| {}).unwrap(),
        "a reply depends on its prompt's number alone"
    );
    assert!(one.iter().any(|reply| reply != &one[0]), "equal prompts have streams of their own");
    let narrow = Sampling { top_p: 1e-9, ..sampling.clone() };
    let greedy = Sampling { temperature: 0.0, ..sampling };
    assert_eq!(
        generate(&mut decoder, &prompts, &narrow, 6, &mut |_, _| {}).unwrap(),
        generate(&mut decoder, &prompts, &greedy, 6, &mut |_, _| {}).unwrap()
    );
}
