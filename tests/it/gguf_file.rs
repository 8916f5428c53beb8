//! Writes small GGUF files. Source: the GGUF specification, version 3.

use std::path::Path;

/// What a GGUF file holds.
#[derive(Clone, Default)]
pub struct GgufFile {
    /// (key, type, bytes of the value).
    keys: Vec<(String, u32, Vec<u8>)>,
    /// (name, shape with the outermost side first, block type, bytes).
    tensors: Vec<(String, Vec<usize>, u32, Vec<u8>)>,
}

/// Hidden size of [`GgufFile::llama`].
const HIDDEN: usize = 8;

fn text_bytes(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

impl GgufFile {
    /// A random Llama of one layer for `rows` tokens, without a tokenizer.
    pub fn llama(rows: usize) -> Self {
        let mut file = Self::default();
        file.text("general.architecture", "llama");
        for (key, value) in [
            ("embedding_length", HIDDEN as u32),
            ("feed_forward_length", 12),
            ("block_count", 1),
            ("attention.head_count", 2),
            ("attention.head_count_kv", 1),
            ("context_length", 512),
        ] {
            file.whole(&format!("llama.{key}"), value);
        }
        file.number("llama.attention.layer_norm_rms_epsilon", 1e-5);
        file.number("llama.rope.freq_base", 10_000.0);
        let sides: [(&str, &[usize]); 11] = [
            ("token_embd", &[rows, HIDDEN]),
            ("blk.0.attn_norm", &[HIDDEN]),
            ("blk.0.attn_q", &[HIDDEN, HIDDEN]),
            ("blk.0.attn_k", &[HIDDEN / 2, HIDDEN]),
            ("blk.0.attn_v", &[HIDDEN / 2, HIDDEN]),
            ("blk.0.attn_output", &[HIDDEN, HIDDEN]),
            ("blk.0.ffn_norm", &[HIDDEN]),
            ("blk.0.ffn_gate", &[12, HIDDEN]),
            ("blk.0.ffn_up", &[12, HIDDEN]),
            ("blk.0.ffn_down", &[HIDDEN, 12]),
            ("output_norm", &[HIDDEN]),
        ];
        let mut state = 3u64;
        for (name, shape) in sides {
            let values = (0..shape.iter().product()).flat_map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let noise = ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * 0.15;
                if shape.len() == 1 { 1f32 } else { noise }.to_le_bytes()
            });
            file.tensor(&format!("{name}.weight"), shape, 0, values.collect());
        }
        file
    }

    fn put(&mut self, key: &str, kind: u32, value: Vec<u8>) {
        match self.keys.iter_mut().find(|(known, _, _)| known == key) {
            Some(known) => *known = (key.into(), kind, value),
            None => self.keys.push((key.into(), kind, value)),
        }
    }

    fn list(&mut self, key: &str, kind: u32, count: usize, items: Vec<u8>) {
        self.put(key, 9, [&kind.to_le_bytes()[..], &(count as u64).to_le_bytes(), &items].concat());
    }

    pub fn text(&mut self, key: &str, value: &str) {
        self.put(key, 8, text_bytes(value));
    }

    pub fn whole(&mut self, key: &str, value: u32) {
        self.put(key, 4, value.to_le_bytes().into());
    }

    pub fn number(&mut self, key: &str, value: f32) {
        self.put(key, 6, value.to_le_bytes().into());
    }

    pub fn flag(&mut self, key: &str, value: bool) {
        self.put(key, 7, vec![value.into()]);
    }

    pub fn texts(&mut self, key: &str, values: &[impl AsRef<str>]) {
        self.list(key, 8, values.len(), values.iter().flat_map(|value| text_bytes(value.as_ref())).collect());
    }

    pub fn numbers(&mut self, key: &str, values: &[f32]) {
        self.list(key, 6, values.len(), values.iter().flat_map(|value| value.to_le_bytes()).collect());
    }

    pub fn wholes(&mut self, key: &str, values: &[i32]) {
        self.list(key, 5, values.len(), values.iter().flat_map(|value| value.to_le_bytes()).collect());
    }

    pub fn tensor(&mut self, name: &str, shape: &[usize], kind: u32, bytes: Vec<u8>) {
        self.tensors.push((name.into(), shape.into(), kind, bytes));
    }

    /// Takes a key out, which must be there.
    pub fn without(&mut self, key: &str) {
        let before = self.keys.len();
        self.keys.retain(|(known, _, _)| known != key);
        assert_eq!(self.keys.len() + 1, before, "{key}");
    }

    /// The file, and where the tensors' data begins.
    pub fn bytes(&self) -> (Vec<u8>, usize) {
        let mut out = b"GGUF".to_vec();
        out.extend(3u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.keys.len() as u64).to_le_bytes());
        for (key, kind, value) in &self.keys {
            out.extend(text_bytes(key));
            out.extend(kind.to_le_bytes());
            out.extend(value);
        }
        let mut data = Vec::new();
        for (name, shape, kind, bytes) in &self.tensors {
            out.extend(text_bytes(name));
            out.extend((shape.len() as u32).to_le_bytes());
            shape.iter().rev().for_each(|&side| out.extend((side as u64).to_le_bytes()));
            out.extend(kind.to_le_bytes());
            data.resize(usize::next_multiple_of(data.len(), 32), 0);
            out.extend((data.len() as u64).to_le_bytes());
            data.extend(bytes);
        }
        out.resize(out.len().next_multiple_of(32), 0);
        let start = out.len();
        out.extend(data);
        (out, start)
    }

    pub fn write(&self, path: &Path) {
        std::fs::write(path, self.bytes().0).unwrap();
    }
}
