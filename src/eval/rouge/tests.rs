//! The numbers of rouge-score and the stems of NLTK (`tests/reference/rouge.py`).
#![allow(clippy::unwrap_used)]

use serde_json::Value;

use super::{porter, rouge};

fn reference() -> Value {
    serde_json::from_str(include_str!("../../../tests/reference/rouge.json")).unwrap()
}

#[test]
fn scores_are_rouge_scores() {
    let reference = reference();
    let pairs = reference["pairs"].as_array().unwrap();
    assert!(pairs.len() > 20);
    for pair in pairs {
        let text = |name: &str| pair[name].as_str().unwrap();
        let found = rouge(text("reference"), text("text"));
        for (name, value) in [("rouge1", found.rouge1), ("rouge2", found.rouge2), ("rougeL", found.rouge_l)] {
            assert!((value - pair[name].as_f64().unwrap()).abs() < 1e-12, "{name} is {value}: {pair}");
        }
    }
}

#[test]
fn stems_are_nltks() {
    let reference = reference();
    let stems = reference["stems"].as_object().unwrap();
    assert!(stems.len() > 1000);
    let wrong: Vec<String> = stems
        .iter()
        .map(|(word, stem)| (word, porter::stem(word), stem))
        .filter(|(_, found, stem)| *stem != found)
        .map(|(word, found, stem)| format!("{word}: {found}, expected {stem}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
