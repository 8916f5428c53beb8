//! Perplexity of texts: the numbers of PyTorch and of lm-evaluation-harness (`tests/reference/perplexity.py`), and the whole way from
//! a text file to the gate.

use serde_json::{Value, json};
use steadfast::data::rows::load;
use steadfast::data::spec::{Columns, DataSpec};
use steadfast::data::template::DATE;
use steadfast::data::tokenizer::TextModel;
use steadfast::data::windows::{windows, words};
use steadfast::model::backend::cpu::Cpu;
use steadfast::model::decoder::Decoder;
use steadfast::pipeline::settings;
use steadfast::record::Window;
use steadfast::stage::fetch::Model;
use steadfast::stage::perplexity::losses;

use crate::tiny::{Home, told};

#[test]
fn losses_of_smollm2_are_pytorchs() {
    let folder = crate::from_env("STEADFAST_SMOLLM2", "a Hugging Face folder with SmolLM2-135M-Instruct");
    let reference: Vec<Value> = serde_json::from_str(include_str!("../reference/perplexity.json")).unwrap();
    let model = Model::open(&folder, &settings::Model::of(&folder.to_string_lossy())).unwrap();
    let mut decoder = Decoder::new(model.config.clone(), Cpu::default(), |spec| model.weights.widened(&spec.name)).unwrap();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("texts.jsonl");
    std::fs::write(&file, reference.iter().map(|case| format!("{}\n", json!({"page": case["text"]}))).collect::<String>()).unwrap();
    let columns = Columns { text: Some("page".into()), ..Columns::default() };
    let rows = load(&DataSpec { columns, ..DataSpec::new(file.to_string_lossy()) }).unwrap().rows;
    let (mut worst, mut scored): (f64, usize) = (0.0, 0);
    for (at, of) in reference[0]["windows"].as_array().unwrap().iter().enumerate() {
        let number = |key: &str| Some(of[key].as_u64().unwrap() as usize);
        let window = Window { max_length: number("max_length"), stride: number("stride") };
        let found = losses(&mut decoder, &model, &rows, window, &mut |_, _| {}).unwrap();
        for (found, case) in found.iter().zip(&reference) {
            let expected: Vec<(f64, u64)> = serde_json::from_value(case["windows"][at]["nll"].clone()).unwrap();
            assert_eq!(found.len(), expected.len(), "{window:?}");
            for (&(nll, tokens), (wanted, count)) in found.iter().zip(expected) {
                let far = ((nll - wanted) / wanted).abs();
                assert!(tokens == count && far < 1e-4, "{window:?}: {nll} of {tokens} is {far:.1e} from {wanted} of {count}");
                worst = worst.max(far);
                scored += 1;
            }
            let text = case["text"].as_str().unwrap();
            assert_eq!(found.iter().map(|(_, tokens)| tokens).sum::<u64>(), case["tokens"].as_u64().unwrap());
            assert_eq!((words(text), text.len() as u64), (case["words"].as_u64().unwrap(), case["bytes"].as_u64().unwrap()));
        }
    }
    eprintln!("{scored} windows, losses at most {worst:.1e} apart (relative)");
}

