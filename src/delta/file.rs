//! Delta files: for every changed tensor its mask, its old and its new bits, with where the delta came from.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::DeltaError;
use crate::artifact::digest::{hex, sha256};
use crate::artifact::map::map;
use crate::mask::Mask;
use crate::model::weights::Dtype;

/// The version of the format; a reader refuses any other.
pub const VERSION: u32 = 1;

/// The key of the origin in the file's metadata.
pub(super) const KEY: &str = "steadfast_delta";

/// Where a delta came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Of the file's format.
    pub version: u32,
    /// Digest of the weights that the delta is applied to.
    pub aligned: String,
    /// Digest of the weights that this gives.
    pub tuned: String,
    /// The two checkpoints, as they were named when the delta was made.
    pub sources: (String, String),
    /// Weights of the model.
    pub weights: u64,
    /// The tensors in the file.
    pub tensors: BTreeMap<String, TensorFacts>,
    /// sha256 of all of the above and of the data.
    pub digest: String,
}

/// One changed tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorFacts {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Weights that changed; 0 where only the stored type did.
    pub changed: usize,
    /// The type in which it is stored before.
    pub old: Dtype,
    /// After.
    pub new: Dtype,
}

impl TensorFacts {
    /// Its number of weights; none when that is no number.
    pub fn weights(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side))
    }
}

/// What changed in one tensor.
pub struct Change<'a> {
    /// The changed positions.
    pub mask: Mask,
    /// Their bits before, little-endian, in ascending order of positions.
    pub old: &'a [u8],
    /// Their bits after.
    pub new: &'a [u8],
    /// Shape and types.
    pub facts: &'a TensorFacts,
}

/// The digest of an origin with its data, of which `data` is the sha256: mask, old and new bits of each tensor in the order of names.
pub(super) fn seal(origin: &Origin, data: &str) -> String {
    let open = Origin { digest: String::new(), ..origin.clone() };
    sha256(format!("{}\n{data}", serde_json::to_string(&open).unwrap_or_default()).as_bytes())
}

/// The names of a tensor's mask, old and new bits in the file.
pub(super) fn parts(name: &str) -> [String; 3] {
    ["mask", "old", "new"].map(|part| format!("{part}/{name}"))
}

/// An opened delta file: its data stay in the memory map, a tensor is read when it is asked for.
pub struct Delta {
    /// The file.
    pub path: PathBuf,
    /// Where it came from.
    pub origin: Origin,
    map: Mmap,
    /// Mask, old and new bits by tensor.
    places: BTreeMap<String, [Range<usize>; 3]>,
}

impl Delta {
    /// Opens a file and checks all of it: sizes, types, counts and the digest.
    ///
    /// # Errors
    /// When it cannot be read, is no delta, is damaged, or has another version.
    pub fn open(path: &Path) -> Result<Self, DeltaError> {
        let io = |source| DeltaError::Io { path: path.into(), source };
        let damaged = |problem: String| DeltaError::Damaged { path: path.into(), problem };
        let file = File::open(path).map_err(io)?;
        if file.metadata().map_err(io)?.len() == 0 {
            return Err(damaged("the file is empty".into()));
        }
        let map = map(&file).map_err(io)?;
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(|error| damaged(error.to_string()))?;
        let origin = read_origin(path, metadata.metadata().as_ref().and_then(|map| map.get(KEY)))?;
        let end = metadata.tensors().values().map(|info| info.data_offsets.1).max().unwrap_or(0);
        if map.len() != header + 8 + end {
            return Err(damaged(format!("it has {} bytes, its header describes {}", map.len(), header + 8 + end)));
        }
        let mut places = BTreeMap::new();
        for (name, facts) in &origin.tensors {
            let len = facts.weights().ok_or_else(|| damaged(format!("{name} has shape {:?}", facts.shape)))?;
            let sizes = [(None, len.div_ceil(8)), (Some(facts.old), facts.changed), (Some(facts.new), facts.changed)];
            let mut ranges = [0..0, 0..0, 0..0];
            for ((part, (dtype, numbers)), range) in parts(name).iter().zip(sizes).zip(&mut ranges) {
                let info = metadata.info(part).ok_or_else(|| damaged(format!("{part} is missing")))?;
                let wanted = dtype.map_or("U8", Dtype::header_name);
                if info.dtype.to_string() != wanted || info.shape != [numbers] {
                    return Err(damaged(format!("{part} is {} {:?}, expected {wanted} [{numbers}]", info.dtype, info.shape)));
                }
                *range = header + 8 + info.data_offsets.0..header + 8 + info.data_offsets.1;
            }
            places.insert(name.clone(), ranges);
        }
        if metadata.tensors().len() != 3 * places.len() {
            return Err(damaged(format!("it has {} parts, its origin names {}", metadata.tensors().len(), 3 * places.len())));
        }
        let delta = Self { path: path.into(), origin, map, places };
        delta.check()?;
        Ok(delta)
    }

    /// Checks masks and digest.
    fn check(&self) -> Result<(), DeltaError> {
        let damaged = |problem: String| DeltaError::Damaged { path: self.path.clone(), problem };
        let mut hasher = Sha256::new();
        for (name, ranges) in &self.places {
            ranges.iter().for_each(|range| hasher.update(&self.map[range.clone()]));
            let count = self.change(name).map(|change| (change.mask.count(), change.facts.changed));
            let (count, changed) = count.ok_or_else(|| damaged(format!("the mask of {name} has a bit past its end")))?;
            if count != changed {
                return Err(damaged(format!("the mask of {name} has {count} weights, its origin says {changed}")));
            }
        }
        let found = seal(&self.origin, &hex(&hasher.finalize()));
        if found != self.origin.digest {
            return Err(damaged(format!("its content has sha256 {found}, its origin says {}", self.origin.digest)));
        }
        Ok(())
    }

    /// What changed in a tensor; none where the delta does not have it.
    pub fn change(&self, name: &str) -> Option<Change<'_>> {
        let ([mask, old, new], facts) = (self.places.get(name)?, self.origin.tensors.get(name)?);
        let mask = Mask::from_bytes(facts.weights()?, self.map.get(mask.clone())?)?;
        Some(Change { mask, old: self.map.get(old.clone())?, new: self.map.get(new.clone())?, facts })
    }

    /// Weights that changed.
    pub fn count(&self) -> usize {
        self.origin.tensors.values().map(|facts| facts.changed).sum()
    }
}

fn read_origin(path: &Path, text: Option<&String>) -> Result<Origin, DeltaError> {
    let damaged = |problem: String| DeltaError::Damaged { path: path.into(), problem };
    let text = text.ok_or_else(|| damaged("it has no delta's metadata".into()))?;
    let json = serde_json::from_str::<serde_json::Value>(text).map_err(|error| damaged(error.to_string()))?;
    if json["version"] != VERSION {
        return Err(DeltaError::Version { path: path.into(), found: json["version"].to_string(), known: VERSION });
    }
    serde_json::from_value(json).map_err(|error| damaged(error.to_string()))
}
