//! The training loop.

use std::path::{Path, PathBuf};

use super::TrainError;
use super::checkpoint::{self, Progress};
use super::optimizer::{Optimizer, Settings};
use super::order::Order;
use super::restraint::Restraints;
use super::schedule::{Scheduler, factor};
use super::updater::Updater;
use crate::model::backend::Backend;
use crate::model::batch::{Example, Packed};
use crate::model::constraint::Constraint;
use crate::model::decoder::{Decoder, Trained};
use crate::model::inventory::inventory;

/// Hyperparameters of a training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Optimizer steps.
    pub steps: u64,
    /// Ends after so many of them, on the schedule of all, and leaves a checkpoint to go on from; none = after all.
    pub until: Option<u64>,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Rows a micro-batch.
    pub batch_rows: usize,
    /// Micro-batches a step.
    pub accumulation: usize,
    /// Shape of the learning rate.
    pub scheduler: Scheduler,
    /// Steps over which the learning rate rises.
    pub warmup_steps: u64,
    /// The optimizer's settings.
    pub optimizer: Settings,
    /// Seed of the data order.
    pub seed: u64,
    /// A checkpoint is written every so many steps; 0 = never.
    pub save_every: u64,
    /// The first of the sources that are replayed, and their share of all rows, see [`Order::new`]; none = sources take equal turns.
    pub replay_share: Option<(usize, f64)>,
    /// Whether activations are computed again in the backward pass, see [`Decoder::set_checkpointing`].
    pub checkpointing: bool,
}

/// What is told after each step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Its number, from 1.
    pub number: u64,
    /// Nats per supervised token of the whole accumulated step.
    pub loss: f64,
    /// Before clipping.
    pub gradient_norm: f64,
}

/// What is to be done after a step; by default it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Next {
    /// Where a checkpoint of this step is kept, beside the one for a resume.
    pub keep: Option<PathBuf>,
    /// Whether this was the last step.
    pub stop: bool,
}

/// Called after each step with the decoder as it is then.
pub type AfterStep<'a, B, E> = &'a mut dyn FnMut(Step, &mut Decoder<B>) -> Result<Next, E>;

/// How a training ended.
#[derive(Debug)]
pub struct Fitted {
    /// What it did.
    pub progress: Progress,
    /// The step that could not be taken since its loss or gradient was not finite; the weights are as before it.
    pub stopped: Option<TrainError>,
}

/// Trains. Optimizer state begins at zero, or goes on from the checkpoint where there is one. The loss of a step is the
/// sum over supervised tokens of all its micro-batches ÷ their number.
///
/// # Errors
/// When there are no rows, the checkpoint is damaged, the backend fails, or `after` does.
pub fn fit<B: Backend, E: From<TrainError>>(
    decoder: &mut Decoder<B>,
    sources: &[Vec<Example>],
    trained: &Trained,
    plan: &Plan,
    checkpoint_file: Option<&Path>,
    after: AfterStep<'_, B, E>,
) -> Result<Fitted, E> {
    let mut optimizer = Optimizer::new(decoder, &inventory(decoder.config()), trained, plan.optimizer)?;
    fit_with(decoder, sources, trained, plan, &mut Restraints::default(), &mut optimizer, checkpoint_file, after)
}

