//! How the prompts of a suite are put.

use serde::{Deserialize, Serialize};

/// How the prompts of a suite are put to a model. The default is plainly: the row's own words, the pipeline's system message, one
/// greedy reply from its first word.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manner {
    /// The user's turn, with `{column}` for the row's values and `{prompt}` for its own user's turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// What takes the place of the pipeline's and the rows' own system messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<System>,
    /// The first words of every reply, put into the model's mouth. They are no part of the completion: what is judged is what the
    /// model itself says after them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefill: Option<String>,
    /// How replies are drawn; none: one greedy reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled: Option<Sampled>,
}

/// A suite's own system message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// None is given. What a chat template then says by itself stays; an empty [`Self::Message`] silences that too.
    Nothing,
    /// This one.
    Message(String),
}

/// How replies are drawn from a model's distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampled {
    /// Replies to each prompt; at least 1.
    pub samples: usize,
    /// Greater than 0.
    pub temperature: f64,
    /// The smallest set of tokens whose probabilities reach this is kept, in (0, 1].
    pub top_p: f64,
}

impl Manner {
    /// Whether everything is as the default.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Whether prompts are put other than a user would put them: behind another system message, in a wrapper, or with the reply begun.
    /// How many replies are drawn does not matter.
    pub fn is_probing(&self) -> bool {
        self.template.is_some() || self.system.is_some() || self.prefill.is_some()
    }

    /// Replies to each prompt; at least 1.
    pub fn samples(&self) -> usize {
        self.sampled.map_or(1, |sampled| sampled.samples)
    }

    /// In a few words, for a reader; empty where it is plain.
    pub fn told(&self) -> String {
        let mut parts = Vec::new();
        match &self.system {
            Some(System::Nothing) => parts.push("no system message".to_owned()),
            Some(System::Message(_)) => parts.push("its own system message".to_owned()),
            None => {}
        }
        if self.template.is_some() {
            parts.push("prompts inside a template".to_owned());
        }
        if let Some(prefill) = &self.prefill {
            parts.push(format!("replies begun with {prefill:?}"));
        }
        if let Some(Sampled { samples, temperature, top_p }) = self.sampled {
            let kept = if top_p < 1.0 { format!(", top_p {top_p}") } else { String::new() };
            let replies = if samples == 1 { "1 reply".to_owned() } else { format!("{samples} replies") };
            parts.push(format!("{replies} a prompt at temperature {temperature}{kept}"));
        }
        parts.join(", ")
    }
}
