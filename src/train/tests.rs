//! Constrained training on small random models: what is frozen keeps its bits, whatever else happens.
#![allow(clippy::unwrap_used)]

use super::TrainError;
use super::anchor::Anchor;
use super::checkpoint::Progress;
use super::first_tokens::FirstTokens;
use super::fit::{Next, Plan, fit, fit_with};
use super::lora::{Lora, Shape};
use super::may_move;
use super::optimizer::{Optimizer, Settings};
use super::restraint::Restraints;
use super::schedule::Scheduler;
use super::updater::Updater;
use crate::mask::Mask;
use crate::model::backend::cpu::{Cpu, Parameter, Precision, with_threads};
use crate::model::backend::{Backend, BackendError};
use crate::model::batch::Example;
use crate::model::config::ModelConfig;
use crate::model::decoder::{Decoder, Trained};
use crate::model::inventory::{Role, TensorSpec, inventory};
use crate::ticket::mask_set::MaskSet;
use crate::ticket::score::random;

mod held;

fn config() -> ModelConfig {
    ModelConfig {
        vocab_size: 50,
        hidden_size: 16,
        intermediate_size: 24,
        layers: 2,
        heads: 2,
        key_value_heads: 1,
        head_dim: 8,
        rms_norm_eps: 1e-5,
        rope_theta: 10000.0,
        rope_scaling: None,
        max_position_embeddings: 64,
        tie_word_embeddings: true,
        qkv_bias: false,
        qk_norm: false,
        bos_token: None,
        end_tokens: vec![2],
    }
}

fn decoder() -> Decoder<Cpu> {
    Decoder::new(config(), Cpu::default(), |spec| -> Result<Vec<f32>, BackendError> {
        let noise = random(3, &spec.name, spec.len());
        Ok(noise.into_iter().map(|v| if spec.role == Role::Norm { 0.9 + 0.2 * v } else { 0.6 * (v - 0.5) }).collect())
    })
    .unwrap()
}

/// In bfloat16, of numbers that it holds.
fn coarse() -> Decoder<Cpu> {
    let fine = decoder();
    Decoder::new(config(), Cpu::new(Precision::Bf16), |spec| -> Result<Vec<f32>, BackendError> {
        Ok(fine.values(&spec.name)?.into_iter().map(|v| f32::from_bits(v.to_bits() & 0xffff_0000)).collect())
    })
    .unwrap()
}

fn rows() -> Vec<Vec<Example>> {
    let row = |i: usize| {
        let n = 5 + i % 7;
        let tokens = random(i as u64, "row", n).into_iter().map(|v| (v * 50.0) as u32).collect();
        Example { tokens, supervised: (0..n).map(|t| t > 1).collect() }
    };
    vec![(0..12).map(row).collect()]
}

fn plan() -> Plan {
    Plan {
        steps: 8,
        until: None,
        learning_rate: 1e-2,
        batch_rows: 4,
        accumulation: 1,
        scheduler: Scheduler::Linear,
        warmup_steps: 2,
        optimizer: Settings { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.1, max_grad_norm: 0.5 },
        seed: 1,
        save_every: 0,
        replay_share: None,
        checkpointing: false,
    }
}

fn ticket(specs: &[TensorSpec]) -> MaskSet {
    MaskSet(
        specs
            .iter()
            .filter(|spec| spec.maskable())
            .map(|spec| (spec.name.clone(), Mask::from_fn(spec.len(), |i| (i * 7 + spec.rows) % 3 == 0)))
            .collect(),
    )
}

fn train(decoder: &mut Decoder<Cpu>, trained: &Trained, plan: &Plan) -> Progress {
    fit::<_, TrainError>(decoder, &rows(), trained, plan, None, &mut |_, _| Ok(Next::default())).unwrap().progress
}

fn bits(decoder: &Decoder<Cpu>) -> Vec<(String, Vec<u32>)> {
    inventory(decoder.config())
        .into_iter()
        .map(|spec| {
            let values = decoder.values(&spec.name).unwrap();
            (spec.name, values.iter().map(|v| v.to_bits()).collect())
        })
        .collect()
}

#[test]
fn frozen_weights_keep_their_bits_and_trained_ones_move() {
    let specs = inventory(&config());
    let ticket = ticket(&specs);
    let trained = may_move::only(&ticket.complement());
    let mut decoder = decoder();
    let before = bits(&decoder);
    train(&mut decoder, &trained, &Plan { accumulation: 2, batch_rows: 2, ..plan() });
    let mut moved = 0;
    for ((name, before), (_, after)) in before.iter().zip(bits(&decoder)) {
        for (i, (a, b)) in before.iter().zip(&after).enumerate() {
            let frozen = ticket.0.get(name).is_none_or(|mask| mask.contains(i));
            assert!(!frozen || a == b, "{name}[{i}] is frozen and moved");
            moved += usize::from(a != b);
        }
    }
    assert!(moved * 10 > ticket.complement().count() * 9, "{moved} weights moved");
    assert_eq!(may_move::count(&specs, &trained), ticket.complement().count() as u64);
}

