//! The header of a safetensors file.

use std::io::Write;

use serde_json::{Map, Value, json};

/// A tensor as a header tells of it; the data follow in the order of the entries.
pub struct HeaderEntry {
    /// Its name.
    pub name: String,
    /// Its type, as safetensors write it: `BF16`, `U8`.
    pub dtype: &'static str,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Bytes of its data.
    pub bytes: usize,
}

/// Writes a header: its length, then JSON padded with spaces so that the data begin at a multiple of 8.
///
/// # Errors
/// When writing fails.
pub fn write_header(metadata: Value, tensors: impl IntoIterator<Item = HeaderEntry>, out: &mut dyn Write) -> std::io::Result<()> {
    let mut header = Map::new();
    header.insert("__metadata__".into(), metadata);
    let mut offset = 0;
    for HeaderEntry { name, dtype, shape, bytes } in tensors {
        header.insert(name, json!({"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + bytes]}));
        offset += bytes;
    }
    let mut text = Value::Object(header).to_string();
    while !text.len().is_multiple_of(8) {
        text.push(' ');
    }
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(text.as_bytes())
}
