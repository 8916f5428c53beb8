//! What an encoder's layers are made of, on slices. Every number of a token depends on its own row alone: sums over k run in an order
//! that the shapes of one row fix, so that a row has the same bits whatever stands beside it, on any number of threads.

use rayon::prelude::*;

use crate::model::backend::cpu::matmul::{View, product};
use crate::model::backend::cpu::simd::{LANES, dispatched, dot, exp, fold};

/// Side of the squares that are transposed at once.
const SQUARE: usize = 32;

/// y = x · wᵀ + b.
pub(super) struct Linear {
    /// (I, O): the transpose of what is stored. Of the other order `gemm` sums in another way where there are few rows, and packs it more
    /// slowly.
    turned: Vec<f32>,
    /// (O), or nothing.
    bias: Vec<f32>,
    /// O.
    outputs: usize,
}

impl Linear {
    /// Of a weight (O, I), row-major, and a bias (O) or nothing.
    pub fn new(weight: &[f32], bias: Vec<f32>, outputs: usize) -> Self {
        let inputs = weight.len() / outputs;
        let mut turned = vec![0.0; weight.len()];
        // In squares, so that neither side runs through all of memory for each of its numbers.
        turned.par_chunks_mut(outputs * SQUARE).enumerate().for_each(|(block, part)| {
            for first in (0..outputs).step_by(SQUARE) {
                for (i, row) in part.chunks_mut(outputs).enumerate() {
                    for o in first..(first + SQUARE).min(outputs) {
                        row[o] = weight[o * inputs + block * SQUARE + i];
                    }
                }
            }
        });
        Self { turned, bias, outputs }
    }

    /// O.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// (N, I) → (N, O).
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        let (outputs, inputs) = (self.outputs, self.turned.len() / self.outputs);
        let rows = x.len() / inputs;
        let mut y = Vec::with_capacity(rows * outputs);
        match self.bias.is_empty() {
            true => y.resize(rows * outputs, 0.0),
            false => (0..rows).for_each(|_| y.extend_from_slice(&self.bias)),
        }
        let (a, b) = (View::new(x, rows, inputs, inputs), View::new(&self.turned, inputs, outputs, outputs));
        product(&mut y, outputs, a, b, !self.bias.is_empty());
        y
    }
}

/// Layer normalisation: (x − mean) / √(variance + ε) · w + b.
pub(super) struct Norm {
    /// (C).
    pub weight: Vec<f32>,
    /// (C), or nothing.
    pub bias: Vec<f32>,
    /// ε.
    pub epsilon: f32,
}

impl Norm {
    /// (N, C) → (N, C).
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        let mut y = x.to_vec();
        y.par_chunks_mut(self.weight.len()).for_each(|row| normalise(row, &self.weight, &self.bias, self.epsilon));
        y
    }
}

dispatched! {
    fn normalise(row: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) {
        let mut lanes = [0.0f32; LANES];
        let chunks = row.chunks_exact(LANES);
        let rest: f32 = chunks.remainder().iter().sum();
        for chunk in chunks {
            for i in 0..LANES {
                lanes[i] += chunk[i];
            }
        }
        let mean = (fold(lanes) + rest) / row.len() as f32;
        for v in row.iter_mut() {
            *v -= mean;
        }
        let inverse = 1.0 / (dot(row, row) / row.len() as f32 + epsilon).sqrt();
        for (v, w) in row.iter_mut().zip(weight) {
            *v *= inverse * w;
        }
        for (v, b) in row.iter_mut().zip(bias) {
            *v += b;
        }
    }
}

/// Of the feed-forward layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x · Φ(x).
    Gelu,
    /// The same by tanh: `gelu_new`, `gelu_pytorch_tanh`.
    GeluTanh,
    /// max(x, 0).
    Relu,
}

/// Numbers of one piece of work.
const CHUNK: usize = 1 << 14;

impl Activation {
    /// In place.
    pub(super) fn apply(self, x: &mut [f32]) {
        x.par_chunks_mut(CHUNK).for_each(|chunk| match self {
            Self::Gelu => gelu(chunk),
            Self::GeluTanh => gelu_tanh(chunk),
            Self::Relu => chunk.iter_mut().for_each(|v| *v = v.max(0.0)),
        });
    }
}

