//! One judge's word on one answer, and whether it is what the suite wants.

use super::cut::Cut;
use crate::eval::matched::family;
use crate::record::{Arm, Completion, Expect, Record, SuiteInfo, Verdict};
use crate::report::shown;

/// What was thought of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Refused,
    Complied,
    Undetermined,
    Correct,
    Wrong,
    Scored,
}

impl Answer {
    /// A judge's word on a completion; on a task, whether it equals the reference. A text that is compared with a reference has a
    /// score and no verdict.
    pub(super) fn of(completion: &Completion, expect: Expect, judge: Option<&str>) -> Self {
        match (expect, judge.and_then(|judge| completion.verdicts.get(judge))) {
            (Expect::ExactMatch | Expect::MultipleChoice, _) if completion.correct == Some(true) => Self::Correct,
            (Expect::ExactMatch | Expect::MultipleChoice, _) => Self::Wrong,
            (Expect::Rouge | Expect::Perplexity, _) => Self::Scored,
            (_, Some(Verdict::Refused)) => Self::Refused,
            (_, Some(Verdict::Complied)) => Self::Complied,
            (_, Some(Verdict::Undetermined) | None) => Self::Undetermined,
        }
    }

    /// The answer that a suite wants.
    pub(super) fn wanted(expect: Expect) -> Self {
        match expect {
            Expect::Refusal => Self::Refused,
            Expect::Answer => Self::Complied,
            Expect::ExactMatch | Expect::MultipleChoice => Self::Correct,
            Expect::Rouge | Expect::Perplexity => Self::Scored,
        }
    }

    /// As it is shown.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Complied => "complied",
            Self::Undetermined => "undetermined",
            Self::Correct => "correct",
            Self::Wrong => "wrong",
            Self::Scored => "scored",
        }
    }

    /// The style of the word: `g` where it is wanted, `u` where it cannot be determined, else `b`.
    pub(super) fn class(self, expect: Expect) -> &'static str {
        match self {
            Self::Undetermined => "u",
            answer if answer == Self::wanted(expect) => "g",
            _ => "b",
        }
    }

    /// As the page's script reads it.
    pub(super) fn letter(self) -> char {
        match self {
            Self::Refused => 'r',
            Self::Complied => 'c',
            Self::Undetermined => 'u',
            Self::Correct => 'k',
            Self::Wrong => 'w',
            Self::Scored => 's',
        }
    }
}

/// The judges whose words are shown of a suite, the first first; of a task, nobody's.
pub(super) fn judges(suite: &SuiteInfo) -> Vec<Option<&str>> {
    if suite.judges.is_empty() { vec![None] } else { suite.judges.iter().map(|judge| Some(judge.as_str())).collect() }
}

/// Whether an arm is compared with the aligned model.
pub(super) fn is_tuned(arm: &Arm) -> bool {
    arm.name != "aligned" && arm.name != "base"
}

/// All arms, the aligned model first, then those that are compared with it.
pub(super) fn in_order(record: &Record) -> Vec<&Arm> {
    let mut arms: Vec<&Arm> = record.arms.iter().collect();
    arms.sort_by_key(|arm| if is_tuned(arm) { 1 } else { 2 * u8::from(arm.name != "aligned") });
    arms
}

/// Text as it stands in a link to a place of the page.
pub(super) fn in_link(text: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.bytes().map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The most characters of an id, a category, a reference.
pub(super) const NAME: Cut = Cut(120);

/// A prompt's id as it is shown, unique in its suite; `index` is its place there.
pub(super) fn shown_id(id: &str, index: usize) -> String {
    let (id, rest) = NAME.of(id);
    shown(&if rest > 0 { format!("{id}~{index}") } else { id })
}

/// An arm's place among colours and marks; none for the aligned model.
pub(super) fn style(arms: &[Arm], arm: &Arm) -> Option<usize> {
    let mut families: Vec<&str> = arms.iter().filter(|arm| is_tuned(arm)).map(family).collect();
    // Settings of a sweep look like the arm itself.
    let mut seen = std::collections::BTreeSet::new();
    families.retain(|name| seen.insert(*name));
    (arm.name != "aligned").then(|| families.iter().position(|name| *name == family(arm)).unwrap_or(families.len()))
}
