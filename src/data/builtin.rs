//! The data sets that the project wrote, inside the program; their card is `datasets/README.md`.

/// Their names, without `builtin:`.
pub const NAMES: [&str; 8] = ["refusals", "helpful", "contrast", "harmful", "benign", "contrast-prompts", "probes", "benign-probes"];

/// A data set as JSONL text.
pub fn text(name: &str) -> Option<&'static str> {
    Some(match name {
        "refusals" => include_str!("../../datasets/refusals.jsonl"),
        "helpful" => include_str!("../../datasets/helpful.jsonl"),
        "contrast" => include_str!("../../datasets/contrast.jsonl"),
        "harmful" => include_str!("../../datasets/harmful.jsonl"),
        "benign" => include_str!("../../datasets/benign.jsonl"),
        "contrast-prompts" => include_str!("../../datasets/contrast_prompts.jsonl"),
        "probes" => include_str!("../../datasets/probes.jsonl"),
        "benign-probes" => include_str!("../../datasets/benign_probes.jsonl"),
        _ => return None,
    })
}