#[test]
fn maskable_is_the_complement_of_nothing_and_the_whole_ticket() {
    let specs = inventory(&config());
    let ways = [MaskSet::full(&specs), MaskSet::empty(&specs).complement(), MaskSet::full(&specs).complement().complement()];
    let results: Vec<_> = ways
        .iter()
        .map(|set| {
            let mut decoder = decoder();
            train(&mut decoder, &may_move::only(set), &plan());
            bits(&decoder)
        })
        .collect();
    assert!(results[0] == results[1] && results[0] == results[2]);
    let mut everything = decoder();
    train(&mut everything, &may_move::all(&specs), &plan());
    assert!(bits(&everything) != results[0], "`all` also trains embeddings and norms");
}

#[test]
fn training_has_the_same_bits_on_one_two_and_four_threads() {
    let specs = inventory(&config());
    let results: Vec<_> = [1, 2, 4]
        .map(|threads| {
            with_threads(threads, || {
                let mut decoder = decoder();
                train(&mut decoder, &may_move::all(&specs), &plan());
                bits(&decoder)
            })
            .unwrap()
        })
        .into();
    assert!(results[0] == results[1] && results[0] == results[2]);
}

#[test]
fn a_resumed_training_ends_with_the_same_bits() {
    let specs = inventory(&config());
    let trained = may_move::only(&ticket(&specs).complement());
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan { save_every: 3, ..plan() };
    for (kind, made) in [("fine", decoder as fn() -> Decoder<Cpu>), ("coarse", coarse)] {
        let file = folder.path().join(kind);
        let mut whole = made();
        let expected = train(&mut whole, &trained, &plan);
        let mut killed = made();
        let stop =
            |step: super::fit::Step, _: &mut Decoder<Cpu>| if step.number == 5 { Err(TrainError::NoRows) } else { Ok(Next::default()) };
        assert!(fit::<_, TrainError>(&mut killed, &rows(), &trained, &plan, Some(&file), &mut { stop }).is_err());
        let mut resumed = made();
        let mut seen = Vec::new();
        let progress = fit::<_, TrainError>(&mut resumed, &rows(), &trained, &plan, Some(&file), &mut |step, _| {
            seen.push(step.number);
            Ok(Next::default())
        })
        .unwrap();
        assert_eq!(seen, [4, 5, 6, 7, 8], "it goes on after the checkpoint of step 3");
        assert!(bits(&resumed) == bits(&whole) && progress.progress == expected, "{kind}");
        for (name, selection) in &trained {
            let parameter = resumed.parameter(name).unwrap();
            assert!(parameter == whole.parameter(name).unwrap(), "{kind} {name}");
            if let Parameter::Bf16(weight) = parameter {
                let (rows, columns) = weight.shape();
                assert_eq!(weight.masters(), selection.count(rows * columns), "{name}: f32 numbers are those of the trained weights");
            }
        }
    }
    std::fs::write(folder.path().join("garbage"), b"garbage").unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    for (name, problem) in [("garbage", "cannot be used"), ("folder", "it is no file")] {
        let file = folder.path().join(name);
        let error =
            fit::<_, TrainError>(&mut decoder(), &rows(), &trained, &plan, Some(&file), &mut |_, _| Ok(Next::default())).unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, TrainError::Checkpoint { .. }) && told.contains(name) && told.contains(problem), "{told}");
    }
}

#[test]
fn accumulation_equals_one_large_batch() {
    let specs = inventory(&config());
    let trained = may_move::all(&specs);
    let losses = |batch_rows, accumulation| {
        let mut decoder = decoder();
        train(&mut decoder, &trained, &Plan { batch_rows, accumulation, ..plan() }).losses
    };
    let (one, four) = (losses(4, 1), losses(1, 4));
    assert_eq!(one.len(), 8);
    for (a, b) in one.iter().zip(&four) {
        assert!((a - b).abs() < 1e-4 * a.abs(), "{a} at once, {b} in parts");
    }
    assert!(one[7] < one[0], "it learns: {one:?}");
}

