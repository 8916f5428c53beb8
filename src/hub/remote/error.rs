//! What can go wrong between here and the hub.

use std::path::PathBuf;

use crate::error::Explain;

/// A model that cannot be had from the hub.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Offline, and the cache lacks a file.
    #[error("{repo}@{revision} is not in the cache {}, and no request is made offline", cache.display())]
    Offline {
        /// `owner/name`.
        repo: String,
        /// As written.
        revision: String,
        /// The cache.
        cache: PathBuf,
    },
    /// The hub does not let this user have it.
    #[error("{repo} is gated or private: the hub answered {status}{}", if *token { ", although a token was sent" } else { "" })]
    Denied {
        /// `owner/name`.
        repo: String,
        /// 401 or 403.
        status: u16,
        /// Whether a token was sent.
        token: bool,
    },
    /// There is no such repository, revision or file.
    #[error("the hub has no {what} in {repo}@{revision}")]
    Missing {
        /// `owner/name`.
        repo: String,
        /// As written.
        revision: String,
        /// A file, or `model of this name and revision`.
        what: String,
    },
    /// The hub or the way to it failed, several times.
    #[error("{url}: {problem}, after {tries} tries")]
    Failed {
        /// What was asked for.
        url: String,
        /// The last answer.
        problem: String,
        /// How often.
        tries: u32,
    },
    /// What came is not what the hub lists.
    #[error("{file} of {repo}: {what} is {found}, the hub lists {expected}")]
    Mismatch {
        /// `owner/name`.
        repo: String,
        /// The file.
        file: String,
        /// `size`, `sha256` or `git hash`.
        what: &'static str,
        /// What came.
        found: String,
        /// What was announced.
        expected: String,
    },
    /// The hub's answer makes no sense.
    #[error("{url} answered something that is no model listing: {problem}")]
    Answer {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The cache cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl Explain for RemoteError {
    fn code(&self) -> &'static str {
        match self {
            Self::Offline { .. } => "offline",
            Self::Denied { .. } => "gated",
            Self::Missing { .. } => "not-on-hub",
            Self::Failed { .. } | Self::Answer { .. } => "hub",
            Self::Mismatch { .. } => "hash-mismatch",
            Self::Disk { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => "disk-full",
            Self::Disk { .. } => "file",
        }
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Offline { .. } => {
                "run once without --offline (and without HF_HUB_OFFLINE), or give what you have: --set model.base=FOLDER, --set finetune.data=FILE".into()
            }
            Self::Denied { repo, .. } => {
                format!("accept its terms on https://huggingface.co/{repo}, then export HF_TOKEN=<a token of yours that may read it>")
            }
            Self::Missing { .. } => "check owner, name, commit and file: hf://OWNER/NAME@COMMIT, hf://datasets/OWNER/NAME@COMMIT/FILE".into(),
            Self::Failed { .. } | Self::Answer { .. } => {
                "run it again: what has come is kept; or give what you have: --set model.base=FOLDER, --set finetune.data=FILE".into()
            }
            Self::Mismatch { .. } => {
                "run it again: the file that came was thrown away; if it happens twice, do not trust this server".into()
            }
            Self::Disk { .. } => "make room, or put the cache elsewhere: export HF_HOME=FOLDER".into(),
        })
    }
}
