//! Weights that are pulled back, and gradients that are projected.

use std::collections::BTreeMap;

use super::super::elastic::{Elastic, sampled};
use super::super::fit::Fitted;
use super::super::project::Projection;
use super::*;
use crate::model::backend::{Backend, Selection};
use crate::model::batch::Packed;
use crate::model::decoder::Gradients;

/// Rows that are to be kept, and that no training below learns.
fn safety() -> Vec<Example> {
    let row = |i: usize| {
        let tokens = random(100 + i as u64, "safety", 9).into_iter().map(|v| (v * 50.0) as u32).collect();
        Example { tokens, supervised: (0..9).map(|t| t > 3).collect() }
    };
    (0..5).map(row).collect()
}

/// Σ g² over the safety rows, one row at a time.
fn fisher(decoder: &mut Decoder<Cpu>, trained: &Trained) -> BTreeMap<String, Vec<f32>> {
    let mut sums: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    for row in safety() {
        let mut gradients = decoder.new_gradients(trained).unwrap();
        decoder.gradients(&Packed::from_examples([&row]), 1.0, trained, &mut gradients).unwrap();
        for (name, gradient) in &gradients {
            let squares: Vec<f32> = decoder.backend().download(gradient).unwrap().iter().map(|g| g * g).collect();
            let sums = sums.entry(name.clone()).or_insert_with(|| vec![0.0; squares.len()]);
            sums.iter_mut().zip(squares).for_each(|(sum, square)| *sum += square);
        }
    }
    sums
}

fn elastic(trained: &Trained, strength: f64) -> Elastic<Cpu> {
    let mut aligned = decoder();
    let fisher = fisher(&mut aligned, trained);
    Elastic::new(&mut aligned, trained, fisher, strength).unwrap()
}

fn run(
    decoder: &mut Decoder<Cpu>,
    trained: &Trained,
    restraints: &mut Restraints<Cpu>,
    file: Option<&std::path::Path>,
    stop: u64,
) -> Result<Fitted, TrainError> {
    let plan = Plan { save_every: 3, ..plan() };
    let mut optimizer = Optimizer::new(decoder, &inventory(&config()), trained, plan.optimizer).unwrap();
    let mut after = |step: crate::train::fit::Step, _: &mut Decoder<Cpu>| {
        if step.number == stop { Err(TrainError::NoRows) } else { Ok(Next::default()) }
    };
    fit_with::<_, TrainError>(decoder, &rows(), trained, &plan, restraints, &mut optimizer, file, &mut after)
}

fn trained_with(trained: &Trained, mut restraints: Restraints<Cpu>) -> (Decoder<Cpu>, Progress) {
    let mut decoder = decoder();
    let progress = run(&mut decoder, trained, &mut restraints, None, 99).unwrap().progress;
    (decoder, progress)
}

fn with_elastic(trained: &Trained, strength: f64) -> Restraints<Cpu> {
    Restraints { elastic: Some(elastic(trained, strength)), ..Restraints::default() }
}

fn with_both(trained: &Trained) -> Restraints<Cpu> {
    Restraints { projection: Some(Projection::new(&safety(), 2, 7).unwrap()), ..with_elastic(trained, 0.3) }
}

/// ½ Σ F̂ (θ − θ_aligned)², with F̂ ÷ its mean.
fn penalty(decoder: &Decoder<Cpu>, trained: &Trained) -> f64 {
    let mut aligned = super::decoder();
    let (mut penalty, mut sum, mut count) = (0.0, 0.0, 0);
    for (name, fisher) in fisher(&mut aligned, trained) {
        let (now, then) = (decoder.values(&name).unwrap(), aligned.values(&name).unwrap());
        let positions: Vec<usize> = match &trained[&name] {
            Selection::Subset(mask) => mask.positions().collect(),
            _ => (0..now.len()).collect(),
        };
        for (i, f) in positions.into_iter().zip(&fisher) {
            penalty += 0.5 * f64::from(*f) * f64::from(now[i] - then[i]).powi(2);
        }
        sum += fisher.iter().map(|&f| f64::from(f)).sum::<f64>();
        count += fisher.len();
    }
    penalty / (sum / count as f64)
}

#[test]
fn elastic_weights_stay_nearer_where_the_safety_rows_depend_on_them() {
    let specs = inventory(&config());
    for trained in [may_move::all(&specs), may_move::only(&ticket(&specs).complement())] {
        let (free, expected) = trained_with(&trained, Restraints::default());
        let (loose, progress) = trained_with(&trained, with_elastic(&trained, 0.0));
        assert!(bits(&loose) == bits(&free) && progress == expected, "a strength of 0 holds nothing");
        let (held, progress) = trained_with(&trained, with_elastic(&trained, 10.0));
        let (with, without) = (penalty(&held, &trained), penalty(&free, &trained));
        assert!(with < 0.5 * without, "{with} with, {without} without");
        assert_eq!(progress.losses[0], expected.losses[0], "losses are those of the rows");
        assert_eq!(progress.gradient_norms[0], expected.gradient_norms[0], "nothing pulls at the aligned weights");
        // Warm-up: nothing has moved before the second step's gradient either.
        assert!(progress.gradient_norms[2] != expected.gradient_norms[2]);
    }
}

#[test]
fn as_many_rows_as_asked_are_looked_at_each_once() {
    let rows = safety();
    let places = |count| -> Vec<usize> {
        sampled(&rows, count).into_iter().map(|row| rows.iter().position(|other| std::ptr::eq(row, other)).unwrap()).collect()
    };
    assert_eq!(places(9), [0, 1, 2, 3, 4]);
    let three = places(3);
    assert!(three.len() == 3 && three.is_sorted_by(|a, b| a < b) && three == places(3), "{three:?}");
}

