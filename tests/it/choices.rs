//! Multiple choice by likelihood: the numbers of PyTorch and of lm-evaluation-harness (`tests/reference/choices.py`), and the
//! whole way from a file of one's own to the gate.

use serde_json::{Value, json};
use steadfast::data::catalogue::entries;
use steadfast::data::continuation::continued;
use steadfast::data::rows::load;
use steadfast::data::spec::DataSpec;
use steadfast::data::template::DATE;
use steadfast::data::tokenizer::TextModel;
use steadfast::model::backend::cpu::Cpu;
use steadfast::model::decoder::Decoder;
use steadfast::pipeline::settings;
use steadfast::stage::choices::log_likelihoods;
use steadfast::stage::fetch::Model;

use crate::tiny::{Home, told};

#[test]
fn log_likelihoods_of_smollm2_are_pytorchs() {
    let folder = crate::from_env("STEADFAST_SMOLLM2", "a Hugging Face folder with SmolLM2-135M-Instruct");
    let reference: Value = serde_json::from_str(include_str!("../reference/choices.json")).unwrap();
    let model = Model::open(&folder, &settings::Model::of(&folder.to_string_lossy())).unwrap();
    let mut decoder = Decoder::new(model.config.clone(), Cpu::default(), |spec| model.weights.widened(&spec.name)).unwrap();
    let home = tempfile::tempdir().unwrap();
    let (mut worst, mut scored): (f64, usize) = (0.0, 0);
    for (name, cases) in reference.as_object().unwrap() {
        let entry = entries().iter().find(|entry| entry.name == *name).unwrap();
        let file = home.path().join(format!("{name}.jsonl"));
        let cases = cases.as_array().unwrap();
        std::fs::write(&file, cases.iter().map(|case| format!("{}\n", with_context(&case["row"]))).collect::<String>()).unwrap();
        let spec = DataSpec { variants: entry.variants(), ..DataSpec::new(file.to_string_lossy()) };
        let rows = load(&spec).unwrap().rows;
        let form = entry.choice.as_ref().unwrap();
        let questions: Vec<_> = rows.iter().map(|row| form.question(row).unwrap_or_else(|error| panic!("{name}: {error}"))).collect();
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let found = log_likelihoods(&mut decoder, &model, &questions, &ids, &mut |_, _| {}).unwrap();
        assert_eq!(found.len(), cases.len());
        for ((sums, question), case) in found.iter().zip(&questions).zip(cases) {
            let expected: Vec<f64> = serde_json::from_value(case["log_likelihoods"].clone()).unwrap();
            assert_eq!((sums.len(), question.gold), (expected.len(), case["gold"].as_u64().unwrap() as usize), "{case}");
            for (sum, expected) in sums.iter().zip(&expected) {
                let far = ((sum - expected) / expected).abs();
                assert!(far < 1e-4, "{name}: {sum} is {far:.1e} from {expected}, {case}");
                worst = worst.max(far);
                scored += 1;
            }
            let best = |values: Vec<f64>| values.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0 as u64;
            let by_length = sums.iter().zip(&question.lengths).map(|(sum, &length)| sum / length as f64).collect();
            assert_eq!((best(sums.clone()), best(by_length)), (case["index"].as_u64().unwrap(), case["index_norm"].as_u64().unwrap()));
        }
    }
    eprintln!("{scored} choices, log-likelihoods at most {worst:.1e} apart (relative)");
}

/// HellaSwag's rows have a column with the whole context too.
fn with_context(row: &Value) -> Value {
    let mut row = row.clone();
    if row.get("ctx_a").is_some() {
        row["ctx"] = json!(format!("{} {}", row["ctx_a"].as_str().unwrap(), row["ctx_b"].as_str().unwrap()));
    }
    row
}

