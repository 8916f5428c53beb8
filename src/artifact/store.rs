//! The store of finished stages: one folder a key, whole or not there, shared between runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::ArtifactError;
use super::answers::Answers;
use super::digest::{Key, sha256_file};
use super::write::{create_folder, sync_folder, write_bytes};

/// The file that says what an entry holds; written last.
const MANIFEST: &str = "manifest.json";

/// Locked by everybody who uses the store, together, and by a sweep alone.
const AT_WORK: &str = "at-work.lock";

/// The folder of answers, which no sweep of stages touches.
const ANSWERS: &str = "answers";

/// The ending of what a sweep is removing.
const GOING: &str = "going";

/// Where finished stages live: `runs/.store`.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    /// Held from the first stage on, so that no sweep takes what this run has not told of yet.
    at_work: OnceLock<File>,
}

/// A finished stage's files.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The folder with the files.
    pub folder: PathBuf,
    /// How long the stage took when it was carried out, in seconds.
    pub seconds: f64,
}

/// A stage's place while it works: its files are written here, and survive a crash so that it can resume.
#[derive(Debug)]
pub struct Workplace {
    /// The folder for the files.
    pub folder: PathBuf,
    target: PathBuf,
    /// Held while the stage works, so that a second run of it waits.
    _lock: File,
}

/// Where a stage stands in the store.
pub enum Place {
    /// Finished earlier; its files were checked.
    Finished(Entry),
    /// To be carried out, or gone on with, in this folder.
    Open(Workplace),
}

/// What a sweep did, or with `dry` would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// What was removed.
    pub stages: usize,
    /// Its bytes.
    pub bytes: u64,
    /// What no record names and stayed, since an interrupted run may go on from it.
    pub held: usize,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    stage: String,
    key: String,
    seconds: f64,
    files: BTreeMap<String, FileFacts>,
}

#[derive(Serialize, Deserialize, PartialEq)]
struct FileFacts {
    bytes: u64,
    sha256: String,
}

impl Store {
    /// The store in this folder, which is made when it is first written to.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), at_work: OnceLock::new() }
    }

    /// The folder of the store.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A folder inside the store that outlives stages (materialised models).
    pub fn shared_folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Answers of endpoints. Sweeps wait from now on.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn answers(&self) -> Result<Answers, ArtifactError> {
        create_folder(&self.root)?;
        self.work()?;
        Ok(Answers::new(self.root.join(ANSWERS)))
    }

    /// Removes every answer of [`Self::answers`], and returns how many and their bytes; with `dry` nothing is removed.
    ///
    /// # Errors
    /// When a run is at work, or an answer cannot be removed.
    pub fn forget_answers(&self, dry: bool) -> Result<(usize, u64), ArtifactError> {
        let folder = self.root.join(ANSWERS);
        if !folder.is_dir() {
            return Ok((0, 0));
        }
        let _alone = self.alone()?;
        let (mut answers, mut bytes) = (0, 0);
        for file in files_below(&folder)? {
            bytes += fs::metadata(&file).map_err(ArtifactError::io("cannot read", &file))?.len();
            answers += 1;
            if !dry {
                fs::remove_file(&file).map_err(ArtifactError::io("cannot remove", &file))?;
            }
        }
        Ok((answers, bytes))
    }

    /// The lock of a sweep.
    fn alone(&self) -> Result<File, ArtifactError> {
        let at_work = self.root.join(AT_WORK);
        let lock = File::create(&at_work).map_err(ArtifactError::io("cannot create", &at_work))?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(_) => Err(ArtifactError::AtWork { store: self.root.clone() }),
        }
    }

    /// Tells sweeps that somebody is at work; waits while one sweeps.
    fn work(&self) -> Result<(), ArtifactError> {
        if self.at_work.get().is_none() {
            let path = self.root.join(AT_WORK);
            let lock = File::create(&path).map_err(ArtifactError::io("cannot create", &path))?;
            lock.lock_shared().map_err(ArtifactError::io("cannot lock", &path))?;
            let _ = self.at_work.set(lock);
        }
        Ok(())
    }

    /// The finished result of a key, or the place to make it in. Waits while another process makes it.
    /// An entry whose files were changed or are missing is removed and made again.
    ///
    /// # Errors
    /// When the store cannot be written, or an entry that is there cannot be read.
    pub fn open(&self, key: &Key) -> Result<Place, ArtifactError> {
        create_folder(&self.root)?;
        self.work()?;
        let target = self.root.join(key.to_string());
        if let Some(entry) = finished(&target)? {
            return Ok(Place::Finished(entry));
        }
        let lock_path = self.root.join(format!("{key}.lock"));
        let lock = File::create(&lock_path).map_err(ArtifactError::io("cannot create", &lock_path))?;
        lock.lock().map_err(ArtifactError::io("cannot lock", &lock_path))?;
        // Another process may have finished it while this one waited.
        if let Some(entry) = finished(&target)? {
            return Ok(Place::Finished(entry));
        }
        if target.exists() {
            fs::remove_dir_all(&target).map_err(ArtifactError::io("cannot remove", &target))?;
        }
        let folder = self.root.join(format!("{key}.open"));
        create_folder(&folder)?;
        Ok(Place::Open(Workplace { folder, target, _lock: lock }))
    }

    /// Removes the entries that are not in `used`, which is asked when no run is at work. Workplaces, and while there are any the entries
    /// that an interrupted run may go on from, go with `unfinished` alone. With `dry` nothing is removed.
    ///
    /// # Errors
    /// When a run is at work, whose stages no record names yet, an entry cannot be read or removed, or `used` fails.
    pub fn sweep<E: From<ArtifactError>>(
        &self,
        used: impl FnOnce() -> Result<BTreeSet<String>, E>,
        unfinished: bool,
        dry: bool,
    ) -> Result<Swept, E> {
        let mut swept = Swept::default();
        if !self.root.is_dir() {
            return Ok(swept);
        }
        let _alone = self.alone()?;
        let used = used()?;
        let entries = self.entries()?;
        // The record of an interrupted run, which would name its finished stages, is not written.
        let interrupted = entries.iter().any(|(_, state, _)| state == "open");
        for (key, state, path) in entries {
            if state.is_empty() && used.contains(&key) {
                continue;
            }
            if state != GOING && interrupted && !unfinished {
                swept.held += 1;
                continue;
            }
            for file in files_below(&path)? {
                swept.bytes += fs::metadata(&file).map_err(ArtifactError::io("cannot read", &file))?.len();
            }
            swept.stages += 1;
            if !dry {
                // Out of sight first: an entry that is half removed is none.
                let going = self.root.join(format!("{key}.{GOING}"));
                if path != going {
                    fs::rename(&path, &going).map_err(ArtifactError::io("cannot remove", &path))?;
                }
                fs::remove_dir_all(&going).map_err(ArtifactError::io("cannot remove", &going))?;
            }
        }
        Ok(swept)
    }

    /// Key, state and folder of entries, workplaces and what earlier sweeps were killed over. These come first, since they are in the way.
    fn entries(&self) -> Result<Vec<(String, String, PathBuf)>, ArtifactError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(ArtifactError::io("cannot read", &self.root))? {
            let path = entry.map_err(ArtifactError::io("cannot read", &self.root))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let (key, state) = name.split_once('.').unwrap_or((name.as_str(), ""));
            let is_key = key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_key && ["", "open", GOING].contains(&state) && path.is_dir() {
                found.push((key.to_owned(), state.to_owned(), path));
            }
        }
        found.sort_by_key(|(_, state, _)| state != GOING);
        Ok(found)
    }
}

