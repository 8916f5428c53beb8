//! Rectangles of an output that several threads write: disjoint because of how they are cut.

use std::marker::PhantomData;

/// A rectangle of a row-major matrix, which it alone reads and writes.
pub struct Tile<'a, T> {
    data: *mut T,
    /// Numbers from one row of the matrix to the next.
    stride: usize,
    rows: usize,
    columns: usize,
    place: (usize, usize),
    kind: PhantomData<&'a mut [T]>,
}

// SAFETY: a tile is an exclusive borrow of its numbers: no other tile has them, and the slice is borrowed as long as it lives.
unsafe impl<T: Send> Send for Tile<'_, T> {}

impl<'a, T> Tile<'a, T> {
    /// A whole matrix (rows, columns) whose rows stand `stride` numbers apart.
    ///
    /// # Panics
    /// When it does not lie inside the slice.
    pub fn whole(data: &'a mut [T], rows: usize, columns: usize, stride: usize) -> Self {
        check(data.len(), rows, columns, stride);
        Self { data: data.as_mut_ptr(), stride, rows, columns, place: (0, 0), kind: PhantomData }
    }

    /// Cuts a row-major matrix with `stride` numbers between rows along rows and columns; both cuts ascend, from the first number of a
    /// tile to the one behind the last. The tiles of the first rows come first, from left to right.
    ///
    /// # Panics
    /// When cuts descend or a tile does not lie inside the slice.
    pub fn cut(data: &'a mut [T], stride: usize, rows: &[usize], columns: &[usize]) -> Vec<Self> {
        assert!(rows.is_sorted() && columns.is_sorted(), "cuts that descend");
        check(data.len(), rows.last().copied().unwrap_or(0), columns.last().copied().unwrap_or(0), stride);
        let all = data.as_mut_ptr();
        let tile = |row: &[usize], column: &[usize]| Self {
            data: all.wrapping_add(row[0] * stride + column[0]),
            stride,
            rows: row[1] - row[0],
            columns: column[1] - column[0],
            place: (row[0], column[0]),
            kind: PhantomData,
        };
        rows.windows(2).flat_map(|row| columns.windows(2).map(move |column| tile(row, column))).collect()
    }

    /// Its rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Its columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Numbers from one of its rows to the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Row and column of its first number in the matrix.
    pub fn place(&self) -> (usize, usize) {
        self.place
    }

    /// One of its rows.
    ///
    /// # Panics
    /// When there are not so many.
    #[inline(always)]
    pub fn row(&mut self, row: usize) -> &mut [T] {
        let data = self.part(row, 0, 1, self.columns);
        // SAFETY: `columns` numbers of a row that is the tile's, as was asserted, and borrowed as long as the tile is.
        unsafe { std::slice::from_raw_parts_mut(data, self.columns) }
    }

    /// Where a part of it begins, whose rows stand [`Self::stride`] numbers apart.
    ///
    /// # Panics
    /// When the part is not inside it.
    #[inline(always)]
    pub fn part(&mut self, row: usize, column: usize, height: usize, width: usize) -> *mut T {
        let inside = |from: usize, length: usize, all: usize| from <= all && length <= all - from;
        assert!(inside(row, height, self.rows) && inside(column, width, self.columns), "a part of a tile that is not inside it");
        self.data.wrapping_add(row * self.stride + column)
    }
}

/// That a matrix lies inside so many numbers.
fn check(len: usize, rows: usize, columns: usize, stride: usize) {
    let fits = rows == 0 || columns == 0 || (rows - 1).checked_mul(stride).is_some_and(|last| last <= len && columns <= len - last);
    assert!(fits && (columns <= stride || rows <= 1), "{rows}×{columns} in a stride of {stride} in {len} numbers");
}

/// Cuts of `0..length` into pieces of `size`, the last of which may be shorter.
pub fn every(size: usize, length: usize) -> Vec<usize> {
    (0..length).step_by(size.max(1)).chain([length]).collect()
}
