//! What can go wrong between here and the hub.

use std::path::PathBuf;

use super::Kind;
use crate::error::{Explain, shell_word};

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
    #[error("{repo} is {}: the hub answered {status}{}", meant(*status, *token), if *token { ", although a token was sent" } else { "" })]
    Denied {
        /// What it holds.
        kind: Kind,
        /// `owner/name`.
        repo: String,
        /// 401 or 403.
        status: u16,
        /// Whether a token was sent.
        token: bool,
    },
    /// The token cannot be sent.
    #[error("the token for the hub, from HF_TOKEN or the token file, has a character that no header may have")]
    BadToken,
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
    /// A file of the cache is not what it was.
    #[error("{} is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
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

/// What 401 and 403 can mean: with 401 the hub tells nobody apart who may not read, and what is not there.
fn meant(status: u16, token: bool) -> &'static str {
    match (status, token) {
        (401, true) => "gated, private or not there, or the token is not valid",
        (401, false) => "gated, private or not there",
        _ => "gated or private",
    }
}

impl Explain for RemoteError {
    fn code(&self) -> &'static str {
        match self {
            Self::Offline { .. } => "offline",
            Self::Denied { .. } => "gated",
            Self::BadToken => "hub-token",
            Self::Missing { .. } => "not-on-hub",
            Self::Failed { .. } | Self::Answer { .. } => "hub",
            Self::Mismatch { .. } => "hash-mismatch",
            Self::Damaged { .. } => "damaged-cache",
            Self::Disk { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => "disk-full",
            Self::Disk { .. } => "file",
        }
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Offline { .. } => {
                "run once without --offline (and without HF_HUB_OFFLINE), or name what you have on this machine in its place".into()
            }
            Self::Denied { kind, repo, status, token } => {
                let page = format!("https://huggingface.co/{}{repo}", kind.prefix());
                let terms = format!("accept its terms on {page}, then export HF_TOKEN=<a token of yours that may read it>");
                match (status, token) {
                    (401, true) => format!(
                        "check the name; an open one comes without a token, which may have expired: unset HF_TOKEN, or hf auth logout; a gated one: {terms}"
                    ),
                    (401, false) => format!("check the name; a gated one: {terms}"),
                    _ => terms,
                }
            }
            Self::BadToken => "set it again, without spaces or line breaks: export HF_TOKEN=TOKEN".into(),
            Self::Missing { .. } => {
                "check owner, name, commit and file: hf://OWNER/NAME@COMMIT, hf://datasets/OWNER/NAME@COMMIT/FILE; what is private the hub shows only to a token that may read it: export HF_TOKEN=TOKEN".into()
            }
            Self::Failed { .. } | Self::Answer { .. } => {
                "run it again: what has come is kept; or name what you have on this machine in its place".into()
            }
            Self::Mismatch { .. } => {
                "run it again: the file that came was thrown away; if it happens twice, do not trust this server".into()
            }
            Self::Damaged { path, .. } => {
                format!("remove it, and a run without --offline (and without HF_HUB_OFFLINE) brings it again: rm {}", shell_word(path))
            }
            Self::Disk { .. } => "make room, or put the cache elsewhere: export HF_HOME=FOLDER".into(),
        })
    }

    fn replaceable(&self) -> bool {
        matches!(self, Self::Offline { .. } | Self::Failed { .. } | Self::Answer { .. })
    }
}
