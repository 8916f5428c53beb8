//! Answers that cost a request: one small file each, kept in the store until `steadfast clean --answers`.

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ArtifactError;
use super::digest::Key;
use super::write::write_bytes;

/// The folder of the answers, inside the store.
#[derive(Debug, Clone)]
pub struct Answers {
    folder: PathBuf,
}

impl Answers {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The answer of a key; none where it is not there, or is not what was written.
    pub fn get<T: DeserializeOwned>(&self, key: &Key) -> Option<T> {
        let text = std::fs::read_to_string(self.path(key)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Keeps an answer; one that is there is replaced.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn put(&self, key: &Key, answer: &impl Serialize) -> Result<(), ArtifactError> {
        let text = serde_json::to_string(answer).unwrap_or_default();
        write_bytes(&self.path(key), text.as_bytes())
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(format!("{key}.json"))
    }
}
