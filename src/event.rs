//! Typed events, sent upwards through a callback while a run works: the only way in which a lower module speaks.

use serde::Serialize;

/// One thing that happened; `ui` turns it into bars, plain lines or JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A stage begins to work.
    StageStarted {
        /// The stage with its subject: `fetch`, `finetune protected`.
        stage: String,
    },
    /// A stage's result was found in the store and is used as it is.
    StageReused {
        /// The stage with its subject.
        stage: String,
        /// The first characters of its key.
        key: String,
    },
    /// A stage ended well.
    StageFinished {
        /// The stage with its subject.
        stage: String,
        /// Wall time, in seconds.
        seconds: f64,
        /// One line with what came out.
        note: String,
    },
    /// Work inside a stage advanced.
    Progress {
        /// What is counted: `train`, `generate harmful`, `download model.safetensors`.
        what: String,
        /// Units done.
        done: u64,
        /// Units in all; 0 when not known.
        total: u64,
        /// The newest figure: `loss 1.23`.
        note: String,
    },
    /// Something that a reader of the report must know; it is recorded too.
    Warning {
        /// One sentence.
        message: String,
    },
    /// Something worth a line.
    Note {
        /// One sentence.
        message: String,
    },
}

/// Who listens to events. It may be called from the thread that works only.
pub type Listener<'a> = &'a dyn Fn(Event);

/// A listener for callers that want no events.
pub fn silent(_: Event) {}
