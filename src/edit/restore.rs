//! A ticket's weights as they were before tuning.

use crate::mask::Mask;

/// The aligned bits where the ticket's mask is set, the tuned bits everywhere else; nothing is computed. Without a mask, all tuned bits.
///
/// Source: ours, the counterpart after training of staying outside a ticket during it. Close to it are the transfer of safety-critical
/// weights after fine-tuning in Yang et al. (2504.09757), which finds them by gradients on the tuned model.
pub fn restore(aligned: &[f32], tuned: &[f32], ticket: Option<&Mask>) -> Vec<f32> {
    let mut values = tuned.to_vec();
    ticket.into_iter().flat_map(Mask::positions).for_each(|i| values[i] = aligned[i]);
    values
}
