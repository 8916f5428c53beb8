//! Multiple choice: how a row becomes a question, its choices, and the right one among them.
//!
//! Contexts, choices and the cleaning are those of lm-evaluation-harness 0.4.13, so that figures can be compared.

use serde::{Deserialize, Serialize};

use super::fill::fill;
use super::rows::Row;

/// How a row becomes a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChoiceForm {
    /// What the model reads before a choice, with `{column}`; none: the prompt.
    pub context: Option<String>,
    /// A sentence with a blank that each choice fills; what stands behind the blank is scored.
    pub blank: Option<Blank>,
    /// How context and choices are cleaned.
    pub clean: Option<Clean>,
    /// The choices.
    pub choices: Choices,
    /// Their letters, in the same order.
    pub labels: Option<Choices>,
    /// Which choice is right.
    pub gold: Gold,
    /// Stands between context and choice.
    #[serde(default = "space")]
    pub delimiter: String,
    /// What is shown, the first first.
    #[serde(default = "both")]
    pub metrics: Vec<ChoiceMetric>,
}

fn space() -> String {
    " ".into()
}

fn both() -> Vec<ChoiceMetric> {
    vec![ChoiceMetric::AccuracyNorm, ChoiceMetric::Accuracy]
}

impl ChoiceForm {
    /// The prompt as context, the choices behind a space.
    pub fn new(choices: Choices, gold: Gold) -> Self {
        Self { context: None, blank: None, clean: None, choices, labels: None, gold, delimiter: space(), metrics: both() }
    }
}

/// A sentence with a blank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blank {
    /// The column with the sentence.
    pub column: String,
    /// The text that is the blank.
    pub mark: String,
}

/// How texts are cleaned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clean {
    /// Of WikiHow's marks, as for HellaSwag.
    Wikihow,
}

/// Several texts of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choices {
    /// One column each.
    Columns(Vec<String>),
    /// A column with a list; `a.b` is list b of section a.
    List(String),
    /// The same for all rows.
    Texts(Vec<String>),
}

/// Where the right choice is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gold {
    /// The column.
    pub column: String,
    /// As what.
    pub kind: GoldKind,
}

/// How the right choice is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoldKind {
    /// One of the labels.
    Label,
    /// 0, 1, …
    Index,
    /// 1, 2, …
    Ordinal,
    /// `false` is the first choice, `true` the second.
    Bool,
    /// The choice's own text.
    Text,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChoiceMetric {
    /// The choice with the highest summed log-likelihood is right.
    #[serde(rename = "acc")]
    Accuracy,
    /// The same, each sum divided by the choice's characters.
    #[serde(rename = "acc_norm")]
    AccuracyNorm,
}

impl ChoiceMetric {
    /// Its name in a gate and a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::AccuracyNorm => "accuracy_norm",
        }
    }
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Question {
    /// What is read and what is scored behind it, by choice; the delimiter is part of the second.
    pub pairs: Vec<(String, String)>,
    /// The choices as they are shown.
    pub choices: Vec<String>,
    /// Characters (Unicode scalar values) that a choice's log-likelihood is divided by for `accuracy_norm`: those of the choice,
    /// without the delimiter.
    pub lengths: Vec<usize>,
    /// The right one, from 0.
    pub gold: usize,
}

impl ChoiceForm {
    /// A row's question.
    ///
    /// # Errors
    /// When a column is missing, there are fewer than two choices, the blank is missing, or no choice is the right one.
    pub fn question(&self, row: &Row) -> Result<Question, String> {
        let tidy = |text: String| if self.clean == Some(Clean::Wikihow) { wikihow(&text) } else { text };
        let choices: Vec<String> = self.choices.of(row)?.into_iter().map(tidy).collect();
        if choices.len() < 2 {
            return Err(format!("it has {} choices, at least 2 are needed", choices.len()));
        }
        let gold = self.gold(row, &choices)?;
        let delimiter = &self.delimiter;
        let (pairs, lengths): (Vec<_>, Vec<_>) = match &self.blank {
            None => {
                let context = match &self.context {
                    Some(template) => fill(template, row)?,
                    None => row.prompt().to_owned(),
                };
                let context = tidy(context);
                let pair = |choice: &String| ((context.clone(), format!("{delimiter}{choice}")), choice.chars().count());
                choices.iter().map(pair).unzip()
            }
            Some(Blank { column, mark }) => {
                let (before, after) =
                    row.value(column)?.split_once(mark.as_str()).ok_or_else(|| format!("there is no {mark:?} in column {column:?}"))?;
                let scored = strip(after);
                // The same text is scored behind each choice: its length decides nothing.
                let pair = |choice: &String| ((format!("{before}{choice}"), format!("{delimiter}{scored}")), scored.chars().count());
                choices.iter().map(pair).unzip()
            }
        };
        if pairs.iter().any(|(_, scored)| scored.is_empty()) {
            return Err("a choice is empty, and so is the delimiter: there is nothing to score".into());
        }
        Ok(Question { pairs, choices, lengths, gold })
    }

