//! Where models come from.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::Explain;

/// A model that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The text names no source.
    #[error("{0:?} is no model source that this version reads; it reads a Hugging Face folder")]
    Unknown(String),
    /// The folder lacks a file.
    #[error("{} is no model folder: it has no {missing}", folder.display())]
    NoModel {
        /// The folder.
        folder: PathBuf,
        /// The file.
        missing: &'static str,
    },
}

impl Explain for HubError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "unknown-source",
            Self::NoModel { .. } => "no-model",
        }
    }

    fn remedy(&self) -> Option<String> {
        Some("give a folder with config.json, tokenizer.json and model.safetensors: --set model.base=FOLDER".into())
    }
}

/// Where a model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A Hugging Face folder.
    Folder(PathBuf),
}

impl Source {
    /// Reads a source as it is written in a pipeline.
    ///
    /// # Errors
    /// When it is no source that is known.
    pub fn parse(text: &str) -> Result<Self, HubError> {
        let path = Path::new(text);
        if path.is_dir() { Ok(Self::Folder(path.to_path_buf())) } else { Err(HubError::Unknown(text.into())) }
    }

    /// The model's folder, with what a model needs.
    ///
    /// # Errors
    /// When a file is missing.
    pub fn folder(&self) -> Result<&Path, HubError> {
        let Self::Folder(folder) = self;
        for missing in ["config.json", "tokenizer.json"] {
            if !folder.join(missing).is_file() {
                return Err(HubError::NoModel { folder: folder.clone(), missing });
            }
        }
        Ok(folder)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Folder(folder) = self;
        write!(f, "{}", folder.display())
    }
}
