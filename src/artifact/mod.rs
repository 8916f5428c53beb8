//! The files that a run leaves: atomic writes, digests, keys, the store of finished stages, the folders of runs.

pub mod answers;
pub mod digest;
pub mod folder;
pub mod map;
pub mod store;
pub mod write;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use crate::error::{Explain, shell_word};

/// What can go wrong with a run's own files.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// A file or folder could not be written, read or locked.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// `cannot write`, `cannot create`, `cannot lock`, `cannot read`.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A finished stage that cannot be read now.
    #[error("cannot read {}: {source}", path.display())]
    Unread {
        /// What could not be read.
        path: PathBuf,
        /// The stage's folder.
        entry: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A run uses the store.
    #[error("a run is at work in {}", store.display())]
    AtWork {
        /// The store.
        store: PathBuf,
    },
    /// Something is in the place of what is to be written.
    #[error("{} is there already", path.display())]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// A file that the program wrote does not hold what it wrote.
    #[error("{} is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, with both values.
        problem: String,
    },
}

impl ArtifactError {
    /// Wraps an I/O error with what was tried.
    pub fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

impl Explain for ArtifactError {
    fn code(&self) -> &'static str {
        match self {
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => "disk-full",
            Self::Io { .. } | Self::Unread { .. } => "file",
            Self::AtWork { .. } => "at-work",
            Self::Exists { .. } => "exists",
            Self::Damaged { .. } => "damaged-artifact",
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::Io { source, path, .. } => match source.kind() {
                std::io::ErrorKind::StorageFull => {
                    let folder = path.parent().unwrap_or(path);
                    Some(format!(
                        "free space on the disk of {}, then run the same command again: it goes on where it stopped",
                        folder.display()
                    ))
                }
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                    Some("choose a writable folder: --out NAME, or steadfast run FILE --runs FOLDER".into())
                }
                std::io::ErrorKind::NotADirectory | std::io::ErrorKind::AlreadyExists => {
                    Some("something is in the way: move it, or choose another folder: steadfast run FILE --runs FOLDER".into())
                }
                _ => None,
            },
            Self::Unread { entry, source, .. } => Some(match source.kind() {
                std::io::ErrorKind::PermissionDenied => {
                    format!(
                        "whoever made it can let you read it: chmod -R go+rX {}; or take a store of your own: --runs FOLDER",
                        shell_word(entry)
                    )
                }
                _ => format!("if that does not pass, have the stage made again: rm -r {}", shell_word(entry)),
            }),
            Self::Exists { .. } => Some("choose another name: --out NAME".into()),
            Self::AtWork { .. } => Some("wait until it has ended, then clean again".into()),
            Self::Damaged { path, .. } => Some(format!("remove it and run again: rm -r {}", shell_word(path))),
        }
    }
}
