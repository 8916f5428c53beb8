//! What parts of one benchmark must have in common.
//!
//! All parts: aligned model, base, tokenizer with template, judges, suites of harmful and benign prompts, and every other set of rows, by
//! digest; and the settings around the fine-tuning. Parts of one task also its rows, its suites, and the settings of arms of one name.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{is_tuned, task_of, told};
use crate::record::{Arm, Expect, Record};

/// Keys of a resolved pipeline that say where something is, or how fast it goes: a digest stands for what is there.
const PLACES: [&str; 7] = ["source", "file", "base", "aligned", "chat_template", "batch_size", "path"];

/// Whether a digest is of something that parts share, and not of an arm's weights.
pub(super) fn is_shared(key: &str) -> bool {
    let of_an_arm = key.starts_with("model.") && !["model.base", "model.aligned"].contains(&key) && !key.starts_with("model.judge.");
    !of_an_arm
}

/// Kinds of rows that one arm has and another has not.
const OF_AN_ARM: [&str; 4] = ["data.replay.", "data.anchor.", "data.elastic.", "data.project."];

/// Why parts do not fit, one sentence each: every part beside the first, and beside every earlier one of its task.
pub(super) fn misfits(parts: &[Record]) -> Vec<String> {
    let mut found = BTreeSet::new();
    for (place, part) in parts.iter().enumerate().skip(1) {
        let task = task_of(&part.pipeline);
        found.extend(beside(&parts[0], part, false));
        let of_its_task = parts[..place].iter().filter(|other| task_of(&other.pipeline) == task);
        found.extend(of_its_task.flat_map(|other| beside(other, part, true)));
    }
    found.into_iter().collect()
}

fn beside(first: &Record, part: &Record, same_task: bool) -> Vec<String> {
    let task_suite = |name: &str| {
        let of = |record: &Record| record.suites.get(name).is_none_or(|suite| !matches!(suite.expect, Expect::Refusal | Expect::Answer));
        of(first) || of(part)
    };
    let of_a_task =
        |key: &str| key.starts_with("data.finetune") || key == "data.probes.task" || key.strip_prefix("suite.").is_some_and(task_suite);
    let (one, other) = (told(first), told(part));
    let mut found = Vec::new();
    let keys: BTreeSet<&String> = first.digests.keys().chain(part.digests.keys()).collect();
    for key in keys.into_iter().filter(|key| is_shared(key) && (same_task || !of_a_task(key))) {
        let sides = (first.digests.get(key), part.digests.get(key));
        let only_of_an_arm = OF_AN_ARM.iter().any(|kind| key.starts_with(kind));
        match sides {
            (Some(a), Some(b)) if a != b => found.push(format!("{key} is {a} in {one} and {b} in {other}")),
            (None, Some(digest)) if !only_of_an_arm => found.push(format!("{key} is {digest} in {other}, and {one} has none")),
            (Some(digest), None) if !only_of_an_arm => found.push(format!("{key} is {digest} in {one}, and {other} has none")),
            _ => {}
        }
    }
    for (name, ticket) in &part.tickets {
        if let Some(known) = first.tickets.get(name).filter(|known| known.digest != ticket.digest) {
            found.push(format!("ticket {name} is {} in {one} and {} in {other}", known.digest, ticket.digest));
        }
    }
    let settings = |record: &Record| around(record, &|suite| same_task || !task_suite(suite));
    if let Some((key, a, b)) = difference(&settings(first), &settings(part), "") {
        found.push(format!("{key} is {a} in {one} and {b} in {other}"));
    }
    if same_task {
        let gate = |record: &Record| placeless(&record.pipeline["gate"]);
        if let Some((key, a, b)) = difference(&gate(first), &gate(part), "gate") {
            found.push(format!("{key} is {a} in {one} and {b} in {other}: the joined gate would be decided by one of them"));
        }
        for arm in part.arms.iter().filter(|arm| is_tuned(arm)) {
            let Some(known) = first.arms.iter().find(|known| known.name == arm.name) else { continue };
            // What a race chose may differ by seed; how it chose may not.
            let raced = known.race.is_some() || arm.race.is_some();
            let settings = |record: &Record, arm: &Arm| placeless(if raced { written(record, &arm.name) } else { &arm.settings });
            if let Some((key, a, b)) = difference(&settings(first, known), &settings(part, arm), "") {
                found.push(format!("{key} of arm {} is {a} in {one} and {b} in {other}", arm.name));
            }
        }
    }
    found
}

/// An arm as the pipeline has it.
fn written<'a>(record: &'a Record, name: &str) -> &'a Value {
    let arms = record.pipeline["finetune"]["arms"].as_array();
    arms.into_iter().flatten().find(|arm| arm["name"] == name).unwrap_or(&Value::Null)
}

/// What a pipeline says around its fine-tuning, without places; of the suites those that `keep` keeps, by name.
fn around(record: &Record, keep: &dyn Fn(&str) -> bool) -> Value {
    let mut pipeline = placeless(&record.pipeline);
    let Some(top) = pipeline.as_object_mut() else { return Value::Null };
    for key in ["name", "seeds", "finetune", "gate"] {
        top.remove(key);
    }
    if let Some(evaluate) = top.get_mut("evaluate").and_then(Value::as_object_mut) {
        evaluate.remove("calibration");
        if let Some(suites) = evaluate.get_mut("suites").and_then(Value::as_array_mut) {
            suites.retain(|suite| suite["name"].as_str().is_none_or(keep));
        }
    }
    pipeline
}

fn placeless(value: &Value) -> Value {
    match value {
        Value::Object(keys) => Value::Object(
            keys.iter().filter(|(key, _)| !PLACES.contains(&key.as_str())).map(|(key, one)| (key.clone(), placeless(one))).collect(),
        ),
        Value::Array(list) => Value::Array(list.iter().map(placeless).collect()),
        other => other.clone(),
    }
}

/// The first place in which two trees differ, and what stands there.
fn difference(a: &Value, b: &Value, path: &str) -> Option<(String, String, String)> {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (a, b) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            let side = |of: &serde_json::Map<String, Value>, key: &String| of.get(key).cloned().unwrap_or(Value::Null);
            keys.into_iter().find_map(|key| difference(&side(one, key), &side(other, key), &below(key)))
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            one.iter().zip(other).enumerate().find_map(|(i, (a, b))| difference(a, b, &below(&i.to_string())))
        }
        _ => (a != b).then(|| (path.to_owned(), a.to_string(), b.to_string())),
    }
}

/// Differences that do not forbid joining: the last bits hang on the kernel path, and figures on the program.
pub(super) fn notes(parts: &[Record]) -> Vec<String> {
    let mut notes = Vec::new();
    for (what, of) in [
        ("programs", &(|part: &Record| part.program.clone()) as &dyn Fn(&Record) -> String),
        ("numerics", &|part: &Record| part.numerics.get("backend").cloned().unwrap_or_default()),
    ] {
        let found: BTreeSet<String> = parts.iter().map(of).collect();
        if found.len() > 1 {
            notes.push(format!("the parts were measured by different {what}: {}", found.into_iter().collect::<Vec<_>>().join("; ")));
        }
    }
    // What differs between parts is no note but a misfit.
    if let Some(quantization) = parts.iter().find_map(Record::quantization) {
        notes.push(format!("the replies are by weights rounded to {}, not by those that the runs saved", quantization.name()));
    }
    notes
}
