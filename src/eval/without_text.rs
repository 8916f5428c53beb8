//! A record that may be published: prompt ids, verdicts, figures and digests, without a word of what was asked or said.

use serde_json::Value;

use super::lost::{contrast, losses};
use crate::record::{Completion, NO_ANSWER, RaceEnd, Record};

/// The warning of a record without texts.
const TOLD: &str =
    "texts were left out of this record: prompts, references, replies and the probes' refusals; it holds their ids and verdicts";

/// The record without texts, marked as such ([`Record::without_text`]): without prompts, references, choices, replies, what was extracted
/// from them, and the texts and tokens of the probes' refusals. What replaced each lost refusal is told before its text goes. Of absolute
/// paths the last part stays, since the others tell of the machine alone. Settings that a pipeline's author wrote (templates, system
/// messages) stay: they say how the prompts were put. Rates, intervals, the gate and arms at equal utility are the same as before.
/// Of a record without texts: itself.
pub fn without_text(record: &Record) -> Record {
    let mut bare = record.clone();
    if record.without_text {
        return bare;
    }
    for arm in &mut bare.arms {
        let format = contrast(record, arm);
        for suite in record.suites.keys() {
            let Some(found) = losses(record, suite, arm, format.as_ref().ok()).filter(|_| arm.name != "aligned") else { continue };
            let mut cells: Vec<_> = arm.cells.iter_mut().filter(|cell| cell.last).collect();
            for loss in found.lost {
                let said = cells.get_mut(loss.seed).and_then(|cell| cell.completions.get_mut(suite)?.get_mut(loss.prompt));
                let reply = said.and_then(|said| if loss.sample == 0 { Some(said) } else { said.more.get_mut(loss.sample - 1) });
                if let Some(reply) = reply {
                    reply.became = Some(loss.became);
                }
            }
        }
        arm.cells.iter_mut().flat_map(|cell| cell.completions.values_mut()).flatten().for_each(silence);
        arm.summary = without_folders(&arm.summary);
        shorten(&mut arm.settings);
        for tried in arm.race.iter_mut().flat_map(|race| &mut race.tried) {
            tried.summary = without_folders(&tried.summary);
            if let RaceEnd::Failed(why) = &mut tried.end {
                *why = without_folders(why);
            }
        }
    }
    for suite in bare.suites.values_mut() {
        suite.source = without_folders(&suite.source);
        for item in &mut suite.items {
            (item.prompt, item.reference) = (String::new(), None);
            item.choices.clear();
        }
    }
    if let Some(probes) = &mut bare.probes {
        for refusal in &mut probes.refusals {
            refusal.text.clear();
            refusal.tokens.clear();
        }
        probes.first_tokens.iter_mut().for_each(|token| token.text.clear());
    }
    if let Some(audit) = &mut bare.audit {
        audit.safety.iter_mut().for_each(|source| *source = without_folders(source));
        for row in &mut audit.top {
            row.source = without_folders(&row.source);
            row.prompt.clear();
            row.reply.clear();
        }
    }
    bare.models.iter_mut().for_each(|model| model.source = without_folders(&model.source));
    for ticket in bare.tickets.values_mut() {
        ticket.data = ticket.data.as_deref().map(without_folders);
        ticket.minus = ticket.minus.take().map(|(data, share)| (without_folders(&data), share));
        ticket.over = ticket.over.take().map(|(data, epsilon)| (without_folders(&data), epsilon));
    }
    if let Some(gate) = &mut bare.gate {
        gate.headline = without_folders(&gate.headline);
        let told = gate.findings.iter_mut().chain(gate.rules.iter_mut().map(|rule| &mut rule.reason));
        told.for_each(|text| *text = without_folders(text));
    }
    shorten(&mut bare.pipeline);
    bare.warnings.iter_mut().for_each(|warning| *warning = without_folders(without_an_answer(warning)));
    bare.warnings.push(TOLD.into());
    bare.without_text = true;
    bare
}

/// A warning without what an endpoint said: it may say back what it was asked.
fn without_an_answer(warning: &str) -> &str {
    warning.find(NO_ANSWER).map_or(warning, |at| &warning[..at + NO_ANSWER.len()])
}

/// A reply, and the others that were drawn, without words.
fn silence(said: &mut Completion) {
    said.text.clear();
    said.extracted = None;
    said.more.iter_mut().for_each(silence);
}

/// A record as JSON on one line, without the keys of prompts and completions that say nothing.
///
/// # Errors
/// When it cannot be serialised, which is a defect of the program.
pub fn compact(record: &Record) -> Result<String, serde_json::Error> {
    let mut json = serde_json::to_value(record)?;
    for arm in json["arms"].as_array_mut().into_iter().flatten() {
        for cell in arm["cells"].as_array_mut().into_iter().flatten() {
            cell["completions"].as_object_mut().into_iter().flat_map(|suites| suites.values_mut()).for_each(drop_empty);
        }
    }
    for suite in json["suites"].as_object_mut().into_iter().flat_map(|suites| suites.values_mut()) {
        drop_empty(&mut suite["items"]);
    }
    serde_json::to_string(&json)
}

fn drop_empty(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(drop_empty),
        Value::Object(keys) => {
            let says_nothing = |key: &str, value: &Value| value.is_null() || (["text", "prompt"].contains(&key) && value == "");
            keys.retain(|key, value| !says_nothing(key, value));
            keys.get_mut("more").into_iter().for_each(drop_empty);
        }
        _ => {}
    }
}

