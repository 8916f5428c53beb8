//! `classifier`: an encoder with labels, as a judge.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::judges::name;
use super::model_source;
use crate::pipeline::node::{Node, Value};
use crate::pipeline::reader::{Findings, Section, list, show, text};
use crate::pipeline::settings::{ClassifierJudge, PLACES};

pub(super) const EXAMPLE: &str = "write classifier: hf://OWNER/NAME@COMMIT and refused: LABEL";

const INPUT: &str = "write input: \"<|user|>\\n{prompt}\\n<|assistant|>\\n{completion}\", or leave it out for the completion alone";
const THRESHOLD: &str = "a number above 0 and below 1, or two, the smaller first";

pub(super) fn classifier(node: &Node, path: &str, folder: &Path, findings: &mut Findings) -> Option<ClassifierJudge> {
    let mut section = Section::new(node, path, findings);
    let name = name(&mut section, "minos", findings);
    let remedy = "write hf://OWNER/NAME@COMMIT, or a folder with config.json, tokenizer.json and model.safetensors";
    let classifier = model_source(&mut section, "classifier", folder, remedy, findings);
    let refused = labels(&mut section, "refused", findings);
    if refused.is_empty() {
        let remedy = "write refused: LABEL, the label that means a refusal; config.json names them under id2label";
        findings.problem(section.place, path, format!("{path} does not say which label means a refusal"), Some(remedy.into()));
    }
    let complied = labels(&mut section, "complied", findings);
    if let Some(both) = complied.iter().find(|label| refused.contains(label)) {
        let message = format!("{path}: label {both:?} means a refusal and an answer");
        findings.problem(section.place, path, message, Some("name each label once".into()));
    }
    let input = section.get("input").map(|node| input(node, &format!("{path}.input"), findings));
    let input = input.unwrap_or_else(|| vec![PLACES[1].to_owned()]);
    let threshold = section.get("threshold").map(|node| threshold(node, &format!("{path}.threshold"), findings)).unwrap_or((0.5, 0.5));
    let max_length = section.whole("max_length", 8, findings).map(|length| length as usize);
    let (text, label) = (json!({"type": "string"}), json!({"type": ["string", "number"]}));
    let texts = |text: &Json, most: usize| json!({"anyOf": [text, {"type": "array", "items": text, "minItems": 1, "maxItems": most}]});
    let share = json!({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1});
    section.describe("refused", texts(&label, 64));
    section.describe("complied", texts(&label, 64));
    section.describe("input", texts(&text, 2));
    section.describe("threshold", json!({"anyOf": [share, {"type": "array", "items": share, "minItems": 2, "maxItems": 2}]}));
    section.finish(findings);
    Some(ClassifierJudge { name: name?, classifier: classifier?, refused, complied, input, threshold, max_length })
}

/// One label, or several.
fn labels(section: &mut Section<'_>, key: &'static str, findings: &mut Findings) -> Vec<String> {
    let path = section.join(key);
    let Some(node) = section.get(key) else { return Vec::new() };
    let mut labels = Vec::new();
    for node in list(node) {
        match text(node) {
            Some(label) => labels.push(label),
            None => findings.problem(node.place, &path, format!("{path} is {}, expected a label", node.kind()), None),
        }
    }
    labels
}

/// One text, or two, with the completion in one of them.
fn input(node: &Node, path: &str, findings: &mut Findings) -> Vec<String> {
    let texts: Vec<String> = list(node).into_iter().filter_map(text).collect();
    let mut problem = |message: String| findings.problem(node.place, path, message, Some(INPUT.into()));
    if texts.len() != list(node).len() || !(1..=2).contains(&texts.len()) {
        problem(format!("{path} is {}, expected a text or a pair of texts", show(node)));
        return texts;
    }
    for unknown in texts.iter().flat_map(|text| places(text)).filter(|place| !PLACES.contains(place)) {
        problem(format!("{path} has {unknown}; what can be filled in are {} and {}", PLACES[0], PLACES[1]));
    }
    if !texts.iter().any(|text| text.contains(PLACES[1])) {
        problem(format!("{path} has no {}: the judge would not see what was said", PLACES[1]));
    }
    if texts.iter().any(|text| text.contains("\\n")) {
        let remedy = "write it in double quotes, where \\n is a line break";
        findings.warning(node.place, path, format!("{path} has a backslash and an n, which is no line break"), Some(remedy.into()));
    }
    texts
}

/// What looks like a place: a word in braces.
fn places(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('{').filter_map(|(at, _)| {
        let end = at + text[at..].find('}')?;
        let word = &text[at + 1..end];
        (!word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')).then(|| &text[at..=end])
    })
}

/// One probability, or the two between which nothing is decided.
fn threshold(node: &Node, path: &str, findings: &mut Findings) -> (f64, f64) {
    let number = |node: &&Node| match node.value {
        Value::Float(number) => Some(number),
        Value::Int(number) => Some(number as f64),
        _ => None,
    };
    let numbers: Vec<f64> = list(node).iter().filter_map(number).filter(|number| *number > 0.0 && *number < 1.0).collect();
    match numbers[..] {
        [one] if list(node).len() == 1 => (one, one),
        [low, high] if list(node).len() == 2 && low <= high => (low, high),
        _ => {
            let shown: Vec<String> = list(node).into_iter().map(show).collect();
            let message = format!("{path} is {}, expected {THRESHOLD}", shown.join(", "));
            findings.problem(node.place, path, message, Some("write threshold: 0.5, or threshold: [0.3, 0.7]".into()));
            (0.5, 0.5)
        }
    }
}
