//! A hub on this machine, with faults, through the real program.

use crate::hub::{Fault, Hub};
use crate::tiny::{Home, told, write_model};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A pipeline that evaluates the hub's model on a few prompts.
fn home(revision: &str) -> Home {
    let home = Home::new();
    let text = format!(
        "name: hub\nmodel: {{aligned: \"hf://some/tiny@{revision}\"}}\nevaluate:\n  floor: 0.0\n  max_new_tokens: 4\n  suites:\n    harmful: {{prompts: harmful.jsonl, expect: refusal}}\n"
    );
    home.write("hub.yaml", text);
    home
}

fn run(home: &Home, hub: &Hub, more: &[&str]) -> (String, i32) {
    let mut command = home.command(&["run", "hub.yaml"]);
    told(&command.args(more).env("HF_ENDPOINT", &hub.endpoint).env("HF_TOKEN", "hf_secretsecret").output().unwrap())
}

/// The run has no gate, so a run that worked is inconclusive.
const WORKED: i32 = 3;

fn digest(home: &Home) -> String {
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(home.path("runs/hub/latest/run.json")).unwrap()).unwrap();
    assert_eq!(record["models"][0]["revision"], COMMIT);
    record["models"][0]["weights"].as_str().unwrap().to_owned()
}

#[test]
fn a_model_comes_from_the_hub_once_and_only_what_a_model_needs() {
    let home = home(COMMIT);
    std::fs::write(home.path("model/pytorch_model.bin"), "pickle").unwrap();
    std::fs::write(home.path("model/modeling_tiny.py"), "import os").unwrap();
    let hub = Hub::start("some/tiny", COMMIT, &home.path("model"), Fault::None);
    let (text, code) = run(&home, &hub, &[]);
    assert_eq!(code, WORKED, "{text}");
    assert!(!text.contains("hf_secret"), "the token is never shown: {text}");
    let paths = hub.paths();
    assert!(paths.iter().all(|path| !path.ends_with(".bin") && !path.ends_with(".py")), "{paths:?}");
    digest(&home);
    let standard = home.path("hf/hub/models--some--tiny/snapshots").join(COMMIT).join("model.safetensors");
    assert!(standard.is_file(), "the standard cache layout");
    // Again, and offline: everything is there, and a pinned commit needs no question.
    for more in [&[][..], &["--offline"]] {
        let (text, code) = run(&home, &hub, more);
        assert_eq!(code, WORKED, "{text}");
        assert_eq!(hub.paths().len(), paths.len(), "no request was made");
    }
    // What another tool left out of the snapshot comes; offline the snapshot is used as it is.
    let config = standard.with_file_name("tokenizer_config.json");
    std::fs::remove_file(&config).unwrap();
    let before = hub.paths().len();
    let (text, code) = run(&home, &hub, &["--offline"]);
    assert!(code == 2 && text.contains("no chat_template in tokenizer_config.json"), "its template was in that file: {text}");
    assert_eq!(hub.paths().len(), before, "no request was made");
    let (text, code) = run(&home, &hub, &[]);
    assert_eq!((code, config.is_file()), (WORKED, true), "{text}");
    let paths = hub.paths();
    // A cache that was damaged by hand is found out and made again.
    let blob = standard.canonicalize().unwrap();
    let mut bytes = std::fs::read(&blob).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&blob, &bytes).unwrap();
    let (text, code) = run(&home, &hub, &["--offline"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("damaged-cache") && text.contains(&format!("rm {}", blob.display())), "{text}");
    assert!(!text.contains("thrown away"), "{text}");
    let (text, code) = run(&home, &hub, &[]);
    assert_eq!(code, WORKED, "{text}");
    assert!(hub.paths().len() > paths.len());
}

#[test]
fn faults_that_pass_are_survived() {
    let plain = home(COMMIT);
    let hub = Hub::start("some/tiny", COMMIT, &plain.path("model"), Fault::None);
    assert_eq!(run(&plain, &hub, &[]).1, WORKED);
    let expected = digest(&plain);
    for fault in [Fault::Cut, Fault::Sixths, Fault::NoRange, Fault::Busy, Fault::Redirect] {
        let home = home(COMMIT);
        let hub = Hub::start("some/tiny", COMMIT, &home.path("model"), fault);
        let (text, code) = run(&home, &hub, &[]);
        assert_eq!(code, WORKED, "{text}");
        assert_eq!(digest(&home), expected);
        let asked = hub.asked.lock().unwrap();
        assert!(asked.iter().all(|(_, headers)| headers.get("authorization").is_some_and(|value| value == "Bearer hf_secretsecret")));
        if fault == Fault::Cut {
            assert!(asked.iter().any(|(_, headers)| headers.contains_key("range")), "it goes on where it stopped");
        }
        if fault == Fault::Sixths {
            let answers = asked.iter().filter(|(path, _)| path.ends_with(".safetensors")).count();
            assert!(answers > 5, "{answers}: more than the tries that bring nothing");
        }
        if fault == Fault::Redirect {
            let elsewhere = hub.elsewhere.lock().unwrap();
            assert!(
                !elsewhere.is_empty() && elsewhere.iter().all(|(_, headers)| !headers.contains_key("authorization")),
                "no token for another host"
            );
        }
    }
}

