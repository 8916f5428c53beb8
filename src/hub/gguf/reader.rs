//! The container's parts, read by a cursor that cannot leave the file.

use std::collections::BTreeMap;

use super::blocks::Block;

/// What a metadata key holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Any integer or boolean.
    Whole(i128),
    /// Any floating-point number.
    Number(f64),
    /// Text.
    Text(String),
    /// A list of values of one type.
    List(Vec<Value>),
}

/// Where a tensor lies.
pub(super) struct Place {
    /// Outermost first, as everywhere else (the file has them the other way round).
    pub(super) shape: Vec<usize>,
    pub(super) block: Block,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A cursor that cannot leave the file.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes from the beginning of the file.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| format!("{count} bytes are asked for at byte {}, the file has {}", self.at, self.bytes.len()))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(super) fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.number()?))
    }

    /// A length, a side or an offset.
    fn size(&mut self, what: &str) -> Result<usize, String> {
        let size = u64::from_le_bytes(self.number()?);
        usize::try_from(size).map_err(|_| format!("{what} of {size} at byte {}", self.at - 8))
    }

    pub(super) fn count(&mut self) -> Result<usize, String> {
        let count = self.size("a count")?;
        // Nothing that is counted takes less than a byte: a larger count is damage, found before memory is asked for.
        if count > self.bytes.len() { Err(format!("a count of {count} at byte {}", self.at - 8)) } else { Ok(count) }
    }

    fn text(&mut self) -> Result<String, String> {
        let length = self.count()?;
        let bytes = self.take(length)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| format!("text before byte {} is not UTF-8", self.at))
    }

    fn value(&mut self, kind: u32, depth: usize) -> Result<Value, String> {
        Ok(match kind {
            0 => Value::Whole(self.number::<1>()?[0].into()),
            1 => Value::Whole(i8::from_le_bytes(self.number()?).into()),
            2 => Value::Whole(u16::from_le_bytes(self.number()?).into()),
            3 => Value::Whole(i16::from_le_bytes(self.number()?).into()),
            4 => Value::Whole(self.u32()?.into()),
            5 => Value::Whole(i32::from_le_bytes(self.number()?).into()),
            6 => Value::Number(f32::from_le_bytes(self.number()?).into()),
            7 => Value::Whole((self.number::<1>()?[0] != 0).into()),
            8 => Value::Text(self.text()?),
            9 if depth == 0 => {
                let kind = self.u32()?;
                let count = self.count()?;
                Value::List((0..count).map(|_| self.value(kind, 1)).collect::<Result<_, _>>()?)
            }
            10 => Value::Whole(u64::from_le_bytes(self.number()?).into()),
            11 => Value::Whole(i64::from_le_bytes(self.number()?).into()),
            12 => Value::Number(f64::from_le_bytes(self.number()?)),
            other => return Err(format!("a value of type {other} at byte {}", self.at)),
        })
    }

    pub(super) fn metadata(&mut self, count: usize) -> Result<BTreeMap<String, Value>, String> {
        let mut metadata = BTreeMap::new();
        for _ in 0..count {
            let key = self.text()?;
            let kind = self.u32()?;
            let value = self.value(kind, 0).map_err(|problem| format!("key {key}: {problem}"))?;
            if metadata.insert(key.clone(), value).is_some() {
                return Err(format!("it has the key {key} twice"));
            }
        }
        Ok(metadata)
    }

    pub(super) fn description(&mut self) -> Result<Description, String> {
        let name = self.text()?;
        let dimensions = self.u32()?;
        if dimensions > 4 {
            return Err(format!("tensor {name} has {dimensions} dimensions"));
        }
        let mut shape = (0..dimensions).map(|_| self.size("a side")).collect::<Result<Vec<_>, _>>()?;
        shape.reverse();
        Ok(Description { name, shape, kind: self.u32()?, offset: self.size("an offset")? })
    }
}

/// A tensor as the header describes it.
pub(super) struct Description {
    pub(super) name: String,
    /// Outermost first.
    pub(super) shape: Vec<usize>,
    /// The number of the block type.
    pub(super) kind: u32,
    /// From the beginning of the tensors' data, in bytes.
    offset: usize,
}

impl Description {
    /// Where it lies in a file of `length` bytes whose tensors begin at `data`; `None` when it does not lie in there.
    pub(super) fn place(&self, block: Block, data: usize, alignment: usize, length: usize) -> Option<Place> {
        let size = self.shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side))?;
        let whole_rows = self.shape.last().copied().unwrap_or(1).is_multiple_of(block.values());
        let bytes = (size / block.values()).checked_mul(block.bytes())?;
        let start = data.checked_add(self.offset)?;
        let end = start.checked_add(bytes)?;
        let good = whole_rows && self.offset.is_multiple_of(alignment) && end <= length;
        good.then(|| Place { shape: self.shape.clone(), block, start, end })
    }
}
