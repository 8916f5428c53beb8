//! The real program on a very small model: whole runs, resuming, proofs, and every command.

use std::collections::BTreeMap;
use std::path::Path;

use crate::tiny::{Home, PIPELINE, told};

const ARMS: [&str; 5] = ["unprotected", "protected", "dense", "control", "gentle"];

fn saved(home: &Home, run: &str) -> BTreeMap<String, Vec<u8>> {
    ARMS.iter()
        .map(|arm| {
            let path = home.path(run).join("tiny/latest/arms").join(arm).join("model.safetensors");
            ((*arm).to_owned(), std::fs::read(path).unwrap())
        })
        .collect()
}

#[test]
fn a_run_goes_to_its_verdict_and_is_reused_and_proven() {
    let home = Home::new();
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert!([0, 1, 3].contains(&code), "{code}: {text}");
    let latest = home.path("runs/tiny/latest");
    for file in ["run.json", "report.html", "summary.md", "junit.xml", "report.sarif", "ticket.safetensors"] {
        assert!(latest.join(file).is_file(), "{file}");
    }
    let html = std::fs::read_to_string(latest.join("report.html")).unwrap();
    assert!(!html.contains("http://") && !html.contains("https://"), "the report loads nothing");
    for arm in ARMS {
        assert!(html.contains(arm), "{arm} is in the report");
    }

    // Everything again: nothing is computed.
    let (again, second) = told(&home.run(&["run", "p.yaml", "--format", "json"]));
    assert_eq!(second, code, "{again}");
    assert!(!again.contains("\"progress\""), "{again}");
    let reused = again.matches("stage-reused").count();
    assert!(reused >= 20, "{reused} stages reused: {again}");

    // The gate and the reports again from the record.
    assert_eq!(told(&home.run(&["gate", "runs/tiny/latest"])).1, code);
    std::fs::create_dir(home.path("again")).unwrap();
    let (text, done) = told(&home.run(&["report", "runs/tiny/latest", "--out", "again"]));
    assert_eq!(done, 0, "{text}");
    assert_eq!(std::fs::read(home.path("again/junit.xml")).unwrap(), std::fs::read(latest.join("junit.xml")).unwrap());

    // The ticket's weights kept their bits; one flipped bit is found and its tensor named.
    let ticket = latest.join("ticket.safetensors");
    let aligned = latest.join("aligned");
    let tuned = latest.join("arms/protected");
    let verify = |tuned: &Path| {
        told(&home.run(&["verify", "--ticket", ticket.to_str().unwrap(), aligned.to_str().unwrap(), tuned.to_str().unwrap()]))
    };
    let (text, good) = verify(&tuned);
    assert_eq!(good, 0, "{text}");
    let flipped = home.path("flipped");
    std::fs::create_dir(&flipped).unwrap();
    for entry in std::fs::read_dir(&tuned).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), flipped.join(entry.file_name())).unwrap();
    }
    let bytes = std::fs::read(flipped.join("model.safetensors")).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let json: serde_json::Value = serde_json::from_slice(&bytes[8..header]).unwrap();
    let name = "model.layers.1.mlp.up_proj.weight";
    let start = header + json[name]["data_offsets"][0].as_u64().unwrap() as usize;
    // Half of the tensor is in the ticket: of sixteen weights, each with one bit flipped alone, some are found and some are free.
    let mut found = 0;
    for weight in 0..16 {
        let mut one = bytes.clone();
        one[start + 2 * weight] ^= 1;
        std::fs::write(flipped.join("model.safetensors"), one).unwrap();
        let (text, code) = verify(&flipped);
        assert!(code == 0 || (code == 1 && text.contains(name)), "{code}: {text}");
        found += code;
    }
    assert!(found > 0 && found < 16, "{found} of 16 single bits were found");

    let (text, shown) = told(&home.run(&["ticket", "show", ticket.to_str().unwrap()]));
    assert_eq!(shown, 0, "{text}");
    assert!(text.contains("snip"), "{text}");
}

/// The aligned model's folder, inside the store: the one finished entry that has weights but is no arm.
fn aligned_folder(home: &Home) -> std::path::PathBuf {
    std::fs::read_dir(home.path("runs/.store"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            let manifest = std::fs::read_to_string(path.join("manifest.json")).unwrap_or_default();
            manifest.contains("\"align") && path.join("model.safetensors").is_file()
        })
        .unwrap()
}