/// On tokens that are bytes; 256 is the begin token.
#[test]
fn every_token_is_predicted_once() {
    let home = Home::new();
    let text = TextModel::from_folder(&home.path("model"), DATE).unwrap();
    let bytes = |text: &str| text.bytes().map(u32::from).collect::<Vec<_>>();
    let split = |content: &str, length: usize, stride: usize| -> Vec<(Vec<u32>, Vec<u32>)> {
        let rows = windows(&text, content, length, stride).unwrap();
        let part = |row: &steadfast::model::batch::Example| {
            let from = row.supervised.iter().position(|&learnt| learnt).unwrap();
            assert!(row.supervised[from..].iter().all(|&learnt| learnt) && row.tokens.len() <= length + 1);
            (row.tokens[..from].to_vec(), row.tokens[from..].to_vec())
        };
        rows.iter().map(part).collect()
    };
    assert_eq!(split("abc", 8, 8), [(vec![256], bytes("abc"))]);
    // A text that begins with that token has it once.
    assert_eq!(split("<s>abc", 8, 8), [(vec![256], bytes("abc"))]);
    // The last window reaches back as far as it may.
    assert_eq!(split("abcdefghij", 4, 4), [(vec![256], bytes("abcd")), (bytes("d"), bytes("efgh")), (bytes("fgh"), bytes("ij"))]);
    assert_eq!(split("abcdefg", 4, 2), [(vec![256], bytes("abcd")), (bytes("bcd"), bytes("ef")), (bytes("cdef"), bytes("g"))]);
    let long: String = ('a'..='z').cycle().take(301).collect();
    for (length, stride) in [(1, 1), (7, 1), (7, 3), (7, 7), (300, 300), (301, 1), (302, 302)] {
        let predicted: Vec<u32> = split(&long, length, stride).into_iter().flat_map(|(_, predicted)| predicted).collect();
        assert_eq!(predicted, bytes(&long), "{length} {stride}");
    }
    assert!(windows(&text, "", 8, 8).is_err() && windows(&text, "<s>", 8, 8).is_err());
}

const PIPELINE: &str = "\
name: ppl
model: {base: model}
align: {data: safety.jsonl, max_steps: 2, learning_rate: 1e-3, per_device_train_batch_size: 4}
finetune:
  data: task.jsonl
  max_steps: 6
  learning_rate: 1e-3
  arms:
    tuned: {train: all}
    same: {train: none}
evaluate:
  floor: 0
  suites:
    book: {prompts: book.txt, expect: {perplexity: {max_length: 64, stride: 32}}}
    pages: {prompts: pages.csv, expect: {perplexity: page}}
gate:
  - {arm: tuned, metric: book.perplexity, at_most: 100000}
  - {arm: tuned, metric: book.perplexity, at_most: 1}
  - {arm: same, metric: pages.bits_per_byte, rise_at_most: 0}
  - {arm: tuned, metric: pages.perplexity, rise_at_most: 100}
  - {arm: tuned, metric: pages.word_perplexity, drop_at_most: 0, bound: upper}
";

fn home() -> Home {
    let home = Home::new();
    let sentence = |i: usize| format!("Line {i} of a book that nobody has printed, and that ends at line {}.\n", i + 11);
    home.write("book.txt", (0..9).map(sentence).collect::<String>());
    let page = |i: usize| format!("\"{}\",{i},{}\n", sentence(i).repeat(1 + i % 3), ["odd", "even"][usize::from(i.is_multiple_of(2))]);
    home.write("pages.csv", format!("page,number,kind\n{}", (0..6).map(page).collect::<String>()));
    home.write("p.yaml", PIPELINE);
    home
}

fn record(home: &Home) -> Value {
    serde_json::from_slice(&std::fs::read(home.path("runs/ppl/latest/run.json")).unwrap()).unwrap()
}

