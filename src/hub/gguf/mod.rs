//! GGUF files: read within the bounds of the file, and made into a Hugging Face folder once.
//!
//! Sources: the GGUF specification (github.com/ggml-org/ggml, docs/gguf.md); llama.cpp's naming of tensors and its
//! interleaved order of q and k rows.

mod blocks;
mod byte_level;
mod config;
mod container;
mod materialise;
mod reader;
mod sentencepiece;
mod tokenizer;

use std::path::PathBuf;

pub use self::container::Gguf;
pub use self::materialise::materialise;
pub use self::reader::Value;
use crate::error::Explain;

/// A GGUF file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is no GGUF file, it ends too early, or its parts contradict each other.
    #[error("{} is damaged or truncated: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Something in it that this program does not read.
    #[error("{}: {what} {found:?} is not supported; supported: {supported}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The kind of thing.
        what: &'static str,
        /// Its value.
        found: String,
        /// What would work.
        supported: &'static str,
    },
}

impl Explain for GgufError {
    fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "file",
            Self::Damaged { .. } => "damaged-gguf",
            Self::Unsupported { .. } => "unsupported-gguf",
        }
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Io { .. } => "check the path".into(),
            Self::Damaged { .. } => {
                "download or copy the file again, or name the model's safetensors (hf://OWNER/NAME@COMMIT) in its place".into()
            }
            Self::Unsupported { .. } => "name the model's safetensors (hf://OWNER/NAME@COMMIT) in its place".into(),
        })
    }

    fn replaceable(&self) -> bool {
        !matches!(self, Self::Io { .. })
    }
}
