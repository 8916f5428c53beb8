//! What holds an arm's training back, made from the aligned model before its first step.

use crate::error::Failure;
use crate::model::backend::Backend;
use crate::model::batch::Example;
use crate::model::decoder::{Decoder, Trained};
use crate::train::anchor::Anchor;
use crate::train::elastic::{Elastic, sampled};
use crate::train::first_tokens::FirstTokens;
use crate::train::project::Projection;
use crate::train::restraint::Restraints;

use super::engine::Engine;
use super::evaluate::backend_failed;
use super::fetch::Model;
use super::frame::Frame;
use super::gradients::mean_squared_gradient;
use super::selection::Job;

/// The arm's restraints but for [`elastic`]. `decoder` holds the weights of `from`; where a task of a sequence begins elsewhere, the aligned model is loaded
/// beside it. What is rehearsed is learnt freely.
pub(super) fn restraints(
    job: &Job<'_>,
    frame: &Frame<'_>,
    from: &Model,
    decoder: &mut Decoder<Engine>,
) -> Result<Restraints<Engine>, Failure> {
    let mut restraints = match (job.arm.first_tokens.is_some() || job.arm.anchor.is_some(), from.digest == frame.aligned.digest) {
        (false, _) => Restraints::default(),
        (true, true) => of(job, frame, decoder)?,
        (true, false) => of(job, frame, &mut job.context.compute.load(frame.aligned)?)?,
    };
    if let (Some(settings), Some(rows)) = (&job.arm.project, beside(job, frame, "project")?) {
        restraints.projection = Some(Projection::new(&rows, settings.rows, job.seed)?);
    }
    Ok(restraints)
}

/// What pulls the weights that the arm trains back to the aligned model's, which are not known before they are selected; none where
/// nothing is trained. `decoder` as for [`restraints`].
pub(super) fn elastic(
    job: &Job<'_>,
    frame: &Frame<'_>,
    from: &Model,
    (decoder, trained): (&mut Decoder<Engine>, &Trained),
) -> Result<Option<Elastic<Engine>>, Failure> {
    let (Some(settings), Some(rows), false) = (&job.arm.elastic, beside(job, frame, "elastic")?, trained.is_empty()) else {
        return Ok(None);
    };
    let mut other = if from.digest == frame.aligned.digest { None } else { Some(job.context.compute.load(frame.aligned)?) };
    let aligned = other.as_mut().unwrap_or(decoder);
    let what = format!("elastic {}", job.arm.name);
    let rows = sampled(&rows, settings.rows);
    let tell = &mut |done| job.context.progress(&what, done, rows.len(), "rows");
    let fisher = mean_squared_gradient(aligned, trained, &rows, tell).map_err(backend_failed)?;
    Ok(Some(Elastic::new(aligned, trained, fisher, settings.strength)?))
}

/// What the arm reads under one of its keys, cut to the task's length; none where it has no such key.
fn beside(job: &Job<'_>, frame: &Frame<'_>, key: &'static str) -> Result<Option<Vec<Example>>, Failure> {
    let cut = frame.beside(job.arm, key).map(|rows| rows.cut(job.arm.training_of(job.task).max_length)).transpose()?;
    Ok(cut.map(|rows| rows.sources.into_iter().flatten().collect()))
}

/// From a decoder that holds the aligned weights.
fn of<B: Backend>(job: &Job<'_>, frame: &Frame<'_>, aligned: &mut Decoder<B>) -> Result<Restraints<B>, Failure> {
    let mut restraints = Restraints::default();
    if let Some(settings) = &job.arm.first_tokens {
        let first = FirstTokens { betas: settings.betas.clone(), rest: settings.rest };
        for rows in &job.examples.sources {
            restraints.constraints.push(first.constraints(aligned, rows).map_err(backend_failed)?);
        }
    }
    if let (Some(settings), Some(rows)) = (&job.arm.anchor, beside(job, frame, "anchor")?) {
        let drawn = (settings.rows, job.arm.training_of(job.task).max_steps);
        restraints.anchor = Some(Anchor::new(aligned, &rows, settings.weight, drawn, job.seed)?);
    }
    Ok(restraints)
}