impl Workplace {
    /// Declares the stage finished: every file of the folder but resume checkpoints (`checkpoint*`) belongs to the result.
    ///
    /// # Errors
    /// When the store cannot be written; the workplace then stays for the next run.
    pub fn finish(self, stage: &str, key: &Key, seconds: f64) -> Result<Entry, ArtifactError> {
        let mut files = BTreeMap::new();
        for path in files_below(&self.folder)? {
            let name = path.strip_prefix(&self.folder).unwrap_or(&path).to_string_lossy().into_owned();
            // Left by a process that was killed while it wrote.
            let unfinished = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".writing-"));
            if name.starts_with("checkpoint") || unfinished {
                if path.is_file() {
                    fs::remove_file(&path).map_err(ArtifactError::io("cannot remove", &path))?;
                }
                continue;
            }
            files.insert(name, facts(&path)?);
        }
        let manifest = Manifest { stage: stage.into(), key: key.to_string(), seconds, files };
        let text = serde_json::to_string_pretty(&manifest).unwrap_or_default();
        write_bytes(&self.folder.join(MANIFEST), text.as_bytes())?;
        fs::rename(&self.folder, &self.target).map_err(ArtifactError::io("cannot write", &self.target))?;
        if let Some(root) = self.target.parent() {
            sync_folder(root)?;
        }
        Ok(Entry { folder: self.target, seconds })
    }
}

/// The entry, when its manifest is there and every file is as it was written.
fn finished(target: &Path) -> Result<Option<Entry>, ArtifactError> {
    let path = target.join(MANIFEST);
    let unread = |path: PathBuf| move |source| ArtifactError::Unread { path, entry: target.to_path_buf(), source };
    let Some(text) = if_there(fs::read(&path)).map_err(unread(path))? else { return Ok(None) };
    let Ok(manifest) = serde_json::from_slice::<Manifest>(&text) else { return Ok(None) };
    for (name, expected) in &manifest.files {
        let path = target.join(name);
        let found = if_there(fs::metadata(&path)).map_err(unread(path.clone()))?;
        if !found.is_some_and(|found| found.is_file()) || facts(&path)? != *expected {
            return Ok(None);
        }
    }
    Ok(Some(Entry { folder: target.to_path_buf(), seconds: manifest.seconds }))
}

/// What was read; none where nothing is. What cannot be read now may be whole all the same, and is no reason to make it again.
fn if_there<T>(read: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn facts(path: &Path) -> Result<FileFacts, ArtifactError> {
    let bytes = fs::metadata(path).map_err(ArtifactError::io("cannot read", path))?.len();
    Ok(FileFacts { bytes, sha256: sha256_file(path)? })
}

/// Every file below a folder, sorted.
///
/// # Errors
/// When a folder cannot be read.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>, ArtifactError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(ArtifactError::io("cannot read", folder))? {
        let path = entry.map_err(ArtifactError::io("cannot read", folder))?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
