//! Sweeps and probes that ask, through the real program.

use serde_json::Value;

use crate::tiny::{Home, PIPELINE, told};

/// The tiny pipeline with a sweep, and with other probes.
fn pipeline(home: &Home, sweep: &str, probes: &str) {
    let swept = PIPELINE.replace("  arms:\n", &format!("  sweep: {sweep}\n  arms:\n"));
    home.write("p.yaml", swept.replace("probes: {every: 3,", &format!("probes: {{every: 2, {probes}")));
}

fn names(arms: &Value) -> Vec<&str> {
    arms.as_array().unwrap().iter().map(|arm| arm["name"].as_str().unwrap()).collect()
}

#[test]
fn a_sweep_runs_every_setting_and_compares_families_at_equal_utility() {
    let home = Home::new();
    pipeline(
        &home,
        "{learning_rate: [1e-3, 3e-3, 3e-3], density: [0.05, 0.10], arms: [unprotected, protected]}",
        "of: [task_nll, refusal_rate, answered_rate],",
    );
    let output = home.run(&["check", "p.yaml", "--format", "json"]);
    let (text, code) = told(&output);
    assert_eq!(code, 0, "{text}");
    let checked: Value = serde_json::from_slice(&output.stdout).unwrap();
    let arms = &checked["pipeline"]["finetune"]["arms"];
    assert_eq!(
        names(arms),
        [
            "unprotected",
            "unprotected-lr3e-3",
            "protected",
            "protected-lr1e-3-d0_05",
            "protected-lr1e-3-d0_1",
            "protected-lr3e-3-d0_05",
            "dense",
            "control",
            "gentle"
        ],
        "a density means nothing for an arm that trains all; what an arm is already is not made twice; a list of arms is not inherited"
    );
    assert_eq!((&arms[1]["family"], &arms[3]["density"], arms[6].get("family")), (&"unprotected".into(), &0.05.into(), None));
    assert!(checked["forecast"]["parts"].to_string().contains("protected-lr1e-3-d0_05"), "every setting is forecast");
    let (text, _) = told(&home.run(&["check", "p.yaml", "--no-forecast"]));
    assert!(text.contains("# sweep: 9 runs, 9 arms, each with 1 seed"), "{text}");

    // An arm that is made of a swept one's weights is made of each of its settings, where arms are not named.
    let half = "    half: {from: gentle, edit: {interpolate: {weight: 0.5}}}\nevaluate:";
    home.write("e.yaml", PIPELINE.replace("  arms:\n", "  sweep: {learning_rate: [1e-3]}\n  arms:\n").replace("evaluate:", half));
    let output = home.run(&["check", "e.yaml", "--no-forecast", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output).0);
    let edited: Value = serde_json::from_slice(&output.stdout).unwrap();
    let edited: Vec<&Value> =
        edited["pipeline"]["finetune"]["arms"].as_array().unwrap().iter().filter(|arm| arm["edit"].is_object()).collect();
    let of = |arm: &Value| [&arm["name"], &arm["family"], &arm["edit"]["from"]].map(|text| text.as_str().unwrap().to_owned());
    assert_eq!(
        edited.iter().map(|arm| of(arm)).collect::<Vec<_>>(),
        [["half", "half", "gentle"], ["half-lr1e-3", "half", "gentle-lr1e-3"]]
    );

    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert_ne!(code, 2, "{text}");
    let run = home.path("runs/tiny/latest");
    let record: Value = serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    let equal = &record["gate"]["at_equal_utility"][0];
    assert_eq!((&equal["protected"], &equal["random_control"]), (&"protected".into(), &"control".into()), "{equal}");
    for arm in record["arms"].as_array().unwrap() {
        for cell in arm["cells"].as_array().unwrap() {
            let refused = &cell["figures"]["refusal_rate"];
            let verdicts = refused["verdicts"].as_str().unwrap_or_else(|| panic!("{arm}"));
            assert_eq!(verdicts.len(), 4, "one letter a prompt");
            assert_eq!(refused["value"].as_f64(), Some(verdicts.matches('r').count() as f64 / 4.0));
            assert_eq!(cell["figures"]["answered_rate"]["count"], 4);
        }
    }
    let trained = record["arms"].as_array().unwrap().iter().find(|arm| arm["name"] == "unprotected-lr3e-3").unwrap();
    assert_eq!(trained["cells"].as_array().unwrap().len(), 3, "at steps 2, 4 and the end");
    assert_eq!(trained["summary"], "trains every weight at 3e-3");
    for file in ["summary.md", "report.html"] {
        let text = std::fs::read_to_string(run.join(file)).unwrap();
        assert!(text.contains("At equal utility") && text.contains("probe prompts") && text.contains("the random control"), "{file}");
    }
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("upper left is better. The dashed line is the front") && page.contains("at task loss"), "over the task's loss");

    // Everything is in the store, and asking changes no weight: without the probes that ask the same models come out.
    let digest = record["digests"]["model.unprotected"].clone();
    home.write("p.yaml", PIPELINE);
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert_ne!(code, 2, "{text}");
    let plain: Value = serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!(plain["digests"]["model.unprotected"], digest);
    assert!(!plain.to_string().contains("verdicts\":\"r") && plain["pipeline"]["finetune"]["arms"][0].get("family").is_none());
}

