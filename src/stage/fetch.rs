//! fetch: a source becomes an opened model.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::artifact::digest::{sha256, sha256_file};
use crate::artifact::write::write_bytes;
use crate::data::tokenizer::TextModel;
use crate::error::{Failure, Within};
use crate::event::Event;
use crate::hub::remote::Remote;
use crate::hub::{Source, builtin, gguf};
use crate::model::config::ModelConfig;
use crate::model::inventory::inventory;
use crate::model::weights::Weights;
use crate::pipeline::settings;
use crate::record::ModelOrigin;

use super::Context;

/// Raised when the same GGUF file becomes other files.
pub(super) const MATERIALISE_VERSION: u32 = 3;

/// An opened model: a Hugging Face folder whose weights are bound to its configuration.
pub struct Model {
    /// The folder.
    pub folder: PathBuf,
    /// The architecture.
    pub config: ModelConfig,
    /// The weights, memory-mapped.
    pub weights: Weights,
    /// Tokenizer and chat template.
    pub text: TextModel,
    /// Digest of the weights, independent of how they are split into files.
    pub digest: String,
    /// Digest of everything beside the weights that decides what is said: tokenizer, template, system message, configuration.
    pub text_digest: String,
}

impl Model {
    /// Opens a Hugging Face folder.
    ///
    /// # Errors
    /// When a file is missing or damaged, the architecture is not supported, or weights and configuration do not fit.
    pub fn open(folder: &Path, settings: &settings::Model) -> Result<Self, Failure> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path).map_err(|error| Failure::new("file", format!("cannot read {}: {error}", path.display())))
        };
        let (config_text, generation_text) = (read("config.json")?, read("generation_config.json").ok());
        let config =
            ModelConfig::from_json(&config_text, generation_text.as_deref()).within(|| folder.join("config.json").display().to_string())?;
        let weights = Weights::open(folder)?;
        weights.bind(&config)?;
        let mut text = TextModel::from_folder(folder, settings.date)?;
        if let Some(path) = &settings.chat_template {
            let template = std::fs::read_to_string(path)
                .map_err(|error| Failure::new("file", format!("cannot read the chat template {}: {error}", path.display())))?;
            text = text.with_template(&template)?;
        }
        text = text.with_system(settings.system.clone());
        let digest = weights.digest();
        let text_digest = sha256(format!("{}\n{config_text}\n{generation_text:?}", text.digest()).as_bytes());
        Ok(Self { folder: folder.to_path_buf(), config, weights, text, digest, text_digest })
    }

    /// What the record tells of it.
    pub fn origin(&self, role: &str, source: &str, revision: Option<String>) -> ModelOrigin {
        let specs = inventory(&self.config);
        let mut dtypes: Vec<String> =
            specs.iter().filter_map(|spec| self.weights.dtype(&spec.name)).map(|dtype| dtype.to_string()).collect();
        dtypes.sort();
        dtypes.dedup();
        ModelOrigin {
            role: role.into(),
            source: source.into(),
            revision,
            weights: format!("sha256:{}", self.digest),
            parameters: specs.iter().map(|spec| spec.len() as u64).sum(),
            maskable: specs.iter().filter(|spec| spec.maskable()).map(|spec| spec.len() as u64).sum(),
            dtype: dtypes.join(", "),
            usage: None,
        }
    }
}

/// Brings a model here and opens it.
///
/// # Errors
/// When the source cannot be reached or its content is not what it must be.
pub fn fetch(context: &Context<'_>, role: &str, source: &str, settings: &settings::Model) -> Result<(Model, ModelOrigin), Failure> {
    let stage = format!("fetch {role}");
    (context.listener)(Event::StageStarted { stage: stage.clone() });
    let start = Instant::now();
    let (folder, revision) = located(context, source, settings.dtype).within(|| stage.clone())?;
    let model = Model::open(&folder, settings).within(|| stage.clone())?;
    let seconds = start.elapsed().as_secs_f64();
    let origin = model.origin(role, source, revision);
    let note = format!("{} parameters, {}", origin.parameters, origin.dtype);
    (context.listener)(Event::StageFinished { stage, seconds, note });
    Ok((model, origin))
}

