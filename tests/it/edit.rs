//! Arms that are made of another arm's weights: numbers beside numpy's, and the saved files of the real program.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::SafeTensors;
use serde_json::Value;
use steadfast::edit::{Edit, Tensor};
use steadfast::model::inventory::{Role, TensorSpec};

use crate::tiny::{Home, told, write_seeded_model};

/// `tests/reference/edits.py` made the numbers, in f64 with loops, and what is dropped with the program's generator in Python's integers.
#[test]
fn the_formulas_are_numpys() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/edits.json")).unwrap();
    let reference: Value = serde_json::from_str(&text).unwrap();
    let numbers = |value: &Value| -> Vec<f32> { value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect() };
    let number = |key: &str| reference[key].as_f64().unwrap();
    let (seed, mut projected, mut left) = (reference["seed"].as_u64().unwrap(), 0, 0);
    for case in reference["cases"].as_array().unwrap() {
        let size = |key: &str| case[key].as_u64().unwrap() as usize;
        let spec = TensorSpec { name: "w".into(), rows: size("rows"), columns: size("columns"), role: Role::Projection, layer: Some(0) };
        let [aligned, tuned, base] = ["aligned", "tuned", "base"].map(|key| numbers(&case[key]));
        let tensor = Tensor { spec: &spec, aligned: &aligned, tuned: &tuned, base: Some(&base), ticket: None, seed };
        let close = |edit: Edit, expected: &[f32], limit: f32| {
            let found = edit.apply(&tensor).unwrap().values;
            let far = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(far <= limit, "{} {edit:?}: {far:e} away", case["name"]);
        };
        let exact = f32::EPSILON;
        close(Edit::Interpolate { weight: number("weight") }, &numbers(&case["interpolated"]), exact);
        close(Edit::Resta { scale: number("scale"), drop: 0.0 }, &numbers(&case["resta"]), exact);
        close(Edit::Resta { scale: number("scale"), drop: number("drop") }, &numbers(&case["resta_dropped"]), 0.0);
        let cosine = case["cosine"].as_f64().unwrap();
        for threshold in [0.8, 1.0, -1.0] {
            let edit = Edit::SafeLora { threshold };
            let found = edit.apply(&tensor).unwrap().projection.unwrap();
            assert!((found.cosine - cosine).abs() < 1e-6, "{}: {found:?}, numpy {cosine}", case["name"]);
            assert_eq!(found.projected, cosine < threshold);
            if found.projected {
                projected += 1;
                close(edit, &numbers(&case["projected"]), 1e-6);
            } else {
                left += 1;
                close(edit, &tuned, 0.0);
            }
        }
    }
    assert_eq!((projected, left), (6, 6));
}

const ARMS: &str = "    unprotected: {train: all}
    half: {from: unprotected, edit: {interpolate: {weight: 0.25}}}
    restored: {from: unprotected, edit: {restore: ticket}}
    restored-control: {like: restored, ticket: random, draws: 2}
    vector: {from: unprotected, edit: {resta: {scale: 0.5, drop: 0.3}}}
    projected: {from: unprotected, edit: {safe_lora: {threshold: 1.0}}}
    twice: {from: half, edit: {restore: ticket}}
";

/// The tiny pipeline with a given aligned model and these arms.
fn pipeline(home: &Home, arms: &str) {
    let text = crate::tiny::PIPELINE;
    let (head, tail) = text.split_once("    unprotected: {train: all}").unwrap();
    let rest = &tail[tail.find("evaluate:").unwrap()..];
    let (align, ticket) = (head.find("align:").unwrap(), head.find("ticket:").unwrap());
    let head = head[..align].replace("base: model", "base: model, aligned: aligned, dtype: f32") + &head[ticket..];
    home.write("p.yaml", head.clone() + arms + &rest.replace("arm: protected", "arm: restored"));
    if !home.path("aligned").exists() {
        write_seeded_model(&home.path("aligned"), false, 8);
    }
}

