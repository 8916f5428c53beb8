//! Questions to an endpoint: answered from the store where they were asked before.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use crate::artifact::digest::Key;
use crate::error::{Failure, Within};
use crate::event::Event;
use crate::hub::chat::{ChatError, Endpoint, Heard, Question, Reply, ask};
use crate::record::NO_ANSWER;

use super::Context;

/// Raised when the same question gets another answer into the store.
pub(super) const VERSION: u32 = 1;

/// Who asks, and whom.
pub(super) struct Asking<'a> {
    /// `judge.llm`, `model.aligned`: under which the record counts.
    pub(super) account: &'a str,
    /// What is shown while it works, and the record's stage: `judge llm aligned harmful`.
    pub(super) what: &'a str,
    /// Whom.
    pub(super) endpoint: &'a Endpoint,
}

/// The reply to every question, in order, and none where the endpoint gives none. `question` makes the question of a place, which
/// is identified by its key: everything that decides the answer.
///
/// # Errors
/// When the endpoint fails or answers nothing at all, when something was not asked before and no request may be made, or when the
/// store cannot be written.
pub(super) fn answers(
    context: &Context<'_>,
    asking: &Asking<'_>,
    keys: &[Key],
    question: &dyn Fn(usize) -> Result<Question, Failure>,
) -> Result<Vec<Option<Reply>>, Failure> {
    let (endpoint, kept, start) = (asking.endpoint, context.store.answers()?, Instant::now());
    let mut replies: Vec<Option<Reply>> = keys.iter().map(|key| kept.get(key)).collect();
    let stored = replies.iter().flatten().count();
    // The same question twice is asked once.
    let mut seen = HashSet::new();
    let open: Vec<usize> = (0..keys.len()).filter(|&i| replies[i].is_none() && seen.insert(&keys[i])).collect();
    let missing = open.len();
    if context.access.offline && missing > 0 {
        let (model, host) = (endpoint.model.clone(), endpoint.host().to_owned());
        return Err(ChatError::Offline { model, host, missing, total: keys.len() }.into());
    }
    let mut usage = context.usage.borrow().get(asking.account).copied().unwrap_or_default();
    usage.answers += keys.len() as u64;
    let (mut done, mut problem) = (0, None);
    if !open.is_empty() {
        context.warn(format!(
            "{} gets the prompts of the suites, harmful ones too, and the replies: they leave this program{}",
            endpoint.host(),
            if endpoint.is_this_machine() { "" } else { " and this machine" }
        ));
        let questions = open.iter().map(|&i| question(i)).collect::<Result<Vec<_>, _>>()?;
        let asked = ask(endpoint, &context.access, &questions, &mut |heard| {
            match heard {
                Heard::Note(message) => (context.listener)(Event::Note { message }),
                Heard::Reply(at, reply) => {
                    usage.requested += 1;
                    usage.prompt_tokens = usage.prompt_tokens.saturating_add(reply.prompt_tokens);
                    usage.completion_tokens = usage.completion_tokens.saturating_add(reply.completion_tokens);
                    kept.put(&keys[open[at]], &reply)?;
                    replies[open[at]] = Some(reply);
                    done += 1;
                }
                Heard::Unusable(_, found) => {
                    problem.get_or_insert(found);
                    done += 1;
                }
            }
            context.progress(asking.what, done, questions.len(), "answers");
            Ok(())
        });
        asked.within(|| asking.what.to_owned())?;
    }
    let first: HashMap<&Key, Reply> = open.iter().filter_map(|&i| Some((&keys[i], replies[i].clone()?))).collect();
    for (reply, key) in replies.iter_mut().zip(keys) {
        if reply.is_none() {
            *reply = first.get(key).cloned();
        }
    }
    let unanswered = replies.iter().filter(|reply| reply.is_none()).count();
    if let Some(problem) = problem {
        if unanswered == replies.len() {
            let (model, host) = (endpoint.model.clone(), endpoint.host().to_owned());
            let nothing = ChatError::Nothing { model, host, asked: replies.len(), problem };
            return Err(Failure::from(nothing).within(asking.what));
        }
        context.warn(format!("{}: {unanswered} of {} {NO_ANSWER}: {problem}", asking.what, replies.len()));
    }
    usage.unanswered += unanswered as u64;
    usage.cost = endpoint.price.map(|price| price.of(usage.prompt_tokens, usage.completion_tokens));
    context.usage.borrow_mut().insert(asking.account.to_owned(), usage);
    context.time_answers(asking.what, keys, stored, start.elapsed().as_secs_f64());
    Ok(replies)
}