#[test]
fn shards_and_branches() {
    let home = home("main");
    let folder = home.path("sharded");
    write_model(&folder, true);
    let hub = Hub::start("some/tiny", COMMIT, &folder, Fault::None);
    let (text, code) = run(&home, &hub, &[]);
    assert_eq!(code, WORKED, "{text}");
    assert!(text.contains("not pinned"), "{text}");
    digest(&home);
    let before = hub.paths().len();
    let (text, code) = run(&home, &hub, &["--offline"]);
    assert_eq!(code, WORKED, "{text}");
    assert_eq!(hub.paths().len(), before);
    // A blob that was damaged by hand is made again for a branch, too.
    let shard = home.path("hf/hub/models--some--tiny/snapshots").join(COMMIT).join("model-00002-of-00002.safetensors");
    let blob = shard.canonicalize().unwrap();
    let good = std::fs::read(&blob).unwrap();
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    std::fs::write(&blob, bad).unwrap();
    let (text, code) = run(&home, &hub, &[]);
    assert_eq!(code, WORKED, "{text}");
    assert!(std::fs::read(&blob).unwrap() == good, "the damaged blob was used");
}

#[test]
fn a_damaged_index_comes_again() {
    let home = home(COMMIT);
    let folder = home.path("sharded");
    write_model(&folder, true);
    let hub = Hub::start("some/tiny", COMMIT, &folder, Fault::None);
    let (text, code) = run(&home, &hub, &[]);
    assert_eq!(code, WORKED, "{text}");
    let index = home.path("hf/hub/models--some--tiny/snapshots").join(COMMIT).join("model.safetensors.index.json");
    let blob = index.canonicalize().unwrap();
    let good = std::fs::read(&blob).unwrap();
    std::fs::write(&blob, &good[..good.len() / 2]).unwrap();
    let (text, code) = run(&home, &hub, &["--offline"]);
    assert!(code == 2 && text.contains("damaged-cache") && text.contains(&format!("rm {}", blob.display())), "{text}");
    let (text, code) = run(&home, &hub, &[]);
    assert_eq!(code, WORKED, "{text}");
    assert!(std::fs::read(&blob).unwrap() == good, "the damaged index was used");
}

#[test]
fn what_401_can_mean_is_told() {
    let home = Home::new();
    let hub = Hub::start("datasets/some/rows", COMMIT, &home.path("model"), Fault::Status(401));
    let set = format!("finetune.data=hf://datasets/some/rows@{COMMIT}/rows.jsonl");
    for token in [None, Some("hf_secretsecret")] {
        let mut command = home.command(&["run", "p.yaml", "--set", &set]);
        command.env("HF_ENDPOINT", &hub.endpoint).envs(token.map(|token| ("HF_TOKEN", token)));
        let (text, code) = told(&command.output().unwrap());
        assert!(code == 2 && text.contains("gated, private or not there"), "{text}");
        assert!(text.contains("https://huggingface.co/datasets/some/rows,"), "{text}");
        assert_eq!(text.contains("the token is not valid"), token.is_some(), "{text}");
    }
    let home = self::home(COMMIT);
    let hub = Hub::start("some/tiny", COMMIT, &home.path("model"), Fault::NoRepository);
    let (text, code) = told(&home.command(&["run", "hub.yaml"]).env("HF_ENDPOINT", &hub.endpoint).output().unwrap());
    assert!(code == 2 && text.contains("not-on-hub") && !text.contains("gated"), "{text}");
}

#[test]
fn a_token_is_read_without_spaces_and_line_breaks_around_it() {
    let home = home(COMMIT);
    let hub = Hub::start("some/tiny", COMMIT, &home.path("model"), Fault::None);
    let with = |token: &str| {
        let mut command = home.command(&["run", "hub.yaml"]);
        told(&command.env("HF_ENDPOINT", &hub.endpoint).env("HF_TOKEN", token).output().unwrap())
    };
    let (text, code) = with("hf_secret\nsecret");
    assert!(code == 2 && text.contains("hub-token") && text.contains("export HF_TOKEN=") && !text.contains("hf_secret"), "{text}");
    assert_eq!(hub.paths().len(), 0, "nothing can be asked with it");
    let (text, code) = with("hf_secretsecret\n");
    assert_eq!(code, WORKED, "{text}");
    let asked = hub.asked.lock().unwrap();
    assert!(asked.iter().all(|(_, headers)| headers.get("authorization").is_some_and(|value| value == "Bearer hf_secretsecret")));
}

#[test]
fn a_whole_run_from_the_hub_is_the_run_from_the_folder() {
    let home = home(COMMIT);
    let hub = Hub::start("some/tiny", COMMIT, &home.path("model"), Fault::None);
    let (text, code) = told(&home.run(&["run", "p.yaml", "--runs", "folder"]));
    assert_ne!(code, 2, "{text}");
    let set = format!("model.base=hf://some/tiny@{COMMIT}");
    let (text, through) =
        told(&home.command(&["run", "p.yaml", "--runs", "hub", "--set", &set]).env("HF_ENDPOINT", &hub.endpoint).output().unwrap());
    assert_eq!(through, code, "{text}");
    for arm in ["unprotected", "protected", "control"] {
        let saved = |runs: &str| std::fs::read(home.path(runs).join("tiny/latest/arms").join(arm).join("model.safetensors")).unwrap();
        assert!(saved("folder") == saved("hub"), "{arm}");
    }
}

