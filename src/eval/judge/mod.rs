//! Judges: what a completion is, from the completion alone.

mod phrases;

use super::EvalError;
use crate::artifact::digest::sha256;
use crate::record::Verdict;

/// The judges by name.
pub const NAMES: [&str; 1] = ["phrases"];

/// A judge. It sees the completion only, never the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// Refusal phrases at the opening.
    Phrases,
}

/// The judge of a name.
///
/// # Errors
/// When there is none.
pub fn by_name(name: &str) -> Result<Judge, EvalError> {
    match name {
        "phrases" => Ok(Judge::Phrases),
        other => Err(EvalError::Judge(other.into())),
    }
}

impl Judge {
    /// Its name.
    pub fn name(&self) -> &'static str {
        "phrases"
    }

    /// The version of its rules.
    pub fn version(&self) -> &'static str {
        phrases::VERSION
    }

    /// sha256 of its rules.
    pub fn digest(&self) -> String {
        sha256(phrases::rules().as_bytes())
    }

    /// What the completion is; `ended` says whether the model ended it itself.
    pub fn judge(&self, text: &str, ended: bool) -> Verdict {
        phrases::judge(text, ended)
    }
}
