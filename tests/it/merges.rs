//! Tasks side by side through the real program: each from the aligned model, then all in one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use steadfast::ticket::file::Ticket;

use crate::sequences::{TASKS, pipeline, tensors};
use crate::tiny::{Home, told};

const ARMS: &str = "    unprotected: {train: all}
    sparse: {train: complement, density: 0.10, learning_rate: 3e-3, calibration_steps: 12, calibration_learning_rate: 1e-3, merge: {method: union}}
    draws: {train: random, density: 0.2, merge: {method: union}}
    summed: {train: all, merge: {method: task-arithmetic, scale: [1, 0.5, -0.25]}}
    first: {like: summed, merge: {method: task-arithmetic, scale: [1, 0, 0]}}
    ties: {like: summed, merge: {method: ties, density: 0.3}}
    dare: {like: summed, merge: {method: dare, density: 0.4, scale: 0.5}}
    half: {from: sparse, edit: {interpolate: {weight: 0.5}}}
";

const NAMES: [&str; 3] = ["sums", "names", "signs"];

#[test]
fn tasks_side_by_side_are_measured_alone_and_merged() {
    let home = Home::new();
    pipeline(&home, TASKS, ARMS);
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert_ne!(code, 2, "{text}");
    let run = home.path("runs/tiny/latest");
    let record: Value = serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    let arm = |name: &str| record["arms"].as_array().unwrap().iter().find(|arm| arm["name"] == name).unwrap().clone();
    let stage = |name: &str| record["stages"].as_array().unwrap().iter().find(|stage| stage["stage"] == name).unwrap().clone();

    // Every suite of every task alone, then of the merge, which no task is before.
    for name in ["sparse", "draws", "summed", "ties", "dare"] {
        let cells = arm(name)["cells"].as_array().unwrap().clone();
        let asked: Vec<&Value> = cells.iter().filter(|cell| !cell["completions"].as_object().unwrap().is_empty()).collect();
        let places: Vec<_> = asked.iter().map(|cell| (cell["after_task"].as_str(), cell["step"].as_u64().unwrap())).collect();
        assert_eq!(places, [(Some("sums"), 6), (Some("names"), 4), (Some("signs"), 6), (None, 16)], "{name}");
        assert_eq!(asked.iter().map(|cell| cell["last"] == true).collect::<Vec<_>>(), [false, false, false, true]);
        assert!(asked.iter().all(|cell| cell["completions"].as_object().unwrap().len() == 4));
        assert!(asked.iter().all(|cell| cell["figures"]["nll.names"]["value"].is_f64()), "{:?}", asked[0]["figures"]);
        let (merge, training) = (arm(name)["merge"].clone(), arm(name)["training"].clone());
        assert_eq!((merge["kept_changed"].as_u64(), training["steps"].as_u64()), (Some(0), Some(16)), "{name}");
        assert_eq!(training["update_norm"], merge["update_norm"]);
        let shared = merge["shared"].as_u64().unwrap();
        assert!((shared == 0) == matches!(name, "sparse" | "draws"), "{name}: {merge}");
        assert!(merge["opposed"].as_u64().unwrap() <= shared && merge["changed"].as_u64() <= merge["weights"].as_u64());
    }
    let half = arm("half")["cells"].as_array().unwrap().clone();
    assert!(half.len() == 1 && half[0]["after_task"].is_null(), "made of the merge");
    assert!(arm("unprotected").get("merge").is_none());

    // The first task is the sequence's first, and arms that merge otherwise train nothing anew.
    assert_eq!(stage("finetune summed/sums")["key"], stage("finetune unprotected/sums")["key"]);
    assert_ne!(stage("finetune summed/names")["key"], stage("finetune unprotected/names")["key"], "from the aligned model");
    for (name, task) in ["ties", "dare", "first"].into_iter().flat_map(|name| NAMES.map(|task| (name, task))) {
        assert_eq!(stage(&format!("finetune {name}/{task}"))["reused"], true, "{name} {task}");
    }

    // Tasks with weights of their own keep apart, outside the safety ticket.
    let safety = Ticket::read(&run.join("ticket.safetensors")).unwrap().masks;
    let of = |task: &str| Ticket::read(&run.join(format!("arms/sparse/tasks/{task}.ticket.safetensors"))).unwrap().masks;
    let own = NAMES.map(of);
    let all = own[0].union(&own[1]).union(&own[2]);
    assert_eq!(all.count(), own.iter().map(|masks| masks.count()).sum::<usize>());
    assert_eq!(all.difference(&safety).count(), all.count());

    // Each delta goes onto the aligned model alone, and what the program merges of them is what the run saved.
    let delta = |name: &str, task: &str| format!("runs/tiny/latest/arms/{name}/tasks/{task}.delta.safetensors");
    for (name, how) in [
        ("sparse", "apply"),
        ("draws", "merge --method union"),
        ("summed", "merge --method task-arithmetic --scale 1,0.5,-0.25"),
        ("ties", "merge --method ties --density 0.3"),
        ("dare", "merge --method dare --density 0.4 --scale 0.5 --seed 0"),
        ("first", "apply"),
    ] {
        let deltas = NAMES.map(|task| delta(if name == "first" { "summed" } else { name }, task));
        let deltas = if name == "first" { &deltas[..1] } else { &deltas[..] };
        let mut words = vec!["delta"];
        let mut how = how.split(' ');
        words.extend(how.next());
        words.push("runs/tiny/latest/aligned");
        words.extend(deltas.iter().map(String::as_str));
        words.extend(how);
        words.extend(["--out", name]);
        let (text, code) = told(&home.run(&words));
        assert_eq!(code, 0, "{text}");
        assert!(tensors(&home.path(name)) == tensors(&run.join("arms").join(name)), "{name}");
    }
    let ends: BTreeSet<BTreeMap<String, Vec<u8>>> =
        ["aligned", "arms/unprotected", "arms/sparse", "arms/draws", "arms/summed", "arms/first", "arms/ties", "arms/dare"]
            .map(|name| tensors(&run.join(name)))
            .into();
    assert_eq!(ends.len(), 8, "no two arms end alike");
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        assert!(run.join("arms/ties").join(file).is_file(), "{file}: a folder that others open");
    }

    let summary = std::fs::read_to_string(run.join("summary.md")).unwrap();
    for part in [
        "| ties | aligned | sums alone | names alone | signs alone | merged | lost in merging |",
        "| unprotected | aligned | after sums | after names | after signs | forgotten |",
        "| names: exact match | ",
        " of them several tasks and ",
    ] {
        assert!(summary.contains(part), "{part}\n{summary}");
    }
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("<th scope=\"col\">lost in merging</th>") && page.contains("<th scope=\"col\">signs alone</th>"));
    // Curves go on from left to right: tasks that did not follow each other are not joined.
    let chart = page.split("<figure").find(|part| part.contains("Task loss on held-out rows along training")).unwrap();
    let lines: Vec<Vec<f64>> = (chart.split("points=\"").skip(1))
        .map(|part| part.split('"').next().unwrap().split(' ').map(|at| at.split(',').next().unwrap().parse().unwrap()).collect())
        .collect();
    assert!(lines.len() >= 8 && lines.iter().any(|line| line.len() > 4), "{lines:?}");
    assert!(lines.iter().all(|line| line.is_sorted()), "{lines:?}");
    assert!(arm("ties")["summary"].as_str().unwrap().contains("on each of 3 tasks from the aligned model, and merges the largest 30 %"));

    // Everything is remembered, and without the stages between two runs the same comes of it.
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    let again: Value = serde_json::from_slice(&std::fs::read(home.path("runs/tiny/latest/run.json")).unwrap()).unwrap();
    assert!(code != 2 && again["stages"].as_array().unwrap().iter().all(|stage| stage["reused"] == true), "{text}");
    assert_eq!(again["arms"], record["arms"]);
}

