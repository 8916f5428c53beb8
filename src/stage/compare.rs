//! compare: a language model behind a URL says which of two replies is better, an arm's or the aligned model's, in both orders.

use std::time::Instant;

use crate::artifact::digest::{Key, sha256};
use crate::data::rows::Message;
use crate::error::Failure;
use crate::eval::judge::pairwise::{MAX_TOKENS, Place, TEMPLATE, question, read};
use crate::event::Event;
use crate::hub::chat::Question;
use crate::pipeline::settings::Comparer;
use crate::record::{Comparison, Completion, Preferred};

use super::Context;
use super::answers::{Asking, VERSION, answers};
use super::evaluate::Questions;

/// Compares an arm's replies to a suite with the aligned model's. Of equal texts nobody is asked.
///
/// # Errors
/// When the endpoint fails, or the store cannot be written.
pub(super) fn compare(
    context: &Context<'_>,
    who: &str,
    comparer: &Comparer,
    asked: &Questions,
    aligned: &[Completion],
    completions: &mut [Completion],
) -> Result<(), Failure> {
    // Drawn replies are compared by their place.
    let said = |list: &[Completion]| -> Vec<String> { list.iter().flat_map(Completion::samples).map(|one| one.text.clone()).collect() };
    let (mine, theirs, prompts) = (said(completions), said(aligned), asked.asked_items().map(|item| &item.prompt).collect::<Vec<_>>());
    let mut found: Vec<Option<Comparison>> =
        mine.iter().zip(&theirs).map(|(mine, theirs)| (mine == theirs).then(Comparison::of_the_same)).collect();
    let places: Vec<usize> = (0..found.len()).filter(|&i| found[i].is_none()).collect();
    if places.is_empty() {
        put(completions, found);
        return Ok(());
    }
    let what = format!("compare {who} {}", asked.suite.name);
    (context.listener)(Event::StageStarted { stage: what.clone() });
    let start = Instant::now();
    // Two questions a pair: the aligned model's reply first, then the arm's.
    let texts = |i: usize| {
        let place = places[i / 2];
        let (prompt, mine, theirs) = (prompts[place], &mine[place], &theirs[place]);
        if i.is_multiple_of(2) { (prompt, theirs, mine) } else { (prompt, mine, theirs) }
    };
    let endpoint = &comparer.endpoint;
    let (template, identity) = (sha256(TEMPLATE.as_bytes()), endpoint.identity());
    let key = |i: usize| {
        let (prompt, first, second) = texts(i);
        Key::new("comparison", VERSION, &[&identity, &endpoint.model, &template, prompt, first, second])
    };
    let keys: Vec<Key> = (0..2 * places.len()).map(key).collect();
    let asking_for = |i: usize| {
        let (prompt, first, second) = texts(i);
        let content = question(prompt, first, second)?;
        Ok(Question { messages: vec![Message { role: "user".into(), content }], max_tokens: MAX_TOKENS, draw: None })
    };
    let account = format!("judge.{}", comparer.name);
    let replies = answers(context, &Asking { account: &account, what: &what, endpoint }, &keys, &asking_for)?;

    let answered = replies.iter().flatten().count();
    let read: Vec<Option<Place>> = replies.into_iter().map(|reply| read(&reply?.text)).collect();
    if let Some(usage) = context.usage.borrow_mut().get_mut(&account) {
        usage.unreadable += (answered - read.iter().flatten().count()) as u64;
    }
    for (&place, pair) in places.iter().zip(read.chunks(2)) {
        let [aligned_first, arm_first] = [(pair[0], Preferred::Aligned, Preferred::Arm), (pair[1], Preferred::Arm, Preferred::Aligned)]
            .map(|(answer, first, second)| {
                answer.map(|answer| match answer {
                    Place::First => first,
                    Place::Second => second,
                    Place::Tie => Preferred::Tie,
                })
            });
        found[place] = Some(Comparison { aligned_first, arm_first, same: false });
    }
    let count = |wanted: Option<Preferred>| found.iter().flatten().filter(|found| found.outcome() == wanted).count();
    let note = format!(
        "{} wins, {} ties, {} losses, {} without an answer",
        count(Some(Preferred::Arm)),
        count(Some(Preferred::Tie)),
        count(Some(Preferred::Aligned)),
        count(None)
    );
    (context.listener)(Event::StageFinished { stage: what, seconds: start.elapsed().as_secs_f64(), note });
    put(completions, found);
    Ok(())
}

/// Puts what was found of each reply into it.
fn put(completions: &mut [Completion], found: Vec<Option<Comparison>>) {
    let replies = completions
        .iter_mut()
        .flat_map(|Completion { compared, more, .. }| std::iter::once(compared).chain(more.iter_mut().map(|reply| &mut reply.compared)));
    replies.zip(found).for_each(|(place, found)| *place = found);
}
