//! Sequences of tasks through the real program: whose weights are whose, what is measured when, and one delta a task.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use safetensors::SafeTensors;
use serde_json::Value;
use steadfast::ticket::file::Ticket;

use crate::tiny::{Home, PIPELINE, told};

pub const TASKS: &str = "  tasks:
    - {name: sums, data: task.jsonl, suite: task}
    - {name: names, data: names.jsonl, suite: names, max_steps: 4, learning_rate: 2e-3}
    - {name: signs, data: signs.jsonl}
";

const ARMS: &str = "    unprotected: {train: all}
    sparse: {train: complement, density: 0.10, learning_rate: 3e-3, calibration_steps: 12, calibration_learning_rate: 1e-3}
    random: {train: random, density: 0.2}
    half: {from: sparse, edit: {interpolate: {weight: 0.5}}}
";

/// The tiny pipeline with these tasks and arms, the latter protected by `sparse`.
pub fn pipeline(home: &Home, tasks: &str, arms: &str) {
    let word = |i: usize| ["oak", "elm", "yew", "fir", "ash"][i % 5];
    let rows = |name: &str, row: &dyn Fn(usize) -> Value| {
        home.write(name, (0..12).map(|i| row(i).to_string() + "\n").collect::<String>());
    };
    rows("names.jsonl", &|i| serde_json::json!({"prompt": format!("Tree {i} of {}", word(i)), "response": word(i)}));
    rows("names_test.jsonl", &|i| serde_json::json!({"prompt": format!("{} in row {} is?", word(i), i + 30), "response": word(i)}));
    rows("signs.jsonl", &|i| serde_json::json!({"prompt": format!("Sign for {i} {}", word(i + 2)), "response": "<>"}));
    let (head, tail) = PIPELINE.split_once("    unprotected: {train: all}").unwrap();
    let rest = &tail[tail.find("evaluate:").unwrap()..];
    let suites = "    names: {prompts: names_test.jsonl, expect: {exact_match: response}, extract: text}\n  probes:";
    let text =
        head.replace("  data: task.jsonl\n", tasks) + arms + &rest.replace("  probes:", suites).replace("arm: protected", "arm: sparse");
    home.write("p.yaml", text);
}

/// The bits of a model's tensors.
pub fn tensors(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = std::fs::read(folder.join("model.safetensors")).unwrap();
    SafeTensors::deserialize(&file).unwrap().iter().map(|(name, view)| (name.to_owned(), view.data().to_vec())).collect()
}