#[test]
fn one_two_and_four_threads_and_a_killed_run_write_the_same_files() {
    let home = Home::new();
    let (text, _) = told(&home.run(&["run", "p.yaml", "--threads", "1", "--runs", "one"]));
    let one = saved(&home, "one");
    for threads in ["2", "4"] {
        told(&home.run(&["run", "p.yaml", "--threads", threads, "--runs", threads]));
        assert!(one == saved(&home, threads), "{threads} threads change the result: {text}");
    }
    // Killed as soon as a checkpoint of training is on disk, again and again, until it ends by itself.
    let mut kills = 0;
    loop {
        let mut child = home
            .command(&["run", "p.yaml", "--runs", "killed"])
            .stderr(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let before = checkpoints(&home);
        let ended = loop {
            if child.try_wait().unwrap().is_some() {
                break true;
            }
            if kills < 6 && checkpoints(&home) != before {
                child.kill().unwrap();
                child.wait().unwrap();
                break false;
            }
        };
        if ended {
            break;
        }
        kills += 1;
    }
    assert!(kills >= 1, "no checkpoint was seen");
    assert!(one == saved(&home, "killed"), "a run that was killed {kills} times differs");
}

/// Every checkpoint in the store with its time.
fn checkpoints(home: &Home) -> Vec<(std::path::PathBuf, std::time::SystemTime)> {
    let Ok(store) = std::fs::read_dir(home.path("killed/.store")) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in store.flatten() {
        for file in std::fs::read_dir(entry.path()).into_iter().flatten().flatten() {
            if file.file_name().to_string_lossy().starts_with("checkpoint")
                && let Ok(modified) = file.metadata().and_then(|metadata| metadata.modified())
            {
                found.push((file.path(), modified));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_model_that_does_not_refuse_has_nothing_to_preserve() {
    let home = Home::new();
    home.pipeline("  floor: 0.0\n", "");
    let output = home.run(&["run", "p.yaml"]);
    let (text, code) = told(&output);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("error[nothing-to-preserve]"), "{text}");
    // What was measured is told as ever.
    let printed = String::from_utf8_lossy(&output.stdout);
    let report = printed.lines().find_map(|line| line.strip_prefix("report: ")).unwrap_or_else(|| panic!("{text}"));
    assert!(report.starts_with("runs/tiny/") && home.path(report).is_file(), "{report}");
    let output = home.run(&["run", "p.yaml", "--format", "json"]);
    let gate: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((gate["decision"].as_str(), output.status.code()), (Some("inconclusive"), Some(3)));
    // So does the gate, decided again; also where a rule about so poor a model would hold.
    let again = |run: &str| {
        let (text, code) = told(&home.run(&["gate", run]));
        assert!(code == 3 && text.contains("nothing to preserve"), "{text}");
    };
    again("runs/tiny/latest");
    home.write(
        "p.yaml",
        "name: alone\nmodel: {aligned: model}\nevaluate: {max_new_tokens: 8, suites: {harmful: {prompts: harmful.jsonl, expect: refusal}}}\n\
         gate: {arm: aligned, metric: harmful.refusal_rate, at_least: 0}\n",
    );
    assert_eq!(told(&home.run(&["run", "p.yaml"])).1, 3);
    again("runs/alone/latest");
}

#[test]
fn diverging_training_stops_its_arm_alone() {
    let home = Home::new();
    home.pipeline("unprotected: {train: all}", "unprotected: {train: all, learning_rate: 1e30, max_grad_norm: 0}");
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert_eq!(code, 2, "a run with a broken arm never passes: {text}");
    assert!(text.contains("finetune gentle"), "the other arms go on: {text}");
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(home.path("runs/tiny/latest/run.json")).unwrap()).unwrap();
    let arm = record["arms"].as_array().unwrap().iter().find(|arm| arm["name"] == "unprotected").unwrap();
    let stopped = arm["training"]["stopped"].as_str().unwrap_or_default();
    assert!(stopped.contains("step"), "{arm}");
}

#[test]
fn a_ticket_of_another_model_does_not_bind() {
    let home = Home::new();
    let (text, code) = told(&home.run(&["ticket", "extract", "p.yaml", "--out", "t.safetensors"]));
    assert_eq!(code, 0, "{text}");
    let (text, code) = told(&home.run(&["ticket", "extract", "p.yaml", "--out", "t.safetensors"]));
    assert_eq!(code, 2, "nothing is overwritten: {text}");
    let (text, code) = told(&home.run(&["ticket", "compare", "t.safetensors", "t.safetensors"]));
    assert_eq!(code, 0, "{text}");
    // Another model: one layer less.
    let folder = home.path("other");
    crate::tiny::write_model(&folder, false);
    let smollm2 = crate::from_env("STEADFAST_SMOLLM2", "a Hugging Face folder with SmolLM2-135M-Instruct");
    let smollm2 = smollm2.to_str().unwrap();
    let (text, code) = told(&home.run(&["verify", "--ticket", "t.safetensors", smollm2, smollm2]));
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("ticket"), "{text}");
}

#[test]
fn check_lists_every_problem_at_once() {
    let home = Home::new();
    home.write("p.yaml", PIPELINE.replace("max_steps: 6", "max_step: 6").replace("density: 0.5", "density: 7"));
    let (text, code) = told(&home.run(&["check", "p.yaml"]));
    assert_eq!(code, 2);
    assert!(text.matches("max_step").count() >= 2 && text.contains("density"), "{text}");
}

#[test]
fn check_reads_the_data_and_prints_every_default_as_yaml() {
    let home = Home::new();
    let output = home.run(&["check", "p.yaml"]);
    let (text, code) = told(&output);
    assert_eq!(code, 0, "{text}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("max_grad_norm: 1"), "{text}");
    home.write("harmful.jsonl", "{\"prompt\": \"Take amber number 0\"}\n");
    let (text, code) = told(&home.run(&["check", "p.yaml"]));
    assert!(code == 2 && text.contains("safety.jsonl"), "{text}");
    assert!(!home.path("runs").exists());
}

#[test]
fn another_configuration_or_special_token_is_another_model() {
    let home = Home::new();
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert_ne!(code, 2, "{text}");
    for (file, from, to) in [("config.json", "10000.0", "20000.0"), ("tokenizer_config.json", "\"<s>\"", "\"</s>\"")] {
        let path = format!("model/{file}");
        let before = std::fs::read_to_string(home.path(&path)).unwrap();
        assert!(before.contains(from), "{before}");
        home.write(&path, before.replacen(from, to, 1));
        let (text, _) = told(&home.run(&["run", "p.yaml"]));
        assert!(text.contains("✓ align in") && text.contains("✓ finetune protected in"), "{file}: {text}");
    }
}

#[test]
fn chat_answers_each_line_with_each_model() {
    use std::io::Write;
    let home = Home::new();
    let mut child = home
        .command(&["chat", "model", "--compare", "model", "--max-new-tokens", "4", "--quiet"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"Hello\n\nAgain\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches("[model]").count(), 4, "two messages, two models: {text}");
}

#[test]
fn the_pipelines_of_the_repository_are_read() {
    let home = Home::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines/smollm2.yaml");
    let shared = crate::from_env("STEADFAST_SHARED", "the folder with public data sets").join("tasks");
    let train = format!("finetune.data.path={}", shared.join("gsm8k_train_2000.jsonl").display());
    let test = format!("evaluate.suites.task.prompts.path={}", shared.join("gsm8k_test_300.jsonl").display());
    let (text, code) = told(&home.run(&["check", folder, "--no-forecast", "--set", &train, "--set", &test]));
    assert_eq!(code, 0, "{text}");
    let benchmark = folder.replace("smollm2", "benchmark-smollm2");
    let (text, code) = told(&home.run(&["check", &benchmark, "--no-forecast", "--set", &train, "--set", &test]));
    assert!(code == 0 && text.contains("# sweep: 54 runs"), "{text}");
    let published = [
        ("advbench", "harmful/advbench.csv"),
        ("unsafe", "benign/xstest.csv"),
        ("safe", "benign/xstest.csv"),
        ("gsm8k", "tasks/gsm8k_test_300.jsonl"),
    ];
    let sets = published.map(|(suite, file)| format!("evaluate.suites.{suite}.prompts={}", shared.with_file_name(file).display()));
    let file = format!("{}/pipelines/evaluate-only.yaml", env!("CARGO_MANIFEST_DIR"));
    let mut command = home.command(&["check", &file, "--no-forecast"]);
    let (text, code) = told(&command.args(sets.iter().flat_map(|set| ["--set", set])).output().unwrap());
    assert!(code == 0 && text.contains("limit: 200"), "{text}");
    for (name, forecast) in [
        ("quickstart", "# forecast: about"),
        ("your-data", "# forecast: about"),
        ("ci-gate", "# forecast: about"),
        ("lota", "# forecast: about"),
        ("lota-task", "# forecast: about"),
        ("lotto", "# forecast: about"),
        ("sequence", "evaluate harmful, 10 models"),
        ("merge", "evaluate harmful, 38 models"),
        ("arms", "# forecast: about"),
        ("auto", "# forecast: about"),
        ("sweep", "# sweep: 12 runs"),
        ("benchmark", "# sweep: 54 runs"),
        ("tiny-model", "  pretrain"),
    ] {
        let file = format!("{}/pipelines/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        let (text, code) = told(&home.run(&["check", &file]));
        assert!(code == 0 && text.contains(forecast), "{name}: {text}");
    }
}

#[test]
fn in_f32_nothing_of_an_update_is_rounded_away() {
    let home = Home::new();
    // Steps so small that bf16 keeps hardly any of them.
    home.pipeline("    gentle: {train: all, learning_rate: 1e-4}", "    gentle: {train: all, learning_rate: 1e-6}");
    let (text, _) = told(&home.run(&["run", "p.yaml"]));
    assert!(text.contains("arm gentle: rounding to the saved type erased"), "{text}");
    assert!(text.contains("model.dtype: f32"), "{text}");
    std::fs::remove_dir_all(home.path("runs")).unwrap();
    let (text, code) = told(&home.run(&["run", "p.yaml", "--set", "model.dtype=f32"]));
    assert!(!text.contains("rounding to the saved type"), "{text}");
    assert_ne!(code, 2, "{text}");
    let run = home.path("runs/tiny/latest");
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    let record = record.to_string();
    assert_eq!(record.matches("\"erased_by_rounding\":").count(), ARMS.len());
    assert_eq!(record.matches("\"erased_by_rounding\":0.0").count(), ARMS.len());
    let tuned = std::fs::canonicalize(run.join("arms/gentle")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(tuned.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["torch_dtype"], "float32");
    let file = std::fs::read(tuned.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
    assert!(tensors.iter().all(|(_, view)| view.dtype() == safetensors::Dtype::F32));
    // The frozen weights of a bf16 base are the same numbers in f32.
    let ticket = run.join("ticket.safetensors");
    let protected = std::fs::canonicalize(run.join("arms/protected")).unwrap();
    let aligned = aligned_folder(&home);
    let (text, code) =
        told(&home.run(&["verify", "--ticket", ticket.to_str().unwrap(), aligned.to_str().unwrap(), protected.to_str().unwrap()]));
    assert_eq!(code, 0, "{text}");
}

#[test]
fn a_ticket_of_density_1_is_maskable_bit_for_bit() {
    let home = Home::new();
    let pipeline = PIPELINE.replace("ticket: {score: snip, data: safety.jsonl, density: 0.5}", "ticket: {score: random, density: 1.0}");
    let (before, rest) = pipeline.split_once("    unprotected:").unwrap();
    let (_, after) = rest.split_once("evaluate:").unwrap();
    home.write(
        "p.yaml",
        format!("{before}    maskable: {{train: maskable, weight_decay: 0.1}}\n    whole: {{train: ticket, weight_decay: 0.1}}\nevaluate:{after}")
            .replace("arm: protected", "arm: whole"),
    );
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert_ne!(code, 2, "{text}");
    let read = |arm: &str| std::fs::read(home.path("runs/tiny/latest/arms").join(arm).join("model.safetensors")).unwrap();
    let aligned = std::fs::read(aligned_folder(&home).join("model.safetensors")).unwrap();
    assert_eq!(read("maskable"), read("whole"));
    assert_ne!(read("maskable"), aligned);
}

#[test]
fn more_threads_than_any_machine_has_are_refused() {
    let home = Home::new();
    let (text, code) = told(&home.run(&["check", "p.yaml", "--threads", "513"]));
    assert!(code == 2 && text.contains("--threads") && text.contains("512"), "{text}");
}

#[test]
fn a_ticket_says_where_its_data_lie_now() {
    let home = Home::new();
    let run = || {
        let (text, code) = told(&home.run(&["run", "p.yaml", "--set", "finetune.max_steps=1"]));
        assert_ne!(code, 2, "{text}");
        let record = std::fs::read(home.path("runs/tiny/latest/run.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&record).unwrap()
    };
    let source = |record: &serde_json::Value| record["tickets"]["ticket"]["data"].as_str().unwrap().to_owned();
    assert!(source(&run()).ends_with("/safety.jsonl"));
    std::fs::rename(home.path("safety.jsonl"), home.path("moved.jsonl")).unwrap();
    home.write("p.yaml", PIPELINE.replace("safety.jsonl", "moved.jsonl"));
    let record = run();
    assert!(source(&record).ends_with("/moved.jsonl"), "{}", source(&record));
    let extract = record["stages"].as_array().unwrap().iter().find(|stage| stage["stage"] == "extract ticket").unwrap();
    assert_eq!(extract["reused"], true, "the rows are the same");
}
