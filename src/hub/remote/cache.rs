//! The standard cache on disk: what is there already, and whether its content is what its name promises.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use hf_hub::{CacheRepo, Repo};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::{Access, FILES, INDEX, Remote, RemoteError, SINGLE};
use crate::artifact::digest::hex;
use crate::error::Failure;

impl Remote {
    /// The snapshot, where every file that a model needs is there with the content that its name in the cache promises.
    /// A branch is looked up only offline: online the hub says where it points.
    pub(super) fn cached(&self, cache: &CacheRepo, access: &Access) -> Result<Option<(PathBuf, String)>, Failure> {
        let commit = if self.pinned() {
            self.revision.clone()
        } else if access.offline {
            let reference = access.cache.join(Repo::model(self.repo.clone()).folder_name()).join("refs").join(&self.revision);
            match fs::read_to_string(reference) {
                Ok(commit) if is_commit(commit.trim()) => commit.trim().to_owned(),
                _ => return Ok(None),
            }
        } else {
            return Ok(None);
        };
        let folder = cache.pointer_path(&commit);
        let mut names: Vec<String> = FILES[..2].iter().map(|&name| name.to_owned()).collect();
        let index = folder.join(INDEX);
        if index.is_file() && !folder.join(SINGLE).is_file() {
            names.extend(shards(&index)?);
        } else {
            names.push(SINGLE.into());
        }
        names.extend(FILES[2..].iter().filter(|name| folder.join(name).is_file()).map(|&name| name.to_owned()));
        for name in names {
            let path = folder.join(&name);
            let Ok(blob) = path.canonicalize() else { return Ok(None) };
            let promised = blob.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let hashed = [40, 64].contains(&promised.len()) && promised.bytes().all(|byte| byte.is_ascii_hexdigit());
            if hashed && content_hash(&blob, promised.len()).map_err(|source| RemoteError::Disk { path: blob.clone(), source })? != promised
            {
                if access.offline {
                    let what = if promised.len() == 64 { "sha256" } else { "git hash" };
                    let found = content_hash(&blob, promised.len()).unwrap_or_default();
                    return Err(RemoteError::Mismatch { repo: self.repo.clone(), file: name, what, found, expected: promised }.into());
                }
                let _ = fs::remove_file(&blob);
                return Ok(None);
            }
        }
        Ok(Some((folder, commit)))
    }
}

pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The shard files that an index names, each a plain file name.
pub(super) fn shards(index: &Path) -> Result<Vec<String>, RemoteError> {
    let answer = |problem: String| RemoteError::Answer { url: index.display().to_string(), problem };
    let text = fs::read_to_string(index).map_err(|source| RemoteError::Disk { path: index.into(), source })?;
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| answer(error.to_string()))?;
    let map = json["weight_map"].as_object().ok_or_else(|| answer("it has no weight_map".into()))?;
    let mut names: Vec<String> = map.values().filter_map(|name| name.as_str()).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    match names.iter().find(|name| !plain_name(name) || !name.ends_with(".safetensors")) {
        Some(bad) => Err(answer(format!("{bad:?} is no name of a safetensors file"))),
        None => Ok(names),
    }
}

/// A file name without a way out of its folder.
fn plain_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// sha256 (64 characters) or git's blob hash (40) of a file.
pub(super) fn content_hash(path: &Path, length: usize) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    if length == 64 {
        let mut digest = Sha256::new();
        std::io::copy(&mut file, &mut digest)?;
        return Ok(hex(&digest.finalize()));
    }
    let mut digest = Sha1::new();
    digest.update(format!("blob {}\0", file.metadata()?.len()));
    std::io::copy(&mut file, &mut digest)?;
    Ok(hex(&digest.finalize()))
}