#[test]
fn a_sweep_that_is_wrong_is_an_error_with_a_remedy() {
    let many: Vec<String> = (1..=40).map(|i| format!("{i}e-5")).collect();
    let many = many.join(", ");
    let cases = [
        ("{learning_rate: [0]}".to_owned(), "expected numbers above 0"),
        ("{learning_rates: [1e-4]}".to_owned(), "did you mean learning_rate?"),
        ("{density: [1.5]}".to_owned(), "expected shares in (0, 1]"),
        ("{max_steps: [1.5]}".to_owned(), "expected whole numbers"),
        ("{learning_rate: 1e-4, arms: [protectd]}".to_owned(), "arms are unprotected, protected"),
        ("{density: [0.9], arms: protected}".to_owned(), "more of maskable than lies outside its ticket"),
        (format!("{{learning_rate: [{many}], max_steps: [1, 2, 3]}}"), "name fewer values"),
    ];
    for (sweep, wanted) in cases {
        let home = Home::new();
        pipeline(&home, &sweep, "");
        let (text, code) = told(&home.run(&["check", "p.yaml", "--no-forecast"]));
        assert!(code == 2 && text.contains(wanted), "{sweep}: {text}");
    }
    let home = Home::new();
    let own = "gentle: {train: all, learning_rate: 1e-4, max_steps: 9, sweep: {learning_rate: [2e-4]}}";
    let budgets = PIPELINE
        .replace("gentle: {train: all, learning_rate: 1e-4}", own)
        .replace("  arms:\n", "  sweep: {learning_rate: 2e-3}\n  arms:\n");
    home.write("p.yaml", budgets);
    let (text, code) = told(&home.run(&["check", "p.yaml", "--no-forecast"]));
    assert!(code == 2 && text.contains("arms of a sweep have the same budget") && text.contains("sweep the steps"), "{text}");
}

#[test]
fn a_suite_without_replies_is_no_probe() {
    let home = Home::new();
    let rows = |i: usize| format!("{{\"prompt\": \"How many legs have {i} spiders?\", \"sum\": \"{}\"}}\n", 8 * i);
    home.write("bare.jsonl", (1..4).map(rows).collect::<String>());
    home.pipeline(
        "task: {prompts: test.jsonl, expect: {exact_match: response}}",
        "task: {prompts: bare.jsonl, expect: {exact_match: sum}, extract: last_number, max_new_tokens: 4}",
    );
    let (text, code) = told(&home.run(&["run", "p.yaml", "--set", "finetune.arms={protected: {train: all, max_steps: 2}}"]));
    assert_ne!(code, 2, "{text}");
    let record: Value = serde_json::from_slice(&std::fs::read(home.path("runs/tiny/latest/run.json")).unwrap()).unwrap();
    let end = crate::tiny::arm(&record, "protected")["cells"].as_array().unwrap().last().unwrap();
    assert!(end["completions"]["task"].as_array().unwrap().len() == 3 && end["figures"]["task_nll"].is_null(), "{end}");
}