    fn gold(&self, row: &Row, choices: &[String]) -> Result<usize, String> {
        let Gold { column, kind } = &self.gold;
        let value = row.value(column)?;
        let told = |what: String| format!("{column:?} is {value:?}, expected {what}");
        let number = || value.trim().parse::<usize>().ok();
        let place = match kind {
            GoldKind::Index => number(),
            GoldKind::Ordinal => number().and_then(|number| number.checked_sub(1)),
            GoldKind::Bool => match value.trim().to_ascii_lowercase().as_str() {
                "false" | "0" => Some(0),
                "true" | "1" => Some(1),
                _ => return Err(told("true or false".into())),
            },
            GoldKind::Text => return choices.iter().position(|choice| choice == value).ok_or_else(|| told(choices.join(", or "))),
            GoldKind::Label => {
                let labels = self.labels.as_ref().map_or_else(|| Ok(letters(choices.len())), |labels| labels.of(row))?;
                if labels.len() != choices.len() {
                    return Err(format!("it has {} labels and {} choices", labels.len(), choices.len()));
                }
                return labels.iter().position(|label| label == value).ok_or_else(|| told(labels.join(", or ")));
            }
        };
        let first = usize::from(*kind == GoldKind::Ordinal);
        place
            .filter(|&place| place < choices.len())
            .ok_or_else(|| told(format!("a whole number from {first} to {}", choices.len() - 1 + first)))
    }
}

impl Choices {
    fn of(&self, row: &Row) -> Result<Vec<String>, String> {
        match self {
            Self::Texts(texts) => Ok(texts.clone()),
            Self::Columns(columns) => columns.iter().map(|column| row.value(column).map(str::to_owned)).collect(),
            Self::List(column) => row.list(column),
        }
    }
}

/// A, B, C, …
fn letters(count: usize) -> Vec<String> {
    ('A'..='Z').take(count).map(String::from).collect()
}

/// White space as Python's `str.strip` sees it.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Trims, makes ` [title]` the end of a sentence, cuts every `[…]` within a line, and makes two spaces one, once.
fn wikihow(text: &str) -> String {
    let text = strip(text).replace(" [title]", ". ");
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(open) = rest.find('[') {
        match rest[open..].find([']', '\n']).map(|at| open + at) {
            Some(close) if rest.as_bytes()[close] == b']' => {
                kept.push_str(&rest[..open]);
                rest = &rest[close + 1..];
            }
            _ => {
                kept.push_str(&rest[..=open]);
                rest = &rest[open + 1..];
            }
        }
    }
    kept.push_str(rest);
    kept.replace("  ", " ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn row(fields: &[(&str, &str)], lists: &[(&str, &[&str])]) -> Row {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Row {
            id: "1".into(),
            number: 1,
            messages: Vec::new(),
            fields: fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            lists: lists.iter().map(|(name, list)| ((*name).to_owned(), texts(list))).collect(),
        }
    }

    #[test]
    fn wikihow_marks_are_cut_as_the_harness_cuts_them() {
        // By Python's `re`, with the harness's own function.
        for (text, clean) in [
            (" Fold it [title] Press it. [step] Then   go ", "Fold it. Press it. Then  go"),
            ("a [[b] c] d", "a c] d"),
            ("a [b\nc] d [e", "a [b\nc] d [e"),
            ("[header] Wash [substeps] Dry.", " Wash Dry."),
            ("\u{1f}x\u{1c}", "x"),
        ] {
            assert_eq!(wikihow(text), clean, "{text:?}");
        }
    }

    #[test]
    fn the_right_choice_is_found_however_it_is_written() {
        let row = row(
            &[("n", "1"), ("letter", "3"), ("yes", "True"), ("name", "b"), ("far", "7")],
            &[("c", &["a", "b", "c"]), ("l", &["1", "2", "3"]), ("cell", &[])],
        );
        let gold = |column: &str, kind| {
            let gold = Gold { column: column.into(), kind };
            let labels = Some(Choices::List("l".into())).filter(|_| column != "n");
            ChoiceForm { labels, ..ChoiceForm::new(Choices::List("c".into()), gold) }.question(&row).map(|question| question.gold)
        };
        assert_eq!(gold("n", GoldKind::Index), Ok(1));
        assert_eq!(gold("n", GoldKind::Ordinal), Ok(0));
        assert_eq!(gold("letter", GoldKind::Label), Ok(2));
        assert_eq!(gold("yes", GoldKind::Bool), Ok(1));
        assert_eq!(gold("name", GoldKind::Text), Ok(1));
        assert!(gold("n", GoldKind::Label).unwrap_err().contains("expected A, or B, or C"));
        assert!(gold("far", GoldKind::Index).unwrap_err().contains("from 0 to 2"));
        assert!(gold("name", GoldKind::Ordinal).unwrap_err().contains("from 1 to 3"));
        let none = ChoiceForm::new(Choices::List("cell".into()), Gold { column: "n".into(), kind: GoldKind::Index });
        assert!(none.question(&row).unwrap_err().contains("0 choices"));
    }

    #[test]
    fn a_blank_is_filled_by_each_choice_and_what_follows_is_scored() {
        let row = row(&[("s", "The cup did not fit the bag because the _ was too big. _"), ("a", "cup"), ("b", "bag"), ("n", "1")], &[]);
        let blank = Some(Blank { column: "s".into(), mark: "_".into() });
        let gold = Gold { column: "n".into(), kind: GoldKind::Ordinal };
        let form = ChoiceForm { blank, ..ChoiceForm::new(Choices::Columns(vec!["a".into(), "b".into()]), gold) };
        let question = form.question(&row).unwrap();
        assert_eq!(question.pairs[1].0, "The cup did not fit the bag because the bag");
        assert_eq!((question.pairs[0].1.as_str(), question.gold), (" was too big. _", 0));
    }
}