dispatched! {
    /// erf by Abramowitz and Stegun, 7.1.26: within 1.5e-7.
    fn gelu(x: &mut [f32]) {
        for v in x.iter_mut() {
            let z = *v * std::f32::consts::FRAC_1_SQRT_2;
            let a = z.abs();
            let t = 1.0 / 0.327_591_1f32.mul_add(a, 1.0);
            let mut p = 1.061_405_4f32;
            p = p.mul_add(t, -1.453_152);
            p = p.mul_add(t, 1.421_413_7);
            p = p.mul_add(t, -0.284_496_74);
            p = p.mul_add(t, 0.254_829_6);
            let erf = (1.0 - p * t * exp(-a * a)).copysign(z);
            *v = 0.5 * *v * (1.0 + erf);
        }
    }
}

dispatched! {
    fn gelu_tanh(x: &mut [f32]) {
        for v in x.iter_mut() {
            let z = 0.797_884_6 * (*v + 0.044_715 * *v * *v * *v);
            // 0.5 · (1 + tanh z) = 1 / (1 + e^(−2z))
            *v /= 1.0 + exp(-2.0 * z);
        }
    }
}

/// gelu(a) · b for rows of a and b side by side: (N, 2F) → (N, F).
pub(super) fn gated(x: &[f32], half: usize) -> Vec<f32> {
    let mut y = vec![0.0; x.len() / 2];
    y.par_chunks_mut(half).zip(x.par_chunks(2 * half)).for_each(|(y, x)| {
        let (a, b) = x.split_at(half);
        y.copy_from_slice(a);
        gelu(y);
        y.iter_mut().zip(b).for_each(|(y, b)| *y *= b);
    });
    y
}

/// to += from.
pub(super) fn add(to: &mut [f32], from: &[f32]) {
    to.par_chunks_mut(CHUNK).zip(from.par_chunks(CHUNK)).for_each(|(to, from)| to.iter_mut().zip(from).for_each(|(to, from)| *to += from));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::normal;

    #[test]
    fn activations_are_those_of_f64() {
        let x: Vec<f32> = (-1200..=1200).map(|i| i as f32 / 100.0).collect();
        let phi = |x: f64| 0.5 * (1.0 + statrs::function::erf::erf(x / 2f64.sqrt()));
        let tanh = |x: f64| 0.5 * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh());
        let exact: [(Activation, &dyn Fn(f64) -> f64); 3] =
            [(Activation::Gelu, &|x| x * phi(x)), (Activation::GeluTanh, &|x| x * tanh(x)), (Activation::Relu, &|x| x.max(0.0))];
        for (activation, exact) in exact {
            let mut y = x.clone();
            activation.apply(&mut y);
            for (x, y) in x.iter().zip(y) {
                let wanted = exact(f64::from(*x));
                assert!((f64::from(y) - wanted).abs() < 3e-7 * (1.0 + f64::from(x.abs())), "{activation:?}({x}) is {y}, not {wanted}");
            }
        }
    }

    #[test]
    fn a_token_has_the_same_bits_beside_any_others() {
        let numbers = |stream: u64, count: usize| -> Vec<f32> { (0..count as u64).map(|i| normal(stream, i)).collect() };
        for (inputs, outputs) in [(32, 2), (32, 32), (72, 200), (1024, 100), (2624, 1024)] {
            let weight = numbers(1, inputs * outputs);
            let linear = Linear::new(&weight, numbers(2, outputs), outputs);
            let x = numbers(3, 1024 * inputs);
            let all = linear.forward(&x);
            for rows in [2, 3, 5, 47, 48, 49, 64, 65, 128, 129, 200, 513, 1000] {
                let some = linear.forward(&x[..rows * inputs]);
                assert!(some.iter().zip(&all).all(|(a, b)| a.to_bits() == b.to_bits()), "{rows} rows, {inputs} to {outputs}");
            }
            let wanted = |o: usize| (0..inputs).map(|i| f64::from(x[i]) * f64::from(weight[o * inputs + i])).sum::<f64>();
            let far = (0..outputs).map(|o| (f64::from(all[o]) - wanted(o) - f64::from(linear.bias[o])).abs()).fold(0.0, f64::max);
            assert!(far < 1e-3, "{inputs} to {outputs}: {far}");
        }
    }
}
