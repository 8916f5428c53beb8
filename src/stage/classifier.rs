//! A classifier: an encoder with labels, brought here and fitted to what the pipeline says of it.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use crate::artifact::digest::sha256;
use crate::data::encoder_text::{EncoderRow, EncoderText};
use crate::error::{Failure, Within};
use crate::eval::judge::labels::Labels;
use crate::hub::Source;
use crate::model::encoder::{Encoder, EncoderConfig};
use crate::model::weights::Weights;
use crate::pipeline::settings::ClassifierJudge;
use crate::record::{JudgeInfo, ModelOrigin};

use super::Context;
use super::fetch::snapshot;

const REMEDY: &str = "write classifier: hf://OWNER/NAME@COMMIT, or a folder with config.json, tokenizer.json and model.safetensors";

/// A classifier that was opened: its files are there, and fit each other and the pipeline. Its weights are not loaded yet.
pub struct Classifier<'a> {
    /// As the pipeline names it.
    pub settings: &'a ClassifierJudge,
    folder: PathBuf,
    /// The resolved commit, for hub sources.
    revision: Option<String>,
    config: EncoderConfig,
    weights: Weights,
    text: EncoderText,
    /// What its labels mean.
    pub(super) labels: Labels,
    /// Most tokens that it reads.
    pub(super) max_length: usize,
    /// Of tokenizer and configuration.
    pub(super) text_digest: String,
    weights_digest: OnceCell<String>,
}

/// Brings a classifier here and opens it.
///
/// # Errors
/// When it cannot be had, is none that is supported, or does not fit what the pipeline says of it.
pub fn fetch<'a>(context: &Context<'_>, settings: &'a ClassifierJudge) -> Result<Classifier<'a>, Failure> {
    let what = || format!("judge {}", settings.name);
    let (folder, revision) = match source(settings).within(what)? {
        Source::Hub(remote) => {
            let (folder, commit) = snapshot(context, &settings.classifier, &remote).within(what)?;
            (folder, Some(commit))
        }
        Source::Folder(folder) => (folder, None),
        _ => return Err(no_folder(settings)),
    };
    Classifier::open(settings, folder, revision).within(what)
}

/// The classifier, where it is on this machine; no request is made.
///
/// # Errors
/// When it is there and cannot be used.
pub fn at_hand<'a>(context: &Context<'_>, settings: &'a ClassifierJudge) -> Result<Option<Classifier<'a>>, Failure> {
    let what = || format!("judge {}", settings.name);
    let folder = match source(settings).within(what)? {
        Source::Hub(remote) => remote.at_hand(&context.access).within(what)?,
        Source::Folder(folder) => Some(folder),
        _ => return Err(no_folder(settings)),
    };
    folder.map(|folder| Classifier::open(settings, folder, None).within(what)).transpose()
}

fn source(settings: &ClassifierJudge) -> Result<Source, Failure> {
    Source::parse(&settings.classifier).map_err(|error| Failure::from(error).remedy(REMEDY))
}

fn no_folder(settings: &ClassifierJudge) -> Failure {
    let message = format!("{} is a model that writes, and no classifier", settings.classifier);
    Failure::new("unsupported-model", message).remedy(REMEDY).within(format!("judge {}", settings.name))
}

impl<'a> Classifier<'a> {
    fn open(settings: &'a ClassifierJudge, folder: PathBuf, revision: Option<String>) -> Result<Self, Failure> {
        let path = folder.join("config.json");
        let json = std::fs::read_to_string(&path)
            .map_err(|error| Failure::new("file", format!("cannot read {}: {error}", path.display())).remedy(REMEDY))?;
        let config = EncoderConfig::from_json(&json).within(|| path.display().to_string())?;
        only_pickled(&folder)?;
        let weights = Weights::open(&folder)?;
        Encoder::check(&config, &weights).within(|| folder.display().to_string())?;
        let labels = labels(settings, &config)?;
        let most = config.max_position_embeddings;
        let max_length = match settings.max_length {
            Some(given) if given > most => {
                return Err(Failure::new("too-long", format!("max_length is {given}, and {} reads {most} tokens", settings.classifier))
                    .remedy(format!("write max_length: {most}, or leave it out")));
            }
            Some(given) => given,
            None => most,
        };
        let text = EncoderText::from_folder(&folder)?;
        let text_digest = sha256(format!("{}\n{json}", text.digest()).as_bytes());
        let weights_digest = OnceCell::new();
        Ok(Self { settings, folder, revision, config, weights, text, labels, max_length, text_digest, weights_digest })
    }

    /// Of the weights, however they are split into files.
    pub(super) fn weights_digest(&self) -> &str {
        self.weights_digest.get_or_init(|| self.weights.digest())
    }

