//! An opened file: its metadata by key, and where its tensors lie.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::GgufError;
use super::blocks::{self, Block};
use super::reader::{Place, Reader, Value};
use crate::artifact::map::map;

/// An opened GGUF file.
pub struct Gguf {
    path: PathBuf,
    map: Mmap,
    metadata: BTreeMap<String, Value>,
    pub(super) tensors: BTreeMap<String, Place>,
}

impl Gguf {
    /// Opens a file and reads its header; every tensor is checked to lie inside the file.
    ///
    /// # Errors
    /// When it cannot be read, is damaged or truncated, or has a block type that is not supported.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let io = |source| GgufError::Io { path: path.into(), source };
        let damaged = |problem: String| GgufError::Damaged { path: path.into(), problem };
        let unsupported = |what, found: String, supported| GgufError::Unsupported { path: path.into(), what, found, supported };
        let file = File::open(path).map_err(io)?;
        if file.metadata().map_err(io)?.len() < 24 {
            return Err(damaged("it is shorter than a header".into()));
        }
        let map = map(&file).map_err(io)?;
        let mut reader = Reader::new(&map);
        if reader.take(4).map_err(damaged)? != b"GGUF" {
            return Err(damaged("it does not begin with GGUF".into()));
        }
        let version = reader.u32().map_err(damaged)?;
        if !(2..=3).contains(&version) {
            return Err(unsupported("version", version.to_string(), "2, 3"));
        }
        let (tensor_count, key_count) = (reader.count().map_err(damaged)?, reader.count().map_err(damaged)?);
        let metadata = reader.metadata(key_count).map_err(damaged)?;
        let descriptions = (0..tensor_count).map(|_| reader.description()).collect::<Result<Vec<_>, _>>().map_err(damaged)?;
        let alignment = match metadata.get("general.alignment") {
            None => 32,
            Some(Value::Whole(alignment)) if alignment % 8 == 0 && (8..=1 << 20).contains(alignment) => *alignment as usize,
            Some(other) => return Err(damaged(format!("general.alignment is {other:?}, expected a multiple of 8"))),
        };
        let data = reader.at().next_multiple_of(alignment);
        let mut tensors = BTreeMap::new();
        for tensor in descriptions {
            let (name, shape) = (&tensor.name, &tensor.shape);
            let block = Block::of(tensor.kind)
                .ok_or_else(|| unsupported("block type", format!("{} (of {name})", tensor.kind), blocks::SUPPORTED))?;
            let place = tensor.place(block, data, alignment, map.len());
            let place = place.ok_or_else(|| damaged(format!("tensor {name} {shape:?} does not lie inside the {} bytes", map.len())))?;
            if tensors.insert(tensor.name.clone(), place).is_some() {
                return Err(damaged(format!("it has the tensor {} twice", tensor.name)));
            }
        }
        Ok(Self { path: path.into(), map, metadata, tensors })
    }

    /// A metadata value.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// The value of a key, as `read` understands it.
    fn read<'a, T>(&'a self, key: &str, expected: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Result<Option<T>, GgufError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let found = match value {
            Value::List(list) => format!("a list of {}", list.len()),
            other => format!("{other:?}"),
        };
        read(value).map(Some).ok_or_else(|| self.damaged(format!("{key} is {found}, expected {expected}")))
    }

    /// A text; `None` when the key is not there.
    ///
    /// # Errors
    /// When it holds something else.
    pub fn text(&self, key: &str) -> Result<Option<&str>, GgufError> {
        self.read(key, "text", |value| if let Value::Text(text) = value { Some(text.as_str()) } else { None })
    }

    /// A whole number that is not negative, or 0 or 1 for a boolean; `None` when the key is not there.
    ///
    /// # Errors
    /// When it holds something else.
    pub fn whole(&self, key: &str) -> Result<Option<u64>, GgufError> {
        self.read(key, "a whole number", |value| if let Value::Whole(number) = value { u64::try_from(*number).ok() } else { None })
    }

    /// A finite number; `None` when the key is not there.
    ///
    /// # Errors
    /// When it holds something else.
    pub fn number(&self, key: &str) -> Result<Option<f64>, GgufError> {
        self.read(key, "a finite number", finite)
    }

    /// A list of texts.
    ///
    /// # Errors
    /// When the key is not there, or holds something else.
    pub fn texts(&self, key: &str) -> Result<Vec<&str>, GgufError> {
        self.list(key, "texts", |item| if let Value::Text(text) = item { Some(text.as_str()) } else { None })
    }

    /// A list of whole numbers.
    ///
    /// # Errors
    /// When the key is not there, or holds something else.
    pub fn wholes(&self, key: &str) -> Result<Vec<i128>, GgufError> {
        self.list(key, "whole numbers", |item| if let Value::Whole(number) = item { Some(*number) } else { None })
    }

    /// A list of finite numbers.
    ///
    /// # Errors
    /// When the key is not there, or holds something else.
    pub fn numbers(&self, key: &str) -> Result<Vec<f64>, GgufError> {
        self.list(key, "finite numbers", finite)
    }

    fn list<'a, T>(&'a self, key: &str, of: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Vec<T>, GgufError> {
        let all = |value: &'a Value| if let Value::List(list) = value { list.iter().map(&read).collect() } else { None };
        self.read(key, &format!("a list of {of}"), all)?.ok_or_else(|| self.missing(key))
    }

    /// The bytes of a tensor; they begin at a multiple of 8.
    pub(super) fn bytes(&self, place: &Place) -> &[u8] {
        &self.map[place.start..place.end]
    }

    /// What this program does not read.
    pub(super) fn unsupported(&self, what: &'static str, found: impl Into<String>, supported: &'static str) -> GgufError {
        GgufError::Unsupported { path: self.path.clone(), what, found: found.into(), supported }
    }

    /// A contradiction.
    pub(super) fn damaged(&self, problem: impl Into<String>) -> GgufError {
        GgufError::Damaged { path: self.path.clone(), problem: problem.into() }
    }

    /// A key or a tensor that must be there.
    pub(super) fn missing(&self, name: &str) -> GgufError {
        self.damaged(format!("it has no {name}"))
    }
}

fn finite(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number).filter(|number| number.is_finite()),
        Value::Whole(number) => Some(*number as f64),
        _ => None,
    }
}