#[test]
fn held_weights_leave_the_frozen_ones_alone_on_any_number_of_threads() {
    let specs = inventory(&config());
    let ticket = ticket(&specs);
    let trained = may_move::only(&ticket.complement());
    let before = bits(&decoder());
    let made = |threads| with_threads(threads, || bits(&trained_with(&trained, with_both(&trained)).0)).unwrap();
    let one = made(1);
    assert!(one == made(2) && one == made(4));
    for ((name, before), (_, after)) in before.iter().zip(&one) {
        for (i, (a, b)) in before.iter().zip(after).enumerate() {
            let frozen = ticket.0.get(name).is_none_or(|mask| mask.contains(i));
            assert!(!frozen || a == b, "{name}[{i}] is frozen and moved");
        }
    }
}

#[test]
fn what_is_pulled_back_and_projected_resumes_with_the_same_bits() {
    let specs = inventory(&config());
    let trained = may_move::only(&ticket(&specs).complement());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint.safetensors");
    let (whole, expected) = trained_with(&trained, with_both(&trained));
    assert!(expected.projected > 0);
    assert!(run(&mut decoder(), &trained, &mut with_both(&trained), Some(&file), 5).is_err());
    assert!(file.is_file());
    let mut resumed = decoder();
    let progress = run(&mut resumed, &trained, &mut with_both(&trained), Some(&file), 99).unwrap().progress;
    assert!(progress == expected && bits(&resumed) == bits(&whole));
    assert!(bits(&trained_with(&trained, Restraints::default()).0) != bits(&whole));
}

fn gradient(decoder: &mut Decoder<Cpu>, trained: &Trained, rows: &[Example], scale: f32) -> Gradients<Cpu> {
    let mut gradients = decoder.new_gradients(trained).unwrap();
    let batch = Packed::from_examples(rows);
    decoder.gradients(&batch, scale / batch.targets.len() as f32, trained, &mut gradients).unwrap();
    gradients
}

fn dot(decoder: &mut Decoder<Cpu>, a: &Gradients<Cpu>, b: &Gradients<Cpu>) -> f64 {
    a.iter().map(|(name, a)| decoder.backend_mut().dot(a, &b[name]).unwrap()).sum()
}

#[test]
fn a_projected_gradient_points_no_longer_against_the_rows() {
    let specs = inventory(&config());
    let trained = may_move::only(&ticket(&specs).complement());
    let mut decoder = decoder();
    let reference = gradient(&mut decoder, &trained, &safety(), 1.0);
    let mut projection = Projection::new(&safety(), 5, 0).unwrap();
    // Rows whose loss grows with that of the safety rows, and the same turned round.
    let size = dot(&mut decoder, &reference, &reference);
    for scale in [1.0, -1.0] {
        let mut found = gradient(&mut decoder, &trained, &rows()[0], scale);
        let before: BTreeMap<String, Vec<f32>> =
            found.iter().map(|(name, g)| (name.clone(), decoder.backend().download(g).unwrap())).collect();
        let was = dot(&mut decoder, &found, &reference);
        let (projected, tokens) = projection.project(&mut decoder, 1, &trained, &mut found).unwrap();
        assert_eq!((projected, tokens), (was < 0.0, 45));
        let now = dot(&mut decoder, &found, &reference);
        let same = found.iter().all(|(name, g)| decoder.backend().download(g).unwrap() == before[name]);
        assert!(if projected { !same && now.abs() < 1e-6 * size } else { same && now == was }, "{scale}: {was} before, {now} after");
    }
    assert!(matches!(Projection::<Cpu>::new(&[Example::default()], 1, 0), Err(TrainError::NoRows)));
}

#[test]
fn projected_steps_raise_the_rows_loss_less() {
    let trained = may_move::all(&inventory(&config()));
    let loss = |decoder: &mut Decoder<Cpu>| {
        let losses = decoder.losses(&Packed::from_examples(&safety())).unwrap();
        losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / losses.len() as f64
    };
    let (mut free, _) = trained_with(&trained, Restraints::default());
    let projection = Some(Projection::new(&safety(), 5, 7).unwrap());
    let (mut held, progress) = trained_with(&trained, Restraints { projection, ..Restraints::default() });
    let (before, without, with) = (loss(&mut decoder()), loss(&mut free), loss(&mut held));
    assert!(progress.projected > 0 && with - before < 0.8 * (without - before), "{before} before, {without} without, {with} with");
}

#[test]
fn what_has_no_information_holds_nothing() {
    let trained = may_move::all(&inventory(&config()));
    for nothing in [0.0, f32::NAN] {
        let fisher = trained.keys().map(|name| (name.clone(), vec![nothing; 4])).collect();
        assert!(matches!(Elastic::new(&mut decoder(), &trained, fisher, 1.0), Err(TrainError::NoFisher { .. })));
    }
    // Of another selection: told by the backend when it pulls.
    let fisher = trained.keys().map(|name| (name.clone(), vec![1.0; 3])).collect();
    let wrong = Elastic::new(&mut decoder(), &trained, fisher, 1.0).unwrap();
    let mut decoder = decoder();
    let mut gradients = decoder.new_gradients(&trained).unwrap();
    assert!(wrong.add_gradients(&mut decoder, &trained, &mut gradients).is_err());
}
