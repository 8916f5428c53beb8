//! The embedded model pair: a Llama of about a million parameters that the project made (`pipelines/tiny-model.yaml`).

/// The models' names, without `builtin:`.
pub const NAMES: [&str; 2] = ["tiny-base", "tiny-aligned"];

/// The files of a model by name; the two differ in their weights alone.
pub fn files(name: &str) -> Option<[(&'static str, &'static [u8]); 5]> {
    let weights: &[u8] = match name {
        "tiny-base" => include_bytes!("../../datasets/tiny-model/base.safetensors"),
        "tiny-aligned" => include_bytes!("../../datasets/tiny-model/aligned.safetensors"),
        _ => return None,
    };
    Some([
        ("config.json", include_bytes!("../../datasets/tiny-model/config.json")),
        ("generation_config.json", include_bytes!("../../datasets/tiny-model/generation_config.json")),
        ("tokenizer.json", include_bytes!("../../datasets/tiny-model/tokenizer.json")),
        ("tokenizer_config.json", include_bytes!("../../datasets/tiny-model/tokenizer_config.json")),
        ("model.safetensors", weights),
    ])
}
