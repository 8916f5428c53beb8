//! Times training steps and generation on a random model of SmolLM2-135M's shape, for `benches/peer.py` to stand beside.
//!
//! `cargo bench --bench engine -- train [--dtype bf16] [--density 0.1] [--rows 4] [--tokens 256] [--steps 5] [--checkpointing true] [--shape 1b] [--layers 10]`
//! `cargo bench --bench engine -- generate [--dtype bf16|q8_0|f32] [--rows 16] [--tokens 32] [--new 64]`
//! `cargo bench --bench engine -- products [--dtype bf16] [--tokens 1024] [--steps 20] [--density 0.1]`
//! `cargo bench --bench engine -- real --model FOLDER --file rows.json [--dtype bf16] [--density 0.1] [--rows 8] [--steps 10]`
//!
//! `real` trains on rows of token ids that `peer.py tokens` wrote, packed without padding, with logits only where something is learnt.
//! Prints one line of JSON: seconds of each step (the first warms up and is left out), tokens a second by their median, and the
//! peak memory of the process.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::time::Instant;

use steadfast::mask::Mask;
use steadfast::model::backend::Selection;
use steadfast::model::backend::cpu::{Cpu, Precision, with_threads};
use steadfast::model::backend::{Backend, BackendError, WeightGradient};
use steadfast::model::batch::{Example, Packed};
use steadfast::model::config::ModelConfig;
use steadfast::model::decoder::{Decoder, Trained};
use steadfast::model::generate::{Sampling, generate};
use steadfast::model::inventory::{Role, inventory};
use steadfast::model::weights::Weights;
use steadfast::random::{below, mix, normal, stream};
use steadfast::train::optimizer::{Optimizer, Settings};
use steadfast::train::updater::Updater;

/// SmolLM2-135M, and a Llama of 1.1 billion parameters (TinyLlama's shape).
const SHAPES: [(&str, &str); 2] = [
    (
        "135m",
        r#"{"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 100000.0, "tie_word_embeddings": true}"#,
    ),
    (
        "1b",
        r#"{"hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "num_attention_heads": 32, "num_key_value_heads": 4, "vocab_size": 32000, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": false}"#,
    ),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let Some(what) = arguments.first().cloned() else {
        // `cargo test --all-targets` runs benches without arguments.
        return;
    };
    let text = |key: &str, default: &str| -> String {
        let at = arguments.iter().position(|argument| argument == &format!("--{key}"));
        at.and_then(|at| arguments.get(at + 1)).map_or(default, String::as_str).to_owned()
    };
    let number = |key: &str, default: usize| text(key, &default.to_string()).parse::<usize>().unwrap();
    // In q8_0, what is no matrix is computed as it is fastest here.
    let (precision, eight_bits) = match text("dtype", "bf16").as_str() {
        "bf16" => (Precision::Bf16, false),
        "q8_0" => (Precision::best(), true),
        _ => (Precision::F32, false),
    };
    let density: f64 = text("density", "1.0").parse().unwrap();
    let shape = text("shape", "135m");
    let json = SHAPES.iter().find(|(name, _)| *name == shape).unwrap().1;
    let mut json: serde_json::Value = serde_json::from_str(json).unwrap();
    json["architectures"] = serde_json::json!(["LlamaForCausalLM"]);
    for (option, key) in [("layers", "num_hidden_layers"), ("hidden", "hidden_size"), ("intermediate", "intermediate_size")] {
        if let Ok(value) = text(option, "").parse::<usize>() {
            json[key] = serde_json::json!(value);
        }
    }
    let (folder, file) = (text("model", ""), text("file", ""));
    let weights = (!folder.is_empty()).then(|| Weights::open(Path::new(&folder)).unwrap());
    let json = if folder.is_empty() { json.to_string() } else { std::fs::read_to_string(Path::new(&folder).join("config.json")).unwrap() };
    let config = ModelConfig::from_json(&json, None).unwrap();
    if what == "products" {
        let (tokens, steps) = (number("tokens", 1024), number("steps", 20));
        return with_threads(number("threads", 2), || products(precision, &config, tokens, steps, density)).unwrap();
    }
    let work = || {
        let cpu = Cpu::new(precision);
        let cpu = if eight_bits { cpu.in_q8_0() } else { cpu };
        let mut decoder = Decoder::new(config.clone(), cpu, |spec| -> Result<Vec<f32>, BackendError> {
            if let Some(weights) = &weights {
                return Ok(weights.widened(&spec.name).unwrap());
            }
            let stream = stream(0, &spec.name);
            let coarse = |x: f32| half::bf16::from_f32(x).to_f32();
            Ok((0..spec.len() as u64).map(|i| if spec.role == Role::Norm { 1.0 } else { coarse(0.02 * normal(stream, i)) }).collect())
        })
        .unwrap();
        let token = |row: usize, i: usize| below(mix(row as u64), i as u64, config.vocab_size) as u32;
        let (rows, tokens) =
            (number("rows", if what == "train" { 4 } else { 16 }), number("tokens", if what == "train" { 256 } else { 32 }));
        let mut times = Vec::new();
        let counted;
        if what != "generate" {
            let trained: Trained = inventory(&config)
                .into_iter()
                .filter(|spec| density >= 1.0 || spec.role == Role::Projection)
                .map(|spec| (spec.name.clone(), selected(density, spec.len(), stream(1, &spec.name))))
                .collect();
            let batches: Vec<Packed> = if what == "real" {
                let examples: Vec<Example> = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
                examples.chunks(number("rows", 8)).take(number("steps", 10)).map(Packed::from_examples).collect()
            } else {
                let example = |row: usize| Example { tokens: (0..tokens).map(|i| token(row, i)).collect(), supervised: vec![true; tokens] };
                let examples: Vec<Example> = (0..rows).map(example).collect();
                vec![Packed::from_examples(&examples); number("steps", 5) + 1]
            };
            let settings = Settings { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, max_grad_norm: 1.0 };
            let mut optimizer = Optimizer::new(&mut decoder, &inventory(&config), &trained, settings).unwrap();
            let mut gradients = decoder.new_gradients(&trained).unwrap();
            decoder.set_checkpointing(text("checkpointing", "false") == "true");
            counted = batches.iter().map(|batch| batch.tokens.len()).sum::<usize>() / batches.len();
            for batch in &batches {
                let start = Instant::now();
                for gradient in gradients.values_mut() {
                    decoder.backend_mut().clear(gradient).unwrap();
                }
                let loss = decoder.gradients(batch, 1.0 / batch.targets.len() as f32, &trained, &mut gradients).unwrap();
                let norm = optimizer.norm(&mut decoder, &gradients).unwrap();
                optimizer.step(&mut decoder, &trained, &gradients, norm, 1e-4).unwrap();
                times.push((start.elapsed().as_secs_f64(), loss / batch.targets.len() as f64));
            }
        } else {
            let prompts: Vec<Vec<u32>> = (0..rows).map(|row| (0..tokens).map(|i| token(row, i)).collect()).collect();
            let sampling = Sampling { max_new_tokens: number("new", 64), temperature: 0.0, top_p: 1.0, seed: 0, end_tokens: Vec::new() };
            counted = rows * sampling.max_new_tokens;
            for _ in 0..number("steps", 3) + 1 {
                let start = Instant::now();
                let replies = generate(&mut decoder, &prompts, &sampling, rows, &mut |_, _| {}).unwrap();
                times.push((start.elapsed().as_secs_f64(), f64::from(replies[0].tokens[0])));
            }
        }
        let mut seconds: Vec<f64> = times[1..].iter().map(|(seconds, _)| *seconds).collect();
        let total: f64 = seconds.iter().sum();
        seconds.sort_by(f64::total_cmp);
        let median = seconds[seconds.len() / 2];
        let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak =
            peak.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok());
        let line = serde_json::json!({
            "what": what, "numerics": decoder.backend().numerics(), "density": density, "rows": rows, "tokens": tokens,
            "seconds": times[1..].iter().map(|(seconds, _)| *seconds).collect::<Vec<_>>(), "median_s": median, "total_s": total, "tokens_per_s": counted as f64 / median, "peak_mib": peak.map(|kib| kib / 1024.0),
            "values": times.iter().map(|(_, value)| *value).collect::<Vec<_>>(),
        });
        println!("{line}");
    };
    with_threads(number("threads", 2), work).unwrap();
}

