//! The pipeline's schema and its reader: what one takes, the other does.

use serde_json::Value;
use steadfast::pipeline::{load, schema::schema};

const PIPELINE: &str = "\
seeds: [0]
model: {aligned: builtin:tiny-aligned}
ticket: {score: random, density: 0.5}
finetune: {data: builtin:tiny-task, arms: {a: {train: all}}}
evaluate:
  suites: {harmful: {prompts: builtin:tiny-harmful, expect: refusal}}
  probes: {harmful: builtin:tiny-probes, benign: builtin:tiny-benign-probes}
";

/// Whether a value is what a schema describes; of JSON Schema, what ours says.
fn fits(schema: &Value, root: &Value, value: &Value) -> bool {
    let Some(parts) = schema.as_object() else { return schema != &Value::Bool(false) };
    let number = |wanted: &Value, holds: fn(f64, f64) -> bool| value.as_f64().is_none_or(|found| holds(found, wanted.as_f64().unwrap()));
    let items = value.as_array();
    let entries = value.as_object();
    parts.iter().all(|(key, wanted)| match key.as_str() {
        "$ref" => fits(root.pointer(wanted.as_str().unwrap().trim_start_matches('#')).unwrap(), root, value),
        "anyOf" => wanted.as_array().unwrap().iter().any(|one| fits(one, root, value)),
        "enum" => wanted.as_array().unwrap().contains(value),
        "const" => wanted == value,
        "type" => match wanted.as_array() {
            Some(several) => several.iter().any(|one| is(one, value)),
            None => is(wanted, value),
        },
        "minimum" => number(wanted, |found, least| found >= least),
        "maximum" => number(wanted, |found, most| found <= most),
        "exclusiveMinimum" => number(wanted, |found, least| found > least),
        "exclusiveMaximum" => number(wanted, |found, most| found < most),
        "minItems" => items.is_none_or(|items| items.len() as u64 >= wanted.as_u64().unwrap()),
        "maxItems" => items.is_none_or(|items| items.len() as u64 <= wanted.as_u64().unwrap()),
        "items" => items.is_none_or(|items| items.iter().all(|item| fits(wanted, root, item))),
        "minProperties" => entries.is_none_or(|entries| entries.len() as u64 >= wanted.as_u64().unwrap()),
        "maxProperties" => entries.is_none_or(|entries| entries.len() as u64 <= wanted.as_u64().unwrap()),
        "required" => {
            entries.is_none_or(|entries| wanted.as_array().unwrap().iter().all(|key| entries.contains_key(key.as_str().unwrap())))
        }
        "properties" => entries.is_none_or(|entries| entries.iter().all(|(key, value)| fits(&wanted[key], root, value))),
        "additionalProperties" => entries.is_none_or(|entries| {
            let other = |key: &str| parts.get("properties").is_none_or(|known| known.get(key).is_none());
            entries.iter().filter(|(key, _)| other(key)).all(|(_, value)| fits(wanted, root, value))
        }),
        "uniqueItems" | "description" | "deprecated" | "title" | "$schema" | "$defs" => true,
        other => panic!("{other} is not known here"),
    })
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("{other} is not known here"),
    }
}

#[test]
fn the_schema_takes_what_the_reader_takes() {
    let schema = schema();
    let folder = tempfile::tempdir().unwrap();
    let (all, data, drawn) = ("{train: all}", "data: builtin:tiny-task", "train: complement, ticket: random");
    let cases = [
        (all, all.to_owned(), true),
        (all, "{train: lora, lora: {targets: q_proj}}".into(), true),
        (all, "{train: lora, lora: {targets: [q_proj, v_proj]}}".into(), true),
        (all, "{train: lora, lora: {targets: q_prj}}".into(), false),
        (all, "{train: lora, lora: {targets: []}}".into(), false),
        (all, "{train: all, first_tokens: {betas: 0.5}}".into(), true),
        (all, "{train: all, first_tokens: {betas: [0.5, 2]}}".into(), true),
        (all, "{train: all, first_tokens: {betas: -1}}".into(), false),
        (all, format!("{{{drawn}, draws: 2}}"), true),
        (all, format!("{{{drawn}, draws: many}}"), false),
        (all, format!("{{{drawn}, draws: 0}}"), false),
        (all, format!("{{{drawn}, draws: 101}}"), false),
        (data, "tasks: {name: sums, data: builtin:tiny-task}".into(), true),
        (data, "tasks: [{name: sums, data: builtin:tiny-task}]".into(), true),
        (data, "tasks: {name: sums}".into(), false),
        (data, "tasks: []".into(), false),
        (data, "data: {path: builtin:tiny-task, split: [0, 0.9]}".into(), true),
        (data, "data: {path: builtin:tiny-task, split: 3}".into(), false),
        (data, "data: {path: builtin:tiny-task, split: [0, 2]}".into(), false),
        ("probes: {", "probes: {of: drift, ".into(), true),
        ("probes: {", "probes: {of: [drift, task_nll], ".into(), true),
        ("probes: {", "probes: {of: [drfit], ".into(), false),
        ("seeds: [0]", "seeds: 3".into(), true),
        ("seeds: [0]", "seeds: [0, 1]".into(), true),
        ("seeds: [0]", "seeds: [-1]".into(), false),
        ("seeds: [0]", "seeds: -1".into(), false),
    ];
    let mut wrong = Vec::new();
    for (from, to, taken) in cases {
        let text = PIPELINE.replacen(from, &to, 1);
        let file = folder.path().join("p.yaml");
        std::fs::write(&file, &text).unwrap();
        let read = load(&file, &[]);
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        let described = fits(&schema, &schema, &value);
        if (read.is_ok(), described) != (taken, taken) {
            let problem = read.err().map(|failure| failure.message).unwrap_or_default();
            wrong.push(format!("{to}: the schema says {described}, the reader {problem:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
