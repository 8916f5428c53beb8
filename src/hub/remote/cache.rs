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
        let Some(commit) = self.known_commit(access) else { return Ok(None) };
        let folder = cache.pointer_path(&commit);
        let mut names: Vec<String> = FILES[..2].iter().map(|&name| name.to_owned()).collect();
        let index = folder.join(INDEX);
        if index.is_file() && !folder.join(SINGLE).is_file() {
            if !sound(&index, access)? {
                return Ok(None);
            }
            match shards(&index) {
                Ok(shards) => names.extend(shards),
                Err(problem) if access.offline => return Err(RemoteError::Damaged { path: index, problem }.into()),
                Err(_) => {
                    let _ = fs::remove_file(&index);
                    return Ok(None);
                }
            }
        } else {
            names.push(SINGLE.into());
        }
        for &name in &FILES[2..] {
            if folder.join(name).is_file() {
                names.push(name.to_owned());
            } else if !access.offline && !self.absent(access, &commit, name).is_file() {
                // Another tool may have brought a part of the repository alone.
                return Ok(None);
            }
        }
        for name in names {
            if !sound(&folder.join(&name), access)? {
                return Ok(None);
            }
        }
        Ok(Some((folder, commit)))
    }

    /// The commit, where it is known without asking: a pinned one, or offline the one that the branch pointed to last.
    pub(super) fn known_commit(&self, access: &Access) -> Option<String> {
        if self.pinned() {
            return Some(self.revision.clone());
        }
        if !access.offline {
            return None;
        }
        let folder = Repo::new(self.repo.clone(), self.kind.repo_type()).folder_name();
        let commit = fs::read_to_string(access.cache.join(folder).join("refs").join(&self.revision)).ok()?;
        is_commit(commit.trim()).then(|| commit.trim().to_owned())
    }

    /// The mark of huggingface_hub's cache that a commit has no such file.
    pub(super) fn absent(&self, access: &Access, commit: &str, name: &str) -> PathBuf {
        let folder = Repo::new(self.repo.clone(), self.kind.repo_type()).folder_name();
        access.cache.join(folder).join(".no_exist").join(commit).join(name)
    }
}

/// Whether a file of the cache is there, with the content that its blob's name promises. A damaged one is removed, so that
/// it comes again; offline it is an error.
pub(super) fn sound(path: &Path, access: &Access) -> Result<bool, RemoteError> {
    let Ok(blob) = path.canonicalize() else { return Ok(false) };
    let promised = blob.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let hashed = [40, 64].contains(&promised.len()) && promised.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hashed {
        return Ok(true);
    }
    let found = content_hash(&blob, promised.len()).map_err(|source| RemoteError::Disk { path: blob.clone(), source })?;
    if found == promised {
        return Ok(true);
    }
    if access.offline {
        let what = if promised.len() == 64 { "sha256" } else { "git hash" };
        let problem = format!("its {what} is {found}, its name promises {promised}");
        return Err(RemoteError::Damaged { path: blob, problem });
    }
    let _ = fs::remove_file(&blob);
    Ok(false)
}

pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The shard files that an index names, each a plain file name; or what is wrong with it.
pub(super) fn shards(index: &Path) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(index).map_err(|error| error.to_string())?;
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let map = json["weight_map"].as_object().ok_or("it has no weight_map")?;
    let mut names: Vec<String> = map.values().filter_map(|name| name.as_str()).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    match names.iter().find(|name| !plain_name(name) || !name.ends_with(".safetensors")) {
        Some(bad) => Err(format!("{bad:?} is no name of a safetensors file")),
        None => Ok(names),
    }
}

/// A file name without a way out of its folder.
pub(crate) fn plain_name(name: &str) -> bool {
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
