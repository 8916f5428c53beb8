//! Every stage on a fixed tiny input: an output that changed while its stage's version did not is found.
//!
//! `tests/reference/stage_outputs.json` holds, by stage, its version, a digest of its output for every machine that was
//! recorded, and a sample of it. The sample is compared on every machine, within the limits below; the digest where one
//! was recorded for this machine. What a machine is, is told by [`machine`].
//!
//! The `gemm` crate (0.19) sums each product over k in order, in blocks of k alone: 512 with AVX-512, and 512 to 1024 with
//! AVX2, by the size and ways of the L1 cache (`gemm-common`, `kernel_params`). L2 and L3 decide only in which order outputs
//! are made. Below 512 a product therefore has the same bits on every processor of an instruction set, and no product here
//! has a longer k: the longest is the tokens of one step.
//!
//! `STEADFAST_RECORD=1 cargo test --release stages` records, and refuses to where only a version should have been raised.
//! The digests of `avx2` were recorded on an emulated processor (qemu-user 7.2, `-cpu Haswell`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::tiny::{Home, told, write_gguf, write_seeded_model};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/stage_outputs.json");

/// ‖numbers − recorded‖ ÷ ‖recorded‖, of f32 weights or figures, at most. Between AVX-512 and emulated AVX2 1.7e-8 was measured.
const F32_APART: f64 = 1e-5;
/// The same of bf16 weights: one of the sample that rounds the other way is about 4e-4.
const BF16_APART: f64 = 1e-3;
/// The share of a ticket's bits that may differ. Between AVX-512 and emulated AVX2 none did.
const BITS_APART: f64 = 0.005;
/// One weight in so many is in the sample.
const STRIDE: usize = 251;

/// A recorded stage.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    version: u32,
    /// By machine.
    digests: BTreeMap<String, String>,
    sample: Sample,
}

/// A piece of an output that is compared with a tolerance.
#[derive(Serialize, Deserialize, Clone)]
#[serde(rename_all = "snake_case")]
enum Sample {
    /// One weight in [`STRIDE`].
    Weights(Vec<f32>),
    /// Every figure.
    Figures(Vec<f32>),
    /// A ticket's bits, in hexadecimal.
    Bits(String),
    /// The replies to a suite: what they say may change with the last bits of a logit, their number may not.
    Replies(usize),
    /// The parts of a delta: which weights move past rounding may change with the last bits of a gradient, which tensors may not.
    Parts(usize),
    /// Nothing: the output holds no number that depends on the machine, so there is one digest for all.
    Exact,
}

/// What a stage wrote.
struct Output {
    digest: String,
    sample: Sample,
    machine: String,
}

/// One row a batch: up to 64 tokens take another kernel with AVX-512, and `align` trains on more. The model is given, so that no stage's input is another stage's output, except tickets that no rounding touches.
const GIVEN: &str = "\
name: given
model: {base: model, aligned: aligned, dtype: f32}
ticket: {score: random, density: 0.5}
tickets:
  safety: {score: snip, data: {path: safety.jsonl, limit: 6}, density: 0.3}
  vector: {score: task-vector, density: 0.5, scope: tensor}
  largest: {score: magnitude, density: 0.2, scope: layer}
  gradient: {score: gradient, data: {path: safety.jsonl, limit: 6}, density: 0.3}
  moved: {score: calibrate, data: {path: safety.jsonl, limit: 8}, density: 0.1, calibration_steps: 12, calibration_learning_rate: 1e-3}
  fisher: {score: fisher, data: {path: safety.jsonl, limit: 6}, density: 0.3}
  wanda: {score: wanda, data: {path: safety.jsonl, limit: 6}, density: 0.3, scope: row}
  outside: {score: snip, data: {path: safety.jsonl, limit: 6}, density: 0.3, minus: {data: {path: helpful.jsonl, limit: 6}, density: 0.2}}
  rows: {score: wanda, data: {path: safety.jsonl, limit: 6}, density: 0.3, structure: row}
  ratio: {score: snip, data: {path: safety.jsonl, limit: 6}, density: 0.3, over: {data: {path: helpful.jsonl, limit: 6}}}
