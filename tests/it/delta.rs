//! Deltas, merges and restoration through the real program, on a very small random model.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

use crate::tiny::{Home, told};

/// Each tensor's shape and stored bytes; bf16.
type Stored = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

fn stored(folder: &Path) -> Stored {
    let file = std::fs::read(folder.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    tensors.iter().map(|(name, view)| (name.to_owned(), (view.shape().to_vec(), view.data().to_vec()))).collect()
}

fn number(bits: &[u8], i: usize) -> f32 {
    half::bf16::from_le_bytes([bits[2 * i], bits[2 * i + 1]]).to_f32()
}

/// What another trainer would leave: the model's folder with some weights changed; `move_` gives a weight's new number.
fn tune(home: &Home, from: &str, name: &str, move_: impl Fn(&str, usize, f32) -> Option<f32>) {
    let (source, target) = (home.path(from), home.path(name));
    std::fs::create_dir_all(&target).unwrap();
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(source.join(file), target.join(file)).unwrap();
    }
    let mut all = stored(&source);
    for (tensor, (_, bits)) in &mut all {
        for i in 0..bits.len() / 2 {
            if let Some(value) = move_(tensor, i, number(bits, i)) {
                bits[2 * i..2 * i + 2].copy_from_slice(&half::bf16::from_f32(value).to_le_bytes());
            }
        }
    }
    save(&all, &target);
}

fn save(all: &Stored, folder: &Path) {
    let views = all.iter().map(|(name, (shape, bits))| (name, TensorView::new(safetensors::Dtype::BF16, shape.clone(), bits).unwrap()));
    safetensors::serialize_to_file(views, None, &folder.join("model.safetensors")).unwrap();
}

/// Every tenth weight from `first` on, norms and embeddings too.
fn every_tenth(first: usize, by: f32) -> impl Fn(&str, usize, f32) -> Option<f32> {
    move |_, i, value| (i % 10 == first).then_some(value + by)
}

fn good(home: &Home, arguments: &[&str]) -> String {
    let (text, code) = told(&home.run(arguments));
    assert_eq!(code, 0, "{arguments:?}: {text}");
    text
}

