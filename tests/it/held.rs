//! Elastic weights, projected gradients, held first tokens and ratios of scores beside PyTorch and numpy (`tests/reference/held.py`), and
//! arms with them through the real program on the embedded model.

use std::collections::BTreeMap;

use serde_json::Value;
use steadfast::mask::Mask;
use steadfast::model::backend::cpu::Cpu;
use steadfast::model::backend::tensor::Candle;
use steadfast::model::backend::{Backend, Selection};
use steadfast::model::batch::{Example, Packed};
use steadfast::model::constraint::Constraint;
use steadfast::model::decoder::{Decoder, Trained};
use steadfast::model::inventory::{TensorSpec, inventory};
use steadfast::stage::gradients::mean_squared_gradient;
use steadfast::ticket::TicketError;
use steadfast::ticket::budget::{Budget, Scope, Structure};
use steadfast::ticket::mask_set::maskable;
use steadfast::ticket::ratio::{Sum, ratio};
use steadfast::ticket::score::Scores;
use steadfast::ticket::select::select;
use steadfast::train::TrainError;
use steadfast::train::elastic::Elastic;
use steadfast::train::first_tokens::FirstTokens;
use steadfast::train::fit::{Next, Plan, fit_with};
use steadfast::train::may_move;
use steadfast::train::optimizer::{Optimizer, Settings};
use steadfast::train::project::Projection;
use steadfast::train::restraint::Restraints;
use steadfast::train::schedule::Scheduler;

use crate::reference::{LIMIT, Reference, distance};
use crate::scores::Expected;
use crate::tiny::{Home, arm, refused, told};

const STRENGTH: f64 = 0.7;

fn put<B: Backend>(reference: &Reference, decoder: &mut Decoder<B>, kind: &str) {
    for spec in inventory(&reference.config) {
        decoder.set_values(&spec.name, &reference.tensors[&format!("{kind}.{}", spec.name)]).unwrap();
    }
}

fn elastic<B: Backend>(reference: &Reference, decoder: &mut Decoder<B>, trained: &Trained) -> Elastic<B> {
    let rows: Vec<&Example> = reference.rows.iter().collect();
    let fisher = mean_squared_gradient(decoder, trained, &rows, &mut |_| {}).unwrap();
    Elastic::new(decoder, trained, fisher, STRENGTH).unwrap()
}

fn agrees_with_pytorch<B: Backend>(make: impl Fn() -> B) {
    let (reference, others) = (Reference::read("plain"), Expected::read().others);
    let (expected, metadata) = Reference::tensors_of("held");
    let specs = inventory(&reference.config);
    let batch = Packed::from_examples(&others);
    let mut decoder = reference.decoder(make());
    let near = |kind: &str, decoder: &Decoder<B>, gradients: &BTreeMap<String, B::Buffer>| {
        for (tensor, gradient) in gradients {
            let far = distance(&decoder.backend().download(gradient).unwrap(), &expected[&format!("{kind}.{tensor}")]);
            assert!(far < LIMIT, "{kind}: the gradient of {tensor} is {far:e} away");
        }
    };

    let all = may_move::all(&specs);
    let held = elastic(&reference, &mut decoder, &all);
    put(&reference, &mut decoder, "after");
    let mut gradients = decoder.new_gradients(&all).unwrap();
    decoder.gradients(&batch, 1.0 / batch.targets.len() as f32, &all, &mut gradients).unwrap();
    held.add_gradients(&mut decoder, &all, &mut gradients).unwrap();
    assert_eq!(gradients.len(), specs.len());
    near("elastic", &decoder, &gradients);

    put(&reference, &mut decoder, "weight");
    let third = maskable(&specs).map(|spec| (spec.name.clone(), Selection::Subset(Mask::from_fn(spec.len(), |i| i % 3 == 0)))).collect();
    let held = elastic(&reference, &mut decoder, &third);
    put(&reference, &mut decoder, "after");
    let mut gradients = decoder.new_gradients(&third).unwrap();
    held.add_gradients(&mut decoder, &third, &mut gradients).unwrap();
    near("masked", &decoder, &gradients);

    put(&reference, &mut decoder, "weight");
    let sign: f32 = metadata["sign"].parse().unwrap();
    let mut gradients = decoder.new_gradients(&all).unwrap();
    decoder.gradients(&batch, sign / batch.targets.len() as f32, &all, &mut gradients).unwrap();
    let mut projection = Projection::new(&reference.rows, reference.rows.len(), 0).unwrap();
    let tokens: usize = reference.rows.iter().map(|row| row.tokens.len()).sum();
    assert_eq!(projection.project(&mut decoder, 1, &all, &mut gradients).unwrap(), (true, tokens));
    near("projected", &decoder, &gradients);
}

