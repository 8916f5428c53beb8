//! Products of plain f32 matrices, with the same bits for any number of threads.
//!
//! All matrices are row-major. For what is computed beside the decoder; its own passes are the backends'.

use super::backend::cpu::matmul::{View, product};

/// a (M, K) · b (K, N): (M, N).
///
/// # Panics
/// Here and below, when the sizes do not fit: a caller's mistake, never an input's.
pub fn times(a: &[f32], b: &[f32], (m, k, n): (usize, usize, usize)) -> Vec<f32> {
    let mut c = vec![0.0; m * n];
    product(&mut c, n, View::new(a, m, k, k), View::new(b, k, n, n), false);
    c
}

/// a (M, K) · bᵀ, b (N, K): (M, N).
pub fn times_transposed(a: &[f32], b: &[f32], (m, k, n): (usize, usize, usize)) -> Vec<f32> {
    let mut c = vec![0.0; m * n];
    product(&mut c, n, View::new(a, m, k, k), View::new(b, n, k, k).t(), false);
    c
}

/// aᵀ · b, a (K, M), b (K, N): (M, N).
pub fn transposed_times(a: &[f32], b: &[f32], (m, k, n): (usize, usize, usize)) -> Vec<f32> {
    let mut c = vec![0.0; m * n];
    product(&mut c, n, View::new(a, k, m, m).t(), View::new(b, k, n, n), false);
    c
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::normal;

    #[test]
    fn products_are_those_of_plain_loops() {
        let (m, k, n) = (5, 7, 3);
        let numbers = |count: usize, stream: u64| -> Vec<f32> { (0..count as u64).map(|i| normal(stream, i)).collect() };
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let flipped = |x: &[f32], rows: usize, columns: usize| -> Vec<f32> {
            (0..rows * columns).map(|i| x[(i % rows) * columns + i / rows]).collect()
        };
        let mut slow = vec![0.0f64; m * n];
        for i in 0..m * n {
            slow[i] = (0..k).map(|j| f64::from(a[(i / n) * k + j]) * f64::from(b[j * n + i % n])).sum();
        }
        for found in [
            times(&a, &b, (m, k, n)),
            times_transposed(&a, &flipped(&b, k, n), (m, k, n)),
            transposed_times(&flipped(&a, m, k), &b, (m, k, n)),
        ] {
            assert!(found.iter().zip(&slow).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5), "{found:?} {slow:?}");
        }
    }
}