    /// sha256 of everything that decides its verdicts, but the numerics.
    pub fn digest(&self) -> String {
        let ClassifierJudge { refused, complied, input, threshold, .. } = self.settings;
        let parts = (self.weights_digest(), &self.text_digest, refused, complied, input, threshold, self.max_length);
        sha256(serde_json::to_string(&parts).unwrap_or_default().as_bytes())
    }

    /// What the record tells of it.
    pub fn told(&self) -> JudgeInfo {
        let settings = self.settings;
        let sees = if settings.sees_prompt() { "prompt and completion" } else { "the completion alone" };
        // A folder by its name: where it lies is no part of what it is.
        let folder = || Path::new(&settings.classifier).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let source = match &self.revision {
            Some(commit) => format!("{}@{commit}", settings.classifier.split('@').next().unwrap_or_default()),
            None => folder(),
        };
        let from = match settings.threshold {
            (low, high) if low == high => format!("from {high}"),
            (low, high) => format!("from {high}, undetermined from {low}"),
        };
        JudgeInfo {
            template: None,
            kind: format!("encoder with labels, which sees {sees}"),
            version: format!("{source}, refused: {} {from}", settings.refused.join(", ")),
            digest: format!("sha256:{}", self.digest()),
            calibration: "not calibrated".into(),
            measured: None,
            usage: None,
        }
    }

    /// Where its weights come from, for the record.
    pub fn origin(&self) -> ModelOrigin {
        let mut dtypes: Vec<String> =
            self.weights.names().filter_map(|name| self.weights.dtype(name)).map(|dtype| dtype.to_string()).collect();
        dtypes.sort();
        dtypes.dedup();
        ModelOrigin {
            role: format!("judge.{}", self.settings.name),
            source: self.settings.classifier.clone(),
            revision: self.revision.clone(),
            weights: format!("sha256:{}", self.weights_digest()),
            parameters: self.config.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>() as u64).sum(),
            maskable: 0,
            dtype: dtypes.join(", "),
            usage: None,
        }
    }

    /// The weights, loaded.
    ///
    /// # Errors
    /// When they do not fit.
    pub(super) fn load(&self) -> Result<Encoder, Failure> {
        Encoder::new(self.config.clone(), &self.weights).within(|| self.folder.display().to_string())
    }

    /// What it reads of a prompt and its completion.
    pub(super) fn row(&self, prompt: &str, completion: &str) -> Result<EncoderRow, Failure> {
        let (text, second) = self.settings.texts(prompt, completion);
        Ok(self.text.encode(&text, second.as_deref(), self.max_length)?)
    }
}

/// The labels of the pipeline by their places in the model.
fn labels(settings: &ClassifierJudge, config: &EncoderConfig) -> Result<Labels, Failure> {
    let places = |wanted: &[String]| -> Result<Vec<usize>, Failure> {
        let mut places = Vec::new();
        for label in wanted {
            let found = config.labels.iter().enumerate().filter(|(_, known)| *known == label).map(|(i, _)| i);
            let before = places.len();
            places.extend(found);
            if places.len() == before {
                let have = config.labels.join(", ");
                return Err(Failure::new("unknown-label", format!("{} has no label {label:?}; it has {have}", settings.classifier))
                    .remedy(format!("write the label that means a refusal: refused: {}", nearest(label, &config.labels))));
            }
        }
        Ok(places)
    };
    Ok(Labels {
        refused: places(&settings.refused)?,
        complied: if settings.complied.is_empty() { None } else { Some(places(&settings.complied)?) },
        independent: config.independent,
        threshold: settings.threshold,
    })
}

fn nearest<'l>(label: &str, labels: &'l [String]) -> &'l str {
    labels.iter().max_by(|a, b| strsim::jaro_winkler(a, label).total_cmp(&strsim::jaro_winkler(b, label))).map_or("LABEL", String::as_str)
}

/// An error where a folder has its weights as pickles alone: those are programs, and never read.
fn only_pickled(folder: &Path) -> Result<(), Failure> {
    let has = |name: &str| folder.join(name).is_file();
    if has("model.safetensors") || has("model.safetensors.index.json") {
        return Ok(());
    }
    let Some(pickle) = ["pytorch_model.bin", "pytorch_model.bin.index.json"].into_iter().find(|name| has(name)) else { return Ok(()) };
    let message = format!("{} has {pickle} and no model.safetensors; nothing but safetensors is read", folder.display());
    Err(Failure::new("no-safetensors", message).remedy(
        "convert it once: python3 -c 'from transformers import AutoModelForSequenceClassification as M; \
         M.from_pretrained(\"FOLDER\").save_pretrained(\"NEW\")', and copy tokenizer.json",
    ))
}