#[test]
fn a_text_file_goes_all_the_way_to_the_gate() {
    let home = home();
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert!(code == 1 && text.contains("perplexity tuned book"), "{text}");
    let found = record(&home);
    let info = &found["suites"]["book"];
    assert_eq!((&info["expect"], &info["prompts"], &info["max_new_tokens"]), (&json!("perplexity"), &json!(1), &json!(0)));
    assert_eq!(info["window"], json!({"max_length": 64, "stride": 32}));
    assert!(info["items"][0]["prompt"].as_str().unwrap().starts_with("Line 0 of a book"), "{info}");
    let arm = |name: &str| found["arms"].as_array().unwrap().iter().find(|arm| arm["name"] == name).unwrap().clone();
    let said = |arm: &Value, suite: &str| arm["cells"].as_array().unwrap().last().unwrap()["completions"][suite].clone();
    let (aligned, tuned) = (arm("aligned"), arm("tuned"));
    // The tokens are the file's bytes; every one is predicted.
    let bytes = std::fs::read(home.path("book.txt")).unwrap().len() as u64;
    let book = &said(&aligned, "book")[0]["likelihood"];
    assert_eq!((book["tokens"].as_u64(), book["bytes"].as_u64()), (Some(bytes), Some(bytes)));
    let windows: Vec<(f64, u64)> = serde_json::from_value(book["windows"].clone()).unwrap();
    assert_eq!((windows.len() as u64, windows[0].1, windows[1].1), (1 + (bytes - 64).div_ceil(32), 64, 32));
    let nll = book["nll"].as_f64().unwrap();
    assert!((windows.iter().map(|(nll, _)| nll).sum::<f64>() - nll).abs() < 1e-9);
    assert_eq!(said(&arm("same"), "book"), said(&aligned, "book"));

    let rules = found["gate"]["rules"].as_array().unwrap();
    let decisions: Vec<&str> = rules.iter().map(|rule| rule["decision"].as_str().unwrap()).collect();
    assert_eq!(&decisions[..4], ["pass", "fail", "pass", "pass"], "{rules:#?}");
    let of = |arm: &Value, suite: &str, weight: &str| -> f64 {
        let list = said(arm, suite);
        let sum = |key: &str| list.as_array().unwrap().iter().map(|one| one["likelihood"][key].as_f64().unwrap()).sum::<f64>();
        sum("nll") / sum(weight)
    };
    assert!((rules[0]["value"].as_f64().unwrap() - of(&tuned, "book", "tokens").exp()).abs() < 1e-6);
    assert!(rules[0]["reason"].as_str().unwrap().contains(&format!("over {} windows", windows.len())), "{}", rules[0]);
    let interval: (f64, f64) = serde_json::from_value(rules[0]["interval"].clone()).unwrap();
    assert!(interval.0 < rules[0]["value"].as_f64().unwrap() && rules[0]["value"].as_f64().unwrap() < interval.1);
    assert_eq!(rules[2]["rule"], "same pages.bits_per_byte rise ≤ 0 bits per byte");
    assert_eq!((&rules[2]["value"], &rules[2]["interval"]), (&json!(0.0), &json!([0.0, 0.0])), "the same model");
    let rise = of(&tuned, "pages", "tokens") - of(&aligned, "pages", "tokens");
    assert!((rules[3]["value"].as_f64().unwrap() - rise).abs() < 1e-9 && rules[3]["reason"].as_str().unwrap().contains("nats per token"));
    assert!((rules[4]["value"].as_f64().unwrap() - of(&aligned, "pages", "words") + of(&tuned, "pages", "words")).abs() < 1e-9);

    let page = std::fs::read_to_string(home.path("runs/ppl/latest/report.html")).unwrap();
    for part in ["book: perplexity", "pages: bits per byte", "64 tokens, 32 tokens apart", "s context, not overlapping"] {
        assert!(page.contains(part), "{part}");
    }
    // A rule on a category is about the ratio of its own texts.
    let category = "evaluate.suites.pages.prompts={path: pages.csv, columns: {category: kind}}";
    let rule = "gate={arm: tuned, metric: pages.bits_per_byte, at_most: 100, per: category}";
    let (text, code) = told(&home.run(&["run", "p.yaml", "--set", category, "--set", rule]));
    assert_eq!(code, 0, "{text}");
    let of_kinds = record(&home);
    for rule in of_kinds["gate"]["rules"].as_array().unwrap() {
        let kind = rule["category"].as_str().unwrap();
        let items = of_kinds["suites"]["pages"]["items"].as_array().unwrap();
        let list =
            of_kinds["arms"].as_array().unwrap().iter().find(|arm| arm["name"] == "tuned").unwrap()["cells"][0]["completions"]["pages"]
                .clone();
        let of = |key: &str| -> f64 {
            let mine = items.iter().zip(list.as_array().unwrap()).filter(|(item, _)| item["category"] == kind);
            mine.map(|(_, one)| one["likelihood"][key].as_f64().unwrap()).sum()
        };
        assert!((rule["value"].as_f64().unwrap() - of("nll") / of("bytes") / std::f64::consts::LN_2).abs() < 1e-9, "{rule}");
    }
    let (again, _) = told(&home.run(&["run", "p.yaml"]));
    let stages = record(&home)["stages"].clone();
    assert!(stages.as_array().unwrap().iter().all(|stage| stage["reused"] == true || stage["stage"] == "fetch base"), "{again}");
    // A baseline keeps what the metrics are made from, and knows other windows.
    assert_eq!(told(&home.run(&["baseline", "update", "runs/ppl/latest", "--arm", "aligned"])).1, 0);
    let (text, code) = told(&home.run(&["gate", "runs/ppl/latest", "--baseline", "baseline.json"]));
    assert!(code == 1 && text.contains("baseline") && text.contains(&format!("rise {rise:.3}")), "{text}");
    let (text, _) =
        told(&home.run(&["run", "p.yaml", "--set", "evaluate.suites.pages.expect={perplexity: {column: page, max_length: 50}}"]));
    assert!(text.contains("perplexity aligned pages"), "{text}");
    let (text, code) = told(&home.run(&["gate", "runs/ppl/latest", "--baseline", "baseline.json"]));
    assert!(code == 2 && text.contains("others than the baseline's"), "{text}");
}