#[test]
fn the_slice_backend_holds_as_pytorch_does() {
    agrees_with_pytorch(Cpu::default);
}

#[test]
fn the_tensor_backend_holds_as_pytorch_does() {
    agrees_with_pytorch(|| Candle::new(candle_core::Device::Cpu));
}

/// One whole step, in which the loop itself says which constraint meets which target: two rows of the task, which the order turns round,
/// with a replayed one between them that is learnt freely; packed into one batch, and one after another.
fn first_tokens_agree_with_pytorch<B: Backend>(make: impl Fn() -> B) {
    let (reference, others) = (Reference::read("plain"), Expected::read().others);
    let (expected, metadata) = Reference::tensors_of("held");
    let number = |key: &str| -> f64 { metadata[key].parse().unwrap() };
    let specs = inventory(&reference.config);
    let trained = may_move::all(&specs);
    // From here the tokens are likelier than the aligned model has them, each by another factor.
    let start = |spec: &TensorSpec| -> Vec<f32> {
        let (aligned, after) = (&reference.tensors[&format!("weight.{}", spec.name)], &reference.tensors[&format!("after.{}", spec.name)]);
        aligned.iter().zip(after).map(|(aligned, after)| aligned + 0.25 * (after - aligned)).collect()
    };
    let sources = [vec![reference.rows[0].clone(), reference.rows[2].clone()], vec![others[0].clone()]];
    let first = FirstTokens { betas: serde_json::from_str(&metadata["betas"]).unwrap(), rest: number("rest") };
    let mut aligned = reference.decoder(make());
    let held: Vec<Vec<Vec<Constraint>>> = sources.iter().map(|rows| first.constraints(&mut aligned, rows).unwrap()).collect();
    // How far each tensor's move is from PyTorch's.
    let step = |constraints: Vec<Vec<Vec<Constraint>>>, (batch_rows, accumulation): (usize, usize)| {
        let mut decoder = reference.decoder(make());
        for spec in &specs {
            decoder.set_values(&spec.name, &start(spec)).unwrap();
        }
        let plan = Plan {
            steps: 1,
            until: None,
            learning_rate: number("rate"),
            batch_rows,
            accumulation,
            scheduler: Scheduler::Constant,
            warmup_steps: 0,
            optimizer: Settings { beta1: 0.9, beta2: 0.999, epsilon: 1.0, weight_decay: 0.0, max_grad_norm: 1.0 },
            seed: 0,
            save_every: 0,
            replay_share: Some((1, 0.5)),
            checkpointing: false,
        };
        let mut optimizer = Optimizer::new(&mut decoder, &specs, &trained, plan.optimizer).unwrap();
        let mut restraints = Restraints { constraints, ..Restraints::default() };
        let fitted =
            fit_with::<_, TrainError>(&mut decoder, &sources, &trained, &plan, &mut restraints, &mut optimizer, None, &mut |_, _| {
                Ok(Next::default())
            })
            .unwrap();
        let far = |spec: &TensorSpec| {
            let moved: Vec<f32> = decoder.values(&spec.name).unwrap().iter().zip(start(spec)).map(|(after, start)| after - start).collect();
            distance(&moved, &expected[&format!("first.{}", spec.name)])
        };
        (specs.iter().map(far).collect::<Vec<f64>>(), fitted.progress)
    };
    for way in [(3, 1), (1, 3)] {
        // As an arm's: none are made for the replayed source.
        let (far, progress) = step(held[..1].to_vec(), way);
        for (spec, far) in specs.iter().zip(far) {
            assert!(far < LIMIT, "{way:?}: {} moves {far:e} otherwise", spec.name);
        }
        for (what, found) in [("loss", progress.losses[0]), ("norm", progress.gradient_norms[0])] {
            assert!((found - number(what)).abs() < LIMIT * number(what), "{way:?}: {what} {found}, PyTorch {}", number(what));
        }
        assert_eq!((progress.rows, progress.tokens, progress.supervised_tokens), (3, 13 + 7 + 9, 7 + 4 + 4));
    }
    let turned = |turn: fn(&mut [Vec<Constraint>])| {
        let mut rows = held[0].clone();
        turn(&mut rows);
        vec![rows]
    };
    for (what, constraints) in [
        ("one token on", turned(|rows| rows.iter_mut().for_each(|row| row.rotate_right(1)))),
        ("of the other row", turned(|rows| rows.swap(0, 1))),
        ("of the replayed row too", held.clone()),
        ("none", Vec::new()),
    ] {
        let far = step(constraints, (3, 1)).0;
        assert!(far.iter().all(|&far| far > 100.0 * LIMIT), "{what}: {far:?}");
    }
}