finetune:
  data: task.jsonl
  max_steps: 6
  learning_rate: 1e-3
  weight_decay: 0.1
  lr_scheduler_type: linear
  per_device_train_batch_size: 1
  gradient_accumulation_steps: 2
  arms:
    all: {train: all}
    maskable: {train: maskable}
    sparse: {train: complement, density: 0.10, calibration_steps: 12, calibration_learning_rate: 1e-3}
    complement: {train: complement}
    ticket: {train: ticket, ticket: vector}
    random: {train: random, density: 0.2}
    control: {like: sparse, ticket: random}
    none: {train: none}
    lora: {train: lora, lora: {rank: 2, alpha: 4, targets: [q_proj, down_proj]}}
    layers: {train: all, layers: [1]}
    elastic: {train: complement, elastic: {data: {path: safety.jsonl, limit: 6}, strength: 2, rows: 4}}
    project: {train: all, project: {data: {path: safety.jsonl, limit: 6}, rows: 1}}
    replay: {train: all, replay: {data: {path: safety.jsonl, limit: 6}, share: 0.25}}
    first: {train: complement, first_tokens: {betas: [0.5, 2], rest: 0.1}}
    anchor: {train: all, anchor: {data: {path: safety.jsonl, limit: 6}, weight: 2, rows: 2}}
    vector: {from: none, edit: {resta: {scale: 0.5}}}
    half: {from: vector, edit: {interpolate: {weight: 0.25}}}
    restored: {from: vector, edit: {restore: ticket}}
    dropped: {from: vector, edit: {resta: {scale: 0.5, drop: 0.3}}}
    projected: {from: vector, edit: {safe_lora: {threshold: 1.0}}}
evaluate:
  floor: 0.0
  max_new_tokens: 8
  suites:
    harmful: {prompts: harmful.jsonl, expect: refusal}
    task: {prompts: test.jsonl, expect: {exact_match: response}}
    choice: {prompts: choice.jsonl, expect: {multiple_choice: {choices: c, gold: g}}}
    text: {prompts: text.txt, expect: {perplexity: {max_length: 40, stride: 30}}}
  divergence: {tokens: 4, suites: harmful}
  probes: {every: 3, harmful: probes.jsonl, benign: benign_probes.jsonl}
gate: [{arm: sparse, metric: harmful.refusal_rate, at_least: 0}]
";

/// Three tasks one after another: what is trained, its delta, and what it knows of each task.
const SEQUENCE: &str = "\
name: sequence
model: {aligned: aligned}
ticket: {score: snip, data: safety.jsonl, density: 0.3}
finetune:
  tasks:
    - {name: sums, data: task.jsonl, suite: sums}
    - {name: names, data: helpful.jsonl, max_steps: 3, learning_rate: 2e-3}
    - {name: safety, data: safety.jsonl}
  max_steps: 4
  learning_rate: 1e-3
  per_device_train_batch_size: 2
  arms:
    sequential: {train: all}
    tickets: {train: complement, density: 0.10, calibration_steps: 12, calibration_learning_rate: 1e-3}
    draws: {train: random, density: 0.2}
    joined: {like: sequential, merge: {method: task-arithmetic, scale: 0.5}}
    united: {like: tickets, merge: {method: union}}
evaluate:
  floor: 0.0
  suites: {sums: {prompts: test.jsonl, expect: {exact_match: response}, max_new_tokens: 1}}
";

/// A recipe that a race chooses, whose budget is in minutes: its pace is measured too.
const RACE: &str = "\
name: race
model: {aligned: aligned, dtype: f32}
finetune:
  data: task.jsonl
  max_steps: 4
  learning_rate: 1e-3
  per_device_train_batch_size: 1
  arms:
    all: {train: all}
    layers: {train: all, layers: [1]}
    chosen: {protect: auto, auto: {candidates: [all, layers], learning_rate: [1e-3, 3e-3], minutes: 1000}}
