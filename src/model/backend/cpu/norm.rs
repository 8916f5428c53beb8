//! Root-mean-square normalisation.

use rayon::prelude::*;

use super::Matrix;
use super::simd::{dispatched, dot};

/// Rows whose weight gradients are summed together before the parts are added in order.
const ROWS: usize = 32;

dispatched! {
    fn normalise(x: &[f32], w: &[f32], epsilon: f32, y: &mut [f32]) -> f32 {
        let mean = dot(x, x) / x.len() as f32;
        let inverse = 1.0 / (mean + epsilon).sqrt();
        for i in 0..x.len() {
            y[i] = x[i] * inverse * w[i];
        }
        inverse
    }
}

dispatched! {
    /// dx of one row; adds to `dw` when it is not empty.
    fn normalise_backward(dy: &[f32], x: &[f32], w: &[f32], inverse: f32, dx: &mut [f32], dw: &mut [f32]) {
        // dx holds dy·w first, so that the row's dot product is one pass.
        for i in 0..x.len() {
            dx[i] = dy[i] * w[i];
        }
        let mixed = dot(dx, x) * inverse * inverse / x.len() as f32;
        for i in 0..dw.len() {
            dw[i] = (dy[i] * x[i]).mul_add(inverse, dw[i]);
        }
        for i in 0..x.len() {
            dx[i] = (dx[i] - x[i] * mixed) * inverse;
        }
    }
}

/// Normalised rows and their 1/rms.
pub fn forward(x: &Matrix, w: &[f32], epsilon: f64) -> (Matrix, Matrix) {
    let mut y = Matrix::blank(x.rows, x.columns);
    let mut inverse = Matrix::blank(x.rows, 1);
    let width = x.columns.max(1);
    y.data
        .par_chunks_mut(width)
        .zip(x.data.par_chunks(width))
        .zip(inverse.data.par_iter_mut())
        .for_each(|((y, x), inverse)| *inverse = normalise(x, w, epsilon as f32, y));
    (y, inverse)
}

/// The gradient of x; adds the weight's to `gradient`.
pub fn backward(dy: &Matrix, x: &Matrix, w: &[f32], inverse: &Matrix, gradient: Option<&mut [f32]>) -> Matrix {
    let mut dx = Matrix::blank(x.rows, x.columns);
    let width = x.columns.max(1);
    let kept = if gradient.is_some() { width } else { 0 };
    let parts: Vec<Vec<f32>> = dx
        .data
        .par_chunks_mut(width * ROWS)
        .enumerate()
        .map(|(block, dx)| {
            let mut dw = vec![0.0; kept];
            for (i, dx) in dx.chunks_mut(width).enumerate() {
                let t = block * ROWS + i;
                normalise_backward(dy.row(t), x.row(t), w, inverse.data[t], dx, &mut dw);
            }
            dw
        })
        .collect();
    if let Some(gradient) = gradient {
        for part in parts {
            for (to, from) in gradient.iter_mut().zip(part) {
                *to += from;
            }
        }
    }
    dx
}
