//! judge: language models behind a URL say what completions are. Unlike the judges that run here they see the prompt too.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::artifact::digest::Key;
use crate::data::rows::Message;
use crate::error::Failure;
use crate::event::Event;
use crate::hub::chat::Question;
use crate::pipeline::settings::{EndpointJudge, Evaluate};
use crate::record::{Completion, Record, Verdict};

use super::Context;
use super::answers::{Asking, VERSION, answers};
use super::evaluate::Questions;

/// Adds the verdicts of every judge behind an endpoint to the replies to a suite, in the order of [`Questions::asked_items`].
///
/// # Errors
/// When an endpoint fails, or the store cannot be written.
pub(super) fn judge(
    context: &Context<'_>,
    who: &str,
    evaluate: &Evaluate,
    asked: &Questions,
    completions: &mut [Completion],
) -> Result<(), Failure> {
    if asked.info.judges.is_empty() {
        return Ok(());
    }
    for judge in &evaluate.endpoints {
        one(context, who, judge, asked, completions)?;
    }
    Ok(())
}

fn one(context: &Context<'_>, who: &str, judge: &EndpointJudge, asked: &Questions, completions: &mut [Completion]) -> Result<(), Failure> {
    let what = format!("judge {} {who} {}", judge.name, asked.suite.name);
    (context.listener)(Event::StageStarted { stage: what.clone() });
    let start = Instant::now();
    // Of nothing nothing can be said: no request for it.
    let places: Vec<usize> = (0..completions.len()).filter(|&i| !completions[i].text.trim().is_empty()).collect();
    let prompts: Vec<&str> = asked.asked_items().map(|item| item.prompt.as_str()).collect();
    let texts = |i: usize| (prompts[places[i]], completions[places[i]].text.as_str());
    let (template, identity) = (judge.template.digest(), judge.endpoint.identity());
    let key = |i: usize| {
        let (prompt, completion) = texts(i);
        Key::new("judgement", VERSION, &[&identity, judge.endpoint.model.as_str(), &template, prompt, completion])
    };
    let keys: Vec<Key> = (0..places.len()).map(key).collect();
    let question = |i: usize| {
        let (prompt, completion) = texts(i);
        let content = judge.template.question(prompt, completion)?;
        Ok(Question { messages: vec![Message { role: "user".into(), content }], max_tokens: judge.template.max_tokens(), draw: None })
    };
    let account = format!("judge.{}", judge.name);
    let asking = Asking { account: &account, what: &what, endpoint: &judge.endpoint };
    let replies = answers(context, &asking, &keys, &question)?;

    let (mut unreadable, mut scores) = (0, BTreeMap::new());
    let mut verdicts = vec![Verdict::Undetermined; completions.len()];
    for (place, reply) in places.into_iter().zip(replies) {
        let Some(reply) = reply else { continue };
        match judge.template.read(&reply.text) {
            Some(ruling) => {
                verdicts[place] = ruling.verdict;
                scores.extend(ruling.score.map(|score| (place, score)));
            }
            None => unreadable += 1,
        }
    }
    if let Some(usage) = context.usage.borrow_mut().get_mut(&account) {
        usage.unreadable += unreadable;
    }
    let count = |wanted: Verdict| verdicts.iter().filter(|verdict| **verdict == wanted).count();
    let mut note = format!(
        "{} refused, {} complied, {} undetermined",
        count(Verdict::Refused),
        count(Verdict::Complied),
        count(Verdict::Undetermined)
    );
    if !scores.is_empty() {
        note += &format!(", mean score {:.3}", scores.values().sum::<f64>() / scores.len() as f64);
    }
    for (place, (completion, verdict)) in completions.iter_mut().zip(verdicts).enumerate() {
        completion.verdicts.insert(judge.name.clone(), verdict);
        completion.scores.extend(scores.get(&place).map(|score| (judge.name.clone(), *score)));
    }
    (context.listener)(Event::StageFinished { stage: what, seconds: start.elapsed().as_secs_f64(), note });
    Ok(())
}

/// Puts what endpoints were asked, and what it cost, into the record, and says it.
pub fn account(context: &Context<'_>, record: &mut Record) {
    let usage = context.usage.borrow().clone();
    for (account, usage) in usage {
        let name = account.split_once('.').map_or(account.as_str(), |(_, name)| name);
        (context.listener)(Event::Note { message: format!("{name}: {}", usage.told()) });
        if usage.unreadable > 0 {
            context.warn(format!(
                "{name}: {} of {} answers could not be read: they count as undetermined, against every rule",
                usage.unreadable, usage.answers
            ));
        }
        if let Some(judge) = record.judges.get_mut(name).filter(|_| account.starts_with("judge.")) {
            judge.usage = Some(usage);
        }
        for model in record.models.iter_mut().filter(|model| account == format!("model.{}", model.role)) {
            model.usage = Some(usage);
        }
    }
}