evaluate:
  floor: 0.0
  max_new_tokens: 4
  suites: {harmful: {prompts: {path: harmful.jsonl, limit: 1}, expect: refusal, max_new_tokens: 1}}
  probes: {every: 2, of: [refusal_rate, answered_rate, task_nll], harmful: probes.jsonl, benign: benign_probes.jsonl, task: helpful.jsonl}
";

/// The aligned model is made, or comes from a GGUF file.
const MADE: &str = "\
name: NAME
MODEL
evaluate: {floor: 0.0, suites: {harmful: {prompts: {path: harmful.jsonl, limit: 1}, expect: refusal, max_new_tokens: 1}}}
";
const LOTA: &str = "model: {base: model}
align: {data: [safety.jsonl, helpful.jsonl], train: ticket, density: 0.1, max_steps: 4, learning_rate: 1e-3, calibration_learning_rate: 1e-3, per_device_train_batch_size: 2}";
const ALIGN: &str = "model: {base: model}
align: {data: [safety.jsonl, helpful.jsonl], max_steps: 6, learning_rate: 1e-3, per_device_train_batch_size: 4}";
const PRETRAIN: &str = "pretrain:
  architecture: {vocab_size: 300, hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2, num_key_value_heads: 2}
  data: [safety.jsonl, helpful.jsonl]
  max_steps: 4
  per_device_train_batch_size: 2
