//! Parameters, and the three products that each takes part in.

use super::bf16::{self, Bf16, Left, Right};
use super::matmul::{self, View};
use super::memory::Numbers;
use super::q8_0::{self, Q8_0, Rows};
use super::sampled::{self, Columns};
use super::{Matrix, elementwise, expect, simd, skinny, wrong};
use crate::model::backend::{BackendError, Done, Selection};

/// What the factors of products are rounded to; sums are f32 always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Not at all.
    #[default]
    F32,
    /// bfloat16, weights and activations alike, as under autocast; the weights' f32 numbers are kept where they are trained.
    Bf16,
}

impl Precision {
    /// bfloat16 where this processor multiplies it, otherwise f32.
    pub fn best() -> Self {
        if bf16::available() { Self::Bf16 } else { Self::F32 }
    }

    /// What decides the last bits of products on this processor.
    pub fn numerics(self) -> String {
        let level = simd::level();
        match self {
            Self::F32 if skinny::available() => format!("cpu {level} f32, few rows and gradients by dots, sums {}", matmul::order()),
            Self::F32 => format!("cpu {level} f32, sums {}", matmul::order()),
            Self::Bf16 if bf16::available() => {
                format!("cpu {level} bf16 by avx512bf16 in one sum, few gradients by dots, sums {}", matmul::order())
            }
            Self::Bf16 => format!("cpu {level} bf16 in plain loops as avx512bf16, few gradients by dots, sums {}", matmul::order()),
        }
    }
}

/// A parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Parameter {
    /// A vector, or a matrix under [`Precision::F32`].
    F32(Matrix),
    /// A matrix under [`Precision::Bf16`].
    Bf16(Bf16),
    /// A matrix that only the forward pass reads.
    Q8_0(Q8_0),
}

/// Why a product or an update is refused.
pub fn frozen() -> BackendError {
    wrong("weights in Q8_0 are for generation: they have no gradient and no optimizer step".to_owned())
}

impl Parameter {
    /// (rows, columns).
    pub fn shape(&self) -> (usize, usize) {
        match self {
            Self::F32(matrix) => (matrix.rows, matrix.columns),
            Self::Bf16(weight) => weight.shape(),
            Self::Q8_0(weight) => weight.shape(),
        }
    }

    /// A row as products see it, into `to`.
    pub fn row(&self, row: usize, to: &mut [f32]) {
        match self {
            Self::F32(matrix) => to.copy_from_slice(matrix.row(row)),
            Self::Bf16(weight) => weight.row(row, to),
            Self::Q8_0(weight) => weight.row(row, to),
        }
    }

    /// Every number, row-major: f32 where it is kept.
    pub fn values(&self) -> Vec<f32> {
        match self {
            Self::F32(matrix) => matrix.data.to_vec(),
            Self::Bf16(weight) => weight.values(),
            Self::Q8_0(weight) => weight.values(),
        }
    }

    /// Puts numbers, compact, in the place of the selected ones.
    pub fn put(&mut self, selection: &Selection, values: &[f32]) -> Done<()> {
        let (rows, columns) = self.shape();
        expect("numbers of a weight", (1, values.len()), (1, selection.count(rows * columns)))?;
        match (self, selection) {
            (_, Selection::Nothing) => {}
            (Self::Q8_0(_), _) => return Err(frozen()),
            (Self::Bf16(weight), _) => weight.put(selection, values),
            (Self::F32(matrix), Selection::Everything) => matrix.data.copy_from_slice(values),
            (Self::F32(matrix), Selection::Subset(mask)) => mask.positions().zip(values).for_each(|(at, &value)| matrix.data[at] = value),
        }
        Ok(())
    }

    /// The numbers of a norm or a bias.
    pub fn vector(&self) -> Done<&Matrix> {
        match self {
            Self::F32(matrix) => Ok(matrix),
            _ => Err(wrong(format!("a matrix of {:?} as a norm or a bias", self.shape()))),
        }
    }

    /// As a factor of products with its transpose: the forward pass.
    pub fn forward(&self) -> Forward<'_> {
        match self {
            Self::F32(matrix) => Forward::F32(matrix),
            Self::Bf16(weight) => Forward::Bf16(weight.factor()),
            Self::Q8_0(weight) => Forward::Q8_0(weight),
        }
    }

    /// As a factor of products with itself: the backward pass.
    pub fn backward(&self) -> Done<Backward<'_>> {
        match self {
            Self::F32(matrix) => Ok(Backward::F32(matrix)),
            Self::Bf16(weight) => Ok(Backward::Bf16(weight.untransposed())),
            Self::Q8_0(_) => Err(frozen()),
        }
    }
}

