//! The ticket's weights put back into a tuned checkpoint, whoever trained it.

use std::cell::RefCell;
use std::io::Write;

use serde::Serialize;

use super::DeltaError;
use super::pair::{converted, pair};
use crate::model::verify::is_beside;
use crate::model::weights::{Weights, write_edited};
use crate::ticket::TicketError;
use crate::ticket::file::Ticket;

/// What a restoration did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// Weights of the ticket, all of which have the aligned model's numbers now.
    pub restored: u64,
    /// Of these, weights that had others.
    pub differed: u64,
    /// Tensors in which a weight had another number.
    pub tensors: u64,
    /// Tensors of the tuned model that the aligned one does not have so, and of which the ticket holds no weight, one line each: resized
    /// embeddings, another head. They stay as they are.
    pub others: Vec<String>,
}

/// Checks that a ticket was extracted from these weights and that all its tensors are among them.
///
/// # Errors
/// Lists what does not fit, with both values.
pub fn bind(aligned: &Weights, ticket: &Ticket) -> Result<(), TicketError> {
    let mut problems = Vec::new();
    let digest = aligned.digest();
    if ticket.origin.model != digest {
        problems.push(format!("  it was extracted from weights {}, these are {digest}", ticket.origin.model));
    }
    for (name, mask) in &ticket.masks.0 {
        let len = aligned.shape(name).map(|shape| shape.iter().product::<usize>());
        if len != Some(mask.len()) {
            let found = len.map_or_else(|| "none".to_owned(), |len| len.to_string());
            problems.push(format!("  weights of {name}: {found}, expected {}", mask.len()));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(TicketError::OtherModel { problems }) }
}

/// Writes the tuned checkpoint with the aligned model's numbers at every weight of the ticket, as one safetensors file in the tuned
/// one's types, one tensor in memory at a time. The ticket fits the aligned model, see [`bind`]. Tensors without a weight of the ticket may
/// have another shape in the tuned one, or stand there alone, but not in the module of one with weights of the ticket (a bias, an adapter's
/// factors): they would change what the restored weights compute.
///
/// # Errors
/// When the tuned checkpoint lacks a tensor, has one with weights of the ticket in another shape, or one beside it in its module, when a
/// number of the aligned model does not fit the tuned one's type, or writing fails.
pub fn restore(aligned: &Weights, tuned: &Weights, ticket: &Ticket, out: &mut dyn Write) -> Result<Restored, DeltaError> {
    let beside = pair(aligned, tuned);
    let held = |name: &str| ticket.masks.0.get(name).is_some_and(|mask| mask.count() > 0);
    let (inside, outside): (Vec<_>, Vec<_>) = beside.mis_shaped.into_iter().partition(|(name, _)| held(name));
    let acts = |name: &str| ticket.masks.0.keys().any(|weight| held(weight) && is_beside(name, weight));
    let (acting, extra): (Vec<_>, Vec<_>) = beside.extra.into_iter().partition(|(name, _)| acts(name));
    let problems: Vec<String> = beside.missing.into_iter().chain(inside.into_iter().chain(acting).map(|(_, line)| line)).collect();
    if !problems.is_empty() {
        return Err(DeltaError::OtherTensors { problems });
    }
    let others = outside.into_iter().chain(extra).map(|(_, line)| line.trim_start().to_owned()).collect();
    let done = RefCell::new(Restored { others, ..Restored::default() });
    let edit = |name: &str| -> Result<Option<Vec<u8>>, DeltaError> {
        let Some(mask) = ticket.masks.0.get(name).filter(|mask| mask.count() > 0) else { return Ok(None) };
        let (Some(before), Some(after)) = (aligned.bits(name), tuned.bits(name)) else { return Ok(None) };
        let (Some(from), Some(to)) = (aligned.dtype(name), tuned.dtype(name)) else { return Ok(None) };
        let (before, size) = (converted(name, before, from, to, |i| !mask.contains(i))?, to.bytes());
        let (mut bits, mut differed) = (after.to_vec(), 0);
        for i in mask.positions() {
            let place = i * size..(i + 1) * size;
            differed += u64::from(bits[place.clone()] != before[place.clone()]);
            bits[place.clone()].copy_from_slice(&before[place]);
        }
        let mut done = done.borrow_mut();
        done.restored += mask.count() as u64;
        done.differed += differed;
        done.tensors += u64::from(differed > 0);
        Ok(Some(bits))
    };
    write_edited(tuned, |_| None, edit, out)?;
    Ok(done.into_inner())
}
