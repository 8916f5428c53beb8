//! Digests of bytes, and keys of everything that made them.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};
use std::time::SystemTime;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::ArtifactError;

/// Hexadecimal sha256 of bytes.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What identifies an unchanged file: where it is, how long, when written.
type Stamp = (PathBuf, u64, SystemTime);

/// Digests of this process, by the file's stamp, so that a model of gigabytes is read once.
static REMEMBERED: LazyLock<Mutex<HashMap<Stamp, String>>> = LazyLock::new(Mutex::default);

/// Hexadecimal sha256 of a file, streamed; remembered by (path, size, mtime) within the process.
///
/// # Errors
/// When the file cannot be read.
pub fn sha256_file(path: &Path) -> Result<String, ArtifactError> {
    let read = || ArtifactError::io("cannot read", path);
    let mut file = std::fs::File::open(path).map_err(read())?;
    let meta = file.metadata().map_err(read())?;
    let stamp = meta.modified().ok().map(|modified| (path.to_path_buf(), meta.len(), modified));
    let mut remembered = REMEMBERED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(digest) = stamp.as_ref().and_then(|stamp| remembered.get(stamp)) {
        return Ok(digest.clone());
    }
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 1 << 20];
    loop {
        match file.read(&mut chunk).map_err(read())? {
            0 => break,
            n => hasher.update(&chunk[..n]),
        }
    }
    let digest = hex(&hasher.finalize());
    if let Some(stamp) = stamp {
        remembered.insert(stamp, digest.clone());
    }
    Ok(digest)
}

/// The key of a stage's result: sha256 of everything that made it, never of names or output paths.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(String);

impl Key {
    /// The key of a stage of this version, made from these parts (each already free of names and paths).
    pub fn new(stage: &str, version: u32, parts: &impl Serialize) -> Self {
        // Struct fields and vectors have one order each, so the text is canonical.
        let text = serde_json::to_string(parts).unwrap_or_else(|error| format!("unserialisable: {error}"));
        Self(sha256(format!("{stage}\n{version}\n{text}").as_bytes()))
    }

    /// The first eight characters, for people.
    pub fn short(&self) -> &str {
        &self.0[..8]
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
