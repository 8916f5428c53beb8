//! Parts of a benchmark through the real program: runs, records without texts, tables over all of them.

use serde_json::Value;

use crate::tiny::{Home, PIPELINE, told};

/// The tiny pipeline, with one aligned model for every seed and probes that give curves of refusals.
fn pipeline(home: &Home) {
    let one = PIPELINE.replacen("  max_steps: 6\n", "  max_steps: 6\n  seed: 0\n", 1);
    home.write("p.yaml", one.replace("probes: {every: 3,", "probes: {every: 2, of: [task_nll, refusal_rate],"));
}

fn part(home: &Home, name: &str, more: &[&str]) {
    let name = format!("name={name}");
    let (text, code) = told(&home.run(&[&["run", "p.yaml", "--set", &name][..], more].concat()));
    assert_ne!(code, 2, "{text}");
}

fn without_text(home: &Home, name: &str) {
    let (text, code) = told(&home.run(&["report", &format!("runs/{name}/latest"), "--without-text", "--out", &format!("parts/{name}")]));
    assert_eq!(code, 0, "{text}");
}

fn json(home: &Home, file: &str) -> Value {
    serde_json::from_slice(&std::fs::read(home.path(file)).unwrap()).unwrap()
}

#[test]
fn parts_are_joined_from_records_without_texts() {
    let home = Home::new();
    pipeline(&home);
    part(&home, "a0", &["--set", "seeds=[0]"]);
    part(&home, "a1", &["--set", "seeds=[1]"]);
    without_text(&home, "a0");
    without_text(&home, "a1");

    // Nothing of what was asked or said, and no folder of this machine; the rest tells the same.
    let whole = json(&home, "runs/a0/latest/run.json");
    let bare = std::fs::read_to_string(home.path("parts/a0/run.json")).unwrap();
    for suite in whole["suites"].as_object().unwrap().values() {
        for item in suite["items"].as_array().unwrap() {
            let prompt = item["prompt"].as_str().unwrap();
            assert!(!bare.contains(&serde_json::to_string(prompt).unwrap()), "{prompt}");
            assert!(bare.contains(item["id"].as_str().unwrap()));
        }
    }
    let read: Value = serde_json::from_str(&bare).unwrap();
    for arm in read["arms"].as_array().unwrap() {
        for said in arm["cells"].as_array().unwrap().iter().flat_map(|cell| cell["completions"].as_object().unwrap().values()) {
            assert!(said.as_array().unwrap().iter().all(|said| said.get("text").is_none() && said.get("extracted").is_none()));
        }
    }
    assert!(!bare.contains(home.path(".").to_str().unwrap().trim_end_matches("/.")), "a folder of this machine");
    assert_eq!(read["without_text"], true);
    let gate = |run: &str| told(&home.run(&["gate", run]));
    assert_eq!(gate("runs/a0/latest"), gate("parts/a0"));
    let table = |file: &str| {
        let text = std::fs::read_to_string(home.path(file)).unwrap();
        text.lines().filter(|line| line.starts_with('|')).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(table("runs/a0/latest/summary.md"), table("parts/a0/summary.md"), "also what replaced the lost refusals");
    let page = std::fs::read_to_string(home.path("parts/a0/report.html")).unwrap();
    let replies = whole["arms"][1]["cells"].as_array().unwrap().iter().filter(|cell| cell["last"] == true);
    let reply = replies.flat_map(|cell| cell["completions"]["harmful"].as_array().unwrap()).map(|said| said["text"].as_str().unwrap());
    assert!(page.contains("texts were left out of this record") && reply.filter(|text| text.len() > 12).all(|text| !page.contains(text)));
    let (text, code) = told(&home.run(&["report", "runs/a0/latest", "--without-text", "--out", "parts/a0"]));
    assert!(code == 2 && text.contains("run.json"), "no record is replaced: {text}");

    // Two seeds of one task; another order of parts changes nothing.
    let joined = |parts: &[&str], more: &[&str]| told(&home.run(&[&["report", "--join"][..], parts, more].concat()));
    let (text, code) = joined(&["parts/a0", "parts/a1"], &[]);
    assert!(code == 0 && text.contains("# 10 of 10 cells") && text.contains("Over seeds 0, 1."), "{text}");
    assert!(text.contains("At equal utility") && text.contains("Nothing.") && text.contains("| unprotected | 1e-3 | 1 |"), "{text}");
    assert!(text.contains("\nGate: **") && !home.path("joined.svg").exists(), "nothing was swept: {text}");
    let page = std::fs::read(home.path("joined.html")).unwrap();
    assert_eq!(joined(&["parts/a1/run.json", "parts/a0"], &[]), (text.clone(), 0));
    assert_eq!(std::fs::read(home.path("joined.html")).unwrap(), page);
    // Records with texts beside those without.
    assert_eq!(joined(&["runs/a1/latest", "parts/a0"], &[]), (text, 0));
    let (text, _) = joined(&["parts/a0"], &["--seeds", "0,1", "--tasks", "other"]);
    assert!(
        text.contains("# 5 of 20 cells")
            && text.contains("| other | every arm (5) | 0, 1 |")
            && text.contains("| task | every arm (5) | 1 |"),
        "{text}"
    );

    // What does not fit is refused with both sides.
    part(&home, "b1", &["--set", "seeds=[1]", "--set", "evaluate.suites.harmful.prompts={path: harmful.jsonl, limit: 2}"]);
    let (text, code) = joined(&["parts/a0", "runs/b1/latest"], &[]);
    let digest = |file: &str| json(&home, file)["digests"]["suite.harmful"].as_str().unwrap().to_owned();
    assert!(code == 2 && text.contains(&digest("parts/a0/run.json")) && text.contains(&digest("runs/b1/latest/run.json")), "{text}");
}
