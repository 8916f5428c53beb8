//! LoRA and layers through the real program, and every way in which the keys of an arm do not go together.

use std::collections::{BTreeMap, BTreeSet};

use safetensors::SafeTensors;
use serde_json::Value;

use crate::tiny::{Home, PIPELINE, told};

const ARMS: &str = "    unprotected: {train: all}
    lora: {train: lora, lora: {rank: 2, alpha: 4, targets: [v_proj, q_proj]}, learning_rate: 1e-2}
    lora-top: {like: lora, layers: [1], replay: {data: helpful.jsonl, share: 0.25}}
    low: {train: all, layers: {from: 0, to: 0}}
    high: {train: complement, layers: {from: 1}}
    sparse: {like: high, density: 0.10, calibration_steps: 12, calibration_learning_rate: 1e-3, replay: {data: helpful.jsonl}}
    few: {train: random, density: 0.2, layers: 1}
";

/// The tiny pipeline with these arms.
fn pipeline(home: &Home, arms: &str) {
    let (head, tail) = PIPELINE.split_once("    unprotected: {train: all}").unwrap();
    let rest = &tail[tail.find("evaluate:").unwrap()..];
    home.write("p.yaml", head.to_owned() + arms + &rest.replace("arm: protected", "arm: unprotected"));
}

#[test]
fn an_arm_changes_its_kinds_of_matrices_in_its_layers_and_nothing_else() {
    let home = Home::new();
    pipeline(&home, ARMS);
    let (text, code) = told(&home.run(&["run", "p.yaml", "--set", "model.dtype=f32"]));
    assert_ne!(code, 2, "{text}");
    let run = home.path("runs/tiny/latest");
    let read = |folder: std::path::PathBuf| -> BTreeMap<String, Vec<u8>> {
        let file = std::fs::read(folder.join("model.safetensors")).unwrap();
        SafeTensors::deserialize(&file).unwrap().iter().map(|(name, view)| (name.to_owned(), view.data().to_vec())).collect()
    };
    let aligned = read(run.join("aligned"));
    let changed = |arm: &str| -> BTreeSet<String> {
        let tuned = read(run.join("arms").join(arm));
        aligned.iter().filter(|(name, bytes)| tuned[*name] != **bytes).map(|(name, _)| name.clone()).collect()
    };
    let which = |keep: &dyn Fn(&str) -> bool| -> BTreeSet<String> { aligned.keys().filter(|name| keep(name)).cloned().collect() };
    let lora = |name: &str| name.contains("q_proj") || name.contains("v_proj");
    let second = |name: &str| name.contains("layers.1.") && name.contains("_proj");
    assert_eq!(changed("lora"), which(&lora));
    assert_eq!(changed("lora-top"), which(&|name| lora(name) && second(name)));
    assert_eq!(changed("low"), which(&|name| name.contains("layers.0.")), "norms of the layer, no embedding and no last norm");
    assert_eq!(changed("high"), which(&second));
    assert!(changed("sparse").is_subset(&which(&second)));
    assert_eq!(changed("few"), which(&second));

    let record: Value = serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    let arm = |name: &str| record["arms"].as_array().unwrap().iter().find(|arm| arm["name"] == name).unwrap().clone();
    // (I + O) · r for q (32, 32) and v (16, 32), in two layers.
    assert_eq!(arm("lora")["training"]["trained"], 2 * 2 * (64 + 48));
    assert_eq!(arm("lora")["training"]["frozen_changed"], 0);
    assert_eq!(arm("lora")["summary"], "trains LoRA factors of rank 2 (alpha 4) on q_proj, v_proj at 1e-2");
    let summary = arm("lora-top")["summary"].as_str().unwrap().to_owned();
    assert!(summary.contains("of layer 1 at 1e-2, with 25.0 % of its rows from"), "{summary}");
    let losses = arm("lora")["training"]["losses"].as_array().unwrap().clone();
    assert!(losses[5].as_f64() < losses[0].as_f64(), "it learns: {losses:?}");
    let maskable = aligned.iter().filter(|(name, _)| name.contains("_proj")).map(|(_, bytes)| bytes.len() / 4).sum::<usize>();
    assert_eq!(arm("sparse")["training"]["trained"].as_u64(), Some((0.10 * maskable as f64 + 0.5) as u64));
    assert!(arm("unprotected")["settings"].get("lora").is_none() && arm("unprotected")["settings"].get("layers").is_none());
}

