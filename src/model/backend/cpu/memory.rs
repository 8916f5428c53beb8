//! Where buffers live: at cache lines, large ones in huge pages, and in memory that earlier ones gave back.
//!
//! A training step makes and drops the same buffers again and again. Fresh memory would have to be cleared by the kernel each
//! time, page by page, which cost a seventh of a dense step. What is kept for later hardly makes the process larger than
//! its largest moment was: before more is mapped, as much is given back.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytemuck::Pod;
use memmap2::MmapMut;

/// Buffers from this many bytes on are mapped, and kept when they are dropped.
const LARGE: usize = 1 << 14;
/// Maps are multiples of this many bytes.
const STEP: usize = 1 << 14;
/// So much more than was ever in use may be mapped, and a sixteenth.
const SPARE: usize = 1 << 24;

/// A cache line.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// A slice of numbers that begins at a cache line.
pub struct Numbers<T> {
    store: Store,
    len: usize,
    kind: PhantomData<T>,
}

enum Store {
    Lines(Vec<Line>),
    Map(MmapMut),
}

/// What is mapped.
struct Pool {
    /// Given back, the oldest first.
    idle: Vec<MmapMut>,
    idle_bytes: usize,
    /// In use.
    live_bytes: usize,
    /// The most that was ever in use.
    peak_bytes: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { idle: Vec::new(), idle_bytes: 0, live_bytes: 0, peak_bytes: 0 });

fn pool() -> MutexGuard<'static, Pool> {
    // Its numbers are changed after maps were, so a panic elsewhere leaves them usable.
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// A map of at least so many bytes and at most a quarter more; whether it is fresh, and so zero.
    fn take(&mut self, bytes: usize) -> Option<(MmapMut, bool)> {
        let bytes = bytes.next_multiple_of(STEP);
        let fitting = self.idle.iter().enumerate().filter(|(_, map)| (bytes..=bytes + bytes / 4).contains(&map.len()));
        let found = fitting.min_by_key(|(_, map)| map.len()).map(|(at, _)| at);
        let (map, fresh) = match found {
            Some(at) => {
                let map = self.idle.remove(at);
                self.idle_bytes -= map.len();
                (map, false)
            }
            None => {
                while !self.idle.is_empty() && self.live_bytes + self.idle_bytes + bytes > self.peak_bytes + self.peak_bytes / 16 + SPARE {
                    self.idle_bytes -= self.idle.remove(0).len();
                }
                (mapped(bytes)?, true)
            }
        };
        self.live_bytes += map.len();
        self.peak_bytes = self.peak_bytes.max(self.live_bytes);
        Some((map, fresh))
    }
}

/// Fresh zeros, in huge pages where the system has them.
fn mapped(bytes: usize) -> Option<MmapMut> {
    let map = MmapMut::map_anon(bytes).ok()?;
    // Only a wish: without it all is as right, and slower.
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    Some(map)
}

/// Gives all that is kept back to the system.
pub fn release() {
    let mut pool = pool();
    pool.idle.clear();
    pool.idle_bytes = 0;
    pool.peak_bytes = pool.live_bytes;
}

impl<T: Pod> Numbers<T> {
    /// Numbers that the caller writes before it reads them. Under test they are NaN, so that one which is never written is found out.
    pub fn blank(len: usize) -> Self {
        let mut numbers = Self::make(len).0;
        if cfg!(any(test, debug_assertions)) {
            bytemuck::cast_slice_mut::<T, u8>(&mut numbers).fill(0xff);
        }
        numbers
    }

    /// Zeros.
    pub fn zeros(len: usize) -> Self {
        let (mut numbers, fresh) = Self::make(len);
        if !fresh {
            clear(&mut numbers);
        }
        numbers
    }

    /// A copy.
    pub fn of(values: &[T]) -> Self {
        let mut numbers = Self::make(values.len()).0;
        numbers.copy_from_slice(values);
        numbers
    }

