//! The JSON schema of a pipeline file, made from what the reader itself asks for.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value as Json, json};

use super::node::Node;
use super::reader::{ALIASES, ELSEWHERE, Findings};
use super::resolve;
use crate::data::catalogue::entries;

/// A pipeline with every kind of section, so that the reader asks for every key.
const EVERY_SECTION: &str = "
name: every
model: {base: hf://a/b@c, endpoint: {url: http://a, model: b, price: {}}}
pretrain: {data: {path: builtin:tiny-text, columns: {}}, architecture: {}}
align: {data: {path: builtin:refusals, columns: {}}}
ticket: {score: snip, data: {path: builtin:refusals, columns: {}}, minus: {data: builtin:helpful}, over: {data: builtin:helpful}}
finetune: {data: {path: builtin:helpful, columns: {}}, sweep: {}, audit: true, tasks: [{name: a, data: builtin:helpful}], arms: {NAME: {train: lora, sweep: {}, replay: {data: {path: builtin:refusals, columns: {}}}, first_tokens: {}, anchor: {data: {path: builtin:refusals, columns: {}}}, elastic: {data: {path: builtin:refusals, columns: {}}}, project: {data: {path: builtin:refusals, columns: {}}}, lora: {}, layers: {}, merge: {}, from: NAME, edit: {interpolate: {}, restore: ticket, resta: {}, safe_lora: {}}}, AUTO: {protect: auto, auto: {}}}}
evaluate:
  judges: [phrases, {name: llm, endpoint: {url: http://a, model: b, price: {}}}, {name: minos, classifier: hf://a/b@c, refused: r}]
  divergence: {}
  suites:
    NAME: {prompts: {path: builtin:harmful, columns: {}}, expect: refusal}
    TEXT: {prompts: builtin:harmful, expect: {perplexity: {column: c}}}
    CHOICE: {prompts: builtin:harmful, expect: {multiple_choice: {choices: {list: c}, gold: {column: g}, blank: {column: b}}}}
  probes: {harmful: {path: builtin:probes, columns: {}}, benign: {path: builtin:benign-probes, columns: {}}, task: {path: builtin:helpful, columns: {}}}
gate: [{arm: NAME, metric: NAME.refusal_rate, drop_at_most: 0.05}]
";

/// The schema, in JSON Schema 2020-12.
pub fn schema() -> Json {
    let mut findings = Findings::default();
    if let Ok(root) = Node::parse(EVERY_SECTION) {
        let _ = resolve::pipeline(&root, Path::new("."), None, &mut findings);
    }
    let asked = findings.asked;
    let section = |path: &str| object(&asked, path);
    let one = section("finetune.data");
    // One source, or several where rows are learnt.
    let single = json!({"$ref": "#/$defs/source"});
    let data = json!({"$ref": "#/$defs/data"});
    let sources = json!({"anyOf": [single, {"type": "array", "items": single, "minItems": 1}]});
    let minus = with(section("ticket.minus"), &[("data", single.clone())]);
    let minus = json!({"anyOf": [{"type": "string"}, minus]});
    let over = with(section("ticket.over"), &[("data", single.clone())]);
    let over = json!({"anyOf": [{"type": "string"}, over]});
    let named_ticket = with(section("ticket"), &[("data", single.clone()), ("minus", minus), ("over", over)]);
    let mut ticket = named_ticket.clone();
    if let Some(properties) = ticket["properties"].as_object_mut() {
        // Only a ticket below another can be its twin.
        properties.shift_remove("twin_of");
    }
    let replay = with(section("finetune.arms.NAME.replay"), &[("data", data.clone())]);
    let anchor = with(section("finetune.arms.NAME.anchor"), &[("data", data.clone())]);
    let elastic = with(section("finetune.arms.NAME.elastic"), &[("data", data.clone())]);
    let project = with(section("finetune.arms.NAME.project"), &[("data", data.clone())]);
    let arm =
        with(section("finetune.arms.NAME"), &[("replay", replay), ("anchor", anchor), ("sweep", section("finetune.arms.NAME.sweep"))]);
    let arm = with(arm, &[("elastic", elastic), ("project", project), ("auto", section("finetune.arms.AUTO.auto"))]);
    let arm = with(arm, &[("first_tokens", section("finetune.arms.NAME.first_tokens"))]);
    let arm = with(arm, &[("lora", section("finetune.arms.NAME.lora")), ("layers", layers(&asked)), ("edit", edit(&asked))]);
    let mut merge = section("finetune.arms.NAME.merge");
    merge["required"] = json!(["method"]);
    merge["description"] = json!("The tasks are trained side by side, each from the aligned model, and merged.");
    let arm = with(arm, &[("merge", merge)]);
    let one_key =
        |key: &str, value: Json| json!({"type": "object", "properties": {key: value}, "required": [key], "additionalProperties": false});
    let choice = choice(&asked, "evaluate.suites.CHOICE.expect.multiple_choice");
    let expect = json!({"anyOf": [{"enum": ["refusal", "answer", "perplexity"]}, one_key("exact_match", json!({"type": "string"})), one_key("rouge", json!({"type": "string"})), one_key("perplexity", json!({"anyOf": [{"type": "string"}, section("evaluate.suites.TEXT.expect.perplexity")]})), one_key("multiple_choice", choice)]});
    let names: Vec<&str> = entries().iter().map(|entry| entry.name.as_str()).collect();
    let published = json!({"enum": names, "description": "A published suite, which says where its prompts are and what a good answer is."});
    let suite = with(section("evaluate.suites.NAME"), &[("prompts", single.clone()), ("expect", expect), ("suite", published)]);
    let probes = with(section("evaluate.probes"), &[("harmful", single.clone()), ("benign", single.clone()), ("task", single)]);
    let texts = json!({"type": "string"});
    let names = json!({"anyOf": [texts, {"type": "array", "items": texts, "minItems": 1}]});
    let divergence = with(section("evaluate.divergence"), &[("suites", names)]);
    let behind = |path: &str, required: &[&str]| {
        let parameters = json!({"type": "object", "description": "Further fields of every request, as the server knows them."});
        let mut section = with(section(path), &[("price", section(&format!("{path}.price"))), ("parameters", parameters)]);
        section["required"] = json!(required);
        section
    };
    let mut judge =
        with(section("evaluate.judges.1"), &[("endpoint", behind("evaluate.judges.1.endpoint", &["url", "model", "template"]))]);
    judge["required"] = json!(["name", "endpoint"]);
    if let Some(properties) = judge["properties"].as_object_mut() {
        // Asked for to say that a judge is one or the other.
        properties.shift_remove("classifier");
    }
    let mut encoder = with(section("evaluate.judges.2"), &[("classifier", texts.clone())]);
    encoder["required"] = json!(["name", "classifier", "refused"]);
    let judge = json!({"anyOf": [texts, judge, encoder]});
    let judges = json!({"anyOf": [judge, {"type": "array", "items": judge, "minItems": 1}]});
    let mut rule =
        with(section("gate.0"), &[("arm", texts.clone()), ("metric", texts.clone()), ("of", texts.clone()), ("judge", texts.clone())]);
    rule["required"] = json!(["arm", "metric"]);
    let audit = json!({"anyOf": [{"type": "boolean"}, data], "description": "Which rows pull against these refusals, in the report; true: the ticket's data."});
    let mut task = with(section("finetune.tasks.0"), &[("data", data.clone())]);
    task["required"] = json!(["name", "data"]);
    let tasks = json!({"anyOf": [task, {"type": "array", "items": task, "minItems": 1}], "description": "Learnt one after another, or side by side in arms that merge them; in place of data."});
    let seed = json!({"type": "integer", "minimum": 0});
    let named = |item: Json| json!({"type": "object", "additionalProperties": item});
    let mut top = with(
        section(""),
        &[
            ("seeds", json!({"anyOf": [seed, {"type": "array", "items": seed, "minItems": 1}]})),
            (
                "model",
                with(
                    section("model"),
                    &[("base", texts.clone()), ("aligned", texts.clone()), ("endpoint", behind("model.endpoint", &["url", "model"]))],
                ),
            ),
            ("pretrain", with(section("pretrain"), &[("data", data.clone()), ("architecture", section("pretrain.architecture"))])),
            ("align", with(section("align"), &[("data", data.clone())])),
            ("ticket", ticket),
            ("tickets", named(named_ticket)),
            (
                "finetune",
                with(
                    section("finetune"),
                    &[("data", data), ("audit", audit), ("tasks", tasks), ("arms", named(arm)), ("sweep", section("finetune.sweep"))],
                ),
            ),
            (
                "evaluate",
                with(section("evaluate"), &[("suites", named(suite)), ("judges", judges), ("probes", probes), ("divergence", divergence)]),
            ),
            ("gate", json!({"anyOf": [rule, {"type": "array", "items": rule}]})),
        ],
    );
    if let Some(properties) = top["properties"].as_object_mut() {
        for (key, _) in ELSEWHERE {
            properties.remove(key);
        }
    }
    top["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    top["$defs"] = json!({"source": {"anyOf": [{"type": "string"}, one]}, "data": sources});
    top["title"] = "steadfast pipeline".into();
    top["anyOf"] = json!([{"required": ["model"]}, {"required": ["pretrain"]}]);
    top
}

/// The layers of an arm: a list, or from one to another.
fn layers(asked: &BTreeMap<String, BTreeMap<&'static str, Json>>) -> Json {
    let layer = json!({"type": "integer", "minimum": 0});
    let mut range = object(asked, "finetune.arms.NAME.layers");
    range["minProperties"] = json!(1);
    range["description"] = json!("Both included; a side that is not given is the model's own.");
    json!({"anyOf": [layer, {"type": "array", "items": layer, "minItems": 1, "uniqueItems": true}, range]})
}

/// What is done to another arm's weights: one of the edits.
fn edit(asked: &BTreeMap<String, BTreeMap<&'static str, Json>>) -> Json {
    let path = "finetune.arms.NAME.edit";
    let part = |key: &str| object(asked, &format!("{path}.{key}"));
    let keys = [
        ("interpolate", part("interpolate")),
        ("restore", json!({"type": "string", "description": "A ticket's name, or random."})),
        ("resta", part("resta")),
        ("safe_lora", part("safe_lora")),
    ];
    let mut edit = with(object(asked, path), &keys);
    (edit["minProperties"], edit["maxProperties"]) = (json!(1), json!(1));
    edit
}

/// How a row becomes a question with choices.
fn choice(asked: &BTreeMap<String, BTreeMap<&'static str, Json>>, path: &str) -> Json {
    let (column, columns) = (json!({"type": "string"}), json!({"type": "array", "items": {"type": "string"}}));
    let inner = json!({"columns": columns, "texts": columns, "list": column});
    let texts = json!({"anyOf": [column, columns, {"type": "object", "properties": inner, "minProperties": 1, "maxProperties": 1, "additionalProperties": false}]});
    let gold = json!({"anyOf": [column, object(asked, &format!("{path}.gold"))]});
    let blank = object(asked, &format!("{path}.blank"));
    let mut choice = with(object(asked, path), &[("choices", texts.clone()), ("labels", texts), ("gold", gold), ("blank", blank)]);
    choice["required"] = json!(["choices", "gold"]);
    choice
}

/// A section of exactly the keys that were asked for, and their aliases; `columns` is a section of its own.
fn object(asked: &BTreeMap<String, BTreeMap<&'static str, Json>>, path: &str) -> Json {
    let mut properties = Map::new();
    for (key, schema) in asked.get(path).into_iter().flatten() {
        let inner = format!("{path}.{key}");
        let schema = if *key == "columns" && asked.contains_key(&inner) { object(asked, &inner) } else { schema.clone() };
        properties.insert((*key).to_owned(), schema);
    }
    for (alias, canonical) in ALIASES {
        if let Some(mut schema) = properties.get(canonical).cloned() {
            (schema["deprecated"], schema["description"]) = (json!(true), json!(format!("Read as {canonical}.")));
            properties.insert(alias.to_owned(), schema);
        }
    }
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

/// The section with other schemas for some keys.
fn with(mut object: Json, keys: &[(&str, Json)]) -> Json {
    for (key, schema) in keys {
        object["properties"][*key] = schema.clone();
    }
    object
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_section_is_described() {
        let schema = schema();
        let at = |pointer: &str| schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer}")).clone();
        assert_eq!(at("/properties/finetune/properties/arms/additionalProperties/properties/density/type"), "number");
        assert_eq!(
            at("/properties/ticket/properties/score/enum"),
            json!(["snip", "gradient", "fisher", "wanda", "calibrate", "task-vector", "magnitude", "random"])
        );
        assert!(at("/properties/gate/anyOf/1/items/properties").as_object().unwrap().contains_key("drop_at_most"));
        assert_eq!(at("/properties/gate/anyOf/0/required"), json!(["arm", "metric"]));
        assert!(at("/properties/evaluate/properties/suites/additionalProperties/properties").as_object().unwrap().len() >= 4);
        for section in ["model", "align", "ticket", "finetune", "evaluate"] {
            assert!(at(&format!("/properties/{section}/properties")).as_object().unwrap().len() >= 4, "{section}");
        }
    }

    /// As an editor would say: an alias where its key is, and nowhere else.
    #[test]
    fn aliases_are_keys_where_theirs_are() {
        let schema = schema();
        for section in ["align", "finetune", "finetune/properties/arms/additionalProperties"] {
            let keys = schema.pointer(&format!("/properties/{section}/properties")).unwrap().as_object().unwrap();
            for (alias, canonical) in ALIASES {
                assert_eq!(keys.contains_key(alias), keys.contains_key(canonical), "{alias} in {section}");
            }
            assert_eq!((&keys["lr"]["deprecated"], &keys["lr"]["type"]), (&json!(true), &keys["learning_rate"]["type"]));
        }
        assert!(!schema["properties"].as_object().unwrap().contains_key("steps"));
    }

    #[test]
    fn the_file_beside_the_pipelines_is_this_schema() {
        let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines/schema.json")).unwrap();
        let fresh = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        assert!(file == fresh, "pipelines/schema.json is stale: steadfast schema > pipelines/schema.json");
    }
}
