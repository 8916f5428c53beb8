//! LoRA beside PyTorch with unmerged adapters (`tests/reference/lora.py`): factors, losses, and what the merged model says.

use std::collections::BTreeMap;

use steadfast::model::backend::cpu::Cpu;
use steadfast::model::backend::tensor::Candle;
use steadfast::model::backend::{Backend, Selection};
use steadfast::model::batch::Packed;
use steadfast::train::TrainError;
use steadfast::train::fit::{Next, Plan, fit_with};
use steadfast::train::lora::{Lora, Shape};
use steadfast::train::optimizer::Settings;
use steadfast::train::restraint::Restraints;
use steadfast::train::schedule::Scheduler;

use crate::reference::{LIMIT, Reference, distance};

fn agrees_with_pytorch<B: Backend>(backend: B) {
    let (model, expected) = (Reference::read("plain"), Reference::tensors_of("lora"));
    let mut decoder = model.decoder(backend);
    let names: Vec<&str> = expected.0.keys().filter_map(|name| name.strip_prefix("first_a.")).collect();
    assert_eq!(names.len(), 6, "three kinds in two layers");
    let trained: BTreeMap<String, Selection> = names.iter().map(|name| ((*name).to_owned(), Selection::Everything)).collect();
    let optimizer = Settings { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.1, max_grad_norm: 1.0 };
    let number = |key: &str| expected.1[key].parse::<f64>().unwrap();
    let shape = Shape { rank: number("rank") as usize, alpha: number("alpha"), seed: 0 };
    let mut lora = Lora::new(&mut decoder, &trained, shape, optimizer).unwrap();
    for name in &names {
        let (first, zeros) = lora.factors(&decoder, name).unwrap();
        let theirs = &expected.0[&format!("first_a.{name}")];
        let bound = |a: &[f32]| a.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        let limit = (1.0 / (first.len() / shape.rank) as f32).sqrt();
        assert!(zeros.iter().all(|&b| b == 0.0) && [&first, theirs].iter().all(|a| (0.8 * limit..=limit).contains(&bound(a))), "{name}");
        lora.set_factors(&mut decoder, name, theirs, &zeros).unwrap();
    }
    let plan = Plan {
        steps: 12,
        until: None,
        learning_rate: 1e-2,
        batch_rows: model.rows.len(),
        accumulation: 1,
        scheduler: Scheduler::Constant,
        warmup_steps: 0,
        optimizer,
        seed: 0,
        save_every: 0,
        replay_share: None,
        checkpointing: false,
    };
    let rows = std::slice::from_ref(&model.rows);
    let fitted =
        fit_with::<_, TrainError>(&mut decoder, rows, &trained, &plan, &mut Restraints::default(), &mut lora, None, &mut |_, _| {
            Ok(Next::default())
        })
        .unwrap();
    for (what, found) in [("losses", &fitted.progress.losses), ("norms", &fitted.progress.gradient_norms)] {
        let theirs: Vec<f64> = serde_json::from_str(&expected.1[what]).unwrap();
        for (step, (found, theirs)) in found.iter().zip(theirs).enumerate() {
            assert!((found - theirs).abs() < LIMIT * theirs, "{what} at step {}: {found}, PyTorch {theirs}", step + 1);
        }
    }
    for name in &names {
        let (a, b) = lora.factors(&decoder, name).unwrap();
        for (factor, found) in [("a", &a), ("b", &b)] {
            let far = distance(found, &expected.0[&format!("{factor}.{name}")]);
            assert!(far < 10.0 * LIMIT, "{factor} of {name} is {far:e} away");
        }
    }
    // What the adapters say beside their frozen matrices, the merged model says.
    let batch = Packed::from_examples(&model.rows);
    let logits = decoder.logits(&batch).unwrap();
    let far = distance(&logits, &expected.0["logits"]);
    assert!(far < LIMIT, "merged logits are {far:e} away");
}

#[test]
fn the_slice_backend_agrees() {
    agrees_with_pytorch(Cpu::default());
}

#[test]
fn the_tensor_backend_agrees() {
    agrees_with_pytorch(Candle::new(candle_core::Device::Cpu));
}
