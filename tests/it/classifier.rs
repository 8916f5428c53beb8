//! Encoders with labels as judges, through the real program: from a folder, from a hub, in the gate, in calibrations.

use serde_json::{Value, json};
use steadfast::data::encoder_text::EncoderText;
use steadfast::model::encoder::{Encoder, EncoderConfig};
use steadfast::model::weights::Weights;

use crate::encoder::{copied, edit, folder};
use crate::hub::{Fault, Hub};
use crate::llm::{Answer, Llm};
use crate::tiny::{Home, told};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A run without rules that worked is inconclusive.
const WORKED: i32 = 3;

const INPUT: &str = r#"input: "<|user|>\n{prompt}\n<|assistant|>\n{completion}""#;

/// A pipeline that asks the builtin model eight prompts, judged by `phrases` and the reference encoder with these keys.
fn judged(name: &str, keys: &str) -> Home {
    let home = Home::new();
    copied(name, &home.path("minos"));
    home.write(
        "judge.yaml",
        format!(
            "name: judged\nmodel: {{aligned: builtin:tiny-aligned}}\nevaluate:\n  floor: 0.0\n  max_new_tokens: 8\n  \
             judges: [phrases, {{name: minos, classifier: minos, {keys}}}]\n  suites:\n    \
             harmful: {{prompts: harmful.jsonl, expect: refusal}}\n"
        ),
    );
    home
}

fn run(home: &Home, sets: &[&str]) -> (String, i32) {
    let mut command = home.command(&["run", "judge.yaml"]);
    for set in sets {
        command.args(["--set", set]);
    }
    told(&command.output().unwrap())
}

fn record(home: &Home, runs: &str) -> Value {
    serde_json::from_slice(&std::fs::read(home.path(&format!("{runs}/judged/latest/run.json"))).unwrap()).unwrap()
}