#[test]
fn what_is_wrong_with_a_suite_of_texts_is_named() {
    let home = home();
    let check = |set: &str, expected: &[&str]| {
        let (text, code) = told(&home.run(&["run", "p.yaml", "--set", set]));
        assert_eq!(code, 2, "{set}: {text}");
        for part in expected {
            assert!(text.contains(part), "{set}: {part}: {text}");
        }
    };
    let book = |inside: &str| format!("evaluate.suites.book={{prompts: book.txt, {inside}}}");
    check(&book("expect: {perplexity: {max_length: 8, stride: 9}}"), &["stride is 9, max_length 8", "write stride: 8"]);
    check(&book("expect: {perplexity: {max_length: 1}}"), &["max_length is 1"]);
    check(&book("expect: {perplexity: {length: 8}}"), &["unknown key \"length\"", "did you mean max_length?"]);
    check(&book("expect: {perplexity: {max_length: 513}}"), &["max_length is 513, the model's context is 512", "max_length: 512"]);
    check(&book("expect: {perplexity: page}"), &["no column \"page\"", "did you mean \"text\"?"]);
    check(&book("expect: perplexity, max_new_tokens: 4"), &["nothing is generated"]);
    check(&book("expect: perplexity, compare: llm"), &["only answers to good prompts are compared"]);
    check("evaluate.suites.pages={prompts: safety.jsonl, expect: perplexity}", &["is a conversation", "expect: {perplexity: COLUMN}"]);
    let both = "evaluate.suites.pages={prompts: {path: pages.csv, columns: {prompt: number}}, expect: {perplexity: page}}";
    check(both, &["names two columns with the text"]);
    check("gate.0.metric=book.rouge1", &["there is no metric \"book.rouge1\""]);
    check("gate.3.rise_at_most=-1", &["rise_at_most is -1", "nats per token, at least 0"]);
    // A text that is trained on is none to measure with.
    let trained = r#"{"text": "Line 0 of a book that nobody has printed, and that ends at line 11."}"#;
    home.write("texts.jsonl", format!("{trained}\n"));
    let (text, code) = told(&home.run(&["run", "p.yaml", "--set", "finetune.data=texts.jsonl"]));
    assert!(code == 2 && text.contains("suite pages stand in the finetune data"), "{text}");
    home.write("empty.txt", " \n");
    check("evaluate.suites.book={prompts: empty.txt, expect: perplexity}", &["empty.txt has no rows"]);
    // One text of one window has a value and no interval.
    let (text, code) = told(&home.run(&[
        "run",
        "p.yaml",
        "--set",
        &book("expect: {perplexity: {max_length: 512}}"),
        "--set",
        "evaluate.suites.book.prompts={path: short.txt, format: text}",
    ]));
    assert!(code == 2 && text.contains("there is no file"), "{text}");
    home.write("short.txt", "A short text.");
    let (text, code) = told(&home.run(&["run", "p.yaml", "--set", "evaluate.suites.book={prompts: short.txt, expect: perplexity}"]));
    assert!(code == 2 && text.contains("fewer than two have no interval") && text.contains("max_length: 512"), "{text}");
}