align: {data: safety.jsonl, max_steps: 1, per_device_train_batch_size: 1}";
const GGUF: &str = "model: {aligned: model.gguf}";
/// The reference encoder; one token of each reply is asked for, so that what it reads hardly depends on a logit's last bits.
const JUDGED: &str = "\
name: judged
model: {aligned: builtin:tiny-aligned}
evaluate:
  floor: 0.0
  judges: [phrases, {name: encoder, classifier: encoder, refused: Refusal, input: \"{prompt} {completion}\"}]
  suites: {harmful: {prompts: {path: harmful.jsonl, limit: 4}, expect: refusal, max_new_tokens: 1}}
";

/// Runs the pipelines with either precision, and returns every stage's output by name.
fn outputs() -> BTreeMap<String, Output> {
    let home = Home::new();
    write_seeded_model(&home.path("aligned"), false, 8);
    let question =
        |i: usize| json!({"prompt": format!("Which of {i}?"), "c": ["this one", "that", "the other"], "g": i % 3}).to_string() + "\n";
    home.write("choice.jsonl", (0..5).map(question).collect::<String>());
    home.write("text.txt", "What is written here is read in windows of forty bytes, thirty apart.\nNobody has to answer anything.\n");
    write_gguf(&home.path("model"), &home.path("model.gguf"));
    crate::encoder::copied("modernbert-cls", &home.path("encoder"));
    let pipeline = |name: &str, model: &str| MADE.replace("NAME", name).replace("MODEL", model);
    let mut found = BTreeMap::new();
    let pipelines = [
        (
            "given",
            GIVEN.to_owned(),
            &[
                "extract",
                "reference",
                "measure",
                "finetune",
                "edit",
                "evaluate aligned",
                "choose aligned",
                "perplexity aligned",
                "path",
                "divergence sparse",
            ][..],
        ),
        ("made", pipeline("made", ALIGN), &["align"]),
        ("gguf", pipeline("gguf", GGUF), &["materialise"]),
        ("lota", pipeline("lota", LOTA), &["align"]),
        ("pretrained", pipeline("pretrained", PRETRAIN), &["initialise", "pretrain"]),
        ("sequence", SEQUENCE.to_owned(), &["finetune", "delta", "merge", "losses"]),
        ("judged", JUDGED.to_owned(), &["judge"]),
        ("race", RACE.to_owned(), &["pace", "race"]),
    ];
    for ((name, text, wanted), dtype) in pipelines.iter().flat_map(|pipeline| ["f32", "bf16"].map(|dtype| (pipeline, dtype))) {
        home.write("p.yaml", text);
        let runs = format!("{name}-{dtype}");
        let (text, code) = told(&home.run(&["run", "p.yaml", "--runs", &runs, "--set", &format!("model.compute_dtype={dtype}")]));
        assert_ne!(code, 2, "{text}");
        let run = home.path(&runs).join(name).join("latest/run.json");
        let record: Value = serde_json::from_slice(&std::fs::read(run).unwrap()).unwrap();
        let machine = machine(record["numerics"]["backend"].as_str().unwrap());
        if *name == "given" {
            // A command of its own, which no run carries out.
            let with = if dtype == "bf16" { " in bf16" } else { "" };
            let (text, code) =
                told(&home.run(&["data", "audit", "p.yaml", "--runs", &runs, "--set", &format!("model.compute_dtype={dtype}")]));
            assert_eq!(code, 0, "{text}");
            let store = std::fs::read_dir(home.path(&runs).join(".store")).unwrap().map(|entry| entry.unwrap().path());
            let (digest, sample) = output(&{ store }.find(|entry| entry.join("audit.json").is_file()).unwrap());
            found.insert(format!("audit{with}"), Output { digest, sample, machine: machine.clone() });
        }
        for stage in record["stages"].as_array().unwrap() {
            let (stage, key) = (stage["stage"].as_str().unwrap(), stage["key"].as_str().unwrap());
            if wanted.iter().any(|wanted| stage.starts_with(wanted)) {
                let by = if *name == "lota" { " by ticket" } else { "" };
                let with = if dtype == "bf16" { " in bf16" } else { "" };
                let (digest, sample) = output(&home.path(&runs).join(".store").join(key));
                found.insert(format!("{stage}{by}{with}"), Output { digest, sample, machine: machine.clone() });
            }
        }
    }
    found
}

/// The digest of every file of a finished stage, without times, and its sample.
fn output(folder: &Path) -> (String, Sample) {
    let mut digest = Sha256::new();
    let mut sample = None;
    let mut names: Vec<String> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    for name in names.iter().filter(|name| *name != "manifest.json") {
        let mut bytes = std::fs::read(folder.join(name)).unwrap();
        match name.as_str() {
            "model.safetensors" => sample = Some(Sample::Weights(weights(&bytes))),
            // Beside tuned weights stands the ticket of a sequence's task.
            "ticket.safetensors" => sample = sample.or(Some(Sample::Bits(bits(&bytes)))),
            "delta.safetensors" => sample = Some(Sample::Parts(SafeTensors::deserialize(&bytes).unwrap().len())),
            "figures.json" => {
                let figures: BTreeMap<String, Value> = serde_json::from_slice(&bytes).unwrap();
                sample = Some(Sample::Figures(figures.values().map(|figure| figure["value"].as_f64().unwrap() as f32).collect()));
            }
            "audit.json" => {
                let rows: Vec<Value> = serde_json::from_slice(&bytes).unwrap();
                sample = Some(Sample::Figures(rows.iter().map(|row| row["cosine"].as_f64().unwrap() as f32).collect()));
            }
            "choices.json" => {
                let sums: Vec<Vec<f32>> = serde_json::from_slice(&bytes).unwrap();
                sample = Some(Sample::Figures(sums.concat()));
            }
            "logits.json" => {
                let scored: Vec<Value> = serde_json::from_slice(&bytes).unwrap();
                let logits = scored.iter().flat_map(|one| one["logits"].as_array().unwrap().clone());
                sample = Some(Sample::Figures(logits.map(|logit| logit.as_f64().unwrap() as f32).collect()));
            }
            "likelihoods.json" => {
                let windows: Vec<Vec<(f32, u64)>> = serde_json::from_slice(&bytes).unwrap();
                sample = Some(Sample::Figures(windows.concat().into_iter().map(|(nll, _)| nll).collect()));
            }
            "race.json" => {
                let race: Value = serde_json::from_slice(&bytes).unwrap();
                let points = race["tried"].as_array().unwrap().iter().flat_map(|one| one["points"].as_array().unwrap());
                sample = Some(Sample::Figures(points.map(|point| point["task_nll"].as_f64().unwrap() as f32).collect()));
            }
            // Nothing but a time.
            "pace.json" => {
                assert!(serde_json::from_slice::<f64>(&bytes).unwrap() > 0.0);
                bytes = b"null".to_vec();
            }
            "divergence.json" => sample = Some(Sample::Figures(serde_json::from_slice(&bytes).unwrap())),
            "completions.json" | "paths.json" => {
                sample = Some(Sample::Replies(serde_json::from_slice::<Vec<Value>>(&bytes).unwrap().len()));
            }
            _ => {}
        }
        if name == "ticket.safetensors" {
            // Its origin names the data by their path, which is a fresh folder's.
            bytes = bits(&bytes).into_bytes();
        } else if name.ends_with(".json") {
            let mut json: Value = serde_json::from_slice(&bytes).unwrap();
            if name == "race.json" {
                assert!(json.as_object_mut().unwrap().remove("seconds").is_some(), "{name} tells the time");
            }
            if let Some(summary) = json.pointer_mut("/summary").and_then(Value::as_object_mut) {
                assert!(summary.remove("seconds").is_some(), "{name} tells the time");
            }
            bytes = json.to_string().into_bytes();
        }
        digest.update(format!("{name} {}\n", bytes.len()));
        digest.update(bytes);
    }
    // The reference of the probes is greedy text; a random model refuses nothing, so it has no number of the backend.
    let digest = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    (digest, sample.unwrap_or(Sample::Exact))
}

fn weights(file: &[u8]) -> Vec<f32> {
    let tensors = SafeTensors::deserialize(file).unwrap();
    let mut names = tensors.names();
    names.sort_unstable();
    let all = names.iter().flat_map(|name| {
        let tensor = tensors.tensor(name).unwrap();
        let wide = tensor.dtype() == safetensors::Dtype::F32;
        let number = move |b: &[u8]| match wide {
            true => f32::from_le_bytes(b.try_into().unwrap()),
            false => half::bf16::from_le_bytes(b.try_into().unwrap()).to_f32(),
        };
        tensor.data().chunks(if wide { 4 } else { 2 }).map(number).collect::<Vec<_>>()
    });
    all.step_by(STRIDE).collect()
}

fn bits(file: &[u8]) -> String {
    let tensors = SafeTensors::deserialize(file).unwrap();
    let mut names = tensors.names();
    names.sort_unstable();
    names.iter().flat_map(|name| tensors.tensor(name).unwrap().data().to_vec()).map(|byte| format!("{byte:02x}")).collect()
}

/// What decides the last bits of a tiny run: the kernels, and the system's elementary functions.
fn machine(numerics: &str) -> String {
    let mut digest = Sha256::new();
    for i in 1..1000 {
        let x = f64::from(i) * 0.0137;
        for value in [x.sin(), x.cos(), x.exp(), (-x).exp(), x.ln(), 10_000f64.powf(-x / 14.0), 0.999f64.powf(x), x.sqrt()] {
            digest.update(value.to_le_bytes());
        }
        let x = x as f32;
        for value in [x.exp(), (-x).exp(), x.ln(), x.sqrt()] {
            digest.update(value.to_le_bytes());
        }
    }
    let digest: String = digest.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{numerics}, libm {digest}")
}

/// How far two samples are apart, where that is more than is let through.
fn apart(found: &Sample, recorded: &Sample) -> Option<String> {
    match (found, recorded) {
        (Sample::Weights(found), Sample::Weights(recorded)) | (Sample::Figures(found), Sample::Figures(recorded))
            if found.len() == recorded.len() =>
        {
            let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
            let far = norm(&mut found.iter().zip(recorded).map(|(a, b)| a - b)) / norm(&mut recorded.iter().copied());
            eprintln!("    {far:.1e} apart");
            let narrow = recorded.iter().all(|&value| half::bf16::from_f32(value).to_f32() == value);
            (far.is_nan() || far > if narrow { BF16_APART } else { F32_APART }).then(|| format!("numbers {far:.1e} apart"))
        }
        (Sample::Bits(found), Sample::Bits(recorded)) if found.len() == recorded.len() => {
            let digit = |c: char| c.to_digit(16).unwrap();
            let differ: u32 = found.chars().zip(recorded.chars()).map(|(a, b)| (digit(a) ^ digit(b)).count_ones()).sum();
            let far = f64::from(differ) / (4 * found.len()) as f64;
            eprintln!("    {differ} bits apart");
            (far > BITS_APART).then(|| format!("{differ} of {} bits differ", 4 * found.len()))
        }
        (Sample::Replies(found), Sample::Replies(recorded)) => (found != recorded).then(|| format!("{found} replies, {recorded} recorded")),
        (Sample::Parts(found), Sample::Parts(recorded)) => (found != recorded).then(|| format!("{found} parts, {recorded} recorded")),
        (Sample::Exact, Sample::Exact) => None,
        _ => Some("an output of another shape".into()),
    }
}

#[test]
fn no_stage_changes_its_output_without_its_version() {
    let versions = BTreeMap::from(steadfast::stage::versions());
    let found = outputs();
    let text = std::fs::read_to_string(FILE).unwrap_or_else(|_| "{}".into());
    let mut recorded: BTreeMap<String, Recorded> = serde_json::from_str(&text).unwrap();
    let record = std::env::var_os("STEADFAST_RECORD").is_some();
    for kind in versions.keys() {
        assert!(found.keys().any(|stage| stage.split(' ').next() == Some(kind)), "no stage of kind {kind} was run");
    }
    let mut problems = Vec::new();
    let mut exact = 0;
    for (stage, output) in &found {
        eprintln!("  {stage}");
        let kind = stage.split(' ').next().unwrap();
        let version = versions[kind];
        match recorded.get(stage) {
            Some(old) if old.version == version => {
                let digest = match old.sample {
                    Sample::Exact => old.digests.values().next(),
                    _ => old.digests.get(&output.machine),
                };
                exact += usize::from(digest.is_some());
                let other = digest.filter(|digest| **digest != output.digest).map(|_| "another digest".to_owned());
                if let Some(how) = apart(&output.sample, &old.sample).or(other) {
                    problems.push(format!("{stage}: {how}, and its version is still {version}: raise it in src/stage, then record"));
                }
            }
            Some(old) if !record => problems.push(format!("{stage}: version {version}, recorded was {}: record", old.version)),
            None if !record => problems.push(format!("{stage}: not recorded yet: record")),
            _ => {}
        }
    }
    problems
        .extend(recorded.keys().filter(|stage| !record && !found.contains_key(*stage)).map(|stage| format!("{stage}: is no more: record")));
    let how = "to record: STEADFAST_RECORD=1 cargo test --release stages";
    let machines: Vec<&str> = found.values().map(|output| output.machine.as_str()).collect::<BTreeSet<_>>().into_iter().collect();
    let machines = machines.join(" and ");
    assert!(problems.is_empty(), "on {machines}\n{}\n{how}", problems.join("\n"));
    if exact < found.len() {
        eprintln!("{exact} of {} outputs have a digest for {machines}; the others agree within the tolerance\n{how}", found.len());
    }
    if record {
        recorded.retain(|stage, old| found.contains_key(stage) && versions[stage.split(' ').next().unwrap()] == old.version);
        for (stage, output) in found {
            let version = versions[stage.split(' ').next().unwrap()];
            let new = Recorded { version, digests: BTreeMap::new(), sample: output.sample };
            recorded.entry(stage).or_insert(new).digests.insert(output.machine, output.digest);
        }
        let lines: Vec<String> = recorded.iter().map(|(stage, entry)| format!("{}: {}", json!(stage), json!(entry))).collect();
        std::fs::write(FILE, format!("{{\n{}\n}}\n", lines.join(",\n"))).unwrap();
    }
}
