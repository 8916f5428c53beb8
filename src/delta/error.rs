//! What can go wrong with deltas.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::Explain;
use crate::model::backend::BackendError;
use crate::model::weights::{Dtype, WeightsError};

/// A delta that cannot be made, read, applied or merged.
#[derive(Debug, thiserror::Error)]
pub enum DeltaError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is no delta, or damaged.
    #[error("{} is no valid delta: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The file has another version of the format.
    #[error("{} is a delta of version {found}, this program reads version {known}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
        /// The version that is read.
        known: u32,
    },
    /// Two checkpoints do not have the same tensors; every problem is listed.
    #[error("the two checkpoints do not have the same tensors:\n{}", problems.join("\n"))]
    OtherTensors {
        /// One line each.
        problems: Vec<String>,
    },
    /// Two checkpoints have the same bits.
    #[error("the two checkpoints have the same weights ({0}): there is nothing to keep")]
    Same(String),
    /// A delta names tensors that the checkpoint does not have so; every problem is listed.
    #[error("{} does not fit the model:\n{}", path.display(), problems.join("\n"))]
    OtherModel {
        /// The delta.
        path: PathBuf,
        /// One line each.
        problems: Vec<String>,
    },
    /// The checkpoint does not hold the bits that the delta replaces.
    #[error("{0}")]
    Differs(Box<Difference>),
    /// A number cannot be stored in another type without a change.
    #[error("{tensor}[{index}] is {value}, which {dtype} cannot hold exactly")]
    Inexact {
        /// The tensor.
        tensor: String,
        /// Row-major index.
        index: usize,
        /// The number.
        value: f32,
        /// The type.
        dtype: Dtype,
    },
    /// Two deltas write the same weight.
    #[error(
        "{} and {} both write {tensor}[{index}], the first of {count} weights that several deltas write",
        first.display(),
        second.display()
    )]
    Overlap {
        /// A delta.
        first: PathBuf,
        /// Another.
        second: PathBuf,
        /// The tensor, in the order of names.
        tensor: String,
        /// Row-major index.
        index: usize,
        /// Weights in all tensors that are in more than one delta.
        count: usize,
    },
    /// The same delta twice.
    #[error("{} and {} are the same delta", first.display(), second.display())]
    Twice {
        /// A file.
        first: PathBuf,
        /// Another, with the same content.
        second: PathBuf,
    },
    /// Two deltas store the same tensor in different types.
    #[error("{} stores {tensor} in {one}, {} in {other}", first.display(), second.display())]
    Types {
        /// A delta.
        first: PathBuf,
        /// Another.
        second: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its type in the first.
        one: Dtype,
        /// In the second.
        other: Dtype,
    },
    /// The density is not in (0, 1].
    #[error("density {0} is not in (0, 1]")]
    Density(f64),
    /// There are neither as many scales as deltas nor one.
    #[error("there are {scales} scales for {deltas} deltas")]
    Scales {
        /// Scales.
        scales: usize,
        /// Deltas.
        deltas: usize,
    },
    /// A merged weight is no number of its type.
    #[error("the merged {tensor}[{index}] is {value} in {dtype}")]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// Row-major index.
        index: usize,
        /// What came out.
        value: f32,
        /// The type.
        dtype: Dtype,
    },
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// Where a checkpoint does not hold the bits that a delta replaces.
#[derive(Debug)]
pub struct Difference {
    /// The delta.
    pub path: PathBuf,
    /// The tensor.
    pub tensor: String,
    /// Row-major index of the first weight that differs.
    pub index: usize,
    /// What the delta replaces, widened.
    pub expected: f32,
    /// What is there, widened.
    pub found: f32,
    /// How many of the delta's weights in this tensor differ.
    pub count: usize,
    /// How many there are.
    pub of: usize,
    /// Digest of the weights that the delta was made for.
    pub made_for: String,
    /// Digest of the checkpoint's.
    pub digest: String,
    /// What to do where all of them have the bits that were to be written.
    pub done: Option<&'static str>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, tensor, index, expected, found, count, of, made_for, digest, .. } = self;
        write!(f, "{}: {tensor}[{index}] is {found} in the model, the delta expects {expected} there ", path.display())?;
        write!(f, "({count} of its {of} weights in this tensor differ); it is for weights sha256 {made_for}, the model has {digest}")
    }
}

impl From<BackendError> for DeltaError {
    fn from(error: BackendError) -> Self {
        Self::Weights(error.into())
    }
}

impl Explain for DeltaError {
    fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "file",
            Self::Damaged { .. } => "damaged-delta",
            Self::Version { .. } => "delta-version",
            Self::OtherTensors { .. } => "weights-mismatch",
            Self::Same(_) => "no-difference",
            Self::OtherModel { .. } | Self::Differs(_) => "delta-of-another-model",
            Self::Inexact { .. } => "inexact-dtype",
            Self::Overlap { .. } => "deltas-overlap",
            Self::Twice { .. } => "same-delta",
            Self::Types { .. } => "delta-types",
            Self::Density(_) => "bad-density",
            Self::Scales { .. } => "bad-scale",
            Self::NotFinite { .. } => "merge-not-finite",
            Self::Weights(error) => error.code(),
        }
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Io { .. } => "check the path and who may read it".into(),
            Self::Damaged { .. } => "copy it again, or make it again: steadfast delta make ALIGNED TUNED --out FILE".into(),
            Self::Version { .. } => "make it again with this program: steadfast delta make ALIGNED TUNED --out FILE".into(),
            Self::OtherTensors { .. } => {
                "give the aligned model, and one that was tuned from it, with its adapters merged into its weights".into()
            }
            Self::Same(_) => "give the aligned model first, the tuned one second: steadfast delta make ALIGNED TUNED --out FILE".into(),
            Self::OtherModel { path, .. } => of_its_own_model(path),
            Self::Differs(found) => found.done.map_or_else(|| of_its_own_model(&found.path), str::to_owned),
            Self::Inexact { .. } => {
                "save the model that is to be written in f32, for example with transformers: model.float().save_pretrained(…)".into()
            }
            Self::Overlap { first, second, .. } => format!(
                "merge them by arithmetic: steadfast delta merge --method ties --density 0.2 MODEL {} {} --out FOLDER",
                first.display(),
                second.display()
            ),
            Self::Twice { second, .. } => format!("leave out {}; a larger effect is --method task-arithmetic --scale 2", second.display()),
            Self::Types { .. } => "make both from checkpoints of one type: steadfast delta make ALIGNED TUNED --out FILE".into(),
            Self::Density(_) => "write a share above 0, for example --density 0.2".into(),
            Self::Scales { .. } => "write one scale for all, or one for each delta in their order: --scale 0.5,0.3".into(),
            Self::NotFinite { .. } => "write a smaller scale, for example --scale 0.5".into(),
            Self::Weights(error) => return error.remedy(),
        })
    }
}

fn of_its_own_model(path: &Path) -> String {
    format!(
        "give the model that the delta was made from (steadfast delta show {}), or make one for this model: steadfast delta make ALIGNED TUNED --out FILE",
        path.display()
    )
}
