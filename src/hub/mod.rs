//! Where models come from: the hub, a folder, a GGUF file, the program itself.

pub mod builtin;
pub mod chat;
pub mod gguf;
pub mod remote;

use std::path::{Path, PathBuf};

use self::remote::{Kind, Remote, plain_name};
use crate::error::Explain;

/// A model that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The text names no source.
    #[error("{0:?} is no model source: there is no such folder or file, and it does not begin with hf://")]
    Unknown(String),
    /// No model of this name is built in.
    #[error("there is no builtin model {0:?}; there are {names}", names = builtin::NAMES.join(", "))]
    Builtin(String),
    /// The part after hf:// is no repository.
    #[error("{0:?} is no repository of the hub")]
    Address(String),
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
            Self::Unknown(_) | Self::Address(_) => "unknown-source",
            Self::Builtin(_) => "unknown-builtin",
            Self::NoModel { .. } => "no-model",
        }
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Unknown(_) | Self::Address(_) => {
                "write hf://OWNER/NAME@COMMIT, a folder with config.json, tokenizer.json and model.safetensors, or a .gguf file".into()
            }
            Self::Builtin(_) => "write model: {aligned: builtin:tiny-aligned}".into(),
            Self::NoModel { .. } => "name a folder with config.json, tokenizer.json and model.safetensors in its place".into(),
        })
    }

    fn replaceable(&self) -> bool {
        matches!(self, Self::NoModel { .. })
    }
}

/// Where a model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A Hugging Face folder.
    Folder(PathBuf),
    /// A GGUF file.
    Gguf(PathBuf),
    /// A repository of the hub.
    Hub(Remote),
    /// A model inside the program, by its name.
    Builtin(String),
}

impl Source {
    /// Reads a source as it is written in a pipeline.
    ///
    /// # Errors
    /// When it is no source that is known, or the folder has no model.
    pub fn parse(text: &str) -> Result<Self, HubError> {
        if let Some(name) = text.strip_prefix("builtin:") {
            let known = builtin::files(name).is_some();
            return if known { Ok(Self::Builtin(name.into())) } else { Err(HubError::Builtin(name.into())) };
        }
        if let Some(address) = text.strip_prefix("hf://") {
            return remote(address).map(Self::Hub).ok_or_else(|| HubError::Address(text.into()));
        }
        let path = Path::new(text);
        if path.is_file() && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf")) {
            return Ok(Self::Gguf(path.to_path_buf()));
        }
        if !path.is_dir() {
            return Err(HubError::Unknown(text.into()));
        }
        match ["config.json", "tokenizer.json"].into_iter().find(|name| !path.join(name).is_file()) {
            Some(missing) => Err(HubError::NoModel { folder: path.to_path_buf(), missing }),
            None => Ok(Self::Folder(path.to_path_buf())),
        }
    }
}

/// The repository and the file of `hf://datasets/owner/name@revision/folder/file.jsonl`; the revision may not hold a slash.
pub fn dataset_file(text: &str) -> Option<(Remote, String)> {
    let address = text.strip_prefix("hf://datasets/")?;
    let mut parts = address.splitn(3, '/');
    let (owner, name, file) = (parts.next()?, parts.next()?, parts.next()?);
    let remote = remote(&format!("{owner}/{name}"))?;
    file.split('/').all(plain_name).then(|| (Remote { kind: Kind::Dataset, ..remote }, file.to_owned()))
}

/// `owner/name`, `owner/name@revision`.
fn remote(address: &str) -> Option<Remote> {
    let (repo, revision) = address.split_once('@').unwrap_or((address, "main"));
    let name =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) && !part.starts_with('.');
    let (owner, model) = repo.split_once('/')?;
    let good = name(owner) && name(model) && revision.split('/').all(name);
    good.then(|| Remote { kind: Kind::Model, repo: repo.into(), revision: revision.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_hub() {
        assert_eq!(remote("a/b@c1"), Some(Remote { kind: Kind::Model, repo: "a/b".into(), revision: "c1".into() }));
        assert_eq!(remote("a/b").map(|remote| remote.revision), Some("main".into()));
        let (found, file) = dataset_file("hf://datasets/a/b@c1/data/train.jsonl").unwrap_or_else(|| unreachable!());
        assert_eq!((found.repo.as_str(), found.revision.as_str(), file.as_str()), ("a/b", "c1", "data/train.jsonl"));
        for bad in ["hf://datasets/a/b@c1", "hf://datasets/a/b/../c", "hf://datasets/a/b//c", "hf://a/b/c"] {
            assert_eq!(dataset_file(bad), None, "{bad}");
        }
        for bad in ["a", "a/b/c", "../b", "a/..", "a/b@", "a/b@../x", "a/b@x?y", "a b/c"] {
            assert_eq!(remote(bad), None, "{bad}");
        }
    }
}
