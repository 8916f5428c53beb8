//! What holds an arm's training back, made from the aligned model before its first step.

use crate::error::Failure;
use crate::model::backend::Backend;
use crate::model::decoder::Decoder;
use crate::train::anchor::Anchor;
use crate::train::first_tokens::FirstTokens;
use crate::train::restraint::Restraints;

use super::engine::Engine;
use super::evaluate::backend_failed;
use super::fetch::Model;
use super::frame::Frame;
use super::selection::Job;

/// The arm's restraints. `decoder` holds the weights of `from`; where a task of a sequence begins elsewhere, the aligned model is loaded
/// beside it. What is rehearsed is learnt freely.
pub(super) fn restraints(
    job: &Job<'_>,
    frame: &Frame<'_>,
    from: &Model,
    decoder: &mut Decoder<Engine>,
) -> Result<Restraints<Engine>, Failure> {
    if job.arm.first_tokens.is_none() && job.arm.anchor.is_none() {
        return Ok(Restraints::default());
    }
    if from.digest == frame.aligned.digest {
        of(job, frame, decoder)
    } else {
        of(job, frame, &mut job.context.compute.load(frame.aligned)?)
    }
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
    if let Some((settings, rows)) = job.arm.anchor.as_ref().and_then(|anchor| Some((anchor, frame.rows_of(&anchor.data)?))) {
        let rows: Vec<_> = rows.cut(job.arm.training_of(job.task).max_length)?.sources.into_iter().flatten().collect();
        restraints.anchor = Some(Anchor::new(aligned, &rows, settings.weight, settings.rows, job.seed)?);
    }
    Ok(restraints)
}