/// [`fit`], with what holds the training back and what makes weights of the gradients. Losses are those of the rows that are learnt,
/// whatever holds them back; gradient norms are of all.
///
/// # Errors
/// As [`fit`].
#[allow(clippy::too_many_arguments)]
pub fn fit_with<B: Backend, E: From<TrainError>>(
    decoder: &mut Decoder<B>,
    sources: &[Vec<Example>],
    trained: &Trained,
    plan: &Plan,
    restraints: &mut Restraints<B>,
    updater: &mut impl Updater<B>,
    checkpoint_file: Option<&Path>,
    after: AfterStep<'_, B, E>,
) -> Result<Fitted, E> {
    decoder.set_checkpointing(plan.checkpointing);
    let mut order = Order::new(sources.iter().map(Vec::len).collect(), plan.replay_share, plan.seed);
    let mut progress = Progress::default();
    if let Some(earlier) = checkpoint_file.map(|path| checkpoint::restore(path, decoder, trained, updater)).transpose()?.flatten() {
        order.seek(earlier.rows);
        progress = earlier;
    }
    let mut gradients = decoder.new_gradients(trained).map_err(TrainError::from)?;
    let end = plan.until.map_or(plan.steps, |until| until.min(plan.steps));
    while progress.steps < end {
        let number = progress.steps + 1;
        let micro_batches = next_step(&mut order, sources, restraints, plan)?;
        let learnt: usize = micro_batches.iter().map(|batch| batch.targets.len()).sum();
        for gradient in gradients.values_mut() {
            decoder.backend_mut().clear(gradient).map_err(TrainError::from)?;
        }
        let mut sum = 0.0;
        for batch in &micro_batches {
            sum += decoder.gradients(batch, 1.0 / learnt as f32, trained, &mut gradients).map_err(TrainError::from)?;
        }
        let loss = sum / learnt as f64;
        let mut fed: usize = micro_batches.iter().map(|batch| batch.tokens.len()).sum();
        if let Some(anchor) = &mut restraints.anchor {
            fed += anchor.gradients(decoder, number, trained, &mut gradients).map_err(TrainError::from)?.1;
        }
        if let Some(elastic) = &restraints.elastic {
            elastic.add_gradients(decoder, trained, &mut gradients).map_err(TrainError::from)?;
        }
        let mut projected = false;
        if let Some(projection) = &mut restraints.projection {
            let (against, tokens) = projection.project(decoder, number, trained, &mut gradients).map_err(TrainError::from)?;
            (projected, fed) = (against, fed + tokens);
        }
        let norm = updater.norm(decoder, &gradients)?;
        for (what, value) in [("the loss", loss), ("the gradient norm", norm)] {
            if !value.is_finite() {
                return Ok(Fitted { progress, stopped: Some(TrainError::NotFinite { what, value, step: number }) });
            }
        }
        let rate = plan.learning_rate * factor(plan.scheduler, number, plan.warmup_steps, plan.steps);
        updater.step(decoder, trained, &gradients, norm, rate)?;
        progress.steps = number;
        progress.rows = order.position();
        progress.losses.push(loss);
        progress.gradient_norms.push(norm);
        progress.tokens += fed as u64;
        progress.supervised_tokens += learnt as u64;
        progress.projected += u64::from(projected);
        // First what is told of a step, then the checkpoint behind it: a kill in between only tells the step again.
        let next = after(Step { number, loss, gradient_norm: norm }, decoder)?;
        let due = plan.save_every > 0 && number.is_multiple_of(plan.save_every) && number < end;
        let pauses = number == end && end < plan.steps;
        if let (Some(path), true) = (checkpoint_file, due || pauses) {
            checkpoint::save(path, decoder, trained, updater, &progress)?;
        }
        if let Some(path) = next.keep {
            checkpoint::save(&path, decoder, trained, updater, &progress)?;
        }
        if next.stop {
            break;
        }
    }
    Ok(Fitted { progress, stopped: None })
}

/// The micro-batches of one step.
fn next_step<B: Backend>(
    order: &mut Order,
    sources: &[Vec<Example>],
    restraints: &Restraints<B>,
    plan: &Plan,
) -> Result<Vec<Packed>, TrainError> {
    let mut batches = Vec::with_capacity(plan.accumulation);
    for _ in 0..plan.accumulation.max(1) {
        let (mut rows, mut constraints) = (Vec::with_capacity(plan.batch_rows), Vec::new());
        for _ in 0..plan.batch_rows.max(1) {
            let (source, row) = order.next_row().ok_or(TrainError::NoRows)?;
            let example = &sources[source][row];
            if !restraints.constraints.is_empty() {
                let held = restraints.of(source, row);
                let free = Constraint { aligned_loss: 0.0, beta: 0.0 };
                constraints.extend((0..example.supervised_tokens()).map(|i| held.get(i).copied().unwrap_or(free)));
            }
            rows.push(example);
        }
        batches.push(Packed { constraints, ..Packed::from_examples(rows) });
    }
    Ok(batches)
}