/// A random share of so many weights.
fn selected(density: f64, len: usize, stream: u64) -> Selection {
    let chosen = |i: usize| (below(stream, i as u64, 1 << 20) as f64) < density * f64::from(1 << 20);
    if density >= 1.0 { Selection::Everything } else { Selection::Subset(Mask::from_fn(len, chosen)) }
}

/// Billions of multiplications and sums a second of the three products with each of a layer's shapes: the fastest of several. Of a sparse
/// weight gradient, all that a dense one would take are counted.
fn products(precision: Precision, config: &ModelConfig, tokens: usize, steps: usize, density: f64) {
    let mut cpu = Cpu::new(precision);
    let made = |rows: usize, columns: usize, stream: u64| -> Vec<f32> { (0..(rows * columns) as u64).map(|i| normal(stream, i)).collect() };
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let key_value = config.key_value_heads * config.head_dim;
    for (outputs, inputs) in [(hidden, hidden), (key_value, hidden), (inner, hidden), (hidden, inner)] {
        let x = cpu.upload(&made(tokens, inputs, 1), tokens, inputs).unwrap();
        let dy = cpu.upload(&made(tokens, outputs, 2), tokens, outputs).unwrap();
        let w = cpu.load(&made(outputs, inputs, 3), outputs, inputs).unwrap();
        let selection = selected(density, outputs * inputs, 4);
        let gradient = cpu.zeros(1, selection.count(outputs * inputs)).unwrap();
        let mut weights = [WeightGradient { dy: &dy, selection: &selection, gradient }];
        let mut fastest = [f64::INFINITY; 3];
        for _ in 0..steps {
            let mut time = |which: usize, work: &mut dyn FnMut(&mut Cpu)| {
                let start = Instant::now();
                work(&mut cpu);
                fastest[which] = fastest[which].min(start.elapsed().as_secs_f64());
            };
            time(0, &mut |cpu| drop(cpu.linear(&x, [(&w, None)]).unwrap()));
            time(1, &mut |cpu| drop(cpu.linear_dx([(&dy, &w)]).unwrap()));
            time(2, &mut |cpu| cpu.linear_dw(&x, &mut weights).unwrap());
        }
        let billions = 2.0 * (tokens * outputs * inputs) as f64 / 1e9;
        let [forward, input, weight] = fastest.map(|seconds| (billions / seconds).round());
        println!(
            "{}",
            serde_json::json!({"outputs": outputs, "inputs": inputs, "tokens": tokens, "linear": forward, "linear_dx": input, "linear_dw": weight})
        );
    }
}