/// The model that a pipeline starts from, where it is on this machine; no request is made.
///
/// # Errors
/// When it is there and cannot be used.
pub fn at_hand(context: &Context<'_>, settings: &settings::Model) -> Result<Option<Model>, Failure> {
    let Some(source) = settings.aligned.as_ref().or(settings.base.as_ref()) else { return Ok(None) };
    let opened = || -> Result<Option<Model>, Failure> {
        match Source::parse(source)? {
            Source::Hub(remote) => remote.at_hand(&context.access)?.map(|folder| Model::open(&folder, settings)).transpose(),
            _ => Ok(Some(fetch(context, "model", source, settings)?.0)),
        }
    };
    let role = if settings.aligned.is_some() { "aligned" } else { "base" };
    opened().map_err(|failure| under_its_key(failure, role))
}

/// A failure whose remedy names another source, with the key under which a pipeline has the model.
pub fn under_its_key(failure: Failure, role: &str) -> Failure {
    failure.placed(&format!("--set model.{role}=SOURCE"))
}

/// The Hugging Face folder of a source, and the commit of a repository.
fn located(context: &Context<'_>, source: &str, dtype: settings::Dtype) -> Result<(PathBuf, Option<String>), Failure> {
    Ok(match Source::parse(source)? {
        Source::Folder(folder) => (folder, None),
        Source::Gguf(path) => (materialised(context, &path, dtype)?, None),
        Source::Builtin(name) => (unpacked(context, &name)?, None),
        Source::Hub(remote) => {
            let (folder, commit) = snapshot(context, source, &remote)?;
            (folder, Some(commit))
        }
    })
}

/// The weights of a source with their folder, whatever the architecture; a folder needs nothing beside them.
///
/// # Errors
/// When the source cannot be reached, or its weights are missing or damaged.
pub fn weights(context: &Context<'_>, source: &str) -> Result<(PathBuf, Weights), Failure> {
    let folder = match Path::new(source) {
        folder if folder.is_dir() => folder.to_path_buf(),
        _ => located(context, source, settings::Dtype::Source)?.0,
    };
    let weights = Weights::open(&folder)?;
    Ok((folder, weights))
}

/// The folder of a repository, and its commit; a warning where it is not pinned.
pub(super) fn snapshot(context: &Context<'_>, source: &str, remote: &Remote) -> Result<(PathBuf, String), Failure> {
    if !remote.pinned() {
        context.warn(format!("{source} is not pinned to a commit: what it names may change"));
    }
    remote.snapshot(&context.access, context.listener)
}

/// The Hugging Face folder of a builtin model, made once.
fn unpacked(context: &Context<'_>, name: &str) -> Result<PathBuf, Failure> {
    let files = builtin::files(name).unwrap_or_default();
    let digests: Vec<String> = files.iter().map(|(_, bytes)| sha256(bytes)).collect();
    let entry = context.stage(&format!("materialise {name}"), MATERIALISE_VERSION, &digests, |place| {
        for (file, bytes) in files {
            write_bytes(&place.folder.join(file), bytes)?;
        }
        Ok("a Hugging Face folder".into())
    })?;
    Ok(entry.folder)
}

/// The Hugging Face folder that a GGUF file becomes, made once.
fn materialised(context: &Context<'_>, path: &Path, dtype: settings::Dtype) -> Result<PathBuf, Failure> {
    let parts = (sha256_file(path)?, dtype);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let entry = context.stage(&format!("materialise {name}"), MATERIALISE_VERSION, &parts, |place| {
        gguf::materialise(path, dtype == settings::Dtype::F32, &place.folder)?;
        Ok(format!("a Hugging Face folder in {}", if dtype == settings::Dtype::F32 { "f32" } else { "bf16" }))
    })?;
    Ok(entry.folder)
}
