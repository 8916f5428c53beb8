//! Models and data sets from the Hugging Face hub: the standard cache on disk, every file's size and content hash verified.
//!
//! Sources: the hub's HTTP interface (huggingface.co/docs/hub/api) and its cache layout
//! (huggingface.co/docs/huggingface_hub/guides/manage-cache). hf-hub gives the layout and the environment; the transfer is
//! ours, since hf-hub compares neither size nor hash with what the hub lists.

mod cache;
mod error;
mod transfer;

use std::path::PathBuf;
use std::time::Duration;

use hf_hub::{Cache, CacheRepo, Repo, RepoType};

pub(super) use self::cache::plain_name;
use self::cache::{is_commit, shards, sound};
pub use self::error::RemoteError;
use self::transfer::Hub;
pub(super) use self::transfer::origin;
pub use self::transfer::reachable;
use crate::artifact::write::write_bytes;
use crate::error::Failure;
use crate::event::Listener;

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
            token: variable("HF_TOKEN").map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()).or_else(|| home.token()),
            cache,
            offline: offline || variable("HF_HUB_OFFLINE").is_some_and(on),
            pause: Duration::from_millis(500),
        }
    }

    /// The token as a header can have it; none where there is none.
    ///
    /// # Errors
    /// When it has a character that no header may have.
    pub fn sendable_token(&self) -> Result<Option<&str>, RemoteError> {
        match &self.token {
            Some(token) if !token.bytes().all(|byte| byte.is_ascii_graphic()) => Err(RemoteError::BadToken),
            token => Ok(token.as_deref()),
        }
    }
}

/// What a repository of the hub holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A model.
    Model,
    /// A data set.
    Dataset,
}

impl Kind {
    /// As the hub's interface names many of them.
    fn plural(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Dataset => "datasets",
        }
    }

    /// What stands before the name in the address of its page and of its files.
    fn prefix(self) -> &'static str {
        match self {
            Self::Model => "",
            Self::Dataset => "datasets/",
        }
    }

    fn repo_type(self) -> RepoType {
        match self {
            Self::Model => RepoType::Model,
            Self::Dataset => RepoType::Dataset,
        }
    }
}

/// A repository at a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// What it holds.
    pub kind: Kind,
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
        let cache = self.cache(access);
        if let Some(found) = self.cached(&cache, access)? {
            return Ok(found);
        }
        self.may_ask(access)?;
        let hub = Hub::new(self, access, listener);
        let listing = hub.listing()?;
        let find = |name: &str| listing.siblings.iter().find(|sibling| sibling.rfilename == name);
        for name in FILES {
            match find(name) {
                Some(sibling) => drop(hub.bring(sibling, &cache, &listing.sha)?),
                None if name == "config.json" || name == "tokenizer.json" => return Err(self.missing(name).into()),
                // Where the cache cannot be written the hub is asked again next time.
                None => drop(write_bytes(&self.absent(access, &listing.sha, name), b"")),
            }
        }
        let weights = match (find(SINGLE), find(INDEX)) {
            (Some(single), _) => vec![single],
            (None, Some(index)) => {
                let path = hub.bring(index, &cache, &listing.sha)?;
                let answer = |problem| RemoteError::Answer { url: path.display().to_string(), problem };
                shards(&path).map_err(answer)?.iter().map(|name| find(name).ok_or_else(|| self.missing(name))).collect::<Result<_, _>>()?
            }
            (None, None) => return Err(self.missing("model.safetensors (nothing but safetensors is read)").into()),
        };
        for sibling in weights {
            hub.bring(sibling, &cache, &listing.sha)?;
        }
        // Written last: a reference never points to a snapshot that is not whole.
        self.remember(&cache, access, &listing.sha)?;
        let folder = cache.pointer_path(&listing.sha);
        Ok((folder, listing.sha))
    }

    /// The folder with the model's files, where the cache has all of them; no request is made.
    ///
    /// # Errors
    /// When a file of the cache is damaged.
    pub fn at_hand(&self, access: &Access) -> Result<Option<PathBuf>, Failure> {
        let access = Access { offline: true, ..access.clone() };
        Ok(self.cached(&self.cache(&access), &access)?.map(|(folder, _)| folder))
    }

    /// One file of the repository, downloaded where it is not in the cache.
    ///
    /// # Errors
    /// When it cannot be had, or is not what the hub lists.
    pub fn file(&self, name: &str, access: &Access, listener: Listener<'_>) -> Result<PathBuf, Failure> {
        let cache = self.cache(access);
        if let Some(commit) = self.known_commit(access) {
            let path = cache.pointer_path(&commit).join(name);
            if sound(&path, access)? {
                return Ok(path);
            }
        }
        self.may_ask(access)?;
        let hub = Hub::new(self, access, listener);
        let listing = hub.listing()?;
        let sibling = listing.siblings.iter().find(|sibling| sibling.rfilename == name).ok_or_else(|| self.missing(name))?;
        let path = hub.bring(sibling, &cache, &listing.sha)?;
        self.remember(&cache, access, &listing.sha)?;
        Ok(path)
    }

    fn cache(&self, access: &Access) -> CacheRepo {
        Cache::new(access.cache.clone()).repo(Repo::with_revision(self.repo.clone(), self.kind.repo_type(), self.revision.clone()))
    }

    fn may_ask(&self, access: &Access) -> Result<(), RemoteError> {
        if access.offline {
            let (repo, revision) = (self.repo.clone(), self.revision.clone());
            return Err(RemoteError::Offline { repo, revision, cache: access.cache.clone() });
        }
        Ok(())
    }

    /// Where a branch or tag points, for later runs offline.
    fn remember(&self, cache: &CacheRepo, access: &Access, commit: &str) -> Result<(), RemoteError> {
        if self.pinned() {
            return Ok(());
        }
        cache.create_ref(commit).map_err(|source| RemoteError::Disk { path: access.cache.clone(), source })
    }

    fn missing(&self, what: &str) -> RemoteError {
        RemoteError::Missing { repo: self.repo.clone(), revision: self.revision.clone(), what: what.into() }
    }
}
