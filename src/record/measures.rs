//! What is measured of a prompt beside a judge's word: how likely a text is, how far from the aligned model an arm's next words are,
//! and which of the two a judge prefers.

use serde::{Deserialize, Serialize};

/// How likely a model finds a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Likelihood {
    /// Negative log-likelihood of the whole text, in nats.
    pub nll: f64,
    /// Its tokens, every one of which is predicted.
    pub tokens: u64,
    /// Its words: the pieces between white space, as lm-evaluation-harness counts them.
    pub words: u64,
    /// Its bytes in UTF-8.
    pub bytes: u64,
    /// Negative log-likelihood and number of the tokens that each window predicts; empty where one window holds the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<(f64, u64)>,
}

/// In which pieces a text that is longer than a model's context is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Most tokens that are read at once; none: the model's context.
    pub max_length: Option<usize>,
    /// Tokens that each window behind the first predicts; none: as many as it reads, so that windows do not overlap.
    pub stride: Option<usize>,
}

impl Window {
    /// In a few words.
    pub fn told(&self) -> String {
        let length = self.max_length.map_or_else(|| "the model's context".to_owned(), |length| format!("{length} tokens"));
        match self.stride {
            None => format!("windows of {length}, not overlapping"),
            Some(stride) => format!("windows of {length}, {stride} tokens apart"),
        }
    }
}

/// What a judge says of an arm's reply beside the aligned model's, asked in both orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// With the aligned model's reply first; none where the answer could not be read.
    pub aligned_first: Option<Preferred>,
    /// With the arm's reply first.
    pub arm_first: Option<Preferred>,
    /// Whether both replies are the same text: a tie, which nobody is asked about.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub same: bool,
}

/// The better of two replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preferred {
    /// The arm's.
    Arm,
    /// The aligned model's.
    Aligned,
    /// Neither.
    Tie,
}

impl Comparison {
    /// Of a text with itself.
    pub fn of_the_same() -> Self {
        Self { aligned_first: Some(Preferred::Tie), arm_first: Some(Preferred::Tie), same: true }
    }

    /// The better reply: only where both orders say so; else a tie. None where an answer is missing.
    pub fn outcome(&self) -> Option<Preferred> {
        let (one, other) = (self.aligned_first?, self.arm_first?);
        Some(if one == other { one } else { Preferred::Tie })
    }

    /// 1 for a win of the arm, ½ for a tie, 0 for a loss and for a missing answer.
    pub fn score(&self) -> f64 {
        match self.outcome() {
            Some(Preferred::Arm) => 1.0,
            Some(Preferred::Tie) => 0.5,
            Some(Preferred::Aligned) | None => 0.0,
        }
    }

    /// Whether the order of the two decided: none where nobody was asked, or an answer is missing.
    pub fn by_order(&self) -> Option<bool> {
        if self.same {
            return None;
        }
        Some(self.aligned_first? != self.arm_first?)
    }
}