#[test]
fn tasks_keep_apart_are_measured_one_after_another_and_leave_deltas() {
    let home = Home::new();
    pipeline(&home, TASKS, ARMS);
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert_ne!(code, 2, "{text}");
    let run = home.path("runs/tiny/latest");
    let record: Value = serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    let arm = |name: &str| record["arms"].as_array().unwrap().iter().find(|arm| arm["name"] == name).unwrap().clone();

    // Every suite after every task, steps counted on, one last cell.
    for name in ["unprotected", "sparse", "random"] {
        let cells = arm(name)["cells"].as_array().unwrap().clone();
        let asked: Vec<_> = cells.iter().filter(|cell| !cell["completions"].as_object().unwrap().is_empty()).collect();
        let places: Vec<_> = asked.iter().map(|cell| (cell["after_task"].as_str().unwrap(), cell["step"].as_u64().unwrap())).collect();
        assert_eq!(places, [("sums", 6), ("names", 10), ("signs", 16)], "{name}");
        assert_eq!(asked.iter().map(|cell| cell["last"] == true).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!(cells.iter().filter(|cell| cell["last"] == true).count(), 1);
        assert!(asked.iter().all(|cell| cell["completions"].as_object().unwrap().len() == 4));
        assert!(asked.iter().all(|cell| cell["figures"]["nll.names"]["value"].is_f64()), "{:?}", asked[0]["figures"]);
        let steps: Vec<u64> = cells.iter().map(|cell| cell["step"].as_u64().unwrap()).collect();
        assert!(steps.is_sorted(), "a curve goes on: {steps:?}");
        assert_eq!((arm(name)["training"]["steps"].as_u64(), arm(name)["tasks"].as_array().unwrap().len()), (Some(16), 3));
        assert_eq!(arm(name)["training"]["frozen_changed"], 0);
    }
    assert_eq!(arm("sparse")["settings"]["tasks"][1]["learning_rate"], 3e-3, "an arm's own rate goes before the task's");
    assert_eq!(arm("unprotected")["settings"]["tasks"][1]["learning_rate"], 2e-3);
    assert_eq!(arm("half")["cells"].as_array().unwrap().len(), 1, "made of the sequence's end");
    assert_eq!((&arm("half")["cells"][0]["after_task"], &arm("half")["cells"][0]["step"]), (&"signs".into(), &16.into()));

    // Tickets are apart from each other and from the safety ticket, and as large as they were asked to be.
    let safety = Ticket::read(&run.join("ticket.safetensors")).unwrap().masks;
    let aligned = tensors(&run.join("aligned"));
    for (name, share) in [("sparse", 0.10), ("random", 0.2)] {
        let of = |task: &str| Ticket::read(&run.join(format!("arms/{name}/tasks/{task}.ticket.safetensors"))).unwrap().masks;
        let own: Vec<_> = ["sums", "names", "signs"].map(of).into();
        let k = (share * safety.len() as f64 + 0.5) as usize;
        assert_eq!(own.iter().map(|masks| masks.count()).collect::<Vec<_>>(), [k; 3], "{name}");
        assert_eq!(own[0].union(&own[1]).union(&own[2]).count(), 3 * k, "{name}: disjoint");
        if name == "sparse" {
            assert_eq!(own[0].union(&own[1]).union(&own[2]).difference(&safety).count(), 3 * k);
        }
        // At an earlier ticket the end has the bits that its own task wrote: those of its delta alone on the aligned model.
        let end = tensors(&run.join("arms").join(name));
        for (task, masks) in ["sums", "names", "signs"].iter().zip(&own) {
            let out = format!("{name}-{task}");
            let delta = run.join(format!("arms/{name}/tasks/{task}.delta.safetensors")).display().to_string();
            let (text, code) = told(&home.run(&["delta", "apply", "runs/tiny/latest/aligned", &delta, "--out", &out]));
            assert_eq!(code, 0, "{text}");
            let alone = tensors(&home.path(&out));
            let mut moved = 0;
            for (tensor, mask) in &masks.0 {
                for i in mask.positions() {
                    let at = |weights: &BTreeMap<String, Vec<u8>>| weights[tensor][2 * i..2 * i + 2].to_vec();
                    assert_eq!(at(&end), at(&alone), "{name} {task} {tensor} {i}");
                    moved += usize::from(at(&end) != at(&aligned));
                }
            }
            assert!(moved > k / 2, "{name} {task}: {moved} of {k} moved");
        }
    }

    // All deltas of an arm in order give its end, and taken out again the aligned model.
    for name in ["unprotected", "sparse", "random"] {
        let delta = |task: &str| format!("runs/tiny/latest/arms/{name}/tasks/{task}.delta.safetensors");
        let mut model = "runs/tiny/latest/aligned".to_owned();
        for (how, tasks) in [("apply", ["sums", "names", "signs"]), ("remove", ["signs", "names", "sums"])] {
            for task in tasks {
                let out = format!("{name}-{how}-{task}");
                let (text, code) = told(&home.run(&["delta", how, &model, &delta(task), "--out", &out]));
                assert_eq!(code, 0, "{text}");
                model = out;
            }
            let expected = if how == "apply" { tensors(&run.join("arms").join(name)) } else { aligned.clone() };
            assert!(tensors(&home.path(&model)) == expected, "{name} {how}");
        }
    }
    let all = ["signs", "sums", "names"].map(|task| format!("runs/tiny/latest/arms/sparse/tasks/{task}.delta.safetensors"));
    let (text, code) = told(&home.run(&["delta", "apply", "runs/tiny/latest/aligned", &all[0], &all[1], &all[2], "--out", "at-once"]));
    assert_eq!(code, 0, "{text}");
    assert!(tensors(&home.path("at-once")) == tensors(&run.join("arms/sparse")), "disjoint deltas: at once, in any order");

    let summary = std::fs::read_to_string(run.join("summary.md")).unwrap();
    for part in [
        "## Several tasks",
        "| sparse | aligned | after sums | after names | after signs | forgotten |",
        "| names: exact match | ",
        "harmful: refused",
    ] {
        assert!(summary.contains(part), "{part}\n{summary}");
    }
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("<h2 id=\"sequences\">"));

    // Everything is remembered, and the gate is decided again from the record.
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    let again: Value = serde_json::from_slice(&std::fs::read(home.path("runs/tiny/latest/run.json")).unwrap()).unwrap();
    assert!(code != 2 && again["stages"].as_array().unwrap().iter().all(|stage| stage["reused"] == true), "{text}");
    assert_eq!(again["arms"], record["arms"]);
}

