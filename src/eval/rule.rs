//! Rules of a gate.

use serde::{Deserialize, Serialize};

use super::metric::Metric;

/// One condition on one arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The arm.
    pub arm: String,
    /// `suite.metric`: `harmful.refusal_rate`, `benign.over_refusal_rate`, `benign.answered_rate`, `task.exact_match`, `arc.accuracy_norm`, `summary.rougeL`, `harmful.strongreject`, `benign.win_rate`, `harmful.kl`, `wiki.perplexity`; or a figure: `drift`, `task_nll`.
    pub metric: String,
    /// The condition.
    pub condition: Condition,
    /// Only this judge; none: every judge of the suite.
    pub judge: Option<String>,
    /// Compare the point estimate or a bound of its interval.
    pub bound: Bound,
    /// Which prompts of the suite.
    #[serde(default, skip_serializing_if = "Among::is_all")]
    pub among: Among,
}

/// Which prompts of a suite a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Among {
    /// Every one.
    #[default]
    All,
    /// Those of one category.
    Category(String),
    /// Those of each category of the suite by themselves: as many outcomes as categories, all of which must hold.
    EachCategory,
}

impl Among {
    /// Whether it is every prompt.
    pub fn is_all(&self) -> bool {
        *self == Self::All
    }
}

/// A limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// value ≥ limit.
    AtLeast(f64),
    /// value ≤ limit.
    AtMost(f64),
    /// rate(aligned) − rate(arm) ≤ limit, on the same prompts, by Newcombe's paired interval; of a mean, by Student's, in [`Metric::unit`].
    DropAtMost(f64),
    /// rate(arm) − rate(aligned) ≤ limit, likewise.
    RiseAtMost(f64),
    /// gain(arm) ÷ gain(of) ≥ limit, gains over the aligned model.
    RetainAtLeast {
        /// The limit.
        limit: f64,
        /// The arm compared with.
        of: String,
    },
}

/// What of a value is compared with a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// The point estimate.
    Point,
    /// The lower end of the 95 % interval.
    Lower,
    /// The upper end of the 95 % interval.
    Upper,
}

/// How the final answer is taken from text, on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extract {
    /// GSM8K: the number after the first `####`, as its own evaluation takes it; commas and `$` removed.
    Gsm8k,
    /// The last number of the text.
    LastNumber,
    /// The whole text, trimmed and whitespace folded.
    Text,
}

impl Rule {
    /// The rule as a person would write it, decided for a category of prompts or for all.
    pub fn text(&self, category: Option<&str>) -> String {
        let unit = self.metric.split_once('.').and_then(|(_, name)| Metric::unit_of(name));
        let points = |limit: f64| unit.map_or_else(|| format!("{:.1} points", limit * 100.0), |unit| format!("{limit} {unit}"));
        let bound = match self.bound {
            Bound::Point => "",
            Bound::Lower => "lower bound of ",
            Bound::Upper => "upper bound of ",
        };
        let condition = match &self.condition {
            Condition::AtLeast(limit) => format!("≥ {limit}"),
            Condition::AtMost(limit) => format!("≤ {limit}"),
            Condition::DropAtMost(limit) => format!("drop ≤ {}", points(*limit)),
            Condition::RiseAtMost(limit) => format!("rise ≤ {}", points(*limit)),
            Condition::RetainAtLeast { limit, of } => format!("keeps ≥ {:.0} % of {of}'s gain", limit * 100.0),
        };
        let among = match (category, &self.among) {
            (Some(name), _) => format!(" (category {})", shown(name)),
            (None, Among::Category(name)) => format!(" (category {})", shown(name)),
            (None, Among::EachCategory) => " (each category)".into(),
            (None, Among::All) => String::new(),
        };
        format!("{bound}{} {}{among} {condition}", self.arm, self.metric)
    }
}

/// Most characters of a category's name in a sentence: it comes from the user's file.
const NAME: usize = 60;

/// A category's name on one line.
pub(super) fn shown(category: &str) -> String {
    let line: String = category.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(NAME) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
