//! Requests to the hub: what it lists, and files brought into the cache with the size and hash that it lists.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hf_hub::CacheRepo;
use serde::Deserialize;

use super::cache::{content_hash, is_commit};
use super::{Access, Kind, Remote, RemoteError};
use crate::artifact::write::create_folder;
use crate::event::{Event, Listener};

/// A listing, or a JSON file, is never larger than this.
const LARGEST_TEXT: u64 = 64 << 20;
const TRIES: u32 = 5;
/// A transfer that brings nothing for so long ends, and goes on where it stopped.
const STALL: Duration = Duration::from_secs(60);

/// What a repository holds at a revision.
#[derive(Deserialize)]
pub(super) struct Listing {
    pub(super) sha: String,
    pub(super) siblings: Vec<Sibling>,
}

/// A file as the hub lists it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sibling {
    pub(super) rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

/// A large file's hash and size.
#[derive(Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .timeout_per_read(Some(STALL))
        .user_agent(concat!("steadfast/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

/// One conversation with the hub.
pub(super) struct Hub<'a> {
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

impl<'a> Hub<'a> {
    /// A conversation about one repository.
    pub(super) fn new(remote: &'a Remote, access: &'a Access, listener: Listener<'a>) -> Self {
        Self { remote, access, listener, agent: agent() }
    }

    /// What the repository holds at the revision.
    pub(super) fn listing(&self) -> Result<Listing, RemoteError> {
        let revision = self.remote.revision.replace('/', "%2F");
        let url = format!("{}/api/{}/{}/revision/{revision}?blobs=true", self.access.endpoint, self.remote.kind.plural(), self.remote.repo);
        let text = self.again(&url, None, || {
            let mut text = String::new();
            let what =
                if self.remote.kind == Kind::Model { "model of this name and revision" } else { "data set of this name and revision" };
            let mut response = self.get(&url, 0, what)?;
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
    pub(super) fn bring(&self, sibling: &Sibling, cache: &CacheRepo, commit: &str) -> Result<PathBuf, RemoteError> {
        let name = &sibling.rfilename;
        let url = format!("{}/{}{}/resolve/{commit}/{name}", self.access.endpoint, self.remote.kind.prefix(), self.remote.repo);
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
                self.again(&url, Some(&part), || self.transfer(&url, name, &part, size))?;
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
            let made = std::os::unix::fs::symlink(format!("{}../../blobs/{hash}", "../".repeat(name.matches('/').count())), &pointer);
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
        let mut have = length(part);
        if have > size {
            fs::remove_file(part).map_err(disk)?;
            have = 0;
        }
        if have == size && size > 0 {
            return Ok(());
        }
        let mut response = self.get(url, have, name)?;
        if response.status().as_u16() == 416 {
            // The next try begins anew.
            fs::remove_file(part).map_err(disk)?;
            return Err(Trouble::Passing { problem: "the server cannot go on where it stopped".into(), wait: None });
        }
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

    /// A request, following redirects by hand: the token goes to the endpoint's host alone. The answer is the whole, the rest that was
    /// asked for, or that there is no such rest (416).
    fn get(&self, url: &str, from: u64, what: &str) -> Result<ureq::http::Response<ureq::Body>, Trouble> {
        let mut target = url.to_owned();
        for _ in 0..6 {
            let mut request = self.agent.get(&target);
            let token = self.access.sendable_token().map_err(Trouble::Final)?;
            if let Some(token) = token.filter(|_| origin(&target) == origin(&self.access.endpoint)) {
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
                416 if from > 0 => return Ok(response),
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
                    // The hub answers 401 for a repository that does not exist, too; it says so in a header.
                    if header("x-error-code") == Some("RepoNotFound") {
                        return Err(Trouble::Final(self.remote.missing(what)));
                    }
                    let (kind, repo, token) = (self.remote.kind, self.remote.repo.clone(), self.access.token.is_some());
                    return Err(Trouble::Final(RemoteError::Denied { kind, repo, status, token }));
                }
                404 => return Err(Trouble::Final(self.remote.missing(what))),
                _ => {
                    let wait =
                        header("retry-after").and_then(|value| value.parse().ok()).map(|seconds: u64| Duration::from_secs(seconds.min(60)));
                    return Err(Trouble::Passing { problem: format!("HTTP {status}"), wait });
                }
            }
        }
        Err(Trouble::Passing { problem: "too many redirects".into(), wait: None })
    }

    /// Tries until it works, the trouble is final, or the tries are used up; they start anew where the part is longer than ever before.
    fn again<T>(&self, url: &str, part: Option<&Path>, mut work: impl FnMut() -> Result<T, Trouble>) -> Result<T, RemoteError> {
        let have = || part.map_or(0, length);
        let (mut pause, mut tries, mut most) = (self.access.pause, 1, have());
        loop {
            let outcome = work();
            if have() > most {
                (pause, tries, most) = (self.access.pause, 1, have());
            }
            match outcome {
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

/// Bytes of a file; 0 where there is none.
fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

/// Whether the hub answers at all; asked once, briefly.
///
/// # Errors
/// Why not.
pub fn reachable(access: &Access) -> Result<(), String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(10)))
        .build()
        .into();
    agent.get(format!("{}/api/models?limit=1", access.endpoint)).call().map(|_| ()).map_err(|error| error.to_string())
}

/// Scheme, host and port of a URL.
pub(in crate::hub) fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    &url[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a silence is let through; that it is, is ureq's to test.
    #[test]
    fn a_transfer_that_stalls_ends() {
        assert_eq!(agent().config().timeout_per_read(), Some(STALL));
    }
}
