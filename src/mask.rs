//! A set of positions in one tensor, bit-packed: the atom of tickets, masks and constrained training.

/// A set of positions `0..len`; bit 1 = in the set. Position `i` is the row-major index of a weight.
///
/// Bits past `len` in the last word are always 0, so that equal sets have equal words.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mask {
    len: usize,
    words: Vec<u64>,
}

impl Mask {
    /// No position of `len`.
    pub fn empty(len: usize) -> Self {
        Self { len, words: vec![0; len.div_ceil(64)] }
    }

    /// Every position of `len`.
    pub fn full(len: usize) -> Self {
        let mut mask = Self { len, words: vec![u64::MAX; len.div_ceil(64)] };
        mask.clear_tail();
        mask
    }

    /// The positions for which `keep` holds.
    pub fn from_fn(len: usize, mut keep: impl FnMut(usize) -> bool) -> Self {
        let mut mask = Self::empty(len);
        for i in 0..len {
            if keep(i) {
                mask.words[i / 64] |= 1 << (i % 64);
            }
        }
        mask
    }

    /// Reads the packed form that [`Mask::to_bytes`] writes; `None` when the number of bytes does not fit `len` or a bit past `len` is set.
    pub fn from_bytes(len: usize, bytes: &[u8]) -> Option<Self> {
        if bytes.len() != len.div_ceil(8) {
            return None;
        }
        let words = bytes
            .chunks(8)
            .map(|chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                u64::from_le_bytes(word)
            })
            .collect();
        let mask = Self { len, words };
        let mut clean = mask.clone();
        clean.clear_tail();
        (clean == mask).then_some(mask)
    }

    /// The packed form: `ceil(len / 8)` bytes, position `i` in byte `i / 8`, bit `i % 8` (least significant first).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate(self.len.div_ceil(8));
        bytes
    }

    /// The number of positions that the set is drawn from.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the mask is over a tensor without weights.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of positions in the set.
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The packed words, 64 positions each, least significant bit first.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Whether position `i` is in the set; false past the end.
    pub fn contains(&self, i: usize) -> bool {
        i < self.len && self.words[i / 64] >> (i % 64) & 1 == 1
    }

    /// Puts position `i` into the set.
    ///
    /// # Panics
    /// When `i >= len`: a caller's mistake, never an input's.
    pub fn insert(&mut self, i: usize) {
        assert!(i < self.len, "position {i} of {}", self.len);
        self.words[i / 64] |= 1 << (i % 64);
    }

    /// The number of positions in the set from `from` on, before `to`.
    pub fn count_between(&self, from: usize, to: usize) -> usize {
        self.words_between(from, to).map(|(_, word)| word.count_ones() as usize).sum()
    }

    /// The positions in the set, ascending.
    pub fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        self.positions_between(0, self.len)
    }

    /// The positions in the set from `from` on, before `to`, ascending.
    pub fn positions_between(&self, from: usize, to: usize) -> impl Iterator<Item = usize> + '_ {
        self.words_between(from, to).flat_map(|(w, word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let bit = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                Some(w * 64 + bit)
            })
        })
    }

    /// The words that hold positions from `from` on, before `to`, without other positions, each with its place.
    fn words_between(&self, from: usize, to: usize) -> impl Iterator<Item = (usize, u64)> + '_ {
        let to = to.min(self.len);
        let last = to.div_ceil(64);
        let first = (from / 64).min(last);
        self.words[first..last].iter().enumerate().map(move |(i, &word)| {
            let w = first + i;
            let low = if from > w * 64 { u64::MAX.checked_shl((from - w * 64) as u32).unwrap_or(0) } else { u64::MAX };
            let high = if to < (w + 1) * 64 { !u64::MAX.checked_shl((to - w * 64) as u32).unwrap_or(0) } else { u64::MAX };
            (w, word & low & high)
        })
    }

    /// The positions that are not in the set.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut mask = Self { len: self.len, words: self.words.iter().map(|word| !word).collect() };
        mask.clear_tail();
        mask
    }

    /// The positions in both sets.
    ///
    /// # Panics
    /// When the lengths differ.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    /// The positions in either set.
    ///
    /// # Panics
    /// When the lengths differ.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a | b)
    }

    /// The positions in this set and not in the other.
    ///
    /// # Panics
    /// When the lengths differ.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & !b)
    }

    fn zip(&self, other: &Self, op: impl Fn(u64, u64) -> u64) -> Self {
        assert_eq!(self.len, other.len, "masks over tensors of different sizes");
        Self { len: self.len, words: self.words.iter().zip(&other.words).map(|(&a, &b)| op(a, b)).collect() }
    }

    fn clear_tail(&mut self) {
        if let (Some(last), rest @ 1..) = (self.words.last_mut(), self.len % 64) {
            *last &= (1 << rest) - 1;
        }
    }
}