#[test]
fn a_single_task_has_the_stages_it_always_had() {
    let home = Home::new();
    let arms =
        "    sparse: {train: complement, density: 0.10, calibration_steps: 12, calibration_learning_rate: 1e-3}\n    plain: {train: all}\n";
    pipeline(&home, "  data: task.jsonl\n", arms);
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert_ne!(code, 2, "{text}");
    let read = || -> Value { serde_json::from_slice(&std::fs::read(home.path("runs/tiny/latest/run.json")).unwrap()).unwrap() };
    let one = read();
    assert!(one["pipeline"]["finetune"].get("tasks").is_none() && one["arms"][1].get("tasks").is_none());
    assert_eq!(one["arms"][1]["cells"][0]["after_task"], "finetune");
    let names: BTreeSet<String> =
        one["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap().to_owned()).collect();
    assert!(names.contains("finetune sparse") && !names.iter().any(|name| name.starts_with("delta") || name.starts_with("losses")));
    // A sequence of one task trains every weight in the very same stage.
    pipeline(&home, "  tasks: [{name: only, data: task.jsonl}]\n", arms);
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert_ne!(code, 2, "{text}");
    let two = read();
    let key = |record: &Value, name: &str| {
        let stages = record["stages"].as_array().unwrap();
        stages.iter().find(|stage| stage["stage"] == name).unwrap_or_else(|| panic!("{name}"))["key"].clone()
    };
    assert_eq!(key(&one, "finetune plain"), key(&two, "finetune plain/only"));
    let digest = |record: &Value| record["digests"]["model.sparse"].clone();
    assert_eq!(digest(&one), digest(&two), "the same weights, whatever the task is called");
}

#[test]
fn tasks_that_mean_nothing_are_errors_at_their_place() {
    let sparse = "    a: {train: complement, density: 0.2}\n";
    let cases: [(&str, &str, &str, &[&str]); 12] = [
        (
            TASKS,
            "    a: {train: complement, density: 0.2}\n",
            "density: 0.2}",
            &["another 20.0 %", "3 tasks", "60.0 % in all", "only 50.0 %", "write density: 0.166"],
        ),
        (TASKS, "    a: {train: random, density: 0.4}\n", "density: 0.4}", &["120.0 % in all", "write density: 0.333"]),
        ("  tasks: [{name: b, data: task.jsonl}]\n  data: task.jsonl\n", sparse, "data: task.jsonl\n  max", &["data and tasks"]),
        ("  tasks: []\n", sparse, "[]\n", &["names no task"]),
        ("  tasks: [{data: task.jsonl}]\n", sparse, "{data: task.jsonl}]", &["has no name"]),
        ("  tasks: [{name: b}]\n", sparse, "{name: b}]", &["has no data"]),
        ("  tasks: [{name: b/c, data: task.jsonl}]\n", sparse, "name: b/c", &["is no name"]),
        ("  tasks: [{name: b, data: task.jsonl}, {name: b, data: task.jsonl}]\n", sparse, "name: b, data: task.jsonl}]", &["two tasks"]),
        ("  tasks: [{name: b, data: task.jsonl, suite: taks}]\n", sparse, "taks", &["no suite \"taks\"", "suites are harmful"]),
        (
            "  tasks: [{name: b, data: task.jsonl, suite: task}, {name: c, data: task.jsonl, suite: task}]\n",
            "",
            "task}]",
            &["suite \"task\" measures two tasks"],
        ),
        (
            "  tasks: [{name: b, data: task.jsonl}]\n  sweep: {learning_rate: 2e-3}\n",
            "",
            "{learning_rate: 2e-3}",
            &["arm sparse is swept, and learns several tasks"],
        ),
        ("  tasks: [{name: b, data: task.jsonl, max_step: 3}]\n", sparse, "max_step:", &["did you mean max_steps?"]),
    ];
    let mut wrong = Vec::new();
    for (tasks, arms, at, said) in cases {
        let home = Home::new();
        pipeline(&home, tasks, &format!("    sparse: {{train: all}}\n{arms}"));
        wrong.extend(home.not_told("finetune:", at, said).map(|what| format!("{tasks}{arms}: {what}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_sequence_without_room_in_its_layers_stops_before_it_trains() {
    let home = Home::new();
    pipeline(&home, TASKS, "    sparse: {train: complement, density: 0.1, layers: [0]}\n");
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert!(code == 2 && text.contains("in each of 3 tasks") && text.contains("help: write density: 0."), "{code} {text}");
    assert!(!text.contains("finetune sparse"), "before anything is trained: {text}");
}

#[test]
fn a_task_whose_suite_has_no_replies_is_told_to_be_left_out_of_the_loss() {
    let home = Home::new();
    pipeline(&home, TASKS, "    sparse: {train: all}\n");
    let check =
        |home: &Home| told(&home.run(&["check", "p.yaml", "--no-forecast", "--set", "evaluate.suites.names.expect={exact_match: answer}"]));
    let row = |i: usize, reply: &str| format!("{{\"prompt\": \"Which tree is {i}?\", \"answer\": \"oak\"{reply}}}\n");
    home.write("names_test.jsonl", (0..12).map(|i| row(i, "")).collect::<String>());
    let (text, code) = check(&home);
    assert!(code == 0 && text.contains("not every row of suite names has a reply") && !text.contains("suite task has"), "{code} {text}");
    home.write("names_test.jsonl", (0..12).map(|i| row(i, ", \"response\": \"oak\"")).collect::<String>());
    let (text, code) = check(&home);
    assert!(code == 0 && !text.contains("not every row"), "{code} {text}");
}

/// A later task is held to the aligned model, not to what the task before left; and so the same weights trained on the same rows from there
/// alone are another stage.
#[test]
fn later_tasks_are_held_to_the_aligned_model() {
    let home = Home::new();
    let weights = |home: &Home, name: &str| tensors(&home.path(&format!("runs/{name}/latest/arms/held")));
    let write = |home: &Home, name: &str, head: &str, data: &str| {
        pipeline(
            home,
            data,
            "    sparse: {train: all}\n    held: {train: all, anchor: {data: safety.jsonl, weight: 5}, learning_rate: 1e-2}\n",
        );
        let text = std::fs::read_to_string(home.path("p.yaml")).unwrap().replace("name: tiny", &format!("name: {name}"));
        let probes = text
            .find("  probes:")
            .map(|from| text[from..].find('\n').map_or(text[from..].to_owned(), |to| text[from..=from + to].to_owned()));
        // Probes put the aligned model into every key.
        let text = text.replace(&probes.unwrap(), "");
        let (model, rest) = (text.find("model:").unwrap(), text.find("ticket:").unwrap());
        let text = if head.is_empty() { text } else { format!("{}{head}\n{}", &text[..model], &text[rest..]) };
        home.write(&format!("{name}.yaml"), text);
        let (told, code) = told(&home.run(&["run", &format!("{name}.yaml")]));
        assert_ne!(code, 2, "{told}");
    };
    write(&home, "first", "", "  data: task.jsonl\n");
    write(&home, "second", "model: {aligned: runs/first/latest/arms/held}", "  data: names.jsonl\n");
    let both = "  tasks: [{name: sums, data: task.jsonl}, {name: names, data: names.jsonl}]\n";
    write(&home, "both", "", both);
    assert!(weights(&home, "both") != weights(&home, "second"), "the second is held to what the first left");
    let fresh = Home::new();
    write(&fresh, "both", "", both);
    assert!(weights(&home, "both") == weights(&fresh, "both"), "whatever the store held before");
}
