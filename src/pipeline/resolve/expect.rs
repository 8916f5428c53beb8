//! `expect`: what a good answer of a suite is.

use super::choices::choices;
use crate::data::catalogue::Entry;
use crate::data::choices::ChoiceForm;
use crate::pipeline::node::{Node, Place, Value};
use crate::pipeline::reader::{Findings, Section, show, text};
use crate::pipeline::settings::{Columns, Expect, Window};

/// What a good answer is, and where it stands.
#[derive(Default)]
pub(super) struct Expected {
    pub(super) expect: Option<Expect>,
    /// The column with the reference answer.
    pub(super) answer: Option<String>,
    pub(super) choice: Option<ChoiceForm>,
    /// Of texts.
    pub(super) window: Option<Window>,
    /// The column with the text.
    pub(super) text: Option<String>,
}

const FORMS: &str = "write refusal, answer, perplexity, {exact_match: COLUMN}, {rouge: COLUMN}, {perplexity: COLUMN}, \
                     or {multiple_choice: {choices: COLUMN, gold: COLUMN}}";

/// Reads it; a published suite says it where the pipeline does not.
pub(super) fn expected(node: Option<&Node>, known: Option<&Entry>, path: &str, place: Place, findings: &mut Findings) -> Expected {
    let of = |expect: Expect| Expected { expect: Some(expect), ..Expected::default() };
    let Some(node) = node else {
        let Some(entry) = known else {
            let message = format!("{path} does not say what a good answer is");
            findings.problem(place, path, message, Some("write expect: refusal".into()));
            return Expected::default();
        };
        return Expected { choice: entry.choice.clone(), answer: entry.reference.clone(), ..of(entry.expect) };
    };
    let one = match &node.value {
        Value::Map(entries) => match &entries[..] {
            [(key, _, inside)] => Some((key.as_str(), inside)),
            _ => None,
        },
        _ => None,
    };
    match (one, text(node).as_deref()) {
        (Some((key @ ("exact_match" | "rouge"), inside)), _) => {
            if text(inside).is_none() {
                let path = format!("{path}.expect.{key}");
                let message = format!("{path} is {}, expected the column with the reference answer", show(inside));
                findings.problem(inside.place, &path, message, Some(format!("write expect: {{{key}: answer}}")));
            }
            Expected { answer: text(inside), ..of(if key == "rouge" { Expect::Rouge } else { Expect::ExactMatch }) }
        }
        (Some(("multiple_choice", inside)), _) => {
            Expected { choice: choices(inside, &format!("{path}.expect.multiple_choice"), findings), ..of(Expect::MultipleChoice) }
        }
        (Some(("perplexity", inside)), _) => perplexity(inside, &format!("{path}.expect.perplexity"), findings),
        (None, Some("refusal")) => of(Expect::Refusal),
        (None, Some("answer")) => of(Expect::Answer),
        (None, Some("perplexity")) => Expected { window: Some(Window::default()), ..of(Expect::Perplexity) },
        _ => {
            let path = format!("{path}.expect");
            findings.problem(node.place, &path, format!("{path} is {}", show(node)), Some(FORMS.into()));
            Expected::default()
        }
    }
}

/// `COLUMN`, or `{column, max_length, stride}`.
fn perplexity(node: &Node, path: &str, findings: &mut Findings) -> Expected {
    let of = |text: Option<String>, window: Window| Expected {
        expect: Some(Expect::Perplexity),
        text,
        window: Some(window),
        ..Expected::default()
    };
    if let Some(column) = text(node) {
        return of(Some(column), Window::default());
    }
    let mut section = Section::new(node, path, findings);
    let column = section.text("column", findings);
    let max_length = section.whole("max_length", 2, findings).map(|length| length as usize);
    let stride = section.whole("stride", 1, findings).map(|stride| stride as usize);
    if let Some((length, stride)) = max_length.zip(stride).filter(|(length, stride)| stride > length) {
        let place = section.get("stride").map_or(section.place, |node| node.place);
        let message = format!("{path}.stride is {stride}, max_length {length}: tokens between two windows would never be predicted");
        findings.problem(place, &format!("{path}.stride"), message, Some(format!("write stride: {length}, or less")));
    }
    section.finish(findings);
    of(column, Window { max_length, stride })
}

/// The columns of a suite of texts: the one that `expect` names is the text.
pub(super) fn with_text(columns: Columns, text: Option<String>, path: &str, place: Place, findings: &mut Findings) -> Columns {
    let Some(text) = text else { return columns };
    if columns.prompt.is_some() || columns.messages.is_some() || columns.text.as_ref().is_some_and(|other| *other != text) {
        let message = format!("{path} names two columns with the text: {text:?} under expect, and another under prompts.columns");
        findings.problem(place, path, message, Some("write expect: perplexity and prompts: {path: FILE, columns: {text: COLUMN}}".into()));
    }
    Columns { text: Some(text), ..columns }
}
