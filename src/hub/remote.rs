//! Models from the Hugging Face hub: the standard cache on disk, every file's size and content hash verified.
//!
//! Sources: the hub's HTTP interface (huggingface.co/docs/hub/api) and its cache layout
//! (huggingface.co/docs/huggingface_hub/guides/manage-cache). hf-hub gives the layout and the environment; the transfer is
//! ours, since hf-hub compares neither size nor hash with what the hub lists.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hf_hub::{Cache, CacheRepo, Repo, RepoType};
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::artifact::digest::hex;
use crate::artifact::write::create_folder;
use crate::error::{Explain, Failure};
use crate::event::{Event, Listener};

/// How the hub is reached.
#[derive(Clone)]
pub struct Access {
    /// `https://huggingface.co`, or another server that speaks its interface.
    pub endpoint: String,
    /// The folder of the cache: `…/huggingface/hub`.
    pub cache: PathBuf,
    /// Sent to the endpoint's host alone, never written anywhere.
    pub token: Option<String>,
    /// No request is made.
    pub offline: bool,
    /// The first pause before a request is tried again; it doubles each time.
    pub pause: Duration,
}

impl Access {
    /// From `HF_ENDPOINT`, `HF_HUB_CACHE`, `HF_HOME`, `HF_TOKEN` (or the token file) and `HF_HUB_OFFLINE`.
    pub fn from_environment(offline: bool) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let home = Cache::from_env();
        let cache = variable("HF_HUB_CACHE").map_or_else(|| home.path().clone(), PathBuf::from);
        let on = |value: String| matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on");
        Self {
            endpoint: variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into()).trim_end_matches('/').to_owned(),
            token: variable("HF_TOKEN").or_else(|| home.token()),
            cache,
            offline: offline || variable("HF_HUB_OFFLINE").is_some_and(on),
            pause: Duration::from_millis(500),
        }
    }
}

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
                "run once without --offline (and without HF_HUB_OFFLINE), or give a folder: --set model.base=FOLDER".into()
            }
            Self::Denied { repo, .. } => {
                format!("accept its terms on https://huggingface.co/{repo}, then export HF_TOKEN=<a token of yours that may read it>")
            }
            Self::Missing { .. } => "check owner, name and commit: hf://OWNER/NAME@COMMIT".into(),
            Self::Failed { .. } | Self::Answer { .. } => {
                "run it again: what has come is kept; or give a folder: --set model.base=FOLDER".into()
            }
            Self::Mismatch { .. } => {
                "run it again: the file that came was thrown away; if it happens twice, do not trust this server".into()
            }
            Self::Disk { .. } => "make room, or put the cache elsewhere: export HF_HOME=FOLDER".into(),
        })
    }
}

/// A repository at a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// `owner/name`.
    pub repo: String,
    /// A commit, a branch or a tag.
    pub revision: String,
}

/// The files that make a model, beside its weights; the first two must be there.
const FILES: [&str; 6] =
    ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja", "chat_template.json"];
const INDEX: &str = "model.safetensors.index.json";
const SINGLE: &str = "model.safetensors";
/// A listing, or a JSON file, is never larger than this.
const LARGEST_TEXT: u64 = 64 << 20;
const TRIES: u32 = 5;

#[derive(Deserialize)]
struct Listing {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

impl Remote {
    /// Whether the revision is a commit, which cannot change.
    pub fn pinned(&self) -> bool {
        is_commit(&self.revision)
    }

    /// The folder with the model's files, downloaded where they are not in the cache, and its commit.
    ///
    /// # Errors
    /// When it cannot be had, or is not what the hub lists.
    pub fn snapshot(&self, access: &Access, listener: Listener<'_>) -> Result<(PathBuf, String), Failure> {
        let cache = Cache::new(access.cache.clone()).repo(Repo::with_revision(self.repo.clone(), RepoType::Model, self.revision.clone()));
        if let Some(found) = self.cached(&cache, access)? {
            return Ok(found);
        }
        if access.offline {
            let (repo, revision) = (self.repo.clone(), self.revision.clone());
            return Err(RemoteError::Offline { repo, revision, cache: access.cache.clone() }.into());
        }
        let hub = Hub { remote: self, access, listener, agent: agent() };
        let listing = hub.listing()?;
        let disk = |path: &Path, source| RemoteError::Disk { path: path.into(), source };
        let find = |name: &str| listing.siblings.iter().find(|sibling| sibling.rfilename == name);
        for name in FILES {
            match find(name) {
                Some(sibling) => drop(hub.bring(sibling, &cache, &listing.sha)?),
                None if name == "config.json" || name == "tokenizer.json" => return Err(self.missing(name).into()),
                None => {}
            }
        }
        let weights = match (find(SINGLE), find(INDEX)) {
            (Some(single), _) => vec![single],
            (None, Some(index)) => {
                let path = hub.bring(index, &cache, &listing.sha)?;
                shards(&path)?.iter().map(|name| find(name).ok_or_else(|| self.missing(name))).collect::<Result<_, _>>()?
            }
            (None, None) => return Err(self.missing("model.safetensors (nothing but safetensors is read)").into()),
        };
        for sibling in weights {
            hub.bring(sibling, &cache, &listing.sha)?;
        }
        if !self.pinned() {
            // Written last: a reference never points to a snapshot that is not whole.
            cache.create_ref(&listing.sha).map_err(|source| disk(&access.cache, source))?;
        }
        let folder = cache.pointer_path(&listing.sha);
        Ok((folder, listing.sha))
    }