/// The input of several products, in the forms that the first of them needed.
pub struct Input<'a> {
    x: &'a [f32],
    columns: usize,
    rounded: Option<Left>,
    eight_bits: Option<Rows>,
}

impl<'a> Input<'a> {
    /// Rows of so many columns.
    pub fn new(x: &'a [f32], columns: usize) -> Self {
        Self { x, columns, rounded: None, eight_bits: None }
    }

    fn rounded(&mut self) -> &Left {
        self.rounded.get_or_insert_with(|| Left::of(self.x, self.columns))
    }

    fn eight_bits(&mut self) -> &Rows {
        self.eight_bits.get_or_insert_with(|| Rows::of(self.x, self.columns))
    }
}

/// wᵀ.
pub enum Forward<'a> {
    F32(&'a Matrix),
    Bf16(&'a Right),
    Q8_0(&'a Q8_0),
}

impl Forward<'_> {
    /// y = x · wᵀ, or y += x · wᵀ, for some whole rows of x.
    pub fn product(&self, y: &mut [f32], x: &mut Input<'_>, add: bool) {
        match self {
            Self::F32(w) if x.x.len() <= skinny::MOST_ROWS * w.columns && skinny::available() => {
                skinny::product(y, x.x, &w.data, w.columns, add);
            }
            _ => self.wide_product(y, x, add),
        }
    }

    /// The same by the kernels for many rows, however few there are. What a row becomes does not depend on how many there are, but in f32
    /// for a row alone: gemm takes that for a vector, which it multiplies by another kernel.
    pub fn wide_product(&self, y: &mut [f32], x: &mut Input<'_>, add: bool) {
        match self {
            Self::F32(w) => {
                let (rows, inner) = (x.x.len() / w.columns.max(1), w.columns);
                matmul::product(y, w.rows, View::new(x.x, rows, inner, inner), w.view().t(), add);
            }
            Self::Bf16(w) => bf16::product(y, x.rounded(), w, add),
            Self::Q8_0(w) => q8_0::product(y, x.eight_bits(), w, add),
        }
    }
}

/// w.
pub enum Backward<'a> {
    F32(&'a Matrix),
    Bf16(Right),
}

impl Backward<'_> {
    /// dx = dy · w, or dx += dy · w, for some whole rows of dy.
    pub fn product(&self, dx: &mut [f32], dy: &[f32], add: bool) {
        match self {
            Self::F32(w) => matmul::product(dx, w.columns, View::new(dy, dy.len() / w.rows.max(1), w.rows, w.rows), w.view(), add),
            Self::Bf16(w) => bf16::product(dx, &Left::of(dy, w.depth), w, add),
        }
    }
}

/// The right factor x (T, I) of several weight gradients dyᵀ · x, in the form that the first of them needed.
pub struct Outer<'a> {
    x: &'a [f32],
    columns: usize,
    rounded: Option<Right>,
    turned: Option<Columns>,
}

impl<'a> Outer<'a> {
    /// Rows of so many columns.
    pub fn new(x: &'a [f32], columns: usize) -> Self {
        Self { x, columns, rounded: None, turned: None }
    }

    /// Adds the gradient of a weight (O, I) at the selected positions to the compact `gradient`; dy (T, O) with its columns.
    pub fn add_gradient(&mut self, precision: Precision, gradient: &mut [f32], dy: (&[f32], usize), selection: &Selection) {
        match selection {
            Selection::Nothing => {}
            // The compact order of a whole tensor is row-major.
            Selection::Everything => self.product(precision, gradient, dy, true),
            Selection::Subset(mask) if sampled::pays(precision, mask) => {
                let x = self.turned.get_or_insert_with(|| Columns::of(precision, self.x, self.columns));
                sampled::add(gradient, &Columns::of(precision, dy.0, dy.1), x, mask);
            }
            Selection::Subset(mask) => {
                let mut dense = Numbers::blank(dy.1 * self.columns);
                self.product(precision, &mut dense, dy, false);
                elementwise::add_selected(gradient, &dense, mask);
            }
        }
    }

    /// dw = dyᵀ · x, or dw += dyᵀ · x.
    fn product(&mut self, precision: Precision, dw: &mut [f32], (dy, outputs): (&[f32], usize), add: bool) {
        let (x, columns) = (self.x, self.columns);
        match precision {
            Precision::F32 => {
                let rows = dy.len() / outputs.max(1);
                matmul::product(dw, columns, View::new(dy, rows, outputs, outputs).t(), View::new(x, rows, columns, columns), add);
            }
            Precision::Bf16 => {
                let x = self.rounded.get_or_insert_with(|| Right::of(x, columns));
                bf16::product(dw, &Left::transposed(dy, outputs), x, add);
            }
        }
    }
}
