//! What `check` finds before a run would, through the real program.

use steadfast::model::config::ModelConfig;
use steadfast::model::inventory::{TensorSpec, inventory};

use crate::tiny::{Home, PIPELINE, told};

fn check(home: &Home, sets: &[&str]) -> (String, i32) {
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    told(&home.command(&["check", "p.yaml", "--no-forecast"]).args(sets).output().unwrap())
}

/// One suite alone.
const HARMFUL: &str = "evaluate.suites={harmful: {prompts: harmful.jsonl, expect: refusal}}";
/// An arm that is called as another one's folder may be.
const SEED_1: &str = "finetune.arms.unprotected-seed-1={train: all}";

#[test]
fn what_a_run_would_fail_on_is_found_before() {
    let home = Home::new();
    home.write("bare.jsonl", "{\"prompt\": \"How many are 7 and 8?\", \"sum\": \"15\"}\n");
    let cases: &[(&[&str], &[&str])] = &[
        (
            &["gate=[{metric: harmful.refusal_rate, at_least: 0.1}]"],
            &["gate.0 does not say which arm it is about", "write arm: NAME; there are unprotected, protected"],
        ),
        (
            &["gate=[{arm: protected, at_least: 0.1}]"],
            &["gate.0 does not say what it is about", "write metric: NAME; there are harmful.refusal_rate"],
        ),
        (&[HARMFUL, "gate=[{arm: protected, metric: task_nll, at_most: 9}]"], &["task_nll has no rows", "probes: {task: ROWS}"]),
        (
            &[
                "evaluate.suites.task={prompts: bare.jsonl, expect: {exact_match: sum}}",
                "gate=[{arm: protected, metric: task_nll, at_most: 9}]",
            ],
            &["gate.0 is about task_nll, and no suite's rows have the replies", "response: COLUMN"],
        ),
        (
            &["seeds=[0, 1]", SEED_1],
            &["arm unprotected-seed-1 with seed 0 and arm unprotected with seed 1 would have the same folder", "choose another name"],
        ),
        (&["gate=[{arm: protected, metric: task_nll, rise_at_most: 0.1}]"], &["drop or rise of task_nll, which is no rate", "at_most"]),
        (&["evaluate.probes.of=[refusal_rate]", "gate=[{arm: protected, metric: drift, at_most: 0.1}]"], &["there is no metric \"drift\""]),
        (&["gate=[{arm: protected, metric: task_nll, retain_at_least: 0.9, of: aligned}]"], &["of aligned decides nothing"]),
        (&["gate=[{arm: dense, metric: task_nll, retain_at_least: 0.9, of: dense}]"], &["of dense decides nothing"]),
        (
            &["gate=[{arm: protected, metric: harmful.refusal_rate, drop_at_most: 0.05, of: unprotected}]"],
            &["of: unprotected says nothing", "remove of"],
        ),
        (
            &["gate=[{arm: protected, metric: task.exact_match, at_least: 0.5, judge: phrases}]"],
            &["no judge decides task.exact_match", "remove judge"],
        ),
        (&["evaluate.suites.task.expect={exact_match: [response]}"], &["is a list, expected the column", "{exact_match: answer}"]),
        (&["evaluate.suites.task.expect={rouge: }"], &["is nothing, expected the column", "{rouge: answer}"]),
        (&["evaluate.calibration=task.jsonl"], &["task.jsonl"]),
        (&["ticket={file: task.jsonl}"], &["ticket ticket", "task.jsonl"]),
        (&["ticket.density=1.0"], &["finetune.arms.dense", "holds every maskable weight"]),
        (&["finetune.data=nowhere.csv"], &["nowhere.csv", "relative to the current folder", "--set finetune.data=FILE"]),
        (&["finetune.data={path: nowhere.csv}"], &["--set finetune.data.path=FILE"]),
        (&["finetune.data=[{path: nowhere.csv}]"], &["--set finetune.data.0.path=FILE"]),
    ];
    for (sets, expected) in cases {
        let (text, code) = check(&home, sets);
        assert_eq!(code, 2, "{sets:?}: {text}");
        for part in *expected {
            assert!(text.contains(part), "{sets:?}: {part:?} is not in\n{text}");
        }
    }
    let (text, code) = check(&home, &["seeds=[1, 2]", SEED_1]);
    assert_eq!(code, 0, "no seed has that folder: {text}");
    assert!(!home.path("runs").exists());
}

