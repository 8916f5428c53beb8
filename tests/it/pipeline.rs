//! `pipelines/smollm2.yaml` itself, through a hub, with the real model's files under the name and commit that it pins.

use crate::hub::{Fault, Hub};
use crate::tiny::{Home, told};

const PIPELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines/smollm2.yaml");
const REPOSITORY: &str = "HuggingFaceTB/SmolLM2-135M-Instruct";
const COMMIT: &str = "12fd25f77366fa6b3b4b768ec3050bf629380bac";

/// Sizes alone: every stage, arm, suite and probe of the file stays.
const SIZES: [&str; 18] = [
    "align.max_steps=1",
    "align.per_device_train_batch_size=1",
    "ticket.data.limit=2",
    "finetune.data.limit=4",
    "finetune.max_steps=1",
    "finetune.per_device_train_batch_size=1",
    "finetune.max_length=128",
    "finetune.arms.protected.calibration_steps=2",
    "evaluate.floor=0",
    "evaluate.max_new_tokens=2",
    "evaluate.suites.harmful.prompts={path: builtin:harmful, limit: 3}",
    "evaluate.suites.benign.prompts.limit=3",
    "evaluate.suites.contrast.prompts.limit=3",
    "evaluate.suites.task.prompts.limit=2",
    "evaluate.suites.task.max_new_tokens=2",
    "evaluate.probes.harmful={path: builtin:probes, limit: 2}",
    "evaluate.probes.benign={path: builtin:benign-probes, limit: 2}",
    "evaluate.probes.tokens=4",
];

#[test]
fn the_pipeline_of_the_repository_runs_through_a_hub() {
    let folder = crate::from_env("STEADFAST_SMOLLM2", "a Hugging Face folder with SmolLM2-135M-Instruct");
    let tasks = crate::from_env("STEADFAST_SHARED", "the folder with public data sets").join("tasks");
    let text = std::fs::read_to_string(PIPELINE).unwrap();
    assert!(text.contains(&format!("hf://{REPOSITORY}@{COMMIT}\n")), "the file pins another model than this test serves");
    let home = Home::new();
    let hub = Hub::start(REPOSITORY, COMMIT, &folder, Fault::None);
    let train = format!("finetune.data.path={}", tasks.join("gsm8k_train_2000.jsonl").display());
    let test = format!("evaluate.suites.task.prompts.path={}", tasks.join("gsm8k_test_300.jsonl").display());
    let run = |more: &[&str], endpoint: &str| {
        let mut command = home.command(&["run", PIPELINE, "--format", "json"]);
        command.args(more).env("HF_ENDPOINT", endpoint);
        for set in SIZES.iter().copied().chain([train.as_str(), test.as_str()]) {
            command.args(["--set", set]);
        }
        told(&command.output().unwrap())
    };

    let (text, code) = run(&[], &hub.endpoint);
    assert!([0, 1, 3].contains(&code), "{code} is no verdict: {text}");
    let latest = home.path("runs/smollm2/latest");
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(latest.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["models"][0]["role"], "base");
    assert_eq!(record["models"][0]["revision"], COMMIT);
    assert_eq!(record["models"][0]["source"], format!("hf://{REPOSITORY}@{COMMIT}"));
    let arms = record["arms"].as_array().unwrap();
    let names: Vec<&str> = arms.iter().map(|arm| arm["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["aligned", "unprotected", "protected", "dense", "control", "gentle"]);
    for arm in &arms[1..] {
        assert_eq!(arm["training"]["frozen_changed"], 0, "{}", arm["name"]);
        assert_eq!(arm["training"]["steps"], 1, "{}", arm["name"]);
        let cell = arm["cells"].as_array().unwrap().last().unwrap();
        let suites: Vec<&String> = cell["completions"].as_object().unwrap().keys().collect();
        assert_eq!(suites, ["benign", "contrast", "harmful", "task"], "{}", arm["name"]);
    }
    assert!(record["gate"]["rules"].as_array().unwrap().len() >= 3, "{}", record["gate"]);

    // Weights, settings and templates; nothing that could be code.
    let asked = hub.paths();
    let files: Vec<&str> = asked.iter().filter_map(|path| path.strip_prefix(&format!("/{REPOSITORY}/resolve/{COMMIT}/"))).collect();
    let listings = asked.iter().filter(|path| **path == format!("/api/models/{REPOSITORY}/revision/{COMMIT}?blobs=true")).count();
    assert_eq!(files.len() + listings, asked.len(), "{asked:?}");
    assert!(files.contains(&"model.safetensors") && files.contains(&"tokenizer.json"), "{files:?}");
    let read = [".safetensors", ".json", ".jinja"];
    assert!(files.iter().all(|file| read.iter().any(|ending| file.ends_with(ending))), "{files:?}");

    // Again without any hub: everything is there, and nothing is computed.
    let (again, second) = run(&["--offline"], "http://127.0.0.1:9");
    assert_eq!(second, code, "{again}");
    assert!(!again.contains("\"progress\""), "{again}");
    let reused = again.matches("\"stage-reused\"").count();
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(latest.join("run.json")).unwrap()).unwrap();
    let stages = record["stages"].as_array().unwrap();
    assert!(stages.iter().all(|stage| stage["reused"] == true) && reused == stages.len(), "{reused} of {} reused: {again}", stages.len());
    assert_eq!(hub.paths().len(), asked.len(), "no request was made");
}
