//! What an endpoint was asked, and what it cost.

use serde::{Deserialize, Serialize};

/// The requests of one run to one endpoint, for one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Answers that were needed.
    pub answers: u64,
    /// Of which were asked for in this run; the others were in the store, and cost nothing again.
    pub requested: u64,
    /// Questions that the endpoint gave no answer to.
    pub unanswered: u64,
    /// Answers of a judge that are not of the form that was asked for.
    pub unreadable: u64,
    /// Tokens sent in this run, as the endpoint counts them.
    pub prompt_tokens: u64,
    /// Tokens that came back in this run.
    pub completion_tokens: u64,
    /// What this run's tokens cost, by the pipeline's price; none where it names none.
    pub cost: Option<f64>,
}

impl Usage {
    /// In one line.
    pub fn told(&self) -> String {
        let stored = self.answers.saturating_sub(self.requested + self.unanswered);
        let cost = self.cost.map(|cost| format!(", cost {cost:.4}")).unwrap_or_default();
        format!(
            "{} answers ({stored} from the store), {} tokens in, {} out{cost}",
            self.answers, self.prompt_tokens, self.completion_tokens
        )
    }
}

/// Stands in a warning before what an endpoint said in place of an answer.
pub const NO_ANSWER: &str = "questions got no answer";
