//! A real aligned model through the same code: SmolLM2-135M-Instruct as a Hugging Face folder.

use steadfast::data::example::encode;
use steadfast::data::rows::{Message, Row};
use steadfast::data::template::DATE;
use steadfast::data::tokenizer::TextModel;
use steadfast::model::backend::cpu::Cpu;
use steadfast::model::config::ModelConfig;
use steadfast::model::decoder::Decoder;
use steadfast::model::generate::{Sampling, generate};
use steadfast::model::weights::Weights;

fn folder() -> std::path::PathBuf {
    crate::from_env("STEADFAST_SMOLLM2", "a Hugging Face folder with SmolLM2-135M-Instruct")
}

fn message(role: &str, content: &str) -> Message {
    Message { role: role.into(), content: content.into() }
}

/// Facts about the published tokenizer.
const ENCODINGS: [(&str, &[u32]); 9] = [
    ("Hello world!", &[19556, 905, 17]),
    (" leading space", &[2899, 1898]),
    ("I can't help with that.", &[57, 416, 982, 724, 351, 338, 30]),
    ("2024-12-31 12:00", &[34, 32, 34, 36, 29, 33, 34, 29, 35, 33, 216, 33, 34, 42, 32, 32]),
    (
        "naïve café — ünïcödé 你好 🙂",
        &[3546, 46494, 37366, 1841, 5549, 137, 94, 25972, 83, 7466, 84, 2756, 216, 18645, 250, 48392, 138, 47526],
    ),
    ("<|im_start|>user\nHi<|im_end|>\n", &[1, 4093, 198, 26843, 2, 198]),
    ("def f(x):\n\treturn x**2\n", &[1604, 275, 24, 104, 727, 198, 197, 5406, 1792, 828, 34, 198]),
    ("    four spaces", &[333, 1876, 5600]),
    ("I'm sorry, but I can't assist with that.", &[57, 5248, 22657, 28, 564, 339, 416, 982, 4237, 351, 338, 30]),
];

#[test]
fn tokens_are_the_published_tokenizers() {
    let rebuilt = tempfile::tempdir().unwrap();
    let gguf = crate::from_env("STEADFAST_SMOLLM2_GGUF", "the GGUF file that the folder was made from");
    steadfast::hub::gguf::materialise(&gguf, false, rebuilt.path()).unwrap();
    for folder in [folder().as_path(), rebuilt.path()] {
        let text = TextModel::from_folder(folder, DATE).unwrap();
        for (string, ids) in ENCODINGS {
            let got: Vec<u32> = text.encode(string).unwrap().into_iter().map(|(id, _)| id).collect();
            assert_eq!(got, ids, "{string:?}, {}", folder.display());
        }
    }
}

#[test]
fn only_the_reply_and_its_end_are_learnt() {
    let text = TextModel::from_folder(&folder(), DATE).unwrap();
    let row = Row {
        id: "a".into(),
        number: 1,
        messages: vec![
            message("user", "Naïve 🙂?"),
            message("assistant", "Yes, café."),
            message("user", "More"),
            message("assistant", "No."),
        ],
        fields: Default::default(),
        lists: Default::default(),
    };
    let encoded = encode(&text, &[row], 512).unwrap();
    let example = &encoded.examples[0];
    let learnt: Vec<u32> = example.tokens.iter().zip(&example.supervised).filter(|(_, learn)| **learn).map(|(id, _)| *id).collect();
    let expected: Vec<u32> = text.encode("Yes, café.<|im_end|>No.<|im_end|>").unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(learnt, expected);
}

#[test]
fn greedy_replies_are_the_reference_ones() {
    let folder = folder();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let config = ModelConfig::from_json(&read("config.json"), Some(&read("generation_config.json"))).unwrap();
    let weights = Weights::open(&folder).unwrap();
    weights.bind(&config).unwrap();
    let text = TextModel::from_folder(&folder, DATE).unwrap();
    let prompts: Vec<Vec<u32>> = ["What is the capital of France?", "What is 2+2?"]
        .iter()
        .map(|prompt| text.encode_prompt(&[message("user", prompt)], "").unwrap())
        .collect();
    assert_eq!(prompts[0].len(), 37);
    let sampling = Sampling { max_new_tokens: 24, temperature: 0.0, top_p: 1.0, seed: 0, end_tokens: config.end_tokens.clone() };
    let mut decoder = Decoder::new(config, Cpu::default(), |spec| weights.widened(&spec.name)).unwrap();
    let replies = generate(&mut decoder, &prompts, &sampling, 2, &mut |_, _| {}).unwrap();
    assert_eq!(text.decode(&replies[0].tokens).unwrap(), "The capital of France is Paris.");
    assert_eq!(replies[0].tokens, [504, 3575, 282, 4649, 314, 7042, 30]);
    assert_eq!(replies[1].tokens, [504, 2988, 288, 451, 8170, 4119, 1732, 314, 216, 36, 30]);
    assert!(replies.iter().all(|reply| reply.ended));
}
