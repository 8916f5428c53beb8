//! A row-major matrix of f32.

use super::matmul::View;
use super::memory::Numbers;
use super::{Done, wrong};

/// A row-major matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    pub(super) data: Numbers<f32>,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Matrix {
    /// Of numbers that are written before they are read.
    pub(super) fn blank(rows: usize, columns: usize) -> Self {
        Self { data: Numbers::blank(rows * columns), rows, columns }
    }

    pub(super) fn zeros(rows: usize, columns: usize) -> Self {
        Self { data: Numbers::zeros(rows * columns), rows, columns }
    }

    pub(super) fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.columns..(i + 1) * self.columns]
    }

    pub(super) fn row_mut(&mut self, i: usize) -> &mut [f32] {
        &mut self.data[i * self.columns..(i + 1) * self.columns]
    }

    pub(super) fn view(&self) -> View<'_> {
        View::new(&self.data, self.rows, self.columns, self.columns)
    }
}

/// That two shapes, of rows and columns, are the same.
pub(super) fn expect(what: &str, found: (usize, usize), expected: (usize, usize)) -> Done<()> {
    if found == expected {
        Ok(())
    } else {
        Err(wrong(format!("{what} is {}×{}, expected {}×{}", found.0, found.1, expected.0, expected.1)))
    }
}