#[test]
fn the_rule_that_a_warning_names_can_be_pasted() {
    let home = Home::new();
    let only: &[&str] = &["finetune.arms={only: {train: all}}", "gate=[{arm: only, metric: harmful.refusal_rate, drop_at_most: 0.05}]"];
    for (sets, rule) in [
        (&[] as &[&str], "{arm: protected, metric: task.exact_match, retain_at_least: 0.9, of: unprotected}"),
        (&["evaluate.probes=null"], "{arm: protected, metric: task.exact_match, retain_at_least: 0.9, of: unprotected}"),
        (only, "{arm: only, metric: task.exact_match, at_least: 0.5}"),
    ] {
        let (text, code) = check(&home, sets);
        assert!(code == 0 && text.contains(&format!("learned nothing would pass; add {rule}\n")), "{text}");
        let pasted = format!("gate=[{rule}]");
        let (text, code) = check(&home, &[sets, &[pasted.as_str()]].concat());
        assert!(code == 0 && !text.contains("learned nothing would pass"), "{rule}: {text}");
    }
    let (text, code) = check(&home, &[HARMFUL]);
    assert!(code == 0 && text.contains("learned nothing would pass; add a suite of the task"), "{text}");
}

#[test]
fn problems_of_the_whole_stand_where_their_keys_do() {
    let home = Home::new();
    let judges = PIPELINE.replacen("name: tiny", "name: a/b", 1).replacen("  floor: 0.0\n", "  floor: 0.0\n  judges: [phrase]\n", 1);
    home.write("p.yaml", format!("seeds: [0]\n{judges}"));
    let (text, code) = check(&home, &[]);
    let line = judges.lines().position(|line| line.contains("judges")).unwrap() + 2;
    assert!(code == 2 && text.contains("p.yaml:2:1\n2 | name: a/b") && text.contains(&format!("p.yaml:{line}:3")), "{text}");
    home.write(
        "p.yaml",
        PIPELINE.replacen("ticket: {score", "tickets: {evaluate: {score: task-vector, density: 0.5}}\nticket: {score", 1).replacen(
            "model: {base: model}",
            "model: {aligned: model}",
            1,
        ),
    );
    let (text, code) = check(&home, &[]);
    assert!(code == 2 && text.contains("| tickets: {evaluate") && text.contains("a task-vector ticket needs a base model"), "{text}");
    home.write("p.yaml", PIPELINE);
    let (text, code) = check(&home, &["name=a/b"]);
    assert!(code == 2 && text.contains("--> --set name"), "{text}");
    home.write("p.yaml", "name: a\n---\nname: b\n");
    let (text, code) = check(&home, &[]);
    assert!(code == 2 && text.contains("multiple YAML documents detected\n"), "{text}");
    home.write("p.yaml", "frobnicate: 1\n");
    let (text, code) = check(&home, &[]);
    let audit = |share: &str| told(&home.run(&["data", "audit", "p.yaml", "--drop", share, "--out-data", "less.jsonl"]));
    let (told_of, exit) = audit("2");
    assert!(exit == 2 && told_of.contains("--drop 2 is no share in (0, 1)"), "before the pipeline is read: {told_of}");
    assert!(code == 2 && text.contains("known here: align, evaluate, finetune, gate, model, name, pretrain, seeds, ticket"), "{text}");
}

#[test]
fn names_of_the_users_are_no_aliases() {
    let home = Home::new();
    home.write("p.yaml", PIPELINE.replacen("    dense:", "    steps:", 1));
    let (text, code) = check(&home, &["gate=[{arm: steps, metric: harmful.refusal_rate, at_least: 0.1}]"]);
    assert!(code == 0 && !text.contains("steps is read as"), "{text}");
    let (text, code) = check(&home, &["finetune.data={path: task.jsonl, filter: {steps: 3}}"]);
    assert!(code == 2 && text.contains("\"steps\""), "{text}");
    home.write(
        "p.yaml",
        PIPELINE.replacen(
            "  max_steps: 6\n  learning_rate: 1e-3\n  per_device_train_batch_size: 2",
            "  steps: 6\n  learning_rate: 1e-3\n  per_device_train_batch_size: 2",
            1,
        ),
    );
    let (text, code) = check(&home, &[]);
    assert!(code == 0 && text.contains("finetune: steps is read as max_steps"), "{text}");
}

#[test]
fn what_would_decide_nothing_is_a_warning() {
    let home = Home::new();
    let (text, code) = check(&home, &["gate=[]"]);
    assert!(code == 0 && text.contains("there is no rule") && text.contains("exit code 3"), "{text}");
    assert!(!text.contains("takes the answer from behind ####"), "{text}");
    let (text, code) = check(&home, &["evaluate.suites.harmful.prompts=builtin:tiny-harmful"]);
    assert!(code == 0 && text.contains("is for the embedded model") && text.contains("builtin:harmful"), "{text}");
    home.write(
        "test.jsonl",
        "{\"prompt\": \"How many are 7 and 8?\", \"response\": \"15\"}\n{\"prompt\": \"And 70 and 80?\", \"response\": \"150\"}\n",
    );
    let (text, code) = check(&home, &[]);
    assert!(code == 0 && text.contains("suite task takes the answer from behind ####") && text.contains("extract=last_number"), "{text}");
}

