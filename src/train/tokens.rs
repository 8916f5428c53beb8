//! A budget of tokens: how many steps of a training read no more.

use super::TrainError;
use super::fit::Plan;
use super::order::Order;
use super::restraint::Restraints;
use crate::model::backend::Backend;
use crate::model::batch::Example;

/// The plan with as many of its steps as together read at most `most` tokens, so that its schedule ends with the last of them. What a step
/// reads are the tokens of its rows, those that are replayed too, and of the rows that hold it back; what is read once before the first step
/// (a calibration, the aligned model's predictions) is not counted. A plan without steps stays as it is.
///
/// # Errors
/// When there are no rows, the first step reads more, or the restraints have no rows for a step.
pub fn within<B: Backend>(plan: Plan, sources: &[Vec<Example>], restraints: &mut Restraints<B>, most: u64) -> Result<Plan, TrainError> {
    let mut order = Order::new(sources.iter().map(Vec::len).collect(), plan.replay_share, plan.seed);
    let rows = plan.accumulation.max(1) * plan.batch_rows.max(1);
    let mut read = 0;
    for step in 1..=plan.steps {
        let mut tokens = restraints.tokens(step)?;
        for _ in 0..rows {
            let (source, row) = order.next_row().ok_or(TrainError::NoRows)?;
            tokens += sources[source][row].tokens.len();
        }
        read += tokens as u64;
        if read > most && step == 1 {
            return Err(TrainError::Tokens { most, first: read });
        }
        if read > most {
            return Ok(Plan { steps: step - 1, ..plan });
        }
    }
    Ok(plan)
}