/// What is written, where the caret stands, and what is said.
#[test]
fn keys_that_mean_nothing_together_are_errors_at_their_place() {
    let cases: [(&str, &str, &[&str]); 31] = [
        ("a: {train: lora, lora: {targets: [q_prj]}}", "q_prj", &["did you mean q_proj?"]),
        ("a: {train: lora, lora: {targets: [lm_head]}}", "lm_head", &["expected one of q_proj, k_proj"]),
        ("a: {train: lora, lora: {targets: []}}", "[]}}", &["names no projection"]),
        ("a: {train: lora, lora: {rank: 0}}", "0}", &["rank", "from 1"]),
        ("a: {train: lora, lora: {rank: 5000}}", "rank", &["at most 4096"]),
        ("a: {train: lora, lora: {alpha: -1}}", "-1", &["above 0"]),
        ("a: {train: lora, lora: {rang: 4}}", "rang", &["did you mean rank?"]),
        ("a: {train: all, lora: {rank: 4}}", "lora", &["says how LoRA would", "train: lora"]),
        ("a: {train: lora, ticket: ticket}", "ticket: ", &["at which it would not look", "edit: {restore: ticket}"]),
        ("a: {train: lora, density: 0.1}", "density", &["means nothing", "remove density"]),
        ("a: {train: all, ticket: random}", "ticket: ", &["at which it would not look", "train: complement"]),
        ("a: {train: complement, density: 0.6}", "density", &["60.0 %", "only 50.0 %", "lower the arm's density"]),
        ("a: {train: complement, ticket: random, density: 0.6}", "density", &["only 50.0 %"]),
        ("a: {train: none, layers: [0]}", "layers", &["trains nothing"]),
        ("a: {train: none, replay: {data: helpful.jsonl}}", "replay", &["trains nothing"]),
        ("a: {train: all, layers: {from: 3, to: 1}}", "{from", &["from 3 to 1", "no layer"]),
        ("a: {train: all, layers: [0, 0]}", "0]", &["each once"]),
        ("a: {train: all, layers: []}", "[]", &["names no layer"]),
        ("a: {train: all, layers: {till: 3}}", "till", &["unknown key"]),
        ("a: {from: b, edit: {restore: ticket}}", "b, edit", &["there is no arm \"b\" above a"]),
        ("a: {from: below, edit: {restore: ticket}}\n    below: {train: all}", "below, edit", &["write below above a"]),
        ("a: {from: a, edit: {restore: ticket}}", "a, edit", &["name another arm"]),
        ("a: {train: all}\n    e: {from: a}", "from", &["does not say how", "interpolate"]),
        ("a: {edit: {restore: ticket}}", "edit", &["does not say whose", "write from:"]),
        ("a: {train: all}\n    e: {from: a, edit: {}}", "{}}", &["names 0 edits, expected one"]),
        ("a: {train: all}\n    e: {from: a, edit: {interpolate: {weight: 1.5}}}", "1.5", &["from 0 (aligned) to 1 (tuned)"]),
        (
            "a: {train: all}\n    e: {from: a, edit: {restore: tickt}}",
            "tickt",
            &["there is no ticket \"tickt\"", "tickets are ticket, random"],
        ),
        (
            "a: {train: all}\n    e: {from: a, edit: {interpolate: {}}, learning_rate: 1e-4}",
            "learning_rate: 1e-4}",
            &["trains nothing, and has learning_rate"],
        ),
        ("a: {train: all}\n    e: {from: a, edit: {resta: {scale: 0}}}", "0}}}", &["above 0"]),
        ("a: {train: all}\n    e: {from: a, edit: {interpolate: {}}, ticket: ticket}", "ticket: ticket}", &["its edit would not look"]),
        ("a: {train: all}\n    e: {like: a, from: a, edit: {interpolate: {}}}", "like", &["names an arm that trains"]),
    ];
    let mut wrong = Vec::new();
    for (arms, at, said) in cases {
        let home = Home::new();
        pipeline(&home, &format!("    unprotected: {{train: all}}\n    {arms}\n"));
        wrong.extend(home.not_told(arms, at, said).map(|what| format!("{arms}: {what}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_edit_that_reads_the_base_needs_one() {
    let home = Home::new();
    for edit in ["resta: {}", "safe_lora: {}"] {
        pipeline(&home, &format!("    unprotected: {{train: all}}\n    e: {{from: unprotected, edit: {{{edit}}}}}\n"));
        let text = std::fs::read_to_string(home.path("p.yaml")).unwrap().replace("base: model", "aligned: model");
        let (from, to) = (text.find("align:\n").unwrap(), text.find("ticket:").unwrap());
        home.write("p.yaml", text[..from].to_owned() + &text[to..]);
        let (text, code) = told(&home.run(&["run", "p.yaml"]));
        assert!(code == 2 && text.contains("p.yaml:1") && text.contains("write model.base"), "{text}");
    }
}

#[test]
fn layers_that_are_not_there_a_density_that_does_not_fit_and_rows_that_are_too_long_are_errors() {
    for (arms, said) in [
        ("a: {train: all, layers: {from: 1, to: 2}}", "arm a trains layers 1 to 2, and the model has layers 0 to 1"),
        ("a: {train: all, layers: {from: 2}}", "the layers from 2 on"),
        ("a: {train: lora, layers: [0, 7]}", "layers 0, 7"),
        ("a: {train: complement, density: 0.4, layers: [0]}", "40.0 % of maskable, and only 2"),
        ("a: {train: random, density: 0.6, layers: [0]}", "60.0 % of maskable, and only 50.0 %"),
        ("a: {train: all, max_length: 20}", "task.jsonl has no token to learn within max_length 20"),
    ] {
        let home = Home::new();
        pipeline(&home, &format!("    unprotected: {{train: all}}\n    {arms}\n"));
        let (text, code) = told(&home.run(&["run", "p.yaml"]));
        assert!(code == 2 && text.contains(said) && text.contains("help: "), "{arms}: {code} {text}");
        assert!(!text.contains("finetune unprotected"), "before anything is trained: {text}");
    }
}

#[test]
fn what_the_model_cannot_do_is_found_by_check_and_before_anything_is_trained_or_asked() {
    let home = Home::new();
    for (arm, said) in [
        ("layers: {from: 1, to: 2}", "arm a trains layers 1 to 2, and the model has layers 0 to 1"),
        ("max_length: 513", "arm a: max_length is 513, the model's context is 512"),
    ] {
        pipeline(&home, &format!("    unprotected: {{train: all}}\n    a: {{train: all, {arm}}}\n"));
        for command in ["check", "run"] {
            let (text, code) = told(&home.run(&[command, "p.yaml"]));
            assert!(code == 2 && text.contains(said) && text.contains("help: "), "{command}: {code} {text}");
            assert!(!text.contains("▸ align") && !text.contains("evaluate aligned"), "{command}: {text}");
        }
    }
    pipeline(&home, "    unprotected: {train: all}\n");
    for key in ["ticket", "align"] {
        let set = format!("{key}.max_length=513");
        let (text, code) = told(&home.run(&["check", "p.yaml", "--set", &set]));
        assert!(code == 2 && text.contains(key) && text.contains("max_length is 513, the model's context is 512"), "{code} {text}");
    }
}