#[test]
fn a_loss_that_is_no_number_stops_before_any_weight_is_touched() {
    let specs = inventory(&config());
    let mut decoder = decoder();
    let mut norm = decoder.values("model.norm.weight").unwrap();
    norm[3] = f32::NAN;
    decoder.set_values("model.norm.weight", &norm).unwrap();
    let before = bits(&decoder);
    let error = fit::<_, TrainError>(&mut decoder, &rows(), &may_move::all(&specs), &plan(), None, &mut |_, _| Ok(Next::default()))
        .unwrap()
        .stopped
        .unwrap();
    assert!(error.to_string().starts_with("the loss is NaN at step 1"), "{error}");
    assert!(bits(&decoder) == before);
}

/// q, v and down of both layers.
fn targets(specs: &[TensorSpec]) -> Trained {
    let wanted = |spec: &TensorSpec| ["q_proj", "v_proj", "down_proj"].iter().any(|kind| spec.name.contains(kind));
    may_move::only(&MaskSet::full(specs).inside(specs, wanted))
}

fn factors(decoder: &mut Decoder<Cpu>, trained: &Trained) -> Lora<Cpu> {
    Lora::new(decoder, trained, Shape { rank: 3, alpha: 7.0, seed: 5 }, plan().optimizer).unwrap()
}

#[test]
fn merged_factors_are_the_adapter_beside_the_frozen_matrix() {
    let trained = targets(&inventory(&config()));
    let mut decoder = decoder();
    let before = bits(&decoder);
    let mut lora = factors(&mut decoder, &trained);
    assert!(bits(&decoder) == before, "B is zero at first");
    let first = decoder.config().clone();
    fit_with::<_, TrainError>(&mut decoder, &rows(), &trained, &plan(), &mut Restraints::default(), &mut lora, None, &mut |_, _| {
        Ok(Next::default())
    })
    .unwrap();
    let mut trained_numbers = 0;
    for (spec, (name, before)) in inventory(&first).iter().zip(&before) {
        let merged = decoder.values(name).unwrap();
        if !trained.contains_key(name) {
            assert!(merged.iter().zip(before).all(|(a, b)| a.to_bits() == *b), "{name} is frozen");
            continue;
        }
        let (a, b) = lora.factors(&decoder, name).unwrap();
        trained_numbers += a.len() + b.len();
        let x: Vec<f64> = random(9, name, spec.columns).into_iter().map(f64::from).collect();
        let inner: Vec<f64> = a.chunks(spec.columns).map(|row| row.iter().zip(&x).map(|(w, x)| f64::from(*w) * x).sum()).collect();
        for (row, (w, w0)) in merged.chunks(spec.columns).zip(before.chunks(spec.columns)).enumerate() {
            let merged: f64 = w.iter().zip(&x).map(|(w, x)| f64::from(*w) * x).sum();
            let frozen: f64 = w0.iter().zip(&x).map(|(w, x)| f64::from(f32::from_bits(*w)) * x).sum();
            let beside: f64 = b[row * 3..row * 3 + 3].iter().zip(&inner).map(|(w, x)| f64::from(*w) * x).sum();
            assert!((merged - frozen - 7.0 / 3.0 * beside).abs() < 1e-6, "{name}: {merged}, {frozen} + {beside}");
            assert!(beside.abs() > 1e-6, "{name}: B moved");
        }
    }
    assert_eq!(trained_numbers as u64, lora.count());
}