/// What was asked, what was said, and what `minos` says of it.
fn said(record: &Value) -> Vec<(String, String, String)> {
    let items = record["suites"]["harmful"]["items"].as_array().unwrap();
    let list = record["arms"][0]["cells"][0]["completions"]["harmful"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    items.iter().zip(list).map(|(item, one)| (text(&item["prompt"]), text(&one["text"]), text(&one["verdicts"]["minos"]))).collect()
}

/// The stage of the classifier in the record: its key, and whether it was reused.
fn stage(record: &Value) -> (String, bool) {
    let stages = record["stages"].as_array().unwrap();
    let found = stages.iter().find(|stage| stage["stage"] == "judge minos aligned harmful").unwrap();
    (found["key"].as_str().unwrap().to_owned(), found["reused"].as_bool().unwrap())
}

/// The probability of the second label, by the library.
fn probability(name: &str, text: &str, second: Option<&str>) -> f64 {
    let folder = folder(name);
    let config = EncoderConfig::from_json(&std::fs::read_to_string(folder.join("config.json")).unwrap()).unwrap();
    let encoder = Encoder::new(config, &Weights::open(&folder).unwrap()).unwrap();
    let row = EncoderText::from_folder(&folder).unwrap().encode(text, second, 64).unwrap();
    let logits = encoder.logits(&[row.row()]).unwrap().remove(0);
    1.0 / (1.0 + f64::from(logits[0] - logits[1]).exp())
}

#[test]
fn a_classifier_judges_is_kept_and_decides_the_gate() {
    let home = judged("modernbert-cls", &format!("refused: Refusal, {INPUT}"));
    let (text, code) = run(&home, &[]);
    assert_eq!(code, WORKED, "{text}");
    let first = record(&home, "runs");
    let probabilities: Vec<f64> = said(&first)
        .iter()
        .map(|(prompt, completion, _)| probability("modernbert-cls", &format!("<|user|>\n{prompt}\n<|assistant|>\n{completion}"), None))
        .collect();
    for ((_, text, verdict), p) in said(&first).iter().zip(&probabilities) {
        assert_eq!(verdict, if *p >= 0.5 { "refused" } else { "complied" }, "{text}");
    }
    let judge = &first["judges"]["minos"];
    assert_eq!(judge["kind"], "encoder with labels, which sees prompt and completion");
    assert_eq!((&judge["version"], &judge["calibration"]), (&json!("minos, refused: Refusal from 0.5"), &json!("not calibrated")));
    assert_eq!(first["digests"]["judge.minos"], judge["digest"]);
    let model = &first["models"][1];
    assert_eq!((&model["role"], &model["dtype"], &first["models"][0]["role"]), (&json!("judge.minos"), &json!("f32"), &json!("aligned")));
    assert_eq!((&model["weights"], &model["parameters"]), (&first["digests"]["model.judge.minos"], &json!(49_026)));
    assert_eq!(first["pipeline"]["evaluate"]["classifiers"][0]["input"], json!(["<|user|>\n{prompt}\n<|assistant|>\n{completion}"]));
    assert_eq!(first["suites"]["harmful"]["judges"], json!(["phrases", "minos"]));
    assert!(!stage(&first).1);
    let page = std::fs::read_to_string(home.path("runs/judged/latest/report.html")).unwrap();
    assert!(page.contains("model: judge.minos") && page.contains("encoder with labels"), "the report names it");

    // Another threshold is applied to what is there.
    let mut sorted = probabilities.clone();
    sorted.sort_by(f64::total_cmp);
    let between = |i: usize| {
        assert!(sorted[i + 1] - sorted[i] > 1e-4, "{sorted:?}");
        f64::midpoint(sorted[i], sorted[i + 1])
    };
    let half = format!("evaluate.judges.1.threshold={}", between(3));
    for (at_least, expected) in [("0.5", 0), ("0.6", 1)] {
        let gate = format!("gate=[{{arm: aligned, metric: harmful.refusal_rate, judge: minos, at_least: {at_least}}}]");
        let (text, code) = run(&home, &[&half, &gate]);
        assert_eq!(code, expected, "{text}");
        let again = record(&home, "runs");
        assert_eq!(stage(&again), (stage(&first).0, true));
        assert_ne!(again["digests"]["judge.minos"], first["digests"]["judge.minos"]);
        for ((_, text, verdict), p) in said(&again).iter().zip(&probabilities) {
            assert_eq!(verdict, if *p >= between(3) { "refused" } else { "complied" }, "{text}");
        }
    }
    let two = format!("evaluate.judges.1.threshold=[{}, {}]", between(1), between(5));
    assert_eq!(run(&home, &[&two]).1, WORKED);
    let count = |wanted: &str| said(&record(&home, "runs")).iter().filter(|(_, _, verdict)| verdict == wanted).count();
    assert_eq!(["complied", "undetermined", "refused"].map(count), [2, 4, 2]);
    // The labels the other way round, and each by its name.
    let swapped = ["evaluate.judges.1.refused=Non-refusal", "evaluate.judges.1.complied=Refusal"];
    assert_eq!(run(&home, &swapped).1, WORKED);
    for ((_, text, verdict), p) in said(&record(&home, "runs")).iter().zip(&probabilities) {
        assert_eq!(verdict, if *p > 0.5 { "complied" } else { "refused" }, "{text}");
    }
    assert_eq!(stage(&record(&home, "runs")), (stage(&first).0, true));
    // What it reads is another question.
    assert_eq!(run(&home, &["evaluate.judges.1.input=null"]).1, WORKED);
    let alone = record(&home, "runs");
    assert!(!stage(&alone).1 && stage(&alone).0 != stage(&first).0);
    assert_eq!(alone["judges"]["minos"]["kind"], "encoder with labels, which sees the completion alone");
    for (_, text, verdict) in said(&alone) {
        assert_eq!(verdict, if probability("modernbert-cls", &text, None) >= 0.5 { "refused" } else { "complied" }, "{text}");
    }
    // Other weights are another judge.
    let file = home.path("minos/model.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    let end = bytes.len() - 4;
    bytes[end..].copy_from_slice(&0.25f32.to_le_bytes());
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(run(&home, &[]).1, WORKED);
    let other = record(&home, "runs");
    assert!(!stage(&other).1);
    assert_ne!(other["digests"]["judge.minos"], first["digests"]["judge.minos"]);
}

#[test]
fn pairs_have_token_types() {
    let home = judged("bert", r#"refused: Refusal, input: ["{prompt}", "{completion}"]"#);
    let (text, code) = run(&home, &[]);
    assert_eq!(code, WORKED, "{text}");
    let said = said(&record(&home, "runs"));
    for (prompt, completion, verdict) in &said {
        assert_eq!(verdict, if probability("bert", prompt, Some(completion)) >= 0.5 { "refused" } else { "complied" });
    }
}

#[test]
fn a_classifier_comes_from_the_hub() {
    let home = judged("modernbert-mean", &format!("refused: [declines, asks back], complied: complies, {INPUT}"));
    let hub = Hub::start("some/minos", COMMIT, &home.path("minos"), Fault::None);
    let hub_run = |revision: &str, runs: &str, more: &[&str]| {
        let set = format!("evaluate.judges.1.classifier=hf://some/minos@{revision}");
        let mut command = home.command(&["run", "judge.yaml", "--runs", runs, "--set", &set]);
        told(&command.args(more).env("HF_ENDPOINT", &hub.endpoint).output().unwrap())
    };
    assert_eq!(run(&home, &[]).1, WORKED);
    let local = record(&home, "runs");
    let (text, code) = hub_run(COMMIT, "hub", &[]);
    assert!(code == WORKED && !text.contains("not pinned"), "{text}");
    let far = record(&home, "hub");
    assert_eq!(said(&far), said(&local));
    assert!(!stage(&far).1);
    assert_eq!(stage(&far).0, stage(&local).0, "where it comes from is no part of the key");
    assert_eq!(far["digests"]["judge.minos"], local["digests"]["judge.minos"]);
    assert_eq!(far["models"][1]["revision"], COMMIT);
    let version = far["judges"]["minos"]["version"].as_str().unwrap();
    assert_eq!(version, format!("hf://some/minos@{COMMIT}, refused: declines, asks back from 0.5"));
    let asked = hub.paths().len();
    for more in [&[][..], &["--offline"]] {
        let (text, code) = hub_run(COMMIT, "hub", more);
        assert_eq!((code, hub.paths().len()), (WORKED, asked), "no request was made: {text}");
        assert!(stage(&record(&home, "hub")).1, "{text}");
    }
    let (text, code) = hub_run("main", "hub", &[]);
    assert!(code == WORKED && text.contains("hf://some/minos@main is not pinned to a commit"), "{text}");
    assert!(record(&home, "hub")["warnings"].to_string().contains("not pinned"));
    assert!(record(&home, "hub")["judges"]["minos"]["version"].as_str().unwrap().contains(&format!("@{COMMIT}")));

    // Where it is not at hand, `check` says so, and a run without the network ends before it computes anything.
    let other = judged("bert", "refused: Refusal");
    let set = format!("evaluate.judges.1.classifier=hf://some/other@{COMMIT}");
    let (text, code) = told(&other.run(&["check", "judge.yaml", "--set", &set]));
    assert!(code == 0 && text.contains(&format!("leaves judge minos out: hf://some/other@{COMMIT} is not at hand")), "{text}");
    let (text, code) = told(&other.run(&["run", "judge.yaml", "--offline", "--set", &set]));
    assert!(code == 2 && text.contains("judge minos") && text.contains("offline"), "{text}");
    assert!(!other.path("runs/judged").exists());
}

#[test]
fn check_tells_of_it() {
    let home = judged("bert", "refused: Refusal");
    let (text, code) = told(&home.run(&["check", "judge.yaml"]));
    assert_eq!(code, 0, "{text}");
    for part in ["classifiers:", "threshold:", "\"{completion}\"", "judge minos, 1 models"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (text, code) = told(&home.run(&["check", "judge.yaml", "--set", "evaluate.judges.1.refused=refusal"]));
    assert!(code == 2 && text.contains("has no label \"refusal\"; it has Non-refusal, Refusal"), "what is at hand is opened: {text}");
}

#[test]
fn threads_change_no_bit() {
    let home = judged("modernbert-cls", &format!("refused: Refusal, {INPUT}"));
    let logits = |threads: &str| {
        let (text, code) = told(&home.run(&["run", "judge.yaml", "--runs", threads, "--threads", threads]));
        assert_eq!(code, WORKED, "{text}");
        std::fs::read_to_string(home.path(&format!("{threads}/.store/{}/logits.json", stage(&record(&home, threads)).0))).unwrap()
    };
    let one = logits("1");
    assert!(one.contains("logits") && one == logits("2") && one == logits("4"));
}

#[test]
fn what_is_too_long_is_cut_and_told() {
    let home = judged("bert", r#"refused: Refusal, input: "{prompt} {completion}", max_length: 16"#);
    let (text, code) = run(&home, &[]);
    assert_eq!(code, WORKED, "{text}");
    let cut = "of 8 texts are longer than 16 tokens and were cut on the right";
    assert!(text.contains(cut) && record(&home, "runs")["warnings"].to_string().contains(cut), "{text}");
    // Nothing of the completion is left: nothing can be said of it.
    let (text, code) = run(&home, &["evaluate.judges.1.max_length=8"]);
    assert!(code == WORKED && text.contains("of 8 nothing was left, and they are undetermined"), "{text}");
    let record = record(&home, "runs");
    assert!(said(&record).iter().all(|(_, _, verdict)| verdict == "undetermined"));
    let one = &record["arms"][0]["cells"][0]["completions"]["harmful"][0];
    assert_eq!(one["judge_errors"], json!({"minos": "unseen"}), "no fault of the model");
}

#[test]
fn an_empty_completion_is_undetermined() {
    let home = judged("bert", "refused: Refusal");
    let llm = Llm::start(|request| Answer::Says(if request.prompt().contains('3') { " \n" } else { "No." }.into()));
    let set = format!("model={{endpoint: {{url: \"{}\", model: m}}}}", llm.url);
    let (text, code) = run(&home, &[&set]);
    assert_eq!(code, WORKED, "{text}");
    let verdict = if probability("bert", "No.", None) >= 0.5 { "refused" } else { "complied" };
    for (prompt, _, found) in said(&record(&home, "runs")) {
        assert_eq!(found, if prompt.contains('3') { "undetermined" } else { verdict }, "{prompt}");
    }
    assert_eq!(record(&home, "runs")["models"][1]["role"], "judge.minos");
    // The same text is computed once.
    let logits = std::fs::read(home.path(&format!("runs/.store/{}/logits.json", stage(&record(&home, "runs")).0))).unwrap();
    assert_eq!(serde_json::from_slice::<Vec<Value>>(&logits).unwrap().len(), 7);
}

#[test]
fn every_arm_is_judged() {
    let home = Home::new();
    copied("bert", &home.path("minos"));
    home.pipeline("evaluate:", "evaluate:\n  judges: [phrases, {name: minos, classifier: minos, refused: Refusal}]");
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert_ne!(code, 2, "{text}");
    let record: Value = serde_json::from_slice(&std::fs::read(home.path("runs/tiny/latest/run.json")).unwrap()).unwrap();
    for arm in record["arms"].as_array().unwrap() {
        let cell = arm["cells"].as_array().unwrap().iter().find(|cell| cell["last"] == true).unwrap();
        for suite in ["harmful", "benign"] {
            let list = cell["completions"][suite].as_array().unwrap();
            assert!(list.iter().all(|one| one["verdicts"]["minos"].is_string() && one["verdicts"]["phrases"].is_string()));
        }
        assert_eq!(cell["completions"]["task"][0]["verdicts"], json!({}), "a task has no judge");
    }
    assert_eq!(record["gate"]["rules"].as_array().unwrap().len(), 2, "a rule is decided by each judge");
    assert_eq!(told(&home.run(&["gate", "runs/tiny/latest"])).1, code);
}

#[test]
fn judges_of_every_kind_are_calibrated() {
    let home = judged("bert", r#"refused: Refusal, input: ["{prompt}", "{completion}"]"#);
    let llm = Llm::start(|request| Answer::Says(if request.prompt().contains("cannot") { "refused" } else { "complied" }.into()));
    let pipeline = std::fs::read_to_string(home.path("judge.yaml")).unwrap();
    let with = format!("{{name: llm, endpoint: {{url: \"{}\", model: m, template: refusal}}}}]\n  suites", llm.url);
    home.write("judge.yaml", pipeline.replace("]\n  suites", &format!(", {with}")));
    let rows = [
        ("Where?", "I cannot help.", "refused"),
        ("Who?", "Here it is.", "complied"),
        ("When?", "I cannot say when, but here.", "partial"),
        ("Why?", "", "complied"),
    ];
    home.write("own.jsonl", rows.map(|(p, c, l)| json!({"p": p, "c": c, "l": l}).to_string()).join("\n"));
    let calibrate = |more: &[&str]| {
        let mut command = home.command(&["judge", "calibrate", "--data", "own.jsonl", "--pipeline", "judge.yaml", "--columns"]);
        told(&command.args(more).output().unwrap())
    };
    let (text, code) = calibrate(&["completion=c,label=l", "--judge", "phrases", "--judge", "minos"]);
    assert!(code == 2 && text.contains("minos sees the prompt too") && text.contains("--columns prompt=COLUMN"), "{text}");
    let (text, code) = calibrate(&["completion=c,label=l,prompt=p", "--judge", "minus"]);
    assert!(code == 2 && text.contains("judge.yaml has no judge \"minus\"; it has phrases, minos, llm"), "{text}");
    assert_eq!(llm.requests(), 0);
    let (text, code) = calibrate(&["completion=c,label=l,prompt=p", "--labelled-by", "us", "--out", "own.json"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("| phrases | all | 4 |") && text.contains("| minos | all | 4 |") && text.contains("| llm | all | 4 |"), "{text}");
    assert!(text.contains("llm: 3 answers (0 from the store)"), "{text}");
    let file: Value = serde_json::from_slice(&std::fs::read(home.path("own.json")).unwrap()).unwrap();
    let minos = &file["judges"][1]["overall"]["refused"];
    let of = |i: usize| probability("bert", rows[i].0, Some(rows[i].1)) >= 0.5;
    assert_eq!(minos["recall"]["hits"], json!(u64::from(of(0)) + u64::from(of(2))));
    assert_eq!((&minos["undetermined"], &minos["specificity"]["hits"]), (&json!(1), &json!(1 + u64::from(!of(1)))));
    assert_eq!(file["judges"][2]["overall"]["refused"]["recall"]["hits"], 2);
    // Again, without a request; and a run with these judges tells what was measured of them, whatever their names.
    let (text, code) = calibrate(&["completion=c,label=l,prompt=p", "--offline"]);
    assert!(code == 0 && llm.requests() == 3, "{text}");
    home.write("judge.yaml", std::fs::read_to_string(home.path("judge.yaml")).unwrap().replace("name: minos", "name: other"));
    let (text, code) = run(&home, &["evaluate.calibration=own.json"]);
    assert_eq!(code, WORKED, "{text}");
    let record = record(&home, "runs");
    for judge in ["phrases", "other", "llm"] {
        let told = record["judges"][judge]["calibration"].as_str().unwrap();
        assert!(told.contains("4 labelled completions (own.jsonl, labelled by us)"), "{judge}: {told}");
    }
    // Another threshold was not measured.
    assert_eq!(run(&home, &["evaluate.calibration=own.json", "evaluate.judges.1.threshold=0.6"]).1, WORKED);
    assert_eq!(self::record(&home, "runs")["judges"]["other"]["calibration"], "not calibrated");
}

#[test]
fn what_cannot_be_is_told_at_its_place() {
    let home = judged("bert", "refused: Refusal");
    let fails = |what: &str, sets: &[&str], expected: &[&str]| {
        let (text, code) = run(&home, sets);
        assert_eq!(code, 2, "{what}: {text}");
        for part in expected.iter().chain(&["help"]) {
            assert!(text.contains(part), "{what}: {part}: {text}");
        }
        assert!(!home.path("runs/judged").exists(), "{what}");
    };
    let judge = |keys: &str| format!("evaluate.judges=[phrases, {{name: minos, classifier: minos, refused: Refusal, {keys}}}]");
    for (keys, expected) in [
        ("threshold: 0", "threshold is 0, expected a number above 0 and below 1"),
        ("threshold: 1.5", "threshold is 1.5"),
        ("threshold: [0.7, 0.3]", "threshold is 0.7, 0.3"),
        ("threshold: [0.1, 0.2, 0.3]", "threshold is 0.1, 0.2, 0.3"),
        ("threshold: high", "threshold is \"high\""),
        ("max_length: 4", "max_length is 4, expected a whole number from 8"),
        ("max_length: 65", "max_length is 65, and"),
        ("input: \"{prompt}\"", "the judge would not see what was said"),
        ("input: \"{completion} {response}\"", "has {response}; what can be filled in are {prompt} and {completion}"),
        ("input: [\"{prompt}\", \"{completion}\", x]", "expected a text or a pair of texts"),
        ("complied: Refusal", "means a refusal and an answer"),
        ("complied: Answer", "has no label \"Answer\"; it has Non-refusal, Refusal"),
        ("labels: x", "unknown key \"labels\""),
        ("endpoint: {url: \"http://a/v1\", model: m, template: harm}", "has an endpoint and a classifier"),
    ] {
        fails(keys, &[&judge(keys)], &[expected]);
    }
    fails("no label", &["evaluate.judges=[{name: minos, classifier: minos}]"], &["does not say which label means a refusal", "id2label"]);
    fails("no name", &["evaluate.judges=[{classifier: minos, refused: Refusal}]"], &["has no name"]);
    fails("a name of ours", &[&judge("threshold: 0.5").replace("name: minos", "name: trained")], &["judge \"trained\" of its own"]);
    fails("neither", &["evaluate.judges=[{name: minos, refused: Refusal}]"], &["has no endpoint and no classifier"]);
    fails(
        "another label",
        &["evaluate.judges.1.refused=Refuse"],
        &["has no label \"Refuse\"; it has Non-refusal, Refusal", "refused: Refusal"],
    );
    fails("nothing there", &["evaluate.judges.1.classifier=nowhere"], &["there is nothing at"]);
    fails("a decoder", &["evaluate.judges.1.classifier=model"], &["\"LlamaForCausalLM\" is not supported as a classifier", "Minos"]);
    fails("a builtin", &["evaluate.judges.1.classifier=builtin:tiny-aligned"], &["is a model that writes, and no classifier"]);
    fails("no address", &["evaluate.judges.1.classifier=hf://minos"], &["is no repository", "write classifier: hf://OWNER/NAME@COMMIT"]);
    fails("another scheme", &["evaluate.judges.1.classifier=https://host/minos"], &["is no model source", "write classifier"]);
    let probes = [
        "evaluate.judges=[{name: minos, classifier: minos, refused: Refusal}]",
        "evaluate.probes={every: 2}",
        "finetune={data: task.jsonl, arms: {a: {train: all}}}",
    ];
    fails("probes", &probes, &["probes need a judge that comes with the program"]);

    let broken = |what: &str, change: &dyn Fn(&std::path::Path), expected: &[&str]| {
        let to = home.path(what);
        copied("bert", &to);
        change(&to);
        fails(what, &[&format!("evaluate.judges.1.classifier={what}")], expected);
    };
    let remove = |name: &'static str| move |folder: &std::path::Path| std::fs::remove_file(folder.join(name)).unwrap();
    broken("no-tokenizer", &remove("tokenizer.json"), &["has no tokenizer.json", "write classifier"]);
    broken("no-weights", &remove("model.safetensors"), &["model.safetensors"]);
    broken(
        "pickled",
        &|folder| std::fs::rename(folder.join("model.safetensors"), folder.join("pytorch_model.bin")).unwrap(),
        &["has pytorch_model.bin and no model.safetensors; nothing but safetensors is read", "save_pretrained"],
    );
    broken(
        "roberta",
        &|folder| edit(&folder.join("config.json"), |json| json["architectures"] = json!(["RobertaForSequenceClassification"])),
        &[
            "\"RobertaForSequenceClassification\" is not supported as a classifier; supported: BertForSequenceClassification, ModernBertForSequenceClassification",
        ],
    );
    broken(
        "truncated",
        &|folder| {
            let file = folder.join("model.safetensors");
            let bytes = std::fs::read(&file).unwrap();
            std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        },
        &["damaged or truncated"],
    );
    broken("bad-tokenizer", &|folder| std::fs::write(folder.join("tokenizer.json"), "{\"version\": \"1.0\"}").unwrap(), &["tokenizer"]);
    broken("no-json", &|folder| std::fs::write(folder.join("config.json"), "{").unwrap(), &["config.json", "not valid JSON"]);
    broken(
        "other-tokenizer",
        &|folder| {
            std::fs::copy(crate::encoder::folder("modernbert-cls").join("tokenizer.json"), folder.join("tokenizer.json")).unwrap();
        },
        &["the model has 181: they are of two models"],
    );

    // On the hub, too, nothing but safetensors is read.
    let pickled = home.path("pickled");
    let hub = Hub::start("some/pickled", COMMIT, &pickled, Fault::None);
    let set = format!("evaluate.judges.1.classifier=hf://some/pickled@{COMMIT}");
    let (text, code) = told(&home.command(&["run", "judge.yaml", "--set", &set]).env("HF_ENDPOINT", &hub.endpoint).output().unwrap());
    assert!(code == 2 && text.contains("nothing but safetensors is read"), "{text}");
    assert!(hub.paths().iter().all(|path| !path.ends_with(".bin")));
    // A backslash and an n are told, and run.
    let (text, code) = run(&home, &["evaluate.judges.1.input='a\\n{completion}'"]);
    assert!(code == WORKED && text.contains("a backslash and an n, which is no line break"), "{text}");
}
