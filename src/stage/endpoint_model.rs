//! evaluate, for a model behind a URL: what it says to every prompt of every suite.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::artifact::digest::Key;
use crate::data::rows::Message;
use crate::error::Failure;
use crate::event::Event;
use crate::hub::chat::{Draw, Endpoint, Question, Reply};
use crate::pipeline::settings::{Pipeline, System};
use crate::record::{Completion, ModelOrigin};

use super::Context;
use super::answers::{Asking, VERSION, answers};
use super::evaluate::{Questions, Said, judged};
use super::judges::Judges;

/// What the record says of weights that nobody here has seen.
const UNKNOWN: &str = "unknown (endpoint)";

/// What the record tells of a model behind a URL.
pub fn origin(endpoint: &Endpoint) -> ModelOrigin {
    ModelOrigin {
        role: "aligned".into(),
        source: endpoint.url.clone(),
        revision: Some(endpoint.model.clone()),
        weights: UNKNOWN.into(),
        parameters: 0,
        maskable: 0,
        dtype: "unknown".into(),
        usage: None,
    }
}

/// Asks the model every prompt of every suite, at temperature 0 unless the suite draws its replies. Every reply is remembered by itself.
///
/// # Errors
/// When the endpoint fails, or the store cannot be written.
pub fn ask(
    context: &Context<'_>,
    endpoint: &Endpoint,
    pipeline: &Pipeline,
    questions: &[Questions],
    judges: &Judges<'_>,
) -> Result<BTreeMap<String, Vec<Completion>>, Failure> {
    let mut completions = BTreeMap::new();
    for asked in questions {
        let what = format!("evaluate aligned {}", asked.suite.name);
        (context.listener)(Event::StageStarted { stage: what.clone() });
        let start = Instant::now();
        let (max_tokens, manner) = (asked.suite.max_new_tokens, &asked.suite.manner);
        let system = pipeline.model.system.as_deref().filter(|_| manner.system != Some(System::Nothing));
        let conversations: Vec<Vec<Message>> = asked.rows.iter().map(|row| conversation(row.question(), system)).collect();
        let identity = endpoint.identity();
        let draw = |i: usize| manner.sampled.map(|sampled| Draw::of(sampled, i % manner.samples()));
        let key = |i: usize| {
            let messages = &conversations[i / manner.samples()];
            match draw(i) {
                None => Key::new("reply", VERSION, &(&identity, &endpoint.model, messages, max_tokens)),
                Some(draw) => Key::new("reply", VERSION, &(&identity, &endpoint.model, messages, max_tokens, draw)),
            }
        };
        let keys: Vec<Key> = (0..conversations.len() * manner.samples()).map(key).collect();
        let question = |i: usize| Ok(Question { messages: conversations[i / manner.samples()].clone(), max_tokens, draw: draw(i) });
        let replies = answers(context, &Asking { account: "model.aligned", what: &what, endpoint }, &keys, &question)?;
        let completion = |reply: Option<Reply>, item| {
            let unanswered = reply.is_none();
            Completion { unanswered, ..judged(said(reply), item, asked, &judges.rules) }
        };
        let mut list: Vec<Completion> = replies.into_iter().zip(asked.asked_items()).map(|(reply, item)| completion(reply, item)).collect();
        let note = format!("{} completions", list.len());
        (context.listener)(Event::StageFinished { stage: what, seconds: start.elapsed().as_secs_f64(), note });
        judges.judge(context, "aligned", asked, &mut list)?;
        completions.insert(asked.suite.name.clone(), Completion::gathered(list, manner.samples()));
    }
    Ok(completions)
}

/// The conversation with the pipeline's system message, where it has none of its own.
fn conversation(messages: &[Message], system: Option<&str>) -> Vec<Message> {
    let first = system.filter(|_| messages.first().is_none_or(|message| message.role != "system"));
    let first = first.map(|content| Message { role: "system".into(), content: content.to_owned() });
    first.into_iter().chain(messages.iter().cloned()).collect()
}

/// A reply; where there is none, nothing was said, and nothing ended.
fn said(reply: Option<Reply>) -> Said {
    let reply = reply.unwrap_or(Reply { text: String::new(), ended: false, prompt_tokens: 0, completion_tokens: 0 });
    Said { text: reply.text, ended: reply.ended, tokens: u32::try_from(reply.completion_tokens).unwrap_or(u32::MAX) }
}
