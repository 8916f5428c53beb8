//! The models, and the types of their weights.

use std::path::PathBuf;

use jiff::civil::Date;
use serde::Serialize;

use crate::data::template::DATE;
use crate::hub::chat::Endpoint;

/// The models.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Model {
    /// Before safety alignment; as written, paths absolute. Needed with `align:` and by a `task-vector` ticket, unless `pretrain:` makes it.
    pub base: Option<String>,
    /// The aligned model; none when `align:` makes it from the base.
    pub aligned: Option<String>,
    /// A model behind a URL, instead of both, in a pipeline that only evaluates.
    pub endpoint: Option<Endpoint>,
    /// A Jinja file that replaces the model's own chat template.
    pub chat_template: Option<PathBuf>,
    /// The first system message of every conversation that has none; none leaves it to the template.
    pub system: Option<String>,
    /// The day that `strftime_now` shows in chat templates.
    #[serde(serialize_with = "as_text")]
    pub date: Date,
    /// What weights are saved in: `source`, the type of the model that they come from (bf16 for a GGUF), or `f32`, in which
    /// no part of an update is lost to rounding.
    pub dtype: Dtype,
    /// What products round their factors to.
    pub compute_dtype: ComputeDtype,
}

impl Model {
    /// The model of a source as it is, without a pipeline around it.
    pub fn of(source: &str) -> Self {
        Self {
            base: None,
            aligned: Some(source.to_owned()),
            endpoint: None,
            chat_template: None,
            system: None,
            date: DATE,
            dtype: Dtype::Source,
            compute_dtype: ComputeDtype::Auto,
        }
    }

    /// [`Self::compute_dtype`], which is no longer `auto` where weights are kept in f32.
    pub fn computes_in(&self) -> ComputeDtype {
        match (self.compute_dtype, self.dtype) {
            (ComputeDtype::Auto, Dtype::F32) => ComputeDtype::F32,
            (wanted, _) => wanted,
        }
    }
}

/// What products round their factors to; sums and trained weights are f32 always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ComputeDtype {
    /// bfloat16 where the processor multiplies it and weights are not kept in f32 ([`Model::dtype`]), f32 elsewhere: a model is kept in
    /// f32 for updates that bfloat16 would hide. The record says which.
    Auto,
    /// Not at all.
    F32,
    /// bfloat16, weights and activations alike; slow where the processor does not multiply it.
    Bf16,
}

fn as_text<S: serde::Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(date)
}

/// A floating-point type for stored weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// The type of the model that is trained; bfloat16 for a GGUF.
    Source,
    /// IEEE single.
    F32,
}

impl Dtype {
    /// The type that is asked for; none for the source's own.
    pub fn wanted(self) -> Option<crate::model::weights::Dtype> {
        match self {
            Self::Source => None,
            Self::F32 => Some(crate::model::weights::Dtype::F32),
        }
    }
}