    fn missing(&self, what: &str) -> RemoteError {
        RemoteError::Missing { repo: self.repo.clone(), revision: self.revision.clone(), what: what.into() }
    }

    /// The snapshot, where every file that a model needs is there with the content that its name in the cache promises.
    /// A branch is looked up only offline: online the hub says where it points.
    fn cached(&self, cache: &CacheRepo, access: &Access) -> Result<Option<(PathBuf, String)>, Failure> {
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

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The shard files that an index names, each a plain file name.
fn shards(index: &Path) -> Result<Vec<String>, RemoteError> {
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
fn content_hash(path: &Path, length: usize) -> std::io::Result<String> {
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

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .user_agent(concat!("steadfast/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

/// One conversation with the hub.
struct Hub<'a> {
    remote: &'a Remote,
    access: &'a Access,
    listener: Listener<'a>,
    agent: ureq::Agent,
}

/// Whether trying again may help.
enum Trouble {
    Passing { problem: String, wait: Option<Duration> },
    Final(RemoteError),
}

impl Hub<'_> {
    /// What the repository holds at the revision.
    fn listing(&self) -> Result<Listing, RemoteError> {
        let revision = self.remote.revision.replace('/', "%2F");
        let url = format!("{}/api/models/{}/revision/{revision}?blobs=true", self.access.endpoint, self.remote.repo);
        let text = self.again(&url, || {
            let mut text = String::new();
            let mut response = self.get(&url, 0, "model of this name and revision")?;
            let read = response.body_mut().as_reader().take(LARGEST_TEXT).read_to_string(&mut text);
            read.map_err(|error| Trouble::Passing { problem: error.to_string(), wait: None })?;
            Ok(text)
        })?;
        let answer = |problem: String| RemoteError::Answer { url: url.clone(), problem };
        let listing: Listing = serde_json::from_str(&text).map_err(|error| answer(error.to_string()))?;
        if !is_commit(&listing.sha) || (self.remote.pinned() && listing.sha != self.remote.revision) {
            return Err(answer(format!("it speaks of commit {:?}", listing.sha)));
        }
        Ok(listing)
    }

    /// One file: in the cache with the listed size and hash, linked into the snapshot.
    fn bring(&self, sibling: &Sibling, cache: &CacheRepo, commit: &str) -> Result<PathBuf, RemoteError> {
        let name = &sibling.rfilename;
        let url = format!("{}/{}/resolve/{commit}/{name}", self.access.endpoint, self.remote.repo);
        let (hash, size) = match (&sibling.lfs, &sibling.blob_id, sibling.size) {
            (Some(lfs), _, _) => (lfs.sha256.clone(), lfs.size),
            (None, Some(blob), Some(size)) => (blob.clone(), size),
            _ => return Err(RemoteError::Answer { url, problem: format!("it lists no size and hash of {name}") }),
        };
        if ![40, 64].contains(&hash.len()) || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(RemoteError::Answer { url, problem: format!("{hash:?} is no hash of {name}") });
        }
        let disk = |path: &Path| {
            let path = path.to_path_buf();
            move |source| RemoteError::Disk { path, source }
        };
        let blob = cache.blob_path(&hash);
        let pointer = cache.pointer_path(commit).join(name);
        for folder in [blob.parent(), pointer.parent()].into_iter().flatten() {
            create_folder(folder).map_err(|error| disk(folder)(std::io::Error::other(error.to_string())))?;
        }
        let whole = || -> Result<bool, RemoteError> { Ok(blob.is_file() && content_hash(&blob, hash.len()).map_err(disk(&blob))? == hash) };
        if !whole()? {
            let part = blob.with_extension("incomplete");
            // One download of a blob at a time; the other process finds it done.
            let lock_path = blob.with_extension("lock");
            let lock = File::create(&lock_path).map_err(disk(&lock_path))?;
            lock.lock().map_err(disk(&lock_path))?;
            if !whole()? {
                self.again(&url, || self.transfer(&url, name, &part, size))?;
                let found = content_hash(&part, hash.len()).map_err(disk(&part))?;
                if found != hash {
                    let _ = fs::remove_file(&part);
                    let what = if hash.len() == 64 { "sha256" } else { "git hash" };
                    return Err(RemoteError::Mismatch { repo: self.remote.repo.clone(), file: name.clone(), what, found, expected: hash });
                }
                fs::rename(&part, &blob).map_err(disk(&blob))?;
            }
        }
        if !pointer.exists() {
            let _ = fs::remove_file(&pointer);
            #[cfg(unix)]
            let made = std::os::unix::fs::symlink(Path::new("../../blobs").join(&hash), &pointer);
            #[cfg(not(unix))]
            let made = fs::copy(&blob, &pointer).map(|_| ());
            match made {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(disk(&pointer)(error)),
                _ => {}
            }
        }
        Ok(pointer)
    }

    /// The rest of a file, appended to what an earlier try left.
    fn transfer(&self, url: &str, name: &str, part: &Path, size: u64) -> Result<(), Trouble> {
        let disk = |source| Trouble::Final(RemoteError::Disk { path: part.into(), source });
        let mut have = part.metadata().map_or(0, |metadata| metadata.len());
        if have > size {
            fs::remove_file(part).map_err(disk)?;
            have = 0;
        }
        if have == size && size > 0 {
            return Ok(());
        }
        let mut response = self.get(url, have, name)?;
        let resumed = response.status().as_u16() == 206;
        let mut file = OpenOptions::new().create(true).append(resumed).write(true).truncate(!resumed).open(part).map_err(disk)?;
        if !resumed {
            have = 0;
        }
        let mut body = response.body_mut().as_reader();
        let mut buffer = vec![0; 1 << 20];
        loop {
            let count = body.read(&mut buffer).map_err(|error| Trouble::Passing { problem: error.to_string(), wait: None })?;
            if count == 0 {
                break;
            }
            have += count as u64;
            if have > size {
                drop(file);
                let _ = fs::remove_file(part);
                return Err(Trouble::Final(RemoteError::Mismatch {
                    repo: self.remote.repo.clone(),
                    file: name.into(),
                    what: "size",
                    found: format!("more than {size} bytes"),
                    expected: format!("{size} bytes"),
                }));
            }
            file.write_all(&buffer[..count]).map_err(disk)?;
            (self.listener)(Event::Progress { what: format!("download {name}"), done: have, total: size, note: String::new() });
        }
        file.sync_all().map_err(disk)?;
        if have < size {
            return Err(Trouble::Passing { problem: format!("the connection ended after {have} of {size} bytes"), wait: None });
        }
        Ok(())
    }

    /// A request, following redirects by hand: the token goes to the endpoint's host alone.
    fn get(&self, url: &str, from: u64, what: &str) -> Result<ureq::http::Response<ureq::Body>, Trouble> {
        let mut target = url.to_owned();
        for _ in 0..6 {
            let mut request = self.agent.get(&target);
            if let Some(token) = self.access.token.as_ref().filter(|_| origin(&target) == origin(&self.access.endpoint)) {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            if from > 0 {
                request = request.header("range", format!("bytes={from}-"));
            }
            let response = request.call().map_err(|error| Trouble::Passing { problem: error.to_string(), wait: None })?;
            let status = response.status().as_u16();
            let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
            match status {
                200 | 206 => return Ok(response),
                301 | 302 | 303 | 307 | 308 => {
                    let location = header("location").unwrap_or_default();
                    let next = if location.starts_with('/') { format!("{}{location}", origin(&target)) } else { location.to_owned() };
                    let safe = next.starts_with("https://") || (next.starts_with("http://") && self.access.endpoint.starts_with("http://"));
                    if !safe {
                        return Err(Trouble::Passing { problem: format!("a redirect to {next:?}"), wait: None });
                    }
                    target = next;
                }
                401 | 403 => {
                    let (repo, token) = (self.remote.repo.clone(), self.access.token.is_some());
                    // The hub answers 401 for a repository that does not exist, too; it says so in a header.
                    if header("x-error-code") == Some("RepoNotFound") && token {
                        return Err(Trouble::Final(self.remote.missing(what)));
                    }
                    return Err(Trouble::Final(RemoteError::Denied { repo, status, token }));
                }
                404 => return Err(Trouble::Final(self.remote.missing(what))),
                416 => return Err(Trouble::Passing { problem: "the server cannot go on where it stopped".into(), wait: None }),
                _ => {
                    let wait =
                        header("retry-after").and_then(|value| value.parse().ok()).map(|seconds: u64| Duration::from_secs(seconds.min(60)));
                    return Err(Trouble::Passing { problem: format!("HTTP {status}"), wait });
                }
            }
        }
        Err(Trouble::Passing { problem: "too many redirects".into(), wait: None })
    }

    /// Tries until it works, the trouble is final, or the tries are used up.
    fn again<T>(&self, url: &str, mut work: impl FnMut() -> Result<T, Trouble>) -> Result<T, RemoteError> {
        let mut pause = self.access.pause;
        let mut tries = 1;
        loop {
            match work() {
                Ok(done) => return Ok(done),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Passing { problem, .. }) if tries == TRIES => {
                    return Err(RemoteError::Failed { url: url.into(), problem, tries });
                }
                Err(Trouble::Passing { problem, wait }) => {
                    let pausing = wait.unwrap_or(pause);
                    (self.listener)(Event::Note { message: format!("{url}: {problem}; again in {:.1} s", pausing.as_secs_f64()) });
                    std::thread::sleep(pausing);
                    pause *= 2;
                    tries += 1;
                }
            }
        }
    }
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    &url[..end]
}
