//! Many questions to one endpoint, several at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use super::transfer::{Client, Trouble};
use super::{Endpoint, Question, Reply};
use crate::error::Failure;
use crate::hub::remote::Access;

/// What is heard while questions are asked; numbers are places in the list of questions.
pub enum Heard {
    /// A try that failed and is made again.
    Note(String),
    /// A reply.
    Reply(usize, Reply),
    /// A question that gets no reply, and why.
    Unusable(usize, String),
}

/// Asks all questions, at most `concurrency` at once. Everything is heard on the thread that calls, in the order in which it comes.
///
/// # Errors
/// When the key is not there, the endpoint fails for good, or `heard` does; replies that were under way are still heard.
pub fn ask(
    endpoint: &Endpoint,
    access: &Access,
    questions: &[Question],
    heard: &mut dyn FnMut(Heard) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let client = Client::new(endpoint, access)?;
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (send, receive) = mpsc::channel();
        for _ in 0..endpoint.concurrency.clamp(1, questions.len().max(1)) {
            let (send, client, next, stop) = (send.clone(), &client, &next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(question) = questions.get(at) else { break };
                    let note = |message| drop(send.send(Ok(Heard::Note(message))));
                    let told = match client.ask(question, &note, stop) {
                        Ok(reply) => Ok(Heard::Reply(at, reply)),
                        Err(Trouble::Unusable(problem)) => Ok(Heard::Unusable(at, problem)),
                        Err(Trouble::Final(error)) => {
                            // At once: whoever listens may be slower than the next request.
                            stop.store(true, Ordering::Relaxed);
                            Err(error)
                        }
                    };
                    if send.send(told).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        let mut failure: Option<Failure> = None;
        for told in receive {
            let done = told.map_err(Failure::from).and_then(&mut *heard);
            if let Err(found) = done {
                stop.store(true, Ordering::Relaxed);
                failure.get_or_insert(found);
            }
        }
        failure.map_or(Ok(()), Err)
    })
}