#[test]
fn the_slice_backend_holds_first_tokens_as_pytorch_does() {
    first_tokens_agree_with_pytorch(Cpu::default);
}

#[test]
fn the_tensor_backend_holds_first_tokens_as_pytorch_does() {
    first_tokens_agree_with_pytorch(|| Candle::new(candle_core::Device::Cpu));
}

/// Of PyTorch's own scores, so that no rounding decides.
#[test]
fn ratios_select_as_numpy_does() {
    let (reference, expected) = (Reference::read("plain"), Expected::read());
    let specs = inventory(&reference.config);
    let scores = |kind: &str, tensor: &str| Scores::new(tensor, expected.numbers(kind, tensor)).unwrap();
    let mut sum = Sum::default();
    maskable(&specs).for_each(|spec| sum.add(&scores("utility", &spec.name)));
    let budget = Budget { density: 0.3, scope: Scope::Global, structure: Structure::Weight };
    let chosen = |epsilon: f64| {
        select(&specs, budget, None, |spec| -> Result<_, TicketError> {
            ratio(&scores("wanda", &spec.name), &scores("utility", &spec.name), epsilon)
        })
        .unwrap()
        .masks
    };
    let theirs = crate::scores::masks("held", "over", &specs);
    assert!(chosen(0.1 * sum.mean()) == theirs);
    let alone = select(&specs, budget, None, |spec| -> Result<_, TicketError> { Ok(scores("wanda", &spec.name)) }).unwrap().masks;
    assert!(alone != theirs && chosen(10.0 * sum.mean()) != theirs);
    // What no data touch is no reason to take it; what the other data do not touch is taken first, by its own score.
    let (own, other) = (Scores::new("w", vec![0.0, 1.0, 2.0, 2.0]).unwrap(), Scores::new("w", vec![0.0, 0.0, 0.0, 4.0]).unwrap());
    assert_eq!(ratio(&own, &other, 0.1).unwrap().values, [0.0, 10.0, 20.0, (2.0f64 / 4.1) as f32]);
    assert!(matches!(ratio(&own, &other, 0.0), Err(TicketError::NotANumber { .. })));
}

const PIPELINE: &str = "\
name: held
model: {base: builtin:tiny-base, aligned: builtin:tiny-aligned, dtype: f32}
ticket: {score: snip, data: builtin:tiny-refusals, density: 0.5, over: {data: {path: builtin:tiny-task, filter: {split: train}, limit: 64}}}
tickets:
  plain: {score: snip, data: builtin:tiny-refusals, density: 0.5}
finetune:
  data: {path: builtin:tiny-task, filter: {split: train}}
  max_steps: 60
  learning_rate: 5e-4
  per_device_train_batch_size: 16
  max_length: 128
  arms:
    unprotected: {train: all}
    elastic: {like: unprotected, elastic: {data: builtin:tiny-refusals}}
    loose: {like: unprotected, elastic: {data: builtin:tiny-refusals, strength: 0}}
    projected: {like: unprotected, project: {data: builtin:tiny-refusals}}
    outside: {train: complement, elastic: {strength: 3}, project: {data: builtin:tiny-refusals, rows: 2}}
    named: {protect: [ticket, elastic, project], max_steps: 2}
evaluate:
  max_new_tokens: 24
  batch_size: 64
  suites:
    harmful: {prompts: {path: builtin:tiny-harmful, limit: 120}, expect: refusal}
";

