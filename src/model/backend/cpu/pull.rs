//! What pulls weights back to where they were: the gradient of springs, on all weights of a tensor or on the selected ones.

use rayon::prelude::*;

use super::elementwise::{CHUNK, chunk_starts, split_compact};
use super::parameter::frozen;
use super::simd::dispatched;
use super::{Matrix, Parameter, expect};
use crate::mask::Mask;
use crate::model::backend::{Done, Selection};

/// See `Backend::pull_back`.
pub fn back(w: &Parameter, selection: &Selection, stiffness: &Matrix, rest: &Matrix, gradient: &mut Matrix) -> Done<()> {
    let (rows, columns) = w.shape();
    let count = selection.count(rows * columns);
    for (what, found) in [("gradient", gradient.data.len()), ("stiffness", stiffness.data.len()), ("rest", rest.data.len())] {
        expect(what, (1, found), (1, count))?;
    }
    let (stiffness, rest, gradient) = (&stiffness.data, &rest.data, &mut gradient.data);
    match (w, selection) {
        (_, Selection::Nothing) => {}
        (Parameter::Q8_0(_), _) => return Err(frozen()),
        (Parameter::Bf16(w), _) => w.pull_back(selection, stiffness, rest, gradient),
        (Parameter::F32(w), Selection::Everything) => dense(&w.data, stiffness, rest, gradient),
        (Parameter::F32(w), Selection::Subset(mask)) => selected(&w.data, mask, stiffness, rest, gradient),
    }
    Ok(())
}

dispatched! {
    fn dense_chunk(w: &[f32], stiffness: &[f32], rest: &[f32], gradient: &mut [f32]) {
        for (((g, w), stiffness), rest) in gradient.iter_mut().zip(w).zip(stiffness).zip(rest) {
            *g += stiffness * (w - rest);
        }
    }
}

/// gradient += stiffness · (w − rest), of every weight.
pub fn dense(w: &[f32], stiffness: &[f32], rest: &[f32], gradient: &mut [f32]) {
    gradient
        .par_chunks_mut(CHUNK)
        .zip(w.par_chunks(CHUNK))
        .zip(stiffness.par_chunks(CHUNK))
        .zip(rest.par_chunks(CHUNK))
        .for_each(|(((g, w), stiffness), rest)| dense_chunk(w, stiffness, rest, g));
}

/// The same of the selected weights of `w`, (O, I); the others are compact.
pub fn selected(w: &[f32], mask: &Mask, stiffness: &[f32], rest: &[f32], gradient: &mut [f32]) {
    let starts = chunk_starts(mask);
    split_compact(gradient, &starts).into_par_iter().enumerate().for_each(|(chunk, gradient)| {
        let here = chunk * CHUNK..((chunk + 1) * CHUNK).min(w.len());
        let compact = starts[chunk]..starts[chunk + 1];
        let springs = stiffness[compact.clone()].iter().zip(&rest[compact]);
        for ((g, at), (stiffness, rest)) in gradient.iter_mut().zip(mask.positions_between(here.start, here.end)).zip(springs) {
            *g += stiffness * (w[at] - rest);
        }
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Cpu;
    use super::super::bf16::Bf16;
    use super::*;
    use crate::model::backend::{AdamW, Backend};
    use crate::random::{mix, normal};

    const ROWS: usize = 150;
    const COLUMNS: usize = 301;
    const LEN: usize = ROWS * COLUMNS;

    fn random(seed: u64, n: usize) -> Vec<f32> {
        (0..n as u64).map(|i| normal(mix(seed), i)).collect()
    }

    fn settings() -> AdamW {
        AdamW { learning_rate: 1e-2, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, step: 1, gradient_scale: 1.0 }
    }

    /// Over more than one chunk, of weights in both forms, before and after their f32 numbers are kept.
    #[test]
    fn springs_pull_at_the_numbers_that_are_trained() {
        const { assert!(LEN > CHUNK) };
        let mask = Mask::from_fn(LEN, |i| i * 7 % 5 < 2);
        let coarse: Vec<f32> = random(1, LEN).iter().map(|v| f32::from_bits(v.to_bits() & 0xffff_0000)).collect();
        let fine = random(2, LEN);
        let mut cpu = Cpu::default();
        for selection in [Selection::Everything, Selection::Subset(mask.clone()), Selection::Nothing] {
            let positions: Vec<usize> = match &selection {
                Selection::Everything => (0..LEN).collect(),
                Selection::Subset(mask) => mask.positions().collect(),
                Selection::Nothing => Vec::new(),
            };
            let count = positions.len();
            let (stiffness, rest, start) = (random(3, count), random(4, count), random(5, count));
            let mut weights = vec![Parameter::F32(cpu.upload(&fine, ROWS, COLUMNS).unwrap())];
            weights.extend([&fine, &coarse].map(|values| Parameter::Bf16(Bf16::new(values, ROWS, COLUMNS))));
            for (kind, mut w) in weights.into_iter().enumerate() {
                for stepped in [false, true] {
                    if stepped {
                        let (mut m, mut v) = (Matrix::zeros(1, count), Matrix::zeros(1, count));
                        let gradient = cpu.upload(&start, 1, count).unwrap();
                        cpu.adamw(&mut w, &selection, &gradient, &mut m, &mut v, &settings()).unwrap();
                    }
                    let values = cpu.values(&w).unwrap();
                    let expected: Vec<f32> = (0..count).map(|j| (values[positions[j]] - rest[j]).mul_add(stiffness[j], start[j])).collect();
                    let [s, r, mut g] = [&stiffness, &rest, &start].map(|values| cpu.upload(values, 1, count).unwrap());
                    cpu.pull_back(&w, &selection, &s, &r, &mut g).unwrap();
                    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6 * (1.0 + b.abs());
                    assert!(g.data.iter().zip(&expected).all(near), "weight {kind}, stepped {stepped}");
                }
            }
        }
        let (w, one) = (Parameter::F32(cpu.upload(&fine, ROWS, COLUMNS).unwrap()), Matrix::zeros(1, 1));
        assert!(cpu.pull_back(&w, &Selection::Everything, &one, &one, &mut one.clone()).is_err());
    }
}