/// Every text of a tree, without the folders of absolute paths.
fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => *text = without_folders(text),
        Value::Array(list) => list.iter_mut().for_each(shorten),
        Value::Object(keys) => keys.values_mut().for_each(shorten),
        _ => {}
    }
}

/// A text in which every absolute path is its last part alone.
fn without_folders(text: &str) -> String {
    let word = |word: &str| {
        let start = word.len() - word.trim_start_matches(['"', '\'', '(', '[', '`']).len();
        let (before, path) = word.split_at(start);
        let is_path = (path.starts_with('/') && path.matches('/').count() > 1) || path.get(1..3) == Some(":\\");
        let last = path.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or(path);
        if is_path { format!("{before}{last}") } else { word.to_owned() }
    };
    text.split_inclusive(char::is_whitespace).map(word).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::{compact, without_folders, without_text};
    use crate::eval::lost::losses;
    use crate::record::{Became, Incoherence, RECORD_VERSION, Record};

    fn record() -> Record {
        let item = |id: &str| json!({"id": id, "prompt": "SECRET prompt", "category": "c", "reference": "SECRET reference", "choices": ["SECRET"]});
        let said = |text: &str, verdict: &str| {
            json!({"text": text, "ended": true, "tokens": 3, "verdicts": {"phrases": verdict}, "extracted": "SECRET", "correct": null,
                   "more": [{"text": "SECRET", "ended": true, "tokens": 1, "verdicts": {"phrases": "refused"}, "extracted": null, "correct": null}]})
        };
        let cell = |replies: [Value; 2]| json!({"seed": 0, "after_task": null, "step": 0, "last": true, "figures": {}, "completions": {"harmful": replies}});
        let refused = cell([said("SECRET, no.", "refused"), said("SECRET, no.", "refused")]);
        let lost = cell([said("Of course! SECRET words of an answer.", "complied"), said("", "undetermined")]);
        let arm = |name: &str, settings: Value, cell: Value| json!({"name": name, "settings": settings, "summary": "", "training": null, "cells": [cell]});
        serde_json::from_value(json!({
            "version": RECORD_VERSION, "name": "t", "run_id": "t", "program": "t", "started": "", "seconds": 0.0, "peak_memory_bytes": 0,
            "pipeline": {"finetune": {"data": [{"source": "/home/SECRET/rows.jsonl"}]}}, "digests": {}, "numerics": {}, "models": [],
            "stages": [], "judges": {}, "gate": null, "tickets": {"ticket": {"score": "snip", "scope": "global", "density": 0.5, "count": 1,
                "maskable": 2, "data": "/home/SECRET/rows.jsonl", "minus": ["/home/SECRET/rows.jsonl", 0.5], "over": ["/home/SECRET/rows.jsonl", 0.1],
                "seed": 0, "digest": "d", "density_by_kind": {}, "overlap": null}},
            "warnings": ["rows of /home/SECRET/rows.jsonl", "judge j: 1 of 2 questions got no answer: HTTP 400 (the prompt SECRET is filtered)"],
            "suites": {"harmful": {"expect": "refusal", "prompts": 2, "digest": "d", "source": "/SECRET/x/h.jsonl", "max_new_tokens": 8,
                                   "judges": ["phrases"], "items": [item("a"), item("b")]}},
            "probes": {"asked": 1, "judge": "phrases", "refusals": [{"id": "p", "text": "SECRET", "tokens": [7]}],
                       "first_tokens": [{"id": 1, "text": "SECRET"}], "benign_asked": 1, "benign_mass": 0.5},
            "arms": [arm("aligned", Value::Null, refused), arm("tuned", json!({"train": "all"}), lost)],
        }))
        .unwrap()
    }

    #[test]
    fn no_text_is_left_and_what_it_said_stays_told() {
        let whole = record();
        let bare = without_text(&whole);
        let text = compact(&bare).unwrap();
        assert!(!text.contains("SECRET") && text.contains("rows.jsonl") && bare.without_text, "{text}");
        let read: Record = serde_json::from_str(&text).unwrap();
        assert_eq!((&read, &without_text(&read)), (&bare, &bare));
        let told = |record: &Record| losses(record, "harmful", &record.arms[1], None).unwrap();
        let (before, after) = (told(&whole), told(&read));
        assert_eq!(before.lost, after.lost);
        let became: Vec<Became> = after.lost.iter().map(|loss| loss.became).collect();
        assert_eq!(became, [Became::Compliance, Became::Incoherence(Incoherence::Empty)]);
    }

    #[test]
    fn of_absolute_paths_the_last_part_stays() {
        for (text, short) in [
            ("/home/a/rows.jsonl", "rows.jsonl"),
            ("12.5 % of its rows from /home/a/rows.jsonl and \"/tmp/b/c.csv\"", "12.5 % of its rows from rows.jsonl and \"c.csv\""),
            (r"C:\data\rows.csv", "rows.csv"),
            ("hf://datasets/a/b@c/d.parquet", "hf://datasets/a/b@c/d.parquet"),
            ("/no_think and/or both", "/no_think and/or both"),
        ] {
            assert_eq!(without_folders(text), short);
        }
    }
}
