//! `pretrain`: a base from nothing.

use std::path::Path;

use super::training::{trainer, training};
use crate::pipeline::data::sources;
use crate::pipeline::node::{Node, Value};
use crate::pipeline::reader::{Findings, Section};
use crate::pipeline::settings::{Architecture, Pretrain, Training};

/// The least that a tokenizer consists of: bytes and special tokens.
const LEAST_TOKENS: u64 = 260;

pub(super) fn pretrain(node: &Node, folder: &Path, findings: &mut Findings) -> Option<Pretrain> {
    let mut section = Section::new(node, "pretrain", findings);
    let data = section.get("data").map(|node| sources(node, "pretrain.data", folder, findings)).unwrap_or_default();
    let training = training(&mut section, &Training { learning_rate: 1e-3, ..trainer() }, findings);
    let nothing = Node { value: Value::Null, place: section.place };
    let architecture = architecture(section.get("architecture").unwrap_or(&nothing), findings);
    let place = section.place;
    section.finish(findings);
    if data.is_empty() {
        findings.problem(place, "pretrain.data", "pretrain has no data", Some("write data: [texts.jsonl, chats.jsonl]".into()));
        return None;
    }
    Some(Pretrain { architecture, data, training })
}

fn architecture(node: &Node, findings: &mut Findings) -> Architecture {
    let mut section = Section::new(node, "pretrain.architecture", findings);
    let mut size = |key: &'static str, least: u64, usual: usize| section.whole(key, least, findings).map_or(usual, |n| n as usize);
    let (vocab_size, hidden_size) = (size("vocab_size", LEAST_TOKENS, 2048), size("hidden_size", 2, 128));
    let intermediate_size = size("intermediate_size", 1, 3 * hidden_size);
    let num_hidden_layers = size("num_hidden_layers", 1, 4);
    let num_attention_heads = size("num_attention_heads", 1, 4);
    let num_key_value_heads = size("num_key_value_heads", 1, num_attention_heads);
    let max_position_embeddings = size("max_position_embeddings", 2, 512);
    for (key, whole, part) in
        [("num_attention_heads", hidden_size, 2 * num_attention_heads), ("num_key_value_heads", num_attention_heads, num_key_value_heads)]
    {
        if whole % part != 0 {
            let message = match key {
                "num_attention_heads" => {
                    format!("{num_attention_heads} heads cannot share hidden_size {hidden_size}: each needs an even size")
                }
                _ => format!("{num_attention_heads} heads cannot share {num_key_value_heads} key and value heads"),
            };
            let place = section.get(key).map_or(section.place, |node| node.place);
            findings.problem(place, &section.join(key), message, Some("write hidden_size: 128, num_attention_heads: 4".into()));
        }
    }
    section.finish(findings);
    Architecture {
        vocab_size,
        hidden_size,
        intermediate_size,
        num_hidden_layers,
        num_attention_heads,
        num_key_value_heads,
        max_position_embeddings,
    }
}
