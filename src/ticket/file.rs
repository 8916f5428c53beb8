//! Ticket files: one packed mask a tensor, with where it came from.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::TicketError;
use super::budget::{Budget, Scope, Structure};
use super::mask_set::{MaskSet, maskable};
use crate::artifact::digest::sha256;
use crate::mask::Mask;
use crate::model::inventory::TensorSpec;

/// The version of the format; a reader refuses any other.
const VERSION: u32 = 1;

/// Where a ticket came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Of the file's format.
    pub version: u32,
    /// Digest of the weights of the model whose behaviour it carries.
    pub model: String,
    /// Digest of the base's weights, for a task vector.
    pub base: Option<String>,
    /// `snip`, `task-vector`, `random`, ….
    pub score: String,
    /// Share of maskable weights asked for.
    pub density: f64,
    /// Within what the top was taken.
    pub scope: Scope,
    /// In which pieces it was taken.
    #[serde(default, skip_serializing_if = "Structure::is_weight")]
    pub structure: Structure,
    /// What it was scored on, as written, and the digest of its rows.
    pub data: Option<(String, String)>,
    /// The top of the same score on other data that it stays out of: as `data`, and the share of maskable weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minus: Option<((String, String), f64)>,
    /// The other data on which the same score divides it: as `data`, and ε in mean scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<((String, String), f64)>,
    /// Seed of a random ticket.
    pub seed: Option<u64>,
    /// Numbers of weights by tensor.
    pub sizes: BTreeMap<String, usize>,
    /// sha256 of the packed masks in the order of names.
    pub bits: String,
}

impl Origin {
    /// How much it takes.
    pub fn budget(&self) -> Budget {
        Budget { density: self.density, scope: self.scope, structure: self.structure }
    }
}

/// Masks that say which weights carry a behaviour, and where they came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Ticket {
    /// Where it came from.
    pub origin: Origin,
    /// The weights; bit 1 = in the ticket.
    pub masks: MaskSet,
}

impl Ticket {
    /// Joins masks with their origin, whose sizes and digest are filled in.
    pub fn new(mut origin: Origin, masks: MaskSet) -> Self {
        origin.version = VERSION;
        origin.sizes = masks.0.iter().map(|(name, mask)| (name.clone(), mask.len())).collect();
        origin.bits = bits_digest(&masks);
        Self { origin, masks }
    }

    /// Writes the file; the same ticket gives the same bytes.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let mut header = serde_json::Map::new();
        let origin = serde_json::to_string(&self.origin)?;
        header.insert("__metadata__".into(), serde_json::json!({"steadfast_ticket": origin}));
        let mut offset = 0;
        for (name, mask) in &self.masks.0 {
            let bytes = mask.len().div_ceil(8);
            header.insert(name.clone(), serde_json::json!({"dtype": "U8", "shape": [bytes], "data_offsets": [offset, offset + bytes]}));
            offset += bytes;
        }
        let mut text = serde_json::Value::Object(header).to_string();
        while !text.len().is_multiple_of(8) {
            text.push(' ');
        }
        out.write_all(&(text.len() as u64).to_le_bytes())?;
        out.write_all(text.as_bytes())?;
        self.masks.0.values().try_for_each(|mask| out.write_all(&mask.to_bytes()))
    }

    /// Reads a file and checks all of it.
    ///
    /// # Errors
    /// When it cannot be read, is no ticket, is damaged, or has another version.
    pub fn read(path: &Path) -> Result<Self, TicketError> {
        let damaged = |problem: String| TicketError::Damaged { path: path.into(), problem };
        let bytes = std::fs::read(path).map_err(|source| TicketError::Io { path: path.into(), source })?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| damaged(error.to_string()))?;
        let text = metadata
            .metadata()
            .as_ref()
            .and_then(|map| map.get("steadfast_ticket"))
            .ok_or_else(|| damaged("it has no ticket's metadata".into()))?;
        let version = serde_json::from_str::<serde_json::Value>(text).map_err(|error| damaged(error.to_string()))?["version"].clone();
        if version != VERSION {
            return Err(damaged(format!("its format has version {version}, this program reads {VERSION}")));
        }
        let origin: Origin = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
        let mut masks = MaskSet::default();
        for (name, &size) in &origin.sizes {
            let tensor = tensors.tensor(name).map_err(|_| damaged(format!("the mask of {name} is missing")))?;
            let mask = Mask::from_bytes(size, tensor.data())
                .ok_or_else(|| damaged(format!("the mask of {name} has {} bytes for {size} weights", tensor.data().len())))?;
            masks.0.insert(name.clone(), mask);
        }
        if tensors.len() != masks.0.len() {
            return Err(damaged(format!("it has {} masks, its origin names {}", tensors.len(), masks.0.len())));
        }
        let found = bits_digest(&masks);
        if found != origin.bits {
            return Err(damaged(format!("its masks have sha256 {found}, its origin says {}", origin.bits)));
        }
        Ok(Self { origin, masks })
    }

    /// Checks that the ticket belongs to a model: every maskable tensor and no other, with its size, and the digest of
    /// the very weights it was extracted from.
    ///
    /// # Errors
    /// Lists every missing, extra and mis-sized tensor, and both digests when they differ.
    pub fn bind(&self, specs: &[TensorSpec], weights_digest: &str) -> Result<(), TicketError> {
        let mut problems = Vec::new();
        for spec in maskable(specs) {
            match self.masks.0.get(&spec.name) {
                None => problems.push(format!("  missing: {}", spec.name)),
                Some(mask) if mask.len() != spec.len() => {
                    problems.push(format!("  size of {}: {}, expected {}", spec.name, mask.len(), spec.len()))
                }
                Some(_) => {}
            }
        }
        for name in self.masks.0.keys() {
            if !maskable(specs).any(|spec| spec.name == *name) {
                problems.push(format!("  extra: {name}"));
            }
        }
        if self.origin.model != weights_digest {
            problems.push(format!("  it was extracted from weights {}, these are {weights_digest}", self.origin.model));
        }
        if problems.is_empty() { Ok(()) } else { Err(TicketError::OtherModel { problems }) }
    }
}

fn bits_digest(masks: &MaskSet) -> String {
    let all: Vec<u8> = masks.0.values().flat_map(Mask::to_bytes).collect();
    sha256(&all)
}