    /// Whether they are fresh, and so zero.
    fn make(len: usize) -> (Self, bool) {
        let bytes = len * size_of::<T>();
        let (store, fresh) = match (bytes >= LARGE).then(|| pool().take(bytes)).flatten() {
            Some((map, fresh)) => (Store::Map(map), fresh),
            None => (Store::Lines(vec![Line([0; 64]); bytes.div_ceil(64)]), true),
        };
        (Self { store, len, kind: PhantomData }, fresh)
    }
}

/// Zeros, by the threads that fill them.
pub fn clear<T: Pod>(numbers: &mut [T]) {
    use rayon::prelude::*;
    bytemuck::cast_slice_mut::<T, u8>(numbers).par_chunks_mut(1 << 17).for_each(|chunk| chunk.fill(0));
}

impl<T> Drop for Numbers<T> {
    fn drop(&mut self) {
        if let Store::Map(map) = std::mem::replace(&mut self.store, Store::Lines(Vec::new())) {
            let mut pool = pool();
            pool.live_bytes -= map.len();
            pool.idle_bytes += map.len();
            pool.idle.push(map);
        }
    }
}

impl<T: Pod> Deref for Numbers<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        let bytes: &[u8] = match &self.store {
            Store::Lines(lines) => bytemuck::cast_slice(lines),
            Store::Map(map) => map,
        };
        bytemuck::cast_slice(&bytes[..self.len * size_of::<T>()])
    }
}

impl<T: Pod> DerefMut for Numbers<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let bytes: &mut [u8] = match &mut self.store {
            Store::Lines(lines) => bytemuck::cast_slice_mut(lines),
            Store::Map(map) => map,
        };
        bytemuck::cast_slice_mut(&mut bytes[..self.len * size_of::<T>()])
    }
}

impl<T: Pod> Clone for Numbers<T> {
    fn clone(&self) -> Self {
        Self::of(self)
    }
}

impl<T: Pod + PartialEq> PartialEq for Numbers<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Pod + std::fmt::Debug> std::fmt::Debug for Numbers<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Numbers;

    #[test]
    fn numbers_begin_at_a_line_and_zeros_are_zero_in_used_memory() {
        for len in [0, 1, 17, LARGE_NUMBERS - 1, LARGE_NUMBERS, 3 * LARGE_NUMBERS + 5] {
            for _ in 0..3 {
                let mut numbers = Numbers::<f32>::zeros(len);
                assert_eq!((numbers.len(), numbers.as_ptr() as usize % 64), (len, 0));
                assert!(numbers.iter().all(|&x| x.to_bits() == 0), "{len} zeros");
                numbers.fill(7.5);
                assert_eq!(numbers.clone(), Numbers::of(&vec![7.5; len]));
            }
        }
    }

    const LARGE_NUMBERS: usize = super::LARGE / 4;

    #[test]
    fn what_is_kept_is_little_more_than_what_was_once_in_use() {
        let mut pool = super::Pool { idle: Vec::new(), idle_bytes: 0, live_bytes: 0, peak_bytes: 0 };
        // Of memory that nobody writes to there is none.
        let unit = 1 << 26;
        let give = |pool: &mut super::Pool, map: memmap2::MmapMut| {
            pool.live_bytes -= map.len();
            pool.idle_bytes += map.len();
            pool.idle.push(map);
        };
        let (a, fresh_a) = pool.take(4 * unit).unwrap();
        let (b, fresh_b) = pool.take(2 * unit).unwrap();
        assert!(fresh_a && fresh_b);
        give(&mut pool, a);
        give(&mut pool, b);
        let (again, fresh) = pool.take(7 * unit / 2).unwrap();
        assert!(!fresh && again.len() == 4 * unit, "one that is a little larger");
        let (other, fresh) = pool.take(unit).unwrap();
        assert!(fresh && other.len() == unit, "one that is much larger is not taken");
        assert_eq!((pool.live_bytes, pool.idle_bytes, pool.peak_bytes), (5 * unit, 0, 6 * unit), "and had to go");
    }
}