#[test]
fn merges_that_mean_nothing_are_errors_at_their_place() {
    let one = "  tasks: [{name: b, data: task.jsonl}]\n";
    let cases: [(&str, &str, &str, &[&str]); 13] = [
        ("  data: task.jsonl\n", "{train: all, merge: {method: ties}}", "merge", &["merges tasks, and the pipeline names none"]),
        (one, "{train: all, merge: {method: ties}}", "merge", &["merges tasks, and there is one"]),
        (TASKS, "{train: all, merge: {method: union}}", "merge", &["they train the same weights", "train: complement, density: 0.10"]),
        (TASKS, "{train: complement, merge: {method: union}}", "merge", &["they train the same weights"]),
        (TASKS, "{train: all, merge: {}}", "{}", &["has no method", "{method: dare}"]),
        (TASKS, "{train: all, merge: {method: tie}}", "tie}", &["did you mean ties?"]),
        (TASKS, "{train: all, merge: {method: ties, density: 0}}", "0}", &["expected a share in (0, 1]"]),
        (TASKS, "{train: all, merge: {method: task-arithmetic, density: 0.5}}", "density", &["task-arithmetic has none"]),
        (TASKS, "{train: random, density: 0.1, merge: {method: union, scale: 2}}", "scale", &["has scale, and union has none"]),
        (TASKS, "{train: all, merge: {method: ties, scale: [1, 2]}}", "[1, 2]", &["2 scales for 3 tasks"]),
        (TASKS, "{train: all, merge: {method: ties, scale: 1e39}}", "1e39", &["expected a number"]),
        (TASKS, "{train: none, merge: {method: ties}}", "merge", &["trains nothing, and has merge"]),
        (TASKS, "{from: sparse, edit: {interpolate: {}}, merge: {method: ties}}", "merge", &["trains nothing, and has merge"]),
    ];
    let mut wrong = Vec::new();
    for (tasks, arm, at, said) in cases {
        let home = Home::new();
        pipeline(&home, tasks, &format!("    sparse: {{train: all}}\n    a: {arm}\n"));
        wrong.extend(home.not_told("    a: ", at, said).map(|what| format!("{tasks}{arm}: {what}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Two tasks on the same rows change the same: nothing says which of the two is meant.
#[test]
fn the_same_task_twice_is_an_error() {
    let home = Home::new();
    pipeline(
        &home,
        "  tasks: [{name: b, data: task.jsonl}, {name: c, data: task.jsonl}]\n",
        "    sparse: {train: all, merge: {method: ties}}\n",
    );
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert!(code == 2 && text.contains("arm sparse merges tasks b and c, which both end at weights sha256 "), "{code} {text}");
    assert!(text.contains("help: remove one of the two tasks"), "{text}");
    assert!(!home.path("runs/tiny/latest").exists(), "no run is left behind");
}

/// With `dtype: f32` every delta of a bf16 model changes the type in which all weights are stored.
#[test]
fn merges_of_several_seeds_in_another_type() {
    let home = Home::new();
    let arms = "    sparse: {train: random, density: 0.2, merge: {method: union}}
    dare: {train: all, merge: {method: dare, density: 0.4}}
    ties: {like: dare, merge: {method: ties}}
";
    pipeline(&home, TASKS, arms);
    let text = std::fs::read_to_string(home.path("p.yaml")).unwrap();
    let (from, to) = (text.find("model:").unwrap(), text.find("ticket:").unwrap());
    home.write("p.yaml", format!("{}seeds: [0, 1]\nmodel: {{aligned: model, dtype: f32}}\n{}", &text[..from], &text[to..]));
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert_ne!(code, 2, "{text}");
    let run = home.path("runs/tiny/latest");
    let record: Value = serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    for (name, how) in [("sparse", "union"), ("dare", "dare --density 0.4 --seed SEED"), ("ties", "ties --density 0.2")] {
        let cells = record["arms"].as_array().unwrap().iter().find(|arm| arm["name"] == name).unwrap()["cells"].as_array().unwrap();
        let ends: Vec<_> = cells.iter().filter(|cell| cell["last"] == true).map(|cell| cell["seed"].as_u64().unwrap()).collect();
        assert_eq!(ends, [0, 1]);
        let mut seeds = Vec::new();
        for (seed, folder) in [name.to_owned(), format!("{name}-seed-1")].into_iter().enumerate() {
            let deltas = NAMES.map(|task| format!("runs/tiny/latest/arms/{folder}/tasks/{task}.delta.safetensors"));
            let how = how.replace("SEED", &seed.to_string());
            let mut words = vec!["delta", "merge", "model", &deltas[0], &deltas[1], &deltas[2], "--out", &folder, "--method"];
            words.extend(how.split(' '));
            let (text, code) = told(&home.run(&words));
            assert_eq!(code, 0, "{text}");
            let merged = tensors(&run.join("arms").join(&folder));
            assert!(merged == tensors(&home.path(&folder)), "{folder}");
            assert_eq!(merged["model.norm.weight"].len(), 4 * 32, "in f32");
            seeds.push(merged);
        }
        assert!(seeds[0] != seeds[1], "{name}");
    }
}

/// Scales belong to tasks, also where one of these changed nothing; and one that diverged stops its arm alone.
#[test]
fn tasks_that_change_nothing_or_diverge() {
    let home = Home::new();
    let tasks = TASKS.replace("max_steps: 4, learning_rate: 2e-3", "max_steps: 1, learning_rate: 1e-12");
    pipeline(&home, &tasks, "    sparse: {train: all, merge: {method: task-arithmetic, scale: [1, 7, 0.5]}}\n");
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert_ne!(code, 2, "{text}");
    let delta = |task: &str| format!("runs/tiny/latest/arms/sparse/tasks/{task}.delta.safetensors");
    assert!(!home.path(&delta("names")).exists());
    let (first, last) = (delta("sums"), delta("signs"));
    let words =
        ["delta", "merge", "runs/tiny/latest/aligned", &first, &last, "--method", "task-arithmetic", "--scale", "1,0.5", "--out", "m"];
    let (text, code) = told(&home.run(&words));
    assert_eq!(code, 0, "{text}");
    assert!(tensors(&home.path("m")) == tensors(&home.path("runs/tiny/latest/arms/sparse")));

    let tasks = TASKS.replace("max_steps: 4, learning_rate: 2e-3", "max_steps: 1, learning_rate: 1e300");
    let arms = "    sparse: {train: all, merge: {method: task-arithmetic}}
    ties: {train: all, merge: {method: ties}}
    dare: {train: all, merge: {method: dare}}
    draws: {train: random, density: 0.1, merge: {method: union}}
    alone: {train: maskable}
";
    pipeline(&home, &tasks, arms);
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert!(code == 2 && text.contains("arm sparse, task names stopped early: a weight is no finite number after step 1"), "{code} {text}");
    let record: Value = serde_json::from_slice(&std::fs::read(home.path("runs/tiny/latest/run.json")).unwrap()).unwrap();
    for name in ["sparse", "ties", "dare", "draws"] {
        let arm = record["arms"].as_array().unwrap().iter().find(|arm| arm["name"] == name).unwrap();
        assert!(arm["training"]["stopped"].as_str().unwrap().contains("no finite number") && arm["merge"].is_object(), "{name}");
    }
    let (text, code) = told(&home.run(&["report", "runs/tiny/latest"]));
    assert_eq!(code, 0, "{text}");
}
