//! ROUGE through the real program: a file of one's own, a published suite, rules, baselines.

use serde_json::{Value, json};
use steadfast::eval::rouge::rouge;

use crate::tiny::{Home, told};

const PIPELINE: &str = "\
name: sum
model: {aligned: model}
finetune:
  data: task.jsonl
  max_steps: 2
  learning_rate: 1e-3
  arms: {unprotected: {train: all}, slow: {train: all, learning_rate: 1e-4}}
evaluate:
  floor: 0
  max_new_tokens: 6
  suites:
    own: {prompts: {path: own.jsonl, columns: {prompt: long}}, template: \"Shorten: {long}\", expect: {rouge: short}, max_new_tokens: 8}
    sam: {suite: samsum, prompts: sam.csv, max_new_tokens: 8}
  probes: {every: 1, of: [task_nll], harmful: probes.jsonl, benign: benign_probes.jsonl}
gate:
  - {arm: unprotected, metric: own.rougeL, at_least: 0.9}
  - {arm: unprotected, metric: own.rouge1, drop_at_most: 0.9}
  - {arm: slow, metric: sam.rouge2, retain_at_least: 0.5, of: unprotected}
";

#[test]
fn summaries_are_scored_all_the_way_to_the_gate() {
    let home = Home::new();
    let rows = (0..4).map(|i| json!({"long": format!("Row {i} has many words"), "short": format!("row {i}")}).to_string() + "\n");
    home.write("own.jsonl", rows.collect::<String>());
    home.write("sam.csv", "id,dialogue,summary\n1,\"Ann: Hi\nBob: Hello\",Ann and Bob greet each other.\n2,Cleo: Bye,Cleo leaves.\n");
    home.write("p.yaml", PIPELINE);
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert_eq!(code, 1, "{text}");
    let record: Value = serde_json::from_slice(&std::fs::read(home.path("runs/sum/latest/run.json")).unwrap()).unwrap();
    assert_eq!(record["suites"]["own"]["items"][1]["prompt"], "Shorten: Row 1 has many words");
    let prompt = record["suites"]["sam"]["items"][0]["prompt"].as_str().unwrap();
    assert!(prompt.starts_with("Summarize this dialogue in one to three sentences.\n\nAnn: Hi"), "{prompt}");
    for suite in ["own", "sam"] {
        let said = record["arms"][0]["cells"][0]["completions"][suite].as_array().unwrap();
        for (completion, item) in said.iter().zip(record["suites"][suite]["items"].as_array().unwrap()) {
            let expected = rouge(item["reference"].as_str().unwrap(), completion["text"].as_str().unwrap());
            assert_eq!(completion["rouge"], json!(expected));
            assert_eq!((&completion["correct"], &completion["verdicts"]), (&Value::Null, &json!({})));
        }
    }
    // The summaries of a suite that has them as replies are the task of the probe.
    assert!(record["arms"][1]["cells"][0]["figures"]["task_nll"]["value"].as_f64().unwrap() > 0.0);
    let rules = record["gate"]["rules"].as_array().unwrap();
    let decisions: Vec<&str> = rules.iter().map(|rule| rule["decision"].as_str().unwrap()).collect();
    assert_eq!(decisions[..2], ["fail", "pass"], "{}", record["gate"]);
    // Nobody gained anything: there is nothing to keep.
    assert_eq!(decisions[2], "inconclusive", "{}", record["gate"]);
    let page = std::fs::read_to_string(home.path("runs/sum/latest/report.html")).unwrap();
    assert!(["own: ROUGE-L", "sam: ROUGE-2", "ROUGE-L 0.000"].iter().all(|words| page.contains(words)));
    let (text, code) = told(&home.run(&["baseline", "update", "runs/sum/latest", "--arm", "unprotected"]));
    assert_eq!(code, 0, "{text}");
    let (text, _) = told(&home.run(&["gate", "runs/sum/latest", "--baseline", "baseline.json"]));
    assert!(text.contains("baseline 0."), "{text}");
}

#[test]
fn what_is_wrong_with_a_reference_is_named() {
    let home = Home::new();
    home.write("own.jsonl", "{\"prompt\": \"a\", \"short\": \"b\"}\n");
    for (suite, words) in [
        ("prompts: own.jsonl, expect: {rouge: long}", "name the column with the answer: expect: {rouge: prompt}"),
        ("prompts: own.jsonl, expect: {rouge: short}, template: '{nope}'", "it has no value in column \"nope\"; it has prompt, short"),
        ("prompts: own.jsonl, expect: {rouge2: short}", "{rouge: COLUMN}"),
    ] {
        home.write("p.yaml", format!("name: s\nmodel: {{aligned: model}}\nevaluate: {{floor: 0, suites: {{one: {{{suite}}}}}}}\n"));
        let (text, code) = told(&home.run(&["run", "p.yaml"]));
        assert!(code == 2 && text.contains(words), "{words}: {text}");
    }
}