#[test]
fn weights_and_gradients_are_held() {
    let home = Home::new();
    home.write("p.yaml", PIPELINE);
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert_eq!(code, 3, "no gate: {text}");
    let latest = home.path("runs/held/latest");
    let record: Value = serde_json::from_slice(&std::fs::read(latest.join("run.json")).unwrap()).unwrap();
    let training = |name: &str| &arm(&record, name)["training"];
    let losses = |name: &str| training(name)["losses"].clone();
    assert_eq!(losses("loose"), losses("unprotected"), "a strength of 0 holds nothing");
    let weights = |name: &str| std::fs::read(latest.join("arms").join(name).join("model.safetensors")).unwrap();
    assert!(weights("loose") == weights("unprotected") && weights("elastic") != weights("unprotected"));
    let (aligned, without) = (refused(&record, "aligned"), refused(&record, "unprotected"));
    for name in ["elastic", "projected"] {
        let with = refused(&record, name);
        assert!(without + 20 < aligned && with > without + 10, "{aligned} before, {without} without, {with} with {name}");
    }
    // Every step is looked at, not every one is projected; the rows are fed and never learnt.
    let count = |name: &str, what: &str| training(name)[what].as_u64();
    assert!((1..=60).contains(&count("projected", "projected").unwrap()) && count("elastic", "projected").is_none());
    assert!(count("projected", "tokens") > count("unprotected", "tokens") && count("elastic", "tokens") == count("unprotected", "tokens"));
    assert_eq!(count("projected", "supervised_tokens"), count("unprotected", "supervised_tokens"));
    for name in ["elastic", "projected", "outside"] {
        assert_eq!(count(name, "frozen_changed"), Some(0));
    }
    let summary = |name: &str| arm(&record, name)["summary"].as_str().unwrap().to_owned();
    assert!(summary("elastic").contains("with strength 0.3 · its Fisher information on builtin:tiny-refusals"), "{}", summary("elastic"));
    assert!(summary("projected").ends_with("projected off what raises the loss on builtin:tiny-refusals"), "{}", summary("projected"));
    for key in ["data.elastic.elastic.0", "data.project.projected.0", "data.elastic.outside.1", "data.ticket.over"] {
        assert!(record["digests"][key].is_string(), "{key} in {}", record["digests"]);
    }
    let named = &arm(&record, "named")["settings"];
    assert!(named["elastic"]["data"][0]["source"] == "builtin:refusals" && named["project"]["rows"] == 4, "{named}");
    // A ratio is another ticket than its score, and says what it was divided by.
    assert!(record["tickets"]["ticket"]["over"][1] == 0.1 && record["tickets"]["plain"].get("over").is_none());
    assert_ne!(record["tickets"]["ticket"]["digest"], record["tickets"]["plain"]["digest"]);
    let (text, code) = told(&home.run(&["ticket", "show", latest.join("ticket.safetensors").to_str().unwrap()]));
    assert!(code == 0 && text.contains("over the same score on builtin:tiny-task"), "{text}");
}

#[test]
fn what_cannot_be_held_so_is_an_error() {
    let home = Home::new();
    for (from, to, said) in [
        ("elastic: {data: builtin:tiny-refusals}", "elastic: {strength: -1}", "expected a number from 0 on"),
        ("elastic: {data: builtin:tiny-refusals}", "elastic: {strenght: 1}", "did you mean strength"),
        ("elastic: {data: builtin:tiny-refusals}", "elastic: {rows: 0}", "finetune.arms.elastic.elastic.rows"),
        ("project: {data: builtin:tiny-refusals}", "project: {rows: 0}", "finetune.arms.projected.project.rows"),
        ("elastic: {like: unprotected,", "elastic: {train: lora,", "LoRA factors, and elastic acts on the model's own weights"),
        ("projected: {like: unprotected,", "projected: {train: lora,", "LoRA factors, and project acts on their gradients"),
        ("named: {protect: [ticket, elastic,", "named: {train: lora, protect: [elastic,", "elastic acts on the model's own weights"),
        ("elastic: {like: unprotected,", "elastic: {train: none,", "trains nothing, and has elastic"),
        (
            "named: {protect: [ticket, elastic,",
            "named: {elastic: {}, protect: [ticket, elastic,",
            "protect names elastic, and finetune.arms.named.elastic says it in full",
        ),
        ("protect: [ticket, elastic,", "protect: [ticket, elastics,", "did you mean elastic"),
        ("density: 0.5, over:", "density: 0.5, minus: builtin:tiny-helpful, over:", "ticket has minus and over"),
        ("score: snip, data: builtin:tiny-refusals, density: 0.5, over:", "score: magnitude, over:", "magnitude is scored on none"),
        ("over: {data: {path: builtin:tiny-task, filter: {split: train}, limit: 64}}", "over: {epsilon: 1}", "ticket.over has no data"),
        ("over: {data: {path: builtin:tiny-task, filter: {split: train}, limit: 64}}", "over: builtin:tiny-refusals", "would weigh alike"),
        ("limit: 64}}", "limit: 64}, epsilon: 0}", "expected a number above 0"),
    ] {
        assert!(PIPELINE.contains(from), "{from}");
        home.write("p.yaml", PIPELINE.replacen(from, to, 1));
        let (text, code) = told(&home.run(&["check", "p.yaml", "--no-forecast"]));
        assert!(code == 2 && text.contains(said), "{from} -> {to}: {code} {text}");
    }
}
