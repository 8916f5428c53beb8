//! Activations that wait for the backward pass.

use rayon::prelude::*;

use super::bf16::{round, widen};
use super::elementwise::CHUNK;
use super::memory::Numbers;
use super::simd::dispatched;
use super::{Matrix, Precision};

/// A matrix, in bfloat16 where products are: their factors are rounded to it in the backward pass anyway.
#[derive(Debug)]
pub enum Kept {
    /// As it is.
    F32(Matrix),
    /// The nearest bfloat16 numbers, with rows and columns.
    Bf16(Numbers<u16>, usize, usize),
}

impl Kept {
    /// Of a matrix.
    pub fn new(precision: Precision, matrix: Matrix) -> Self {
        match precision {
            Precision::F32 => Self::F32(matrix),
            Precision::Bf16 => {
                let mut numbers = Numbers::blank(matrix.data.len());
                numbers.par_chunks_mut(CHUNK).zip(matrix.data.par_chunks(CHUNK)).for_each(|(to, from)| narrowed(to, from));
                Self::Bf16(numbers, matrix.rows, matrix.columns)
            }
        }
    }

    /// The matrix again.
    pub fn recall(self) -> Matrix {
        match self {
            Self::F32(matrix) => matrix,
            Self::Bf16(numbers, rows, columns) => {
                let mut matrix = Matrix::blank(rows, columns);
                matrix.data.par_chunks_mut(CHUNK).zip(numbers.par_chunks(CHUNK)).for_each(|(to, from)| widened(to, from));
                matrix
            }
        }
    }
}

dispatched! {
    fn narrowed(to: &mut [u16], from: &[f32]) {
        for (to, &from) in to.iter_mut().zip(from) {
            *to = round(from) as u16;
        }
    }
}

dispatched! {
    fn widened(to: &mut [f32], from: &[u16]) {
        for (to, &from) in to.iter_mut().zip(from) {
            *to = widen(u32::from(from));
        }
    }
}