#[test]
fn rows_come_from_a_data_set_of_the_hub() {
    let home = Home::new();
    let folder = home.path("served");
    std::fs::create_dir_all(folder.join("data")).unwrap();
    std::fs::copy(home.path("task.jsonl"), folder.join("data/rows.jsonl")).unwrap();
    let hub = Hub::start("datasets/some/rows", COMMIT, &folder, Fault::None);
    let set = format!("finetune.data=hf://datasets/some/rows@{COMMIT}/data/rows.jsonl");
    let run = |runs: &str, more: &[&str]| {
        let mut command = home.command(&["run", "p.yaml", "--runs", runs]);
        told(&command.args(more).env("HF_ENDPOINT", &hub.endpoint).output().unwrap())
    };
    let (text, code) = run("folder", &[]);
    assert_ne!(code, 2, "{text}");
    let (text, through) = run("hub", &["--set", &set]);
    assert_eq!(through, code, "{text}");
    let saved = |runs: &str| std::fs::read(home.path(runs).join("tiny/latest/arms/protected/model.safetensors")).unwrap();
    assert!(saved("folder") == saved("hub"));
    let asked = hub.paths().len();
    assert!(home.path("hf/hub/datasets--some--rows/snapshots").join(COMMIT).join("data/rows.jsonl").is_file(), "the standard cache layout");
    let (text, again) = run("hub", &["--set", &set, "--offline"]);
    assert!(again == code && hub.paths().len() == asked, "{text}");
    let (text, code) = run("hub", &["--set", &set.replace("rows.jsonl", "none.jsonl")]);
    assert!(code == 2 && text.contains("data/none.jsonl") && text.contains("some/rows"), "{text}");
}

#[test]
fn faults_that_stay_are_clear_errors() {
    for (fault, expected) in [
        (Fault::Status(401), "HF_TOKEN"),
        (Fault::Status(403), "HF_TOKEN"),
        (Fault::Status(404), "not-on-hub"),
        (Fault::Hash, "hash-mismatch"),
    ] {
        let home = home(COMMIT);
        let hub = Hub::start("some/tiny", COMMIT, &home.path("model"), fault);
        let (text, code) = run(&home, &hub, &[]);
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(expected) && text.contains("help"), "{expected}: {text}");
        assert!(!text.contains("hf_secret"), "{text}");
        assert!(!home.path("runs/hub").exists());
        let blobs = std::fs::read_dir(home.path("hf/hub/models--some--tiny/blobs")).map(|blobs| blobs.count()).unwrap_or(0);
        assert!(
            fault != Fault::Hash
                || std::fs::read_dir(home.path("hf/hub/models--some--tiny/blobs"))
                    .unwrap()
                    .flatten()
                    .all(|blob| blob.file_name().len() != 64),
            "{blobs} blobs"
        );
    }
    let home = home(COMMIT);
    let (text, code) = told(&home.run(&["run", "hub.yaml", "--offline"]));
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("offline") && text.contains("in its place: --set model.aligned=SOURCE"), "{text}");
    let (text, code) = told(&home.run(&["run", "hub.yaml", "--offline", "--set", "model.aligned=model"]));
    assert_eq!(code, WORKED, "{text}");
    let source = format!("hf://some/tiny@{COMMIT}");
    let (text, code) = told(&home.run(&["evaluate", &source, "--pipeline", "hub.yaml", "--offline"]));
    assert!(code == 2 && text.contains("in its place: steadfast evaluate SOURCE --pipeline "), "{text}");
}

#[test]
fn smollm2_through_the_hub_is_smollm2_from_its_folder_and_its_gguf() {
    let folder = crate::from_env("STEADFAST_SMOLLM2", "a Hugging Face folder with SmolLM2-135M-Instruct");
    let home = home(COMMIT);
    let hub = Hub::start("some/tiny", COMMIT, &folder, Fault::Redirect);
    let (text, code) = run(&home, &hub, &[]);
    assert_eq!(code, WORKED, "{text}");
    let through_hub = digest(&home);
    for (name, source) in
        [("folder", folder), ("gguf", crate::from_env("STEADFAST_SMOLLM2_GGUF", "the GGUF file that the folder was made from"))]
    {
        let set = format!("model.aligned={}", source.display());
        let (text, code) = told(&home.run(&["run", "hub.yaml", "--set", &set, "--set", &format!("name={name}")]));
        assert_eq!(code, WORKED, "{text}");
        let record: serde_json::Value =
            serde_json::from_slice(&std::fs::read(home.path(&format!("runs/{name}/latest/run.json"))).unwrap()).unwrap();
        assert_eq!(record["models"][0]["weights"], through_hub, "{name}");
    }
}
