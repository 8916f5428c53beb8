//! An output that several threads write disjoint parts of.

/// A pointer into it.
#[derive(Clone, Copy)]
pub struct Out<T>(*mut T);
// SAFETY: every use writes a part that no other thread touches, and the slice outlives the parallel loop.
unsafe impl<T> Send for Out<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Out<T> {}

impl<T> Out<T> {
    /// Of a slice, which must outlive it.
    pub fn of(slice: &mut [T]) -> Self {
        Self(slice.as_mut_ptr())
    }

    /// A place in it. Taken through a method so that closures capture the wrapper, not the bare pointer.
    pub fn at(self, offset: usize) -> *mut T {
        self.0.wrapping_add(offset)
    }

    /// A part of it.
    ///
    /// # Safety
    /// The part lies inside the slice, and nothing else reads or writes it meanwhile.
    pub unsafe fn part<'a>(self, offset: usize, len: usize) -> &'a mut [T] {
        // SAFETY: the caller vouches for it.
        unsafe { std::slice::from_raw_parts_mut(self.at(offset), len) }
    }
}
