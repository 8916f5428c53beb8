//! What holds an arm's training back, made from the aligned model before its first step.

use crate::error::Failure;
use crate::model::backend::Backend;
use crate::model::decoder::Decoder;
use crate::train::anchor::Anchor;
use crate::train::first_tokens::FirstTokens;
use crate::train::restraint::Restraints;

use super::evaluate::backend_failed;
use super::frame::Frame;
use super::selection::Job;

/// The arm's restraints, from a decoder that holds the aligned weights. What is rehearsed is learnt freely.
pub(super) fn restraints<B: Backend>(job: &Job<'_>, frame: &Frame<'_>, aligned: &mut Decoder<B>) -> Result<Restraints<B>, Failure> {
    let mut restraints = Restraints::default();
    if let Some(settings) = &job.arm.first_tokens {
        let first = FirstTokens { betas: settings.betas.clone(), rest: settings.rest };
        for rows in &job.examples.sources {
            restraints.constraints.push(first.constraints(aligned, rows).map_err(backend_failed)?);
        }
    }
    if let Some((settings, rows)) = job.arm.anchor.as_ref().zip(frame.anchors.get(&job.arm.name)) {
        let rows: Vec<_> = rows.sources.iter().flatten().cloned().collect();
        restraints.anchor = Some(Anchor::new(aligned, &rows, settings.weight, settings.rows, job.seed)?);
    }
    Ok(restraints)
}
