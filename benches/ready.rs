//! Times what stands before training: a model's way from its files to a decoder, and the selection of a ticket's weights.
//!
//! `cargo bench --bench ready -- load --model FOLDER [--dtype bf16] [--times 3]`
//! `cargo bench --bench ready -- select [--shape 135m | 1.7b] [--density 0.1] [--scope global] [--times 3]`
//!
//! `select` makes scores of counters, a tensor at a time, as often as it is asked; the time of making them once is told beside. Prints one
//! line of JSON with the peak memory of the process.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::time::Instant;

use steadfast::model::backend::cpu::{Cpu, Precision, with_threads};
use steadfast::model::config::ModelConfig;
use steadfast::model::decoder::Decoder;
use steadfast::model::inventory::{TensorSpec, inventory};
use steadfast::model::weights::{Weights, WeightsError};
use steadfast::random::stream;
use steadfast::ticket::TicketError;
use steadfast::ticket::budget::{Budget, Scope};
use steadfast::ticket::mask_set::maskable;
use steadfast::ticket::score::Scores;
use steadfast::ticket::select::select;

/// SmolLM2's two ends.
const SHAPES: [(&str, &str); 2] = [
    (
        "135m",
        r#"{"architectures": ["LlamaForCausalLM"], "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 100000.0, "tie_word_embeddings": true}"#,
    ),
    (
        "1.7b",
        r#"{"architectures": ["LlamaForCausalLM"], "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 24, "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 49152, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 130000.0, "tie_word_embeddings": true}"#,
    ),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    // `cargo test --all-targets` runs benches without arguments.
    let Some(what) = arguments.first().cloned() else { return };
    let text = |key: &str, default: &str| -> String {
        let at = arguments.iter().position(|argument| argument == &format!("--{key}"));
        at.and_then(|at| arguments.get(at + 1)).map_or(default, String::as_str).to_owned()
    };
    let times: usize = text("times", "3").parse().unwrap();
    let work = || -> serde_json::Value {
        let mut seconds = Vec::new();
        let told = if what == "load" {
            let folder = text("model", "");
            let precision = if text("dtype", "bf16") == "bf16" { Precision::Bf16 } else { Precision::F32 };
            let mut parameters = 0;
            for _ in 0..times {
                let start = Instant::now();
                let folder = Path::new(&folder);
                let json = std::fs::read_to_string(folder.join("config.json")).unwrap();
                let config = ModelConfig::from_json(&json, None).unwrap();
                let weights = Weights::open(folder).unwrap();
                let load = |spec: &TensorSpec| -> Result<Vec<f32>, WeightsError> { weights.widened(&spec.name) };
                let decoder = Decoder::new(config, Cpu::new(precision), load).unwrap();
                seconds.push(start.elapsed().as_secs_f64());
                parameters = inventory(decoder.config()).iter().map(TensorSpec::len).sum();
            }
            serde_json::json!({"parameters": parameters})
        } else {
            let shape = text("shape", "135m");
            let json = SHAPES.iter().find(|(name, _)| *name == shape).unwrap().1;
            let specs = inventory(&ModelConfig::from_json(json, None).unwrap());
            let scope = Scope::NAMES.iter().find(|(name, _)| *name == text("scope", "global")).unwrap().1;
            let budget = Budget { scope, ..Budget::of(text("density", "0.1").parse().unwrap()) };
            let made = |spec: &TensorSpec| -> Result<Scores, TicketError> {
                let stream = stream(0, &spec.name) as u32 | 1;
                // Bits of numbers in 1..2, in no order.
                let value = |i: usize| f32::from_bits(0x3f80_0000 | ((i as u32).wrapping_mul(stream).wrapping_mul(0x9e37_79b9) >> 9));
                Scores::new(&spec.name, (0..spec.len()).map(value).collect())
            };
            let start = Instant::now();
            maskable(&specs).for_each(|spec| drop(made(spec).unwrap()));
            let once = start.elapsed().as_secs_f64();
            let mut chosen = 0;
            for _ in 0..times {
                let start = Instant::now();
                chosen = select(&specs, budget, None, made).unwrap().masks.count();
                seconds.push(start.elapsed().as_secs_f64());
            }
            let all: usize = maskable(&specs).map(TensorSpec::len).sum();
            serde_json::json!({"maskable": all, "chosen": chosen, "scores_once_s": once})
        };
        let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak =
            peak.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok());
        serde_json::json!({"what": what, "told": told, "seconds": seconds, "peak_mib": peak.map(|kib| kib / 1024.0)})
    };
    let threads = text("threads", "2").parse().unwrap();
    println!("{}", with_threads(threads, work).unwrap());
}