/// A tokenizer of bytes with a begin token; `post` adds it by itself.
fn tokenizer(post: bool, config: Value) -> TextModel {
    let home = Home::new();
    let path = home.path("model/tokenizer.json");
    let mut written: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    if post {
        written["post_processor"] = json!({"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [256], "tokens": ["<s>"]}}});
    }
    std::fs::write(&path, written.to_string()).unwrap();
    let mut settings = json!({"bos_token": "<s>", "eos_token": "</s>"});
    settings.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    std::fs::write(home.path("model/tokenizer_config.json"), settings.to_string()).unwrap();
    TextModel::from_folder(&home.path("model"), DATE).unwrap()
}

/// The rules of `TemplateLM._encode_pair` and of transformers' tokenizers, on tokens that are bytes.
#[test]
fn contexts_and_continuations_are_split_as_the_harness_splits_them() {
    let plain = tokenizer(false, json!({}));
    let split = |text: &TextModel, context: &str, continuation: &str, room: usize| {
        let row = continued(text, context, continuation, room).unwrap();
        let from = row.supervised.iter().position(|&learnt| learnt).unwrap();
        assert!(row.supervised[from..].iter().all(|&learnt| learnt));
        (row.tokens[..from].to_vec(), row.tokens[from..].to_vec())
    };
    let bytes = |text: &str| text.bytes().map(u32::from).collect::<Vec<_>>();
    assert_eq!(split(&plain, "ab", " c", 99), (bytes("ab"), bytes(" c")));
    // White space at the end of the context is scored.
    assert_eq!(split(&plain, "ab \n", "c", 99), (bytes("ab"), bytes(" \nc")));
    // Nothing as context: the begin token, once.
    assert_eq!(split(&plain, "", "c", 99), (vec![256], bytes("c")));
    assert_eq!(split(&plain, "", "<s>c", 99), (vec![256], bytes("c")));
    // The longest room keeps the end.
    assert_eq!(split(&plain, "abcdef", "gh", 4), (bytes("ef"), bytes("gh")));
    let with_begin = |tokens: Vec<u32>| [vec![256], tokens].concat();
    for (post, config, begins) in [
        (true, json!({}), true),
        (false, json!({"add_bos_token": true}), true),
        (true, json!({"add_bos_token": false}), false),
        (true, json!({"add_eos_token": false}), false),
    ] {
        let text = tokenizer(post, config.clone());
        let context = if begins { with_begin(bytes("ab")) } else { bytes("ab") };
        assert_eq!(split(&text, "ab", " c", 99), (context, bytes(" c")), "{post} {config}");
        // A text that begins with the token has it once.
        assert_eq!(split(&text, "<s>ab", " c", 99).0, with_begin(bytes("ab")), "{post} {config}");
        assert_eq!(split(&text, "", "c", 99), (vec![256], bytes("c")));
    }
    assert!(continued(&plain, "ab", "", 99).is_err());
}

const PIPELINE: &str = "\
name: mc
model: {aligned: model}
evaluate:
  floor: 0
  suites:
    own:
      prompts: own.csv
      expect: {multiple_choice: {context: \"Q: {prompt}\\nA:\", choices: [first, second], gold: {column: right, kind: ordinal}}}
    list:
      prompts: {path: list.jsonl, columns: {prompt: ask}}
      expect: {multiple_choice: {choices: answers.text, labels: answers.letter, gold: key}}
    arc: {suite: arc-easy, prompts: arc.jsonl}
gate:
  - {arm: aligned, metric: own.accuracy, at_least: 0}
  - {arm: aligned, metric: arc.accuracy_norm, drop_at_most: 0.5}
";

#[test]
fn a_file_of_ones_own_goes_all_the_way_to_the_gate() {
    let home = Home::new();
    home.write("own.csv", "prompt,first,second,right\nIs it so?,indeed,never,1\nMaybe?,of course,not,2\n");
    let answers = |text: [&str; 3]| json!({"text": text, "letter": ["x", "y", "z"]});
    home.write(
        "list.jsonl",
        format!(
            "{}\n{}\n",
            json!({"ask": "One", "answers": answers(["a", "bb", "c"]), "key": "y"}),
            json!({"ask": "Two", "answers": answers(["dd", "e", "f"]), "key": "x"})
        ),
    );
    let reference: Value = serde_json::from_str(include_str!("../reference/choices.json")).unwrap();
    let rows: String = reference["arc-easy"].as_array().unwrap().iter().map(|case| format!("{}\n", case["row"])).collect();
    home.write("arc.jsonl", rows);
    home.write("p.yaml", PIPELINE);
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert!(code != 2 && text.contains("choose aligned own"), "{text}");
    let record: Value = serde_json::from_slice(&std::fs::read(home.path("runs/mc/latest/run.json")).unwrap()).unwrap();
    let items = &record["suites"]["list"]["items"];
    assert_eq!((&items[0]["choices"], &items[0]["reference"]), (&json!(["a", "bb", "c"]), &json!("bb")));
    assert_eq!(record["suites"]["arc"]["metrics"], json!(["accuracy_norm", "accuracy"]));
    let said = &record["arms"][0]["cells"][0]["completions"];
    for suite in ["own", "list", "arc"] {
        for (completion, item) in said[suite].as_array().unwrap().iter().zip(record["suites"][suite]["items"].as_array().unwrap()) {
            let index = completion["choice"]["index"].as_u64().unwrap() as usize;
            assert_eq!(completion["text"], item["choices"][index], "{completion}");
            assert_eq!(completion["correct"] == true, completion["text"] == item["reference"], "{completion}");
            let sums: Vec<f64> = serde_json::from_value(completion["choice"]["log_likelihoods"].clone()).unwrap();
            assert!(sums.iter().all(|sum| *sum < 0.0 && *sum <= sums[index]), "{completion}");
        }
    }
    let rules = record["gate"]["rules"].as_array().unwrap();
    assert_eq!((rules[0]["decision"].as_str(), rules[1]["value"].as_f64()), (Some("pass"), Some(0.0)), "{}", record["gate"]);
    let page = std::fs::read_to_string(home.path("runs/mc/latest/report.html")).unwrap();
    assert!(page.contains("arc: accuracy (per character)") && page.contains("own: accuracy"), "columns of the scorecard");
    // A baseline keeps both.
    let (text, code) = told(&home.run(&["baseline", "update", "runs/mc/latest"]));
    assert_eq!(code, 0, "{text}");
    let (text, _) = told(&home.run(&["gate", "runs/mc/latest", "--baseline", "baseline.json"]));
    assert!(text.contains("baseline") && !text.contains("zero prompts"), "{text}");
    let (again, _) = told(&home.run(&["run", "p.yaml"]));
    assert!(again.contains("choose aligned own"), "{again}");
}

#[test]
fn choices_are_scored_again_when_the_tokenizer_begins_texts_otherwise() {
    let home = Home::new();
    home.write("own.csv", "prompt,first,second,right\nIs it so?,indeed,never,1\n");
    home.write(
        "p.yaml",
        "name: mc\nmodel: {aligned: model}\nevaluate: {floor: 0, suites: {own: {prompts: own.csv, expect: {multiple_choice: \
         {choices: [first, second], gold: {column: right, kind: ordinal}}}}}}\n",
    );
    let config = |more: Value| {
        let mut settings = json!({"bos_token": "<s>", "eos_token": "</s>", "chat_template": crate::tiny::TEMPLATE});
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        home.write("model/tokenizer_config.json", settings.to_string());
    };
    let reused = || {
        let (text, code) = told(&home.run(&["run", "p.yaml"]));
        assert_ne!(code, 2, "{text}");
        let record: Value = serde_json::from_slice(&std::fs::read(home.path("runs/mc/latest/run.json")).unwrap()).unwrap();
        let stage = record["stages"].as_array().unwrap().iter().find(|stage| stage["stage"] == "choose aligned own").unwrap();
        stage["reused"].as_bool().unwrap()
    };
    config(json!({}));
    assert_eq!([reused(), reused()], [false, true]);
    config(json!({"add_bos_token": true}));
    assert_eq!([reused(), reused()], [false, true]);
    config(json!({"add_bos_token": false}));
    assert!(reused(), "as without the flag");
}

#[test]
fn what_is_wrong_with_choices_is_named() {
    let home = Home::new();
    home.write("own.jsonl", "{\"prompt\": \"a\", \"c\": [\"x\", \"y\"], \"g\": 2}\n");
    let run = |expect: &str| {
        home.write(
            "p.yaml",
            format!("name: s\nmodel: {{aligned: model}}\nevaluate: {{floor: 0, suites: {{one: {{prompts: own.jsonl, {expect}}}}}}}\n"),
        );
        let (text, code) = told(&home.run(&["run", "p.yaml"]));
        assert_eq!(code, 2, "{text}");
        text
    };
    let choice = |inside: &str| run(&format!("expect: {{multiple_choice: {{{inside}}}}}"));
    for (inside, words) in [
        ("gold: g", "does not say choices"),
        ("choices: c", "does not say gold"),
        ("choices: c, gold: g", "\"g\" is \"2\", expected a whole number from 0 to 1"),
        ("choices: d, gold: g", "it has no list in column \"d\"; it has c"),
        ("choices: c, gold: {column: g, kind: letter}", "expected one of label, index"),
        ("choices: c, gold: {column: g, kind: ordinal}, context: '{nope}'", "no value in column \"nope\""),
        ("choices: {lists: c}, gold: g", "write a column with a list"),
        ("choices: c, gold: {column: g, kind: ordinal}, blank: {column: prompt}", "there is no \"_\" in column \"prompt\""),
        ("choices: {texts: [no, \"yes\"]}, gold: g", "is read as false"),
        ("choices: c, gold: g, delimeter: x", "did you mean delimiter?"),
    ] {
        let text = choice(inside);
        assert!(text.contains(words), "{words}: {text}");
    }
    let text = run("max_new_tokens: 4, expect: {multiple_choice: {choices: c, gold: {column: g, kind: ordinal}}}");
    assert!(text.contains("nothing is generated"), "{text}");
}
