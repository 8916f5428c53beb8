//! The stages of a run: one public function each, typed in and out, each remembered in the store under its key.

pub mod against;
mod along;
mod answers;
pub mod audit;
mod calibrate;
pub mod choices;
pub mod classifier;
mod classifier_judge;
mod compare;
pub mod demands;
pub mod divergence;
pub mod edit;
pub mod endpoint_judge;
pub mod endpoint_model;
pub mod engine;
pub mod evaluate;
pub mod extract;
pub mod fetch;
pub mod finetune;
mod footprint;
pub mod forecast;
pub mod frame;
pub mod gradients;
pub mod initialise;
pub mod judges;
pub mod judging;
mod learn;
pub mod losses;
pub mod manner;
pub mod merge;
mod over;
mod parts;
pub mod perplexity;
pub mod probe;
pub mod race;
mod restraint;
pub mod retention;
pub mod rewrite;
pub mod rows;
mod scores;
mod selection;
pub mod sequence;
pub mod sizing;
pub mod teach;
pub mod train;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::artifact::digest::Key;
use crate::artifact::store::{Entry, Place, Store, Workplace};
use crate::artifact::write::write_bytes;
use crate::error::{Exit, Failure, Within};
use crate::event::{Event, Listener};
use crate::hub::remote::Access;
use crate::record::{StageTiming, Usage};

/// What every stage needs beside its own input.
pub struct Context<'a> {
    /// Finished stages.
    pub store: Store,
    /// Who hears of progress.
    pub listener: Listener<'a>,
    /// Which backend computes, on how many threads.
    pub compute: engine::Compute,
    /// How the hub is reached.
    pub access: Access,
    /// Warnings so far; they go into the record.
    pub warnings: RefCell<Vec<String>>,
    /// Stages so far; they go into the record.
    pub timings: RefCell<Vec<StageTiming>>,
    /// What endpoints were asked so far, by `judge.NAME` and `model.ROLE`; it goes into the record.
    pub usage: RefCell<BTreeMap<String, Usage>>,
}

impl Context<'_> {
    /// Carries a stage out, or finds its finished result. `work` writes its files into the workplace, where an earlier,
    /// interrupted try may have left checkpoints, and returns one line on what came out.
    ///
    /// # Errors
    /// What `work` fails with, or the store; nothing half-made is taken for finished.
    pub fn stage(
        &self,
        name: &str,
        version: u32,
        parts: &impl Serialize,
        work: impl FnOnce(&Workplace) -> Result<String, Failure>,
    ) -> Result<Entry, Failure> {
        let kind = name.split(' ').next().unwrap_or(name);
        let key = Key::new(kind, version, parts);
        match self.store.open(&key).within(|| name.to_owned())? {
            Place::Finished(entry) => {
                (self.listener)(Event::StageReused { stage: name.into(), key: key.short().into() });
                self.time(name, &key, true, entry.seconds);
                Ok(entry)
            }
            Place::Open(place) => {
                (self.listener)(Event::StageStarted { stage: name.into() });
                let start = Instant::now();
                let note = work(&place).within(|| name.to_owned())?;
                let seconds = start.elapsed().as_secs_f64();
                let entry = place.finish(name, &key, seconds).within(|| name.to_owned())?;
                (self.listener)(Event::StageFinished { stage: name.into(), seconds, note });
                self.time(name, &key, false, seconds);
                Ok(entry)
            }
        }
    }

    /// Tells and remembers a warning, once.
    pub fn warn(&self, message: impl Into<String>) {
        let message = message.into();
        if !self.warnings.borrow().contains(&message) {
            self.warnings.borrow_mut().push(message.clone());
            (self.listener)(Event::Warning { message });
        }
    }

    /// Tells progress.
    pub fn progress(&self, what: &str, done: usize, total: usize, note: impl Into<String>) {
        (self.listener)(Event::Progress { what: what.into(), done: done as u64, total: total as u64, note: note.into() });
    }

    fn time(&self, name: &str, key: &Key, reused: bool, seconds: f64) {
        // A race makes what its arm then finds.
        if self.timings.borrow().iter().any(|earlier| earlier.stage == name && earlier.key == key.to_string()) {
            return;
        }
        self.timings.borrow_mut().push(StageTiming { stage: name.into(), key: key.to_string(), reused, seconds, answers: None });
    }

    /// Remembers how long an endpoint was asked: `stored` of the answers that were needed were in the store.
    fn time_answers(&self, name: &str, keys: &[Key], stored: usize, seconds: f64) {
        let all: Vec<String> = keys.iter().map(Key::to_string).collect();
        let (key, answers) = (Key::new("answers", answers::VERSION, &all).to_string(), (keys.len() as u64, stored as u64));
        self.timings.borrow_mut().push(StageTiming {
            stage: name.into(),
            key,
            reused: stored == keys.len(),
            seconds,
            answers: Some(answers),
        });
    }
}

/// The version of each kind of stage, which is part of its keys: raised when the same input makes another output.
pub fn versions() -> [(&'static str, u32); 21] {
    [
        ("materialise", fetch::MATERIALISE_VERSION),
        ("initialise", initialise::VERSION),
        ("pretrain", teach::VERSION),
        ("align", teach::VERSION),
        ("extract", extract::VERSION),
        ("reference", probe::VERSION),
        ("measure", finetune::MEASURE_VERSION),
        ("pace", race::PACE_VERSION),
        ("race", race::VERSION),
        ("finetune", finetune::VERSION),
        ("delta", sequence::DELTA_VERSION),
        ("losses", losses::VERSION),
        ("edit", edit::VERSION),
        ("merge", merge::VERSION),
        ("evaluate", evaluate::VERSION),
        ("choose", choices::VERSION),
        ("judge", classifier_judge::VERSION),
        ("perplexity", perplexity::VERSION),
        ("path", divergence::PATH_VERSION),
        ("divergence", divergence::VERSION),
        ("audit", audit::VERSION),
    ]
}

/// Writes a stage's own report.
pub(crate) fn write_json(place: &Workplace, name: &str, value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::new("internal", format!("cannot write {name}: {error}")))?;
    Ok(write_bytes(&place.folder.join(name), text.as_bytes())?)
}

/// Reads what [`write_json`] wrote.
pub(crate) fn read_json<T: DeserializeOwned>(entry: &Entry, name: &str) -> Result<T, Failure> {
    let path = entry.folder.join(name);
    let text = std::fs::read_to_string(&path).map_err(|error| Failure::new("file", format!("cannot read {}: {error}", path.display())))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::new("damaged-artifact", format!("{} is not what this version writes: {error}", path.display()))
            .remedy(format!("remove it and run again: rm -r {}", entry.folder.display()))
    })
}

/// The aligned model refuses too little for any protection to be measured.
pub fn nothing_to_preserve(sentence: String) -> Failure {
    Failure::new("nothing-to-preserve", sentence).exit(Exit::Inconclusive)
}

/// No recipe that was tried learns anything within its limits.
pub fn nothing_fits(sentence: String) -> Failure {
    Failure::new("nothing-fits", sentence).exit(Exit::Inconclusive).remedy(
        "raise auto.drop_at_most or answers_drop_at_most, name smaller rates (auto: {learning_rate: [1e-5, 3e-5]}), or other candidates",
    )
}

/// More of the aligned model's completions failed than the error budget allows.
pub fn not_measured(sentence: String) -> Failure {
    Failure::new("not-measured", sentence).remedy(
        "look at the warnings, and run it again: what was answered is kept, and what got no answer is asked again; or raise evaluate.errors_at_most",
    )
}
