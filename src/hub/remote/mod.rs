//! Models from the Hugging Face hub: the standard cache on disk, every file's size and content hash verified.
//!
//! Sources: the hub's HTTP interface (huggingface.co/docs/hub/api) and its cache layout
//! (huggingface.co/docs/huggingface_hub/guides/manage-cache). hf-hub gives the layout and the environment; the transfer is
//! ours, since hf-hub compares neither size nor hash with what the hub lists.

mod cache;
mod error;
mod transfer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use hf_hub::{Cache, Repo, RepoType};

use self::cache::{is_commit, shards};
pub use self::error::RemoteError;
use self::transfer::Hub;
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
            token: variable("HF_TOKEN").or_else(|| home.token()),
            cache,
            offline: offline || variable("HF_HUB_OFFLINE").is_some_and(on),
            pause: Duration::from_millis(500),
        }
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
        let hub = Hub::new(self, access, listener);
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
}
