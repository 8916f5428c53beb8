//! What the scores of a ticket are made of: found once on the data, then read one tensor at a time.

use std::collections::BTreeMap;

use crate::error::Failure;
use crate::model::backend::Backend;
use crate::model::batch::Example;
use crate::model::decoder::{Decoder, Gradients, InputSquares};
use crate::model::inventory::TensorSpec;
use crate::pipeline::settings::{self, Score};
use crate::ticket::budget::Structure;
use crate::ticket::mask_set::MaskSet;
use crate::ticket::score::{Scores, magnitude, random_of, snip, task_vector, wanda};
use crate::train::fit::Plan;
use crate::train::optimizer;
use crate::train::schedule::Scheduler;

use super::Context;
use super::calibrate::moved;
use super::demands::comparable;
use super::engine::Engine;
use super::evaluate::backend_failed;
use super::fetch::Model;
use super::gradients::{ROWS_AT_ONCE, input_squares, maskable_weights, mean_gradient, mean_squared_gradient};
use super::rows::TrainingRows;

/// The models that scores are of.
#[derive(Clone, Copy)]
pub(super) struct Models<'a> {
    pub base: Option<&'a Model>,
    pub aligned: &'a Model,
}

/// What scores are made of. What is held beside the model's weights is said for each.
pub(super) enum Found<'a> {
    /// Nothing.
    Magnitude(&'a Model),
    /// Nothing.
    TaskVector(&'a Model, &'a Model),
    /// Nothing.
    Random(u64, Structure),
    /// One gradient.
    Gradient(Box<Decoder<Engine>>, Gradients<Engine>, Score),
    /// The means of squares.
    Fisher(BTreeMap<String, Vec<f32>>),
    /// A number for each input of each matrix.
    Wanda(&'a Model, InputSquares),
    /// How far each weight moved.
    Calibrate(BTreeMap<String, Scores>),
}

impl<'a> Found<'a> {
    /// Finds what a ticket's scores are made of on these rows.
    ///
    /// # Errors
    /// When a model is missing, the backend fails, or a calibration cannot tell.
    pub fn on(
        context: &Context<'_>,
        settings: &settings::Ticket,
        Models { base, aligned }: Models<'a>,
        specs: &[TensorSpec],
        rows: &TrainingRows,
        seed: u64,
    ) -> Result<Self, Failure> {
        let examples: Vec<&Example> = rows.sources.iter().flatten().collect();
        let tell = &mut |done| context.progress("extract", done, examples.len(), "rows");
        Ok(match settings.score {
            Score::Magnitude => Self::Magnitude(aligned),
            Score::TaskVector => Self::TaskVector(comparable(&format!("ticket {}", settings.name), base, aligned)?, aligned),
            Score::Random => Self::Random(seed, settings.structure),
            Score::Snip | Score::Gradient => {
                let mut decoder = context.compute.load(aligned)?;
                let gradients = mean_gradient(&mut decoder, specs, &examples, tell).map_err(backend_failed)?;
                Self::Gradient(Box::new(decoder), gradients, settings.score)
            }
            Score::Fisher => {
                let mut decoder = context.compute.load(aligned)?;
                Self::Fisher(mean_squared_gradient(&mut decoder, &maskable_weights(specs), &examples, tell).map_err(backend_failed)?)
            }
            Score::Wanda => {
                let mut decoder = context.compute.load(aligned)?;
                Self::Wanda(aligned, input_squares(&mut decoder, &examples, tell).map_err(backend_failed)?)
            }
            Score::Calibrate => Self::Calibrate(calibrated(context, settings, aligned, specs, rows, seed)?),
        })
    }

    /// The scores of one tensor; the same each time.
    ///
    /// # Errors
    /// When a score is no number, or a tensor cannot be read.
    pub fn scores(&self, spec: &TensorSpec) -> Result<Scores, Failure> {
        let name = spec.name.as_str();
        let missing = || Failure::new("internal", format!("{name} was not scored"));
        let values = match self {
            Self::Magnitude(model) => magnitude(&model.weights.widened(name)?),
            Self::TaskVector(base, aligned) => task_vector(&base.weights.widened(name)?, &aligned.weights.widened(name)?),
            Self::Random(seed, structure) => random_of(*seed, spec, *structure),
            Self::Gradient(decoder, gradients, score) => {
                let gradient = decoder.backend().download(gradients.get(name).ok_or_else(missing)?).map_err(backend_failed)?;
                match score {
                    Score::Snip => snip(&decoder.values(name).map_err(backend_failed)?, &gradient),
                    _ => magnitude(&gradient),
                }
            }
            Self::Fisher(squares) => squares.get(name).ok_or_else(missing)?.clone(),
            Self::Wanda(model, squares) => wanda(&model.weights.widened(name)?, squares.get(name).ok_or_else(missing)?),
            Self::Calibrate(moved) => return moved.get(name).cloned().ok_or_else(missing),
        };
        Ok(Scores::new(name, values)?)
    }
}

/// How far a short training on the data moves each weight.
fn calibrated(
    context: &Context<'_>,
    settings: &settings::Ticket,
    aligned: &Model,
    specs: &[TensorSpec],
    rows: &TrainingRows,
    seed: u64,
) -> Result<BTreeMap<String, Scores>, Failure> {
    let plan = Plan {
        until: None,
        steps: settings.calibration.steps,
        learning_rate: settings.calibration.learning_rate,
        batch_rows: ROWS_AT_ONCE,
        accumulation: 1,
        scheduler: Scheduler::Constant,
        warmup_steps: 0,
        optimizer: optimizer::Settings { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, max_grad_norm: 1.0 },
        seed,
        save_every: 0,
        replay_share: None,
        checkpointing: false,
    };
    let mut decoder = context.compute.load(aligned)?;
    let moved = moved(context, "extract", &mut decoder, &rows.sources, &MaskSet::full(specs), &plan, specs)?;
    Ok(moved.map_err(calibration_failed)?.into_iter().map(|scores| (scores.tensor.clone(), scores)).collect())
}

/// A calibration that cannot tell.
pub(super) fn calibration_failed(why: String) -> Failure {
    Failure::new("calibration", why)
        .remedy("train longer, or more gently, before weights are compared: calibration_steps: 12, calibration_learning_rate: 3e-5")
}
