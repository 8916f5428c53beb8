//! Judges, metrics, intervals, the gate: pure; never sees a model.

pub mod beside;
pub mod bootstrap;
pub mod calibration;
mod controls;
pub mod extract;
pub mod gate;
pub mod heats;
pub mod interval;
pub mod join;
pub mod judge;
pub mod judge_error;
pub mod lost;
pub mod matched;
pub mod metric;
pub mod outcomes;
pub mod race;
pub mod rouge;
pub mod rule;
pub mod scores;
pub mod sequence;
pub mod suites;
pub mod twin;
pub mod values;
pub mod without_text;

use crate::error::Explain;

/// An evaluation that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// No judge has this name.
    #[error("there is no judge {0:?}; there are: {names}", names = judge::names().join(", "))]
    Judge(String),
    /// A template of the program fails.
    #[error("the judge template {0} does not render: {1}")]
    Template(&'static str, String),
}

impl Explain for EvalError {
    fn code(&self) -> &'static str {
        match self {
            Self::Judge(_) => "unknown-judge",
            Self::Template(..) => "internal",
        }
    }

    fn remedy(&self) -> Option<String> {
        matches!(self, Self::Judge(_)).then(|| "write judges: [phrases]".into())
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