/// A folder's numbers by tensor; those of bf16 widened.
fn stored(folder: &Path) -> BTreeMap<String, Vec<f32>> {
    let file = std::fs::read(folder.join("model.safetensors")).unwrap();
    let numbers = |view: &safetensors::tensor::TensorView<'_>| -> Vec<f32> {
        match view.dtype() {
            safetensors::Dtype::F32 => view.data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
            _ => view.data().chunks(2).map(|b| half::bf16::from_le_bytes(b.try_into().unwrap()).to_f32()).collect(),
        }
    };
    SafeTensors::deserialize(&file).unwrap().iter().map(|(name, view)| (name.to_owned(), numbers(&view))).collect()
}

fn record(home: &Home) -> Value {
    serde_json::from_slice(&std::fs::read(home.path("runs/tiny/latest/run.json")).unwrap()).unwrap()
}

#[test]
fn edited_arms_are_what_their_formula_makes_of_the_saved_files() {
    let home = Home::new();
    pipeline(&home, ARMS);
    let arguments = ["run", "p.yaml", "--set", "seeds=[0,1]"];
    let (text, code) = told(&home.run(&arguments));
    assert_ne!(code, 2, "{text}");
    let run = home.path("runs/tiny/latest");
    let arm = |name: &str| stored(&run.join("arms").join(name));
    let (base, aligned) = (stored(&home.path("model")), stored(&home.path("aligned")));
    let masks: BTreeMap<String, Vec<u8>> = {
        let file = std::fs::read(run.join("ticket.safetensors")).unwrap();
        SafeTensors::deserialize(&file).unwrap().iter().map(|(name, view)| (name.to_owned(), view.data().to_vec())).collect()
    };
    for seed in ["", "-seed-1"] {
        let of = |name: &str| arm(&format!("{name}{seed}"));
        let (tuned, half, restored) = (of("unprotected"), of("half"), of("restored"));
        let (vector, twice, projected, control) = (of("vector"), of("twice"), of("projected"), of("restored-control"));
        let (mut in_ticket, mut dropped, mut differing) = (0, 0, 0);
        for (name, a) in &aligned {
            for (i, a) in a.iter().enumerate() {
                let t = tuned[name][i];
                let expected = if t == *a { t } else { (f64::from(*a) + 0.25 * (f64::from(t) - f64::from(*a))) as f32 };
                assert_eq!(half[name][i].to_bits(), expected.to_bits(), "half of {name}[{i}]");
                let held = masks.get(name).is_some_and(|mask| mask[i / 8] >> (i % 8) & 1 == 1);
                in_ticket += usize::from(held);
                assert_eq!(restored[name][i].to_bits(), if held { *a } else { t }.to_bits(), "restored {name}[{i}]");
                assert_eq!(twice[name][i].to_bits(), if held { *a } else { half[name][i] }.to_bits(), "twice {name}[{i}]");
                differing += usize::from(restored[name][i] != control[name][i]);
                let safety = 0.5 * (f64::from(*a) - f64::from(base[name][i]));
                let [without, with] = [0.0, (f64::from(t) - f64::from(*a)) / 0.7].map(|update| (f64::from(*a) + update + safety) as f32);
                assert!([without, with].contains(&vector[name][i]) || (safety == 0.0 && vector[name][i] == t), "vector {name}[{i}]");
                dropped += usize::from(vector[name][i] == without);
            }
            let is_matrix = name.contains("_proj");
            assert_eq!(projected[name] == tuned[name], !is_matrix, "{name}: every matrix is projected at threshold 1, and nothing else");
        }
        let all: usize = aligned.values().map(Vec::len).sum();
        assert!(in_ticket > 0 && differing > 0, "{in_ticket} {differing}");
        let share = dropped as f64 / all as f64;
        assert!((share - 0.3).abs() < 0.05, "{share} dropped");
    }

    let record = record(&home);
    let told_of = |name: &str| record["arms"].as_array().unwrap().iter().find(|arm| arm["name"] == name).unwrap().clone();
    let half = told_of("half");
    assert!(half["training"].is_null() && half["summary"] == "takes 0.25 of unprotected's update: interpolation, no training", "{half}");
    let cells = half["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 2, "one for each seed");
    for cell in cells {
        assert_eq!((cell["step"].as_u64(), cell["last"].as_bool()), (Some(6), Some(true)));
        assert!(cell["figures"]["task_nll"]["value"].is_f64() && cell["completions"]["harmful"].as_array().unwrap().len() == 8);
    }
    assert_eq!(half["edit"]["kept_changed"], 0);
    assert_eq!(half["edit"]["from"], "unprotected");
    assert_eq!(half["edit"]["weights"], record["digests"]["model.unprotected"]);
    let matrices = aligned.keys().filter(|name| name.contains("_proj")).count();
    assert_eq!(told_of("projected")["edit"]["projected"], serde_json::json!([matrices, matrices]));
    assert_eq!(told_of("restored")["settings"]["edit"], serde_json::json!({"from": "unprotected", "restore": null}));
    assert_eq!(told_of("restored-control-2")["settings"]["ticket"], serde_json::json!({"random": {"like": "ticket", "draw": 1}}));
    assert!(record["digests"]["model.half.seed-1"].is_string());
    // A finding for every arm beside the one that the gate names: edited arms are controls.
    let findings = record["gate"]["findings"].to_string();
    for name in ["half", "vector", "projected", "restored-control"] {
        assert!(findings.contains(&format!("{name} (takes")), "{name}: {findings}");
    }

    // The same files are reused; another weight makes its own arm again, and the arm that is made of it.
    home.write("p.yaml", std::fs::read_to_string(home.path("p.yaml")).unwrap().replace("weight: 0.25", "weight: 0.5"));
    let (text, code) = told(&home.run(&arguments));
    assert_ne!(code, 2, "{text}");
    let record = self::record(&home);
    let stages = record["stages"].as_array().unwrap();
    let made: Vec<&str> = stages
        .iter()
        .filter(|stage| stage["reused"] == false)
        .filter_map(|stage| stage["stage"].as_str())
        .filter(|stage| stage.starts_with("edit") || stage.starts_with("finetune"))
        .collect();
    assert_eq!(made, ["edit half", "edit half seed-1", "edit twice", "edit twice seed-1"]);
}

#[test]
fn a_base_of_another_shape_is_an_error_before_anything_is_asked() {
    let home = Home::new();
    pipeline(&home, "    unprotected: {train: all}\n    restored: {from: unprotected, edit: {resta: {}}}\n");
    let config = std::fs::read_to_string(home.path("model/config.json")).unwrap();
    let larger = config.replace("\"num_hidden_layers\":2", "\"num_hidden_layers\":1");
    assert_ne!(config, larger);
    // The same weights without their second layer.
    let file = std::fs::read(home.path("model/model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let first: Vec<_> = tensors.iter().filter(|(name, _)| !name.contains("layers.1.")).collect();
    safetensors::serialize_to_file(first, None, &home.path("model/model.safetensors")).unwrap();
    home.write("model/config.json", larger);
    for command in ["check", "run"] {
        let (text, code) = told(&home.run(&[command, "p.yaml"]));
        assert_eq!(code, 2, "{command}: {text}");
        for part in ["arm restored", "model.layers.1", "not there in the base", "help: "] {
            assert!(text.contains(part), "{command}: {part}: {text}");
        }
        assert!(!text.contains("evaluate aligned"), "{command}: {text}");
    }
    // Where nothing is trained, a ticket alone compares them.
    home.write(
        "p.yaml",
        "name: tiny\nmodel: {base: model, aligned: whole}\nticket: {score: task-vector, density: 0.5}\n\
         evaluate: {suites: {harmful: {prompts: harmful.jsonl, expect: refusal}}}\n",
    );
    write_seeded_model(&home.path("whole"), false, 3);
    let (text, code) = told(&home.run(&["ticket", "extract", "p.yaml", "--out", "t.safetensors"]));
    assert!(code == 2 && text.contains("ticket ticket") && text.contains("model.layers.1") && text.contains("help: "), "{text}");
    assert!(!home.path("t.safetensors").exists());
}
