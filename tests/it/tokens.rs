//! A budget of tokens through the real program: as many steps as read no more, whatever an arm reads beside the task's rows.

use serde_json::Value;

use crate::sequences::pipeline;
use crate::tiny::{Home, told};

/// The record of a run with these arms.
fn run(home: &Home, arms: &str) -> Value {
    pipeline(home, "  data: task.jsonl\n", arms);
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert_ne!(code, 2, "{text}");
    serde_json::from_slice(&std::fs::read(home.path("runs/tiny/latest/run.json")).unwrap()).unwrap()
}

/// Steps and tokens of an arm, and the digest of its weights.
fn end(record: &Value, name: &str) -> (u64, u64, String) {
    let arm = record["arms"].as_array().unwrap().iter().find(|arm| arm["name"] == name).unwrap();
    let count = |key: &str| arm["training"][key].as_u64().unwrap();
    (count("steps"), count("tokens"), record["digests"][format!("model.{name}")].as_str().unwrap().to_owned())
}

#[test]
fn arms_with_one_budget_read_as_many_tokens() {
    let home = Home::new();
    let (steps, budget, digest) = end(&run(&home, "    sparse: {train: all}\n"), "sparse");
    assert_eq!(steps, 6);
    let reads = [
        ("anchored", "anchor: {data: safety.jsonl, rows: 2}"),
        ("rehearsed", "replay: {data: safety.jsonl, share: 0.5}"),
        ("projected", "project: {data: safety.jsonl, rows: 1}"),
        (
            "both",
            "anchor: {data: safety.jsonl, rows: 1}, project: {data: safety.jsonl, rows: 1}, gradient_accumulation_steps: 1, max_steps: 50",
        ),
    ];
    let arms = |how: &dyn Fn(&str) -> String| -> String {
        reads.map(|(name, keys)| format!("    {name}: {{train: all, {keys}, {}}}\n", how(name))).concat()
    };
    let within = run(&home, &format!("    sparse: {{train: all, max_tokens: {budget}}}\n{}", arms(&|_| format!("max_tokens: {budget}"))));
    assert_eq!(end(&within, "sparse"), (steps, budget, digest), "what fits is trained as before");
    let mut fewer = 0;
    for (name, _) in reads {
        let (steps, tokens, digest) = end(&within, name);
        assert!(steps > 0 && tokens <= budget, "{name}: {steps} steps, {tokens} of {budget} tokens");
        fewer += u64::from(steps < 6);
        // As many steps named outright are the same training, on the same schedule; one more reads too much.
        let named = |steps: u64| {
            let keys = reads.iter().find(|(other, _)| *other == name).map(|(_, keys)| keys.replace(", max_steps: 50", "")).unwrap();
            let record = run(&home, &format!("    sparse: {{train: all}}\n    {name}: {{train: all, {keys}, max_steps: {steps}}}\n"));
            end(&record, name)
        };
        assert_eq!(named(steps), (steps, tokens, digest), "{name}");
        assert!(named(steps + 1).1 > budget || steps == 6, "{name}");
    }
    assert!(fewer >= 2, "the anchor and the projection leave room for fewer steps");
    let summary = std::fs::read_to_string(home.path("runs/tiny/latest/summary.md")).unwrap();
    assert!(summary.contains("tokens"), "{summary}");
}

#[test]
fn a_budget_that_nothing_fits_or_that_steps_end_is_told() {
    let home = Home::new();
    pipeline(&home, "  data: task.jsonl\n", "    sparse: {train: all, max_tokens: 5}\n");
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert!(code == 2 && text.contains("finetune sparse") && text.contains("tokens, and max_tokens is 5"), "{code} {text}");
    assert!(text.contains("help: write max_tokens: "), "{text}");
    let record = run(&home, "    sparse: {train: all, max_tokens: 1000000}\n");
    let warnings = record["warnings"].to_string();
    assert!(
        warnings.contains("arm sparse read ") && warnings.contains("of max_tokens: 1000000, since max_steps: 6 ended it"),
        "{warnings}"
    );
    for (arms, said) in [
        ("    sparse: {train: all, max_tokens: 0.5}\n", "expected a whole number from 1 to 1e12"),
        (
            "    sparse: {train: all, max_tokens: 900}\n    a: {protect: auto}\n    b: {protect: auto, max_tokens: 900}\n",
            "and b has max_tokens: 900",
        ),
        ("    sparse: {train: all, max_tokens: 900, sweep: {max_steps: [2, 4]}}\n", "is swept over max_steps, and has max_tokens: 900"),
    ] {
        pipeline(&home, "  data: task.jsonl\n", arms);
        let (text, code) = told(&home.run(&["check", "p.yaml", "--no-forecast"]));
        assert!(code == 2 && text.contains(said) && text.contains("help: "), "{text}");
    }
}

/// An alignment has the same key.
#[test]
fn an_alignment_ends_with_its_tokens() {
    let home = Home::new();
    let aligned = |steps: &str| {
        pipeline(&home, "  data: task.jsonl\n", "    sparse: {train: none}\n");
        let text = std::fs::read_to_string(home.path("p.yaml")).unwrap().replacen("max_steps: 6", steps, 1);
        home.write("p.yaml", text);
        let (text, code) = told(&home.run(&["run", "p.yaml"]));
        assert_ne!(code, 2, "{text}");
        let record: Value = serde_json::from_slice(&std::fs::read(home.path("runs/tiny/latest/run.json")).unwrap()).unwrap();
        record["digests"]["model.aligned"].as_str().unwrap().to_owned()
    };
    let many = aligned("max_steps: 6");
    let few: Vec<String> = (1..6).map(|steps| aligned(&format!("max_steps: {steps}"))).collect();
    let within = aligned("max_steps: 6\n  max_tokens: 600");
    assert!(within != many && few.contains(&within), "a plan of fewer steps");
}

/// A budget is of a task; what an arm says goes before what a task says.
#[test]
fn every_task_has_its_own_budget() {
    let home = Home::new();
    let tasks = "  tasks: [{name: a, data: task.jsonl, max_tokens: 300}, {name: b, data: safety.jsonl}]\n";
    pipeline(&home, tasks, "    sparse: {train: all}\n    both: {train: all, max_tokens: 500}\n");
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert_ne!(code, 2, "{text}");
    let record: Value = serde_json::from_slice(&std::fs::read(home.path("runs/tiny/latest/run.json")).unwrap()).unwrap();
    let arm = |name: &str| record["arms"].as_array().unwrap().iter().find(|arm| arm["name"] == name).unwrap().clone();
    let read = |name: &str| -> Vec<u64> {
        arm(name)["tasks"].as_array().unwrap().iter().map(|task| task["training"]["tokens"].as_u64().unwrap()).collect()
    };
    let (sparse, both) = (read("sparse"), read("both"));
    assert!(sparse[0] <= 300 && sparse[1] > 500, "{sparse:?}");
    assert!((301..=500).contains(&both[0]) && both[1] <= 500, "{both:?}");
    assert!(
        arm("sparse")["summary"].as_str().unwrap().contains(", at most 300, any number of tokens a task"),
        "{}",
        arm("sparse")["summary"]
    );
    assert!(arm("both")["summary"].as_str().unwrap().contains(", at most 500 tokens a task"), "{}", arm("both")["summary"]);
}
