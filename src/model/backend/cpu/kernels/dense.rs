//! One product of f32 matrices on the calling thread, by the `gemm` crate.

use std::ops::Range;

use super::tile::Tile;

/// A matrix view over a slice: `rows` × `columns` with strides, for `a` or its transpose.
#[derive(Clone, Copy)]
pub struct View<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// A row-major matrix with `stride` numbers between rows.
    ///
    /// # Panics
    /// When it does not lie inside the slice.
    pub fn new(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(columns <= stride || rows <= 1, "a row of {columns} in a stride of {stride}");
        let end = || (rows - 1).checked_mul(stride)?.checked_add(columns);
        assert!(rows == 0 || columns == 0 || end().is_some_and(|end| end <= data.len()), "{rows}×{columns} in {} numbers", data.len());
        Self { data, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// The transpose, without moving numbers.
    #[must_use]
    pub fn t(self) -> Self {
        Self { rows: self.columns, columns: self.rows, row_stride: self.column_stride, column_stride: self.row_stride, ..self }
    }

    /// Some of its rows.
    ///
    /// # Panics
    /// When there are not so many.
    #[must_use]
    pub fn part(self, rows: Range<usize>) -> Self {
        assert!(rows.start <= rows.end && rows.end <= self.rows, "rows {rows:?} of {}", self.rows);
        let from = (rows.start * self.row_stride).min(self.data.len());
        Self { data: &self.data[from..], rows: rows.len(), ..self }
    }

    /// Its rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Its columns.
    pub fn columns(&self) -> usize {
        self.columns
    }
}

/// c = a · b, or c += a · b. Sums run over the inner dimension in an order fixed by the shapes.
///
/// # Panics
/// When the shapes do not fit.
pub fn multiply(c: &mut Tile<'_, f32>, a: View<'_>, b: View<'_>, add: bool) {
    let (m, n, k) = (c.rows(), c.columns(), a.columns);
    assert!(a.rows == m && b.columns == n && b.rows == k, "{}×{k} · {}×{} into {m}×{n}", a.rows, b.rows, b.columns);
    let (to, stride) = (c.part(0, 0, m, n), c.stride());
    // SAFETY: a view's numbers lie inside its slice and a tile's inside its own, as their makers assert; their shapes fit; the tile is
    // borrowed alone.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            to,
            1,
            stride as isize,
            add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
