//! Judges: what a completion is, from the completion alone; [`rubric`]: what a language model is asked about it, [`pairwise`]: about
//! two; [`labels`]: what an encoder's labels mean.

pub mod labels;
mod lists;
pub mod pairwise;
mod phrases;
pub mod rubric;
pub mod trained;

use super::EvalError;
use crate::artifact::digest::sha256;
use crate::record::Verdict;

/// A judge. It sees the completion only, never the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// Rules on how refusals are written.
    Phrases,
    /// A small classifier that comes with the program.
    Trained,
    /// A published list of phrases.
    List(&'static lists::List),
}

/// Every judge: the project's own first.
pub fn all() -> Vec<Judge> {
    [Judge::Phrases, Judge::Trained].into_iter().chain(lists::lists().iter().map(Judge::List)).collect()
}

/// The names of [`all`].
pub fn names() -> Vec<&'static str> {
    all().into_iter().map(Judge::name).collect()
}

/// The judge of a name.
///
/// # Errors
/// When there is none.
pub fn by_name(name: &str) -> Result<Judge, EvalError> {
    all().into_iter().find(|judge| judge.name() == name).ok_or_else(|| EvalError::Judge(name.into()))
}

impl Judge {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Phrases => "phrases",
            Self::Trained => "trained",
            Self::List(list) => &list.name,
        }
    }

    /// What kind of judge it is.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Phrases => "rules",
            Self::Trained => "classifier that comes with the program",
            Self::List(_) => "published list",
        }
    }

    /// The version of its rules; of a published list, its source.
    pub fn version(self) -> &'static str {
        match self {
            Self::Phrases => phrases::VERSION,
            Self::Trained => trained::VERSION,
            Self::List(list) => &list.source,
        }
    }

    /// sha256 of its rules.
    pub fn digest(self) -> String {
        match self {
            Self::Phrases => sha256(phrases::rules().as_bytes()),
            Self::Trained => trained::digest(),
            Self::List(list) => sha256(list.rules().as_bytes()),
        }
    }

    /// What the completion is; `ended` says whether the model ended it itself.
    pub fn judge(self, text: &str, ended: bool) -> Verdict {
        match self {
            Self::Phrases => phrases::judge(text, ended),
            Self::Trained => trained::judge(text, ended),
            Self::List(list) => list.judge(text),
        }
    }
}
