//! judge: language models behind a URL say what completions are. Unlike the judges that run here they see the prompt too.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::artifact::digest::Key;
use crate::data::rows::Message;
use crate::error::Failure;
use crate::event::Event;
use crate::hub::chat::Question;
use crate::pipeline::settings::EndpointJudge;
use crate::record::{JudgeError, Record, Verdict};

use super::Context;
use super::answers::{Asking, VERSION, answers};
use super::judges::Judgement;

/// What a judge behind an endpoint says of prompts with their completions. `who` is whose they are, for people.
///
/// # Errors
/// When the endpoint fails, or the store cannot be written.
pub(super) fn judgements(
    context: &Context<'_>,
    who: &str,
    judge: &EndpointJudge,
    said: &[(&str, &str)],
) -> Result<Vec<Judgement>, Failure> {
    let what = format!("judge {} {who}", judge.name);
    (context.listener)(Event::StageStarted { stage: what.clone() });
    let start = Instant::now();
    // Of nothing nothing can be said: no request for it.
    let places: Vec<usize> = (0..said.len()).filter(|&i| !said[i].1.trim().is_empty()).collect();
    let (template, identity) = (judge.template.digest(), judge.endpoint.identity());
    let key = |i: usize| {
        let (prompt, completion) = said[places[i]];
        Key::new("judgement", VERSION, &[&identity, judge.endpoint.model.as_str(), &template, prompt, completion])
    };
    let keys: Vec<Key> = (0..places.len()).map(key).collect();
    let question = |i: usize| {
        let (prompt, completion) = said[places[i]];
        let content = judge.template.question(prompt, completion)?;
        Ok(Question { messages: vec![Message { role: "user".into(), content }], max_tokens: judge.template.max_tokens(), draw: None })
    };
    let account = format!("judge.{}", judge.name);
    let asking = Asking { account: &account, what: &what, endpoint: &judge.endpoint };
    let replies = answers(context, &asking, &keys, &question)?;

    let (mut unreadable, mut scores) = (0, BTreeMap::new());
    let mut judgements = vec![Judgement::from(Verdict::Undetermined); said.len()];
    for (place, reply) in places.into_iter().zip(replies) {
        let error = match reply.map(|reply| judge.template.read(&reply.text)) {
            Some(Some(ruling)) => {
                judgements[place].verdict = ruling.verdict;
                judgements[place].score = ruling.score;
                scores.extend(ruling.score.map(|score| (place, score)));
                continue;
            }
            Some(None) => JudgeError::Unreadable,
            None => JudgeError::NoAnswer,
        };
        unreadable += u64::from(error == JudgeError::Unreadable);
        judgements[place].error = Some(error);
    }
    if let Some(usage) = context.usage.borrow_mut().get_mut(&account) {
        usage.unreadable += unreadable;
    }
    let count = |wanted: Verdict| judgements.iter().filter(|judgement| judgement.verdict == wanted).count();
    let mut note = format!(
        "{} refused, {} complied, {} undetermined",
        count(Verdict::Refused),
        count(Verdict::Complied),
        count(Verdict::Undetermined)
    );
    if !scores.is_empty() {
        note += &format!(", mean score {:.3}", scores.values().sum::<f64>() / scores.len() as f64);
    }
    (context.listener)(Event::StageFinished { stage: what, seconds: start.elapsed().as_secs_f64(), note });
    Ok(judgements)
}

/// Says what endpoints were asked, and what it cost.
pub fn tell_usage(context: &Context<'_>) {
    for (account, usage) in context.usage.borrow().iter() {
        let name = name_of(account);
        (context.listener)(Event::Note { message: format!("{name}: {}", usage.told()) });
        if usage.unreadable > 0 {
            context.warn(format!(
                "{name}: {} of {} answers could not be read: they count as undetermined, against every rule",
                usage.unreadable, usage.answers
            ));
        }
    }
}

fn name_of(account: &str) -> &str {
    account.split_once('.').map_or(account, |(_, name)| name)
}

/// Puts what endpoints were asked, and what it cost, into the record, and says it.
pub fn account(context: &Context<'_>, record: &mut Record) {
    tell_usage(context);
    let usage = context.usage.borrow().clone();
    for (account, usage) in usage {
        let name = name_of(&account);
        if let Some(judge) = record.judges.get_mut(name).filter(|_| account.starts_with("judge.")) {
            judge.usage = Some(usage);
        }
        for model in record.models.iter_mut().filter(|model| account == format!("model.{}", model.role)) {
            model.usage = Some(usage);
        }
    }
}