/// Exit 2, a code, a remedy, and words of the message; nothing is left in the folder.
fn refused(home: &Home, arguments: &[&str], code: &str, words: &[&str]) {
    let names = |home: &Home| {
        let mut names: Vec<_> = std::fs::read_dir(home.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names(home);
    let (text, exit) = told(&home.run(arguments));
    assert_eq!(exit, 2, "{arguments:?}: {text}");
    assert!(text.contains(&format!("error[{code}]")) && text.contains("help:"), "{arguments:?}: {text}");
    words.iter().for_each(|word| assert!(text.contains(word), "{word}: {text}"));
    assert_eq!(names(home), before, "{arguments:?} leaves nothing");
}

/// A model and three tasks on it: `a` and `b` apart, `c` over both; a delta of each.
fn tasks() -> Home {
    let home = Home::new();
    tune(&home, "model", "a", every_tenth(0, 2.0));
    tune(&home, "model", "b", every_tenth(1, -0.25));
    tune(&home, "model", "c", |_, i, value| (i % 10 < 2).then_some(value - 0.125));
    for task in ["a", "b", "c"] {
        good(&home, &["delta", "make", "model", task, "--out", &format!("{task}.delta")]);
    }
    home
}

#[test]
fn a_delta_gives_the_tuned_files_and_takes_them_back() {
    let home = tasks();
    let text = good(&home, &["delta", "show", "a.delta"]);
    assert!(text.contains("embed_tokens") && text.contains("input_layernorm"), "over all tensors: {text}");
    let text = good(&home, &["delta", "apply", "model", "a.delta", "--out", "on"]);
    assert!(text.contains("the tuned model's of the delta"), "{text}");
    assert_eq!(stored(&home.path("on")), stored(&home.path("a")));
    let text = good(&home, &["delta", "remove", "on", "a.delta", "--out", "off"]);
    assert!(text.contains("the aligned model's of the delta"), "{text}");
    assert_eq!(stored(&home.path("off")), stored(&home.path("model")));
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        assert!(std::fs::read(home.path("off").join(file)).unwrap() == std::fs::read(home.path("model").join(file)).unwrap(), "{file}");
    }
    // The configuration is completed with the type of model, which transformers needs.
    let config = |folder: &str| -> serde_json::Value { serde_json::from_slice(&std::fs::read(home.path(folder)).unwrap()).unwrap() };
    let mut expected = config("model/config.json");
    expected["model_type"] = "llama".into();
    assert_eq!(config("off/config.json"), expected);
    // The same from a sharded checkpoint: how tensors are split into files is no part of a model.
    crate::tiny::write_model(&home.path("sharded"), true);
    good(&home, &["delta", "apply", "sharded", "a.delta", "--out", "from-shards"]);
    assert_eq!(stored(&home.path("from-shards")), stored(&home.path("a")));
    // And on a model that differs elsewhere.
    tune(&home, "model", "elsewhere", every_tenth(7, 1.0));
    let text = good(&home, &["delta", "apply", "elsewhere", "a.delta", "--out", "both"]);
    assert!(text.contains("differs from it elsewhere"), "{text}");
    let json = good(&home, &["delta", "show", "a.delta", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let all: usize = stored(&home.path("model")).values().map(|(_, bits)| bits.len() / 2).sum();
    assert_eq!(json["origin"]["weights"], all);
}

#[test]
fn disjoint_deltas_are_a_union_in_any_order() {
    let home = tasks();
    good(&home, &["delta", "apply", "model", "a.delta", "b.delta", "--out", "ab"]);
    good(&home, &["delta", "merge", "--method", "union", "model", "b.delta", "a.delta", "--out", "ba"]);
    assert!(std::fs::read(home.path("ab/model.safetensors")).unwrap() == std::fs::read(home.path("ba/model.safetensors")).unwrap());
    let (model, a, b, both) = (stored(&home.path("model")), stored(&home.path("a")), stored(&home.path("b")), stored(&home.path("ab")));
    for (name, (_, bits)) in &both {
        for i in 0..bits.len() / 2 {
            let from = if i % 10 == 0 {
                &a
            } else if i % 10 == 1 {
                &b
            } else {
                &model
            };
            assert_eq!(bits[2 * i..2 * i + 2], from[name].1[2 * i..2 * i + 2], "{name}[{i}]");
        }
    }
    // Taken out again one by one.
    good(&home, &["delta", "remove", "ab", "a.delta", "--out", "only-b"]);
    assert_eq!(stored(&home.path("only-b")), b);
}

#[test]
fn merges_by_arithmetic_are_what_the_formulas_say() {
    let home = tasks();
    let merge = |method: &[&str], out: &str, deltas: [&str; 2]| {
        let arguments = [&["delta", "merge", "model"], &deltas[..], &["--out", out, "--method"], method].concat();
        good(&home, &arguments)
    };
    let text = merge(&["task-arithmetic", "--scale", "0.5,-1"], "sum", ["a.delta", "c.delta"]);
    assert!(text.contains("with opposite signs"), "{text}");
    merge(&["task-arithmetic", "--scale", "-1,0.5"], "sum-again", ["c.delta", "a.delta"]);
    merge(&["ties", "--density", "1"], "ties", ["a.delta", "c.delta"]);
    merge(&["dare", "--density", "0.5", "--seed", "3"], "dare", ["a.delta", "b.delta"]);
    merge(&["dare", "--density", "0.5", "--seed", "3"], "dare-again", ["b.delta", "a.delta"]);
    let of = |name: &str| stored(&home.path(name));
    let (model, a, b, c, sum, ties, dare) = (of("model"), of("a"), of("b"), of("c"), of("sum"), of("ties"), of("dare"));
    assert!(sum == of("sum-again") && dare == of("dare-again"), "the order given decides nothing");
    let rounded = |value: f32| half::bf16::from_f32(value).to_f32();
    let (mut kept, mut dropped) = (0, 0);
    for (name, (_, bits)) in &model {
        for i in 0..bits.len() / 2 {
            let [base, a, b, c] = [&model, &a, &b, &c].map(|all| number(&all[name].1, i));
            let [ta, tb, tc] = [a, b, c].map(|tuned| tuned - base);
            assert_eq!(number(&sum[name].1, i), rounded(base + (0.5 * ta - tc)), "task arithmetic {name}[{i}]");
            // The larger of a raise and a fall wins; who agrees is averaged.
            let total = ta + tc;
            let agreed: Vec<f32> = [ta, tc].into_iter().filter(|t| *t != 0.0 && (*t > 0.0) == (total >= 0.0)).collect();
            let mean = if agreed.is_empty() { 0.0 } else { agreed.iter().sum::<f32>() / agreed.len() as f32 };
            assert_eq!(number(&ties[name].1, i), rounded(base + mean), "ties {name}[{i}]");
            let task = ta + tb;
            let found = number(&dare[name].1, i);
            if task != 0.0 {
                assert!(found == base || found == rounded(base + 2.0 * task), "dare {name}[{i}]: {found}, {base}, {task}");
                kept += u32::from(found != base);
                dropped += u32::from(found == base);
            } else {
                assert_eq!(found, base);
            }
        }
    }
    let share = f64::from(kept) / f64::from(kept + dropped);
    assert!((share - 0.5).abs() < 0.03, "{kept} of {}", kept + dropped);
}

#[test]
fn every_error_of_deltas_has_a_remedy_and_leaves_nothing() {
    let home = tasks();
    let make = |a, b| ["delta", "make", a, b, "--out", "x"];
    refused(&home, &make("model", "model"), "no-difference", &["the same weights"]);
    refused(&home, &["delta", "make", "model", "a", "--out", "a.delta"], "exists", &["a.delta is there already"]);
    refused(&home, &make("model", "nowhere"), "unknown-source", &["nowhere"]);
    let mut less = stored(&home.path("a"));
    less.remove("model.norm.weight");
    less.insert("model.extra.weight".into(), (vec![1], vec![0, 0]));
    tune(&home, "model", "less", |_, _, _| None);
    save(&less, &home.path("less"));
    refused(&home, &make("model", "less"), "weights-mismatch", &["missing in the tuned model: model.norm.weight", "model.extra.weight"]);

    let apply = |model, delta| ["delta", "apply", model, delta, "--out", "x"];
    refused(&home, &["delta", "apply", "model", "a.delta", "--out", "b"], "exists", &["b is there already"]);
    refused(&home, &apply("a", "a.delta"), "delta-of-another-model", &["in this model already"]);
    refused(&home, &["delta", "remove", "model", "a.delta", "--out", "x"], "delta-of-another-model", &["nothing to remove"]);
    refused(&home, &apply("less", "a.delta"), "delta-of-another-model", &["missing: model.norm.weight"]);
    tune(&home, "model", "other", |name, i, value| (name.contains("layers.1.mlp.up") && i == 20).then_some(value + 3.0));
    refused(&home, &apply("other", "a.delta"), "delta-of-another-model", &["model.layers.1.mlp.up_proj.weight[20] is", "sha256"]);
    let both = ["delta", "apply", "model", "a.delta", "c.delta", "--out", "x"];
    refused(&home, &both, "deltas-overlap", &["a.delta and c.delta both write", "delta merge --method ties"]);
    refused(&home, &["delta", "apply", "model", "a.delta", "a.delta", "--out", "x"], "same-delta", &["leave out"]);

    let whole = std::fs::read(home.path("a.delta")).unwrap();
    let damaged = |name: &str, bytes: &[u8]| home.write(name, bytes);
    damaged("short", &whole[..whole.len() - 1]);
    refused(&home, &["delta", "show", "short"], "damaged-delta", &["not fully covered"]);
    let mut flipped = whole.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    damaged("flipped", &flipped);
    refused(&home, &apply("model", "flipped"), "damaged-delta", &["flipped"]);
    damaged("empty", b"");
    refused(&home, &["delta", "show", "empty"], "damaged-delta", &["the file is empty"]);
    refused(&home, &["delta", "show", "model/model.safetensors"], "damaged-delta", &["no delta's metadata"]);
    refused(&home, &["delta", "show", "none"], "file", &["cannot read none"]);
    let version = b"\\\"version\\\":";
    let at = whole.windows(version.len()).position(|window| window == version).unwrap() + version.len();
    let mut newer = whole;
    newer[at] = b'9';
    damaged("newer", &newer);
    refused(&home, &["delta", "show", "newer"], "delta-version", &["version 9"]);

    let merge = |method: &[&'static str]| [&["delta", "merge", "model", "a.delta", "c.delta", "--out", "x", "--method"], method].concat();
    refused(&home, &merge(&["union"]), "deltas-overlap", &["both write"]);
    refused(&home, &merge(&["ties"]), "usage", &["density"]);
    refused(&home, &merge(&["ties", "--density", "1.5"]), "bad-density", &["1.5"]);
    refused(&home, &merge(&["union", "--scale", "2"]), "usage", &["--scale"]);
    refused(&home, &merge(&["task-arithmetic", "--seed", "2"]), "usage", &["--seed"]);
    refused(&home, &merge(&["task-arithmetic", "--scale", "1,2,3"]), "bad-scale", &["3 scales for 2 deltas"]);
    refused(&home, &merge(&["task-arithmetic", "--scale", "3e38"]), "merge-not-finite", &["bf16"]);
}

#[test]
fn chat_answers_with_deltas_as_the_tuned_model_does() {
    use std::io::Write;
    let home = tasks();
    let say = |arguments: &[&str]| {
        let all = [&["chat", "--max-new-tokens", "8", "--quiet"], arguments].concat();
        let mut command = home.command(&all);
        let mut child = command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"Hello\nAgain\n").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    good(&home, &["delta", "apply", "model", "a.delta", "b.delta", "--out", "ab"]);
    let (plain, tuned) = (say(&["model"]), say(&["ab"]));
    assert_ne!(plain, tuned);
    assert_eq!(say(&["model", "--delta", "a.delta", "--delta", "b.delta"]), tuned);
    let beside = say(&["model", "--delta", "b.delta", "--compare", "model"]);
    assert!(beside.contains("[model + b.delta]") && beside.contains("[model] "), "{beside}");
    refused(&home, &["chat", "a", "--delta", "a.delta"], "delta-of-another-model", &["in this model already"]);
}

#[test]
fn restoring_puts_the_tickets_bits_back_and_verify_holds() {
    let home = Home::new();
    good(&home, &["ticket", "extract", "p.yaml", "--out", "t.safetensors"]);
    // The ticket belongs to the aligned model that the pipeline makes.
    let store = std::fs::read_dir(home.path("runs/.store")).unwrap().map(|entry| entry.unwrap().path());
    let aligned = store.filter(|path| path.join("model.safetensors").is_file()).find(|path| !path.ends_with("model")).unwrap();
    std::fs::create_dir(home.path("aligned")).unwrap();
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"] {
        std::fs::copy(aligned.join(file), home.path("aligned").join(file)).unwrap();
    }
    tune(&home, "aligned", "tuned", |_, i, value| (i % 3 == 0).then_some(value + 0.25));
    let verify = |tuned: &str| told(&home.run(&["verify", "aligned", tuned, "--ticket", "t.safetensors"])).1;
    assert_eq!(verify("tuned"), 1);
    let restore = |out: &'static str| ["restore", "tuned", "--aligned", "aligned", "--ticket", "t.safetensors", "--out", out];
    let json = good(&home, &[&restore("restored")[..], &["--format", "json", "--quiet"]].concat());
    assert_eq!(verify("restored"), 0);

    let file = std::fs::read(home.path("t.safetensors")).unwrap();
    let masks: BTreeMap<String, Vec<u8>> =
        SafeTensors::deserialize(&file).unwrap().iter().map(|(name, view)| (name.to_owned(), view.data().to_vec())).collect();
    let (before, tuned, after) = (stored(&home.path("aligned")), stored(&home.path("tuned")), stored(&home.path("restored")));
    let (mut held, mut differed) = (0, 0);
    for (name, (_, bits)) in &after {
        for i in 0..bits.len() / 2 {
            let place = 2 * i..2 * i + 2;
            let inside = masks.get(name).is_some_and(|mask| mask[i / 8] >> (i % 8) & 1 == 1);
            let from = if inside { &before } else { &tuned };
            assert_eq!(bits[place.clone()], from[name].1[place.clone()], "{name}[{i}]");
            held += u64::from(inside);
            differed += u64::from(inside && before[name].1[place.clone()] != tuned[name].1[place]);
        }
    }
    let start = json.find("{\n").unwrap();
    let told_json: serde_json::Value = serde_json::from_str(&json[start..]).unwrap();
    assert_eq!((told_json["restored"]["restored"].as_u64(), told_json["restored"]["differed"].as_u64()), (Some(held), Some(differed)));
    assert!(differed > 0 && differed < held);

    // From a checkpoint in f32, whose other weights bf16 does not hold.
    let wide: Vec<(String, Vec<usize>, Vec<u8>)> = tuned
        .iter()
        .map(|(name, (shape, bits))| {
            let numbers = (0..bits.len() / 2).flat_map(|i| (number(bits, i) * 1.000_01).to_le_bytes()).collect();
            (name.clone(), shape.clone(), numbers)
        })
        .collect();
    let views = wide.iter().map(|(name, shape, bits)| (name, TensorView::new(safetensors::Dtype::F32, shape.clone(), bits).unwrap()));
    tune(&home, "aligned", "wide", |_, _, _| None);
    safetensors::serialize_to_file(views, None, &home.path("wide/model.safetensors")).unwrap();
    good(&home, &["restore", "wide", "--aligned", "aligned", "--ticket", "t.safetensors", "--out", "wide-restored"]);
    assert_eq!(verify("wide-restored"), 0);

    refused(&home, &restore("restored"), "exists", &["restored is there already"]);
    let other = ["restore", "tuned", "--aligned", "model", "--ticket", "t.safetensors", "--out", "x"];
    refused(&home, &other, "ticket-of-another-model", &["it was extracted from weights"]);
    let mut less = tuned;
    less.remove("model.norm.weight");
    tune(&home, "aligned", "less", |_, _, _| None);
    save(&less, &home.path("less"));
    let missing = ["restore", "less", "--aligned", "aligned", "--ticket", "t.safetensors", "--out", "x"];
    refused(&home, &missing, "weights-mismatch", &["missing in the tuned model: model.norm.weight"]);
    assert_eq!(verify("less"), 1);

    // Asked on a pipeline's suites before and after.
    let asked = [&restore("asked")[..], &["--pipeline", "p.yaml", "--set", "name=restoration"]].concat();
    let text = good(&home, &asked);
    for arm in ["| aligned |", "| tuned |", "| restored |"] {
        assert!(text.contains(arm), "{arm}: {text}");
    }
    let record = std::fs::read(home.path("runs/restoration/latest/run.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let names: Vec<&str> = record["arms"].as_array().unwrap().iter().map(|arm| arm["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["aligned", "tuned", "restored"]);
    assert!(record["digests"]["model.restored"].is_string() && home.path("runs/restoration/latest/report.html").is_file());
    // The pipeline's own runs keep their latest.
    good(&home, &[&restore("again")[..], &["--pipeline", "p.yaml"]].concat());
    assert!(home.path("runs/tiny-restore/latest/run.json").is_file() && !home.path("runs/tiny").exists());
}

/// A trainer that added tokens, and one that left a head of its own: neither touches what the ticket holds. Other shapes inside the ticket
/// are another model.
#[test]
fn a_ticket_is_restored_and_verified_beside_resized_embeddings() {
    let home = Home::new();
    let text = crate::tiny::PIPELINE.replace("base: model", "aligned: model");
    let (from, to) = (text.find("align:").unwrap(), text.find("ticket:").unwrap());
    home.write("p.yaml", format!("{}{}", &text[..from], &text[to..]));
    good(&home, &["ticket", "extract", "p.yaml", "--out", "t.safetensors"]);
    tune(&home, "model", "resized", |_, i, value| (i % 3 == 0).then_some(value + 0.25));
    let mut more = stored(&home.path("resized"));
    let embeddings = more.get_mut("model.embed_tokens.weight").unwrap();
    embeddings.0[0] += 2;
    embeddings.1.extend([0; 2 * 2 * 32]);
    save(&more, &home.path("resized"));
    let config = std::fs::read_to_string(home.path("model/config.json")).unwrap();
    home.write("resized/config.json", config.replace("\"vocab_size\":258", "\"vocab_size\":260"));

    let verify = |tuned: &str| told(&home.run(&["verify", "model", tuned, "--ticket", "t.safetensors"]));
    let (text, code) = verify("resized");
    let line = "mis-shaped: model.embed_tokens.weight: [258, 32] became [260, 32], outside the ticket";
    assert!(code == 1 && text.contains(line), "{text}");
    let restore = |tuned: &'static str, out: &'static str| {
        ["restore", tuned, "--aligned", "model", "--ticket", "t.safetensors", "--out", out, "--pipeline", "p.yaml"]
    };
    let text = good(&home, &restore("resized", "restored"));
    assert!(text.contains("outside the ticket, left as it is: shape of model.embed_tokens.weight"), "{text}");
    let (text, code) = verify("restored");
    assert!(code == 0 && text.contains(line) && text.contains("\n0 of "), "{text}");
    let (before, after) = (stored(&home.path("resized")), stored(&home.path("restored")));
    for name in ["model.embed_tokens.weight", "model.norm.weight"] {
        assert!(before[name] == after[name], "{name}");
    }
    more.insert("v_head.weight".into(), (vec![1, 32], vec![0; 64]));
    tune(&home, "model", "headed", |_, _, _| None);
    save(&more, &home.path("headed"));
    let text = good(&home, &restore("headed", "with-head")[..8]);
    assert!(text.contains("outside the ticket, left as it is: only in the tuned model: v_head.weight"), "{text}");
    let (text, code) = verify("with-head");
    assert!(code == 0 && text.contains("extra: v_head.weight"), "{text}");
    assert!(stored(&home.path("with-head"))["v_head.weight"] == more["v_head.weight"]);
    // What stands beside a matrix of the ticket changes what it computes.
    let factors = "model.layers.0.self_attn.q_proj.lora_A.weight";
    more.insert(factors.into(), (vec![1, 32], vec![0; 64]));
    tune(&home, "model", "adapted", |_, _, _| None);
    save(&more, &home.path("adapted"));
    refused(&home, &restore("adapted", "x")[..8], "weights-mismatch", &["only in the tuned model: ", factors, "adapters merged"]);
    let (text, code) = verify("adapted");
    assert!(code == 1 && text.contains(&format!("extra: {factors}, which changes what the ticket's weights beside it compute")), "{text}");

    // Fewer rows in a matrix that the ticket holds weights of.
    let mut less = stored(&home.path("model"));
    let matrix = less.get_mut("model.layers.1.mlp.up_proj.weight").unwrap();
    matrix.0[0] -= 1;
    matrix.1.truncate(matrix.0[0] * matrix.0[1] * 2);
    tune(&home, "model", "less", |_, _, _| None);
    save(&less, &home.path("less"));
    refused(&home, &restore("less", "x")[..8], "weights-mismatch", &["shape of model.layers.1.mlp.up_proj.weight: [64, 32]"]);
    let (text, code) = verify("less");
    assert!(code == 1 && text.contains("weights of the ticket\n") && text.contains(" could not be compared"), "{text}");
}

#[test]
fn names_in_foreign_files_do_not_steer_the_terminal() {
    let home = Home::new();
    let suites = "evaluate: {suites: {harmful: {prompts: harmful.jsonl, expect: refusal}}}";
    home.write("p.yaml", format!("model: {{aligned: model}}\nticket: {{score: random, density: 0.5}}\n{suites}\n"));
    good(&home, &["ticket", "extract", "p.yaml", "--out", "t.safetensors"]);
    tune(&home, "model", "tuned", |_, _, _| None);
    let mut all = stored(&home.path("tuned"));
    all.insert("\u{1b}]0;x\u{7}\u{1b}[2J".into(), (vec![1], vec![0, 0]));
    save(&all, &home.path("tuned"));
    let output = home.run(&["verify", "model", "tuned", "--ticket", "t.safetensors"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("extra: ]0;x[2J\n0 of ") && !output.stdout.contains(&0x1b), "{text:?}");
}

/// Everything below a path with its permissions, links apart.
#[cfg(unix)]
fn modes(path: &Path, found: &mut Vec<(std::path::PathBuf, u32)>) {
    use std::os::unix::fs::PermissionsExt;
    let meta = std::fs::symlink_metadata(path).unwrap();
    if meta.is_symlink() {
        return;
    }
    found.push((path.to_path_buf(), meta.permissions().mode() & 0o777));
    if meta.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| modes(&entry.unwrap().path(), found));
    }
}

#[test]
#[cfg(unix)]
fn files_and_folders_are_as_open_as_the_umask_lets_them_be() {
    let home = Home::new();
    tune(&home, "model", "a", every_tenth(0, 2.0));
    let suites = "evaluate: {floor: 0, suites: {harmful: {prompts: harmful.jsonl, expect: refusal}}}";
    home.write("p.yaml", format!("model: {{aligned: model}}\n{suites}\n"));
    for (umask, file, folder) in [("077", 0o600, 0o700), ("022", 0o644, 0o755)] {
        let masked = |arguments: &[&str]| {
            let script = format!("umask {umask}; exec \"$0\" \"$@\"");
            let mut command = std::process::Command::new("sh");
            command.args(["-c", &script, env!("CARGO_BIN_EXE_steadfast")]).args(arguments);
            told(&command.current_dir(home.0.path()).env("HF_HOME", home.path("hf")).output().unwrap())
        };
        let [delta, made, runs] = ["delta", "made", "runs"].map(|name| format!("{name}-{umask}"));
        for (arguments, expected) in [
            (&["delta", "make", "model", "a", "--out", &delta][..], 0),
            (&["delta", "apply", "model", &delta, "--out", &made], 0),
            (&["run", "p.yaml", "--runs", &runs], 3),
        ] {
            let (text, code) = masked(arguments);
            assert_eq!(code, expected, "{arguments:?}: {text}");
        }
        let mut found = Vec::new();
        [delta, made, runs].iter().for_each(|name| modes(&home.path(name), &mut found));
        assert!(found.len() > 15, "{found:?}");
        for (path, mode) in found {
            assert_eq!(mode, if path.is_dir() { folder } else { file }, "{}: {mode:o}", path.display());
        }
    }
}