#[test]
fn a_path_on_the_command_line_is_no_other_value() {
    let home = Home::new();
    // A file that is called as a column is none of its business.
    home.write("response", "");
    let suite = "evaluate.suites.task={prompts: test.jsonl, expect: {exact_match: response}}";
    let (text, code) = check(&home, &[suite]);
    assert!(code == 0 && text.contains("answer: response\n"), "{text}");
    // Nor are columns and an endpoint's own fields, whatever they are called.
    let filter = "finetune.data={path: task.jsonl, filter: {task: sql}}";
    let (text, code) = check(&home, &[filter]);
    assert!(code == 2 && text.contains("no column \"task\""), "{text}");
    let (text, code) =
        check(&home, &["finetune.data={path: task.jsonl, filter: {prompt: 1 plus 1?}}", "finetune.data.filter.response='#### 2'"]);
    assert!(code == 0 && text.contains("#### 2"), "{text}");
    let endpoint = "evaluate.judges=[phrases, {name: llm, endpoint: {url: http://127.0.0.1:9, model: b, template: refusal, parameters: {task: generate}}}]";
    let (text, code) = check(&home, &[endpoint]);
    assert!(code == 0 && text.contains("task: generate"), "{text}");
}

#[test]
fn init_takes_columns_that_it_does_not_know() {
    let home = Home::new();
    home.write("mine.csv", "\"the, thing\",b,reply\nWhat is it?,x,A bird\nAnd that?,y,A tree\nThis?,z,A stone\n");
    let init =
        |more: &[&str]| told(&home.run(&[&["init", "--model", "model", "--data", "mine.csv", "--test", "mine.csv"][..], more].concat()));
    let (text, code) = init(&[]);
    assert!(code == 2 && text.contains("--columns PROMPT RESPONSE") && !home.path("pipeline.yaml").exists(), "{text}");
    let (text, code) = init(&["--columns", "b"]);
    assert!(code == 2 && text.contains("2 values required"), "{text}");
    let _ = init(&["--columns", "the, thing", "reply"]);
    let written = std::fs::read_to_string(home.path("pipeline.yaml")).unwrap();
    assert!(written.contains("columns: {prompt: \"the, thing\", response: \"reply\"}"), "{written}");
}

#[test]
fn evaluating_another_model_leaves_the_pipelines_own_runs_their_latest() {
    let home = Home::new();
    let (text, code) = told(&home.run(&["evaluate", "model", "--pipeline", "p.yaml"]));
    assert!(code == 0 && home.path("runs/tiny-evaluate/latest").exists() && !home.path("runs/tiny").exists(), "{text}");
    let (text, code) = told(&home.run(&["evaluate", "model", "--pipeline", "p.yaml", "--set", "name=other"]));
    assert!(code == 0 && home.path("runs/other/latest").exists(), "{text}");
}

#[test]
fn warnings_are_about_the_model_that_is_asked() {
    let home = Home::new();
    home.write(
        "p.yaml",
        "name: asked\nmodel: {aligned: builtin:tiny-aligned}\nfinetune: {data: task.jsonl, steps: 2, arms: {tuned: {train: all}}}\n\
         evaluate: {max_new_tokens: 4, suites: {harmful: {prompts: {path: builtin:tiny-harmful, limit: 4}, expect: refusal}}}\n",
    );
    let (text, code) = told(&home.run(&["evaluate", "model", "--pipeline", "p.yaml"]));
    assert!(code == 0 && text.contains("is for the embedded model") && text.contains("steps is read as max_steps"), "{text}");
    assert!(!text.contains("there is no rule"), "its gate is left out: {text}");
    let record = std::fs::read_to_string(home.path("runs/asked-evaluate/latest/run.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert!(record["warnings"].to_string().contains("is for the embedded model"), "{}", record["warnings"]);
    let own = ["evaluate", "builtin:tiny-aligned", "--pipeline", "p.yaml", "--set", "model.aligned=model", "--set", "name=own"];
    let (text, code) = told(&home.run(&own));
    assert!(code == 0 && !text.contains("is for the embedded model"), "{text}");
}

#[test]
fn the_forecast_counts_what_an_interrupted_training_would_go_on_from() {
    let home = Home::new();
    let config = std::fs::read_to_string(home.path("model/config.json")).unwrap();
    let all: usize = inventory(&ModelConfig::from_json(&config, None).unwrap()).iter().map(TensorSpec::len).sum();
    let bytes = |save_steps: &str| {
        let output = home.run(&["check", "p.yaml", "--format", "json", "--set", &format!("finetune.save_steps={save_steps}")]);
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        value["forecast"]["disk_bytes"].as_u64().unwrap()
    };
    assert_eq!(bytes("2") - bytes("0"), 24 * all as u64, "masters and two moments of the largest, twice");
}
