//! Integration tests: one binary.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod arms;
mod audit;
mod auto;
mod bad_input;
mod benchmark;
mod check;
mod choices;
mod classifier;
mod cli;
mod data;
mod delta;
mod divergence;
mod edit;
mod encoder;
mod endpoint;
mod frozen;
mod gate;
mod gguf;
mod gguf_file;
mod held;
mod hub;
mod judge;
mod learnt;
mod llm;
mod loopback;
mod lora;
mod manner;
mod merges;
mod ops;
mod oracle;
mod perplexity;
mod pipeline;
mod quantization;
mod record;
mod reference;
mod replay;
mod restraints;
mod rouge;
mod schema;
mod scores;
mod sequences;
mod smollm2;
mod stages;
mod sweep;
mod tiny;
mod tokens;
mod world;

use std::path::PathBuf;

/// A path from the environment that `.ci/run` sets. A test that needs it fails without it; none is skipped.
pub fn from_env(name: &str, what: &str) -> PathBuf {
    match std::env::var_os(name) {
        Some(path) => path.into(),
        None => panic!("{name} is not set: it names {what}; `.ci/run` sets it"),
    }
}