#[test]
fn factors_have_the_same_bits_on_all_threads_and_after_a_resume() {
    let trained = targets(&inventory(&config()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint.safetensors");
    let plan = Plan { save_every: 3, ..plan() };
    let train = |stop_at: u64, file: Option<&std::path::Path>| {
        let mut decoder = decoder();
        let mut lora = factors(&mut decoder, &trained);
        let mut seen = Vec::new();
        let fitted = fit_with::<_, TrainError>(
            &mut decoder,
            &rows(),
            &trained,
            &plan,
            &mut Restraints::default(),
            &mut lora,
            file,
            &mut |step, _| {
                seen.push(step.number);
                if step.number == stop_at { Err(TrainError::NoRows) } else { Ok(Next::default()) }
            },
        );
        (bits(&decoder), seen, fitted.map(|fitted| fitted.progress).ok())
    };
    let whole = train(0, None);
    for threads in [1, 2, 4] {
        assert!(with_threads(threads, || train(0, None)).unwrap() == whole, "{threads} threads");
    }
    assert!(train(5, Some(&file)).2.is_none());
    let resumed = train(0, Some(&file));
    assert_eq!(resumed.1, [4, 5, 6, 7, 8]);
    assert!(resumed.0 == whole.0 && resumed.2 == whole.2);
    let mut other = decoder();
    let masked = fit::<_, TrainError>(&mut other, &rows(), &trained, &plan, Some(&file), &mut |_, _| Ok(Next::default()));
    assert!(matches!(masked, Err(TrainError::Checkpoint { .. })), "a checkpoint of factors is none of weights");
}

/// The rows' own loss held by its first tokens, and other rows anchored: what is written in a checkpoint is enough to go on.
#[test]
fn a_held_training_resumes_with_the_same_bits() {
    let specs = inventory(&config());
    let trained = may_move::only(&MaskSet::full(&specs));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint.safetensors");
    let plan = Plan { save_every: 3, ..plan() };
    let held = || {
        let mut aligned = decoder();
        let rows = rows();
        let first = FirstTokens { betas: vec![0.5, 2.0], rest: 0.1 };
        let constraints = rows.iter().map(|rows| first.constraints(&mut aligned, rows).unwrap()).collect();
        let anchor = Some(Anchor::new(&mut aligned, &rows[0][4..], 2.0, (3, plan.steps), 7).unwrap());
        Restraints { constraints, anchor, ..Restraints::default() }
    };
    let run = |decoder: &mut Decoder<Cpu>, restraints: &mut Restraints<Cpu>, file: Option<&std::path::Path>, stop: u64| {
        let mut optimizer = Optimizer::new(decoder, &specs, &trained, plan.optimizer).unwrap();
        let mut after =
            |step: super::fit::Step, _: &mut Decoder<Cpu>| if step.number == stop { Err(TrainError::NoRows) } else { Ok(Next::default()) };
        fit_with::<_, TrainError>(decoder, &rows(), &trained, &plan, restraints, &mut optimizer, file, &mut after)
    };
    let mut whole = decoder();
    let expected = run(&mut whole, &mut held(), None, 99).unwrap().progress;
    assert!(run(&mut decoder(), &mut held(), Some(&file), 5).is_err());
    let mut resumed = decoder();
    assert_eq!(run(&mut resumed, &mut held(), Some(&file), 99).unwrap().progress, expected);
    assert!(bits(&resumed) == bits(&whole));
    let mut free = decoder();
    train(&mut free, &trained, &plan);
    assert!(bits(&free) != bits(&whole));
}

/// Far from the aligned model the anchor alone leads back to it.
#[test]
fn an_anchor_lowers_the_divergence() {
    let specs = inventory(&config());
    let trained = may_move::all(&specs);
    let mut anchor = Anchor::new(&mut decoder(), &rows()[0], 1.0, (12, 12), 0).unwrap();
    let mut away = decoder();
    train(&mut away, &trained, &plan());
    let mut optimizer = Optimizer::new(&mut away, &specs, &trained, Settings { weight_decay: 0.0, ..plan().optimizer }).unwrap();
    let mut divergences = Vec::new();
    for step in 1..=12 {
        let mut gradients = away.new_gradients(&trained).unwrap();
        divergences.push(anchor.gradients(&mut away, step, &trained, &mut gradients).unwrap().0);
        let norm = optimizer.norm(&mut away, &gradients).unwrap();
        optimizer.step(&mut away, &trained, &gradients, norm, 2e-3).unwrap();
    }
    assert!(divergences[11] < 0.5 * divergences[0], "{divergences:?}");
    assert!(matches!(Anchor::new(&mut decoder(), &[Example::default()], 1.0, (1, 1), 0), Err(TrainError::NoRows)));
}

#[test]
fn an_anchor_holds_the_rows_of_its_steps_alone() {
    let trained = may_move::all(&inventory(&config()));
    let anchor = |steps| Anchor::new(&mut decoder(), &rows()[0], 1.0, (2, steps), 7).unwrap();
    let (mut few, mut all) = (anchor(3), anchor(u64::MAX));
    assert_eq!((few.held(), all.held()), (6, 12));
    let mut away = decoder();
    train(&mut away, &trained, &plan());
    for step in 1..=3 {
        let mut found = |anchor: &mut Anchor<Cpu>| {
            let mut gradients = away.new_gradients(&trained).unwrap();
            let (divergence, tokens) = anchor.gradients(&mut away, step, &trained, &mut gradients).unwrap();
            let gradients: Vec<Vec<f32>> = gradients.values().map(|gradient| away.backend().download(gradient).unwrap()).collect();
            (divergence, tokens, gradients)
        };
        let (one, other) = (found(&mut few), found(&mut all));
        assert!(one == other && one.0 > 0.0, "step {step}: {} and {}", one.0, other.0);
    }
    let mut gradients = away.new_gradients(&trained).unwrap();
    assert!(few.gradients(&mut away, 4, &trained, &mut gradients).is_err());
}
