//! Products with both factors rounded to eight bits, for generation: [`Q8_0`] is a weight as a GGUF of that type has it.
//!
//! Blocks of 32 neighbours in a row, weights (O, I) and activations alike, share a scale: the largest of them ÷ 127. Source: Q8_0 of ggml, whose
//! weights these are bit by bit; an activation's scale is f32 here, f16 there, and its ties go to even numbers. A row may end in a shorter
//! block, which no file has.

use half::f16;
use rayon::prelude::*;

use super::kernels::q8_0::{BLOCK, FOURS, Four, Left, OFFSET, OUTPUTS, Panel, ROWS, step};
use super::kernels::tile::{Tile, every};
use super::memory::Numbers;
use super::simd::dispatched;

/// The largest number of a block becomes this.
const LARGEST: f32 = 127.0;
/// Rows of one piece of work.
const TILE_ROWS: usize = 128;
/// Panels of one piece of work; of few rows, where every weight is read once, fewer keep all threads busy.
const TILE_PANELS: usize = 12;
/// See [`TILE_PANELS`].
const NARROW_PANELS: usize = 3;

/// A weight (O, I).
#[derive(Debug, Clone, PartialEq)]
pub struct Q8_0 {
    /// By panel of outputs; behind the last row and the last column stand zeros.
    fours: Numbers<Four>,
    scales: Numbers<f32>,
    /// O.
    rows: usize,
    /// I.
    columns: usize,
    /// Of a row: I ÷ 32, rounded up.
    blocks: usize,
}

impl Q8_0 {
    /// Of row-major numbers.
    pub fn new(values: &[f32], rows: usize, columns: usize) -> Self {
        let (panels, blocks) = (rows.div_ceil(OUTPUTS), columns.div_ceil(BLOCK));
        let (size, scale_size) = (blocks * OUTPUTS * FOURS, blocks * OUTPUTS);
        let mut fours = Numbers::blank(panels * size);
        let mut scales = Numbers::zeros(panels * scale_size);
        let zero = u32::from_le_bytes([OFFSET as u8; 4]);
        let work = fours.par_chunks_mut(size.max(1)).zip(scales.par_chunks_mut(scale_size.max(1)));
        work.zip(values.par_chunks((OUTPUTS * columns).max(1))).for_each(|((fours, scales), values)| {
            fours.fill(zero);
            for (lane, row) in values.chunks(columns).enumerate() {
                for (block, numbers) in row.chunks(BLOCK).enumerate() {
                    let largest = numbers.iter().fold(0.0, |largest, x| larger(largest, x.abs()));
                    let (scale, inverse) = scales_of(largest);
                    scales[block * OUTPUTS + lane] = f16::from_f32(scale).to_f32();
                    for (g, four) in numbers.chunks(4).enumerate() {
                        let mut bytes = [OFFSET as u8; 4];
                        bytes.iter_mut().zip(four).for_each(|(byte, x)| *byte = ((x * inverse).round() as i32 + OFFSET) as u8);
                        fours[(block * FOURS + g) * OUTPUTS + lane] = u32::from_le_bytes(bytes);
                    }
                }
            }
        });
        Self { fours, scales, rows, columns, blocks }
    }

    /// (O, I).
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// A row, into `to` (I).
    pub fn row(&self, row: usize, to: &mut [f32]) {
        let Panel { fours, scales } = self.panel(row / OUTPUTS);
        let lane = row % OUTPUTS;
        for (block, to) in to.chunks_mut(BLOCK).enumerate() {
            let scale = scales[block * OUTPUTS + lane];
            for (g, to) in to.chunks_mut(4).enumerate() {
                let bytes = fours[(block * FOURS + g) * OUTPUTS + lane].to_le_bytes();
                to.iter_mut().zip(bytes).for_each(|(to, byte)| *to = (i32::from(byte) - OFFSET) as f32 * scale);
            }
        }
    }

    /// Every number, row-major, as rounded.
    pub fn values(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.rows * self.columns];
        values.par_chunks_mut(self.columns.max(1)).enumerate().for_each(|(row, to)| self.row(row, to));
        values
    }

    fn panel(&self, panel: usize) -> Panel<'_> {
        let (size, scale_size) = (self.blocks * OUTPUTS * FOURS, self.blocks * OUTPUTS);
        Panel { fours: &self.fours[panel * size..][..size], scales: &self.scales[panel * scale_size..][..scale_size] }
    }
}

/// Activations (T, I).
pub struct Rows {
    fours: Numbers<Four>,
    scales: Numbers<f32>,
    starts: Numbers<i32>,
    rows: usize,
    blocks: usize,
}

impl Rows {
    /// Of a row-major slice of rows of `columns`.
    pub fn of(x: &[f32], columns: usize) -> Self {
        let (rows, blocks) = (x.len().checked_div(columns).unwrap_or(0), columns.div_ceil(BLOCK));
        let (mut fours, mut scales, mut starts) =
            (Numbers::blank(rows * blocks * FOURS), Numbers::blank(rows * blocks), Numbers::blank(rows * blocks));
        if blocks > 0 {
            let work = fours.par_chunks_mut(blocks * FOURS).zip(scales.par_chunks_mut(blocks)).zip(starts.par_chunks_mut(blocks));
            work.zip(x.par_chunks(columns)).for_each(|(((fours, scales), starts), x)| round_row(fours, scales, starts, x));
        }
        Self { fours, scales, starts, rows, blocks }
    }

    fn part(&self, from: usize, height: usize) -> Left<'_> {
        let (from, count) = (from * self.blocks, height * self.blocks);
        Left {
            fours: &self.fours[from * FOURS..(from + count) * FOURS],
            scales: &self.scales[from..from + count],
            starts: &self.starts[from..from + count],
        }
    }
}

/// The larger of two sizes; NaN where one is.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}

/// What a block's whole numbers are multiplied by, and its numbers before they are rounded: nothing of a block too small for that. NaN
/// makes all of a block NaN.
#[inline(always)]
fn scales_of(largest: f32) -> (f32, f32) {
    let scale = largest / LARGEST;
    let inverse = 1.0 / scale;
    (scale, if inverse.is_finite() { inverse } else { 0.0 })
}

dispatched! {
    /// Rounds a row, block by block; behind the last number stand zeros.
    fn round_row(fours: &mut [Four], scales: &mut [f32], starts: &mut [i32], x: &[f32]) {
        for (((fours, scale), start), numbers) in fours.chunks_exact_mut(FOURS).zip(scales).zip(starts).zip(x.chunks(BLOCK)) {
            let mut block = [0.0f32; BLOCK];
            block[..numbers.len()].copy_from_slice(numbers);
            let mut largest = block;
            for size in &mut largest {
                *size = size.abs();
            }
            let mut width = BLOCK / 2;
            while width > 0 {
                for i in 0..width {
                    largest[i] = larger(largest[i], largest[i + width]);
                }
                width /= 2;
            }
            let inverse;
            (*scale, inverse) = scales_of(largest[0]);
            let (mut bytes, mut sum) = ([0u8; BLOCK], 0);
            for (byte, x) in bytes.iter_mut().zip(block) {
                // 1.5 · 2²³ plus a number has the nearest whole one in its lowest bits.
                *byte = x.mul_add(inverse, 12_582_912.0).to_bits() as u8;
                sum += i32::from(*byte as i8);
            }
            *start = -OFFSET * sum;
            for (four, bytes) in fours.iter_mut().zip(bytes.chunks_exact(4)) {
                *four = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            }
        }
    }
}

/// c = x · wᵀ, or c += x · wᵀ; `c` (T, O) is row-major. No number of rows, of threads, or of neighbours changes an output's bits.
pub fn product(c: &mut [f32], x: &Rows, w: &Q8_0, add: bool) {
    assert!(x.blocks == w.blocks && c.len() == x.rows * w.rows, "shapes of a product");
    let wide = if x.rows <= TILE_ROWS / 2 { NARROW_PANELS } else { TILE_PANELS };
    let tiles = Tile::cut(c, w.rows, &every(TILE_ROWS, x.rows), &every(wide * OUTPUTS, w.rows));
    tiles.into_par_iter().for_each(|mut c| {
        let (first_row, first_column) = c.place();
        for column in (0..c.columns()).step_by(OUTPUTS) {
            let panel = w.panel((first_column + column) / OUTPUTS);
            let width = OUTPUTS.min(c.columns() - column);
            for row in (0..c.rows()).step_by(ROWS) {
                let left = x.part(first_row + row, ROWS.min(c.rows() - row));
                step(&mut c, (row, column, width), left, panel, add);
            }
        }
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::quantized::{GgmlDType, QTensor};
    use candle_core::{Device, Tensor};

    use super::*;
    use crate::model::backend::cpu::with_threads;
    use crate::random::{mix, normal};

    fn numbers(count: usize, stream: u64) -> Vec<f32> {
        (0..count as u64).map(|i| normal(mix(stream), i)).collect()
    }

    /// The bits of candle's own rounding to this type.
    #[test]
    fn weights_are_those_of_a_file() {
        let (rows, columns) = (37, 96);
        let mut values = numbers(rows * columns, 1);
        values[..BLOCK].fill(0.0);
        values[BLOCK..2 * BLOCK].iter_mut().for_each(|x| *x *= 1e-9);
        // Too small for a scale in f16, and for the inverse of one in f32.
        values[2 * BLOCK..3 * BLOCK].fill(1e-38);
        values[3 * BLOCK..4 * BLOCK].fill(-1e-44);
        let tensor = Tensor::from_slice(&values, (rows, columns), &Device::Cpu).unwrap();
        let theirs = QTensor::quantize(&tensor, GgmlDType::Q8_0).unwrap().dequantize(&Device::Cpu).unwrap();
        let theirs: Vec<f32> = theirs.flatten_all().unwrap().to_vec1().unwrap();
        let ours = Q8_0::new(&values, rows, columns);
        assert_eq!(ours.values(), theirs);
        let mut row = vec![0.0; columns];
        ours.row(36, &mut row);
        assert_eq!(row, theirs[36 * columns..]);
    }

    #[test]
    fn what_is_no_number_stays_none_and_what_is_tiny_is_nothing() {
        let (rows, columns) = (17, 40);
        let ones = vec![1.0; rows * columns];
        let outputs = |x: &[f32], w: &[f32]| {
            let mut outputs = vec![0.0; rows];
            product(&mut outputs, &Rows::of(x, columns), &Q8_0::new(w, rows, columns), false);
            outputs
        };
        let whole = outputs(&ones[..columns], &ones);
        assert!(whole.iter().all(|y| (y - 40.0).abs() < 0.1), "{whole:?}");
        for bad in [f32::NAN, f32::INFINITY] {
            for at in [0, 5, 31, 39] {
                let mut one = ones.clone();
                one[3 * columns + at] = bad;
                let found = outputs(&ones[..columns], &one);
                assert!(found[3].is_nan() && found.iter().filter(|y| y.is_nan()).count() == 1, "a weight {bad} at {at}: {found:?}");
                let found = outputs(&one[3 * columns..4 * columns], &ones);
                assert!(found.iter().all(|y| y.is_nan()), "an activation {bad} at {at}: {found:?}");
            }
        }
        for tiny in [1e-38, -1e-44] {
            assert_eq!(outputs(&[tiny; 40], &ones), [0.0; 17]);
            assert_eq!(outputs(&ones[..columns], &[tiny; 17 * 40]), [0.0; 17]);
        }
    }

    /// Ragged blocks, panels and steps, alone and in company, with any number of threads.
    #[test]
    fn products_are_the_sums_of_rounded_factors() {
        for (m, n, k) in [(1, 1, 1), (1, 16, 32), (3, 17, 33), (8, 50, 96), (70, 33, 64), (129, 100, 100)] {
            let (x, w) = (numbers(m * k, 2), numbers(n * k, 3));
            let weight = Q8_0::new(&w, n, k);
            let rows = Rows::of(&x, k);
            let start = numbers(m * n, 4);
            let mut found = start.clone();
            product(&mut found, &rows, &weight, true);
            let values = weight.values();
            let rounded: Vec<f32> = x
                .chunks(k)
                .flat_map(|row| row.chunks(BLOCK))
                .flat_map(|block| {
                    let scale = block.iter().fold(0.0f32, |most, x| most.max(x.abs())) / LARGEST;
                    block.iter().map(move |x| if scale > 0.0 { (x * (1.0 / scale)).round_ties_even() * scale } else { 0.0 })
                })
                .collect();
            let (mut worst, mut distance) = (0.0f64, 0.0f64);
            for (at, found) in found.iter().enumerate() {
                let (t, o) = (at / n, at % n);
                let sum = |x: &[f32], w: &[f32]| -> f64 { (0..k).map(|l| f64::from(x[t * k + l]) * f64::from(w[o * k + l])).sum() };
                worst = worst.max((f64::from(*found) - f64::from(start[at]) - sum(&rounded, &values)).abs());
                distance = distance.max((f64::from(*found) - f64::from(start[at]) - sum(&x, &w)).abs());
            }
            assert!(worst < 1e-4, "{m}×{n}×{k}: {worst} from the rounded factors' sums");
            assert!(distance < 0.05 * (k as f64).sqrt().max(3.0), "{m}×{n}×{k}: {distance} from the sums of the numbers themselves");
            let mut alone = vec![0.0; n];
            product(&mut alone, &Rows::of(&x[(m - 1) * k..], k), &weight, false);
            let mut together = vec![0.0; m * n];
            product(&mut together, &rows, &weight, false);
            assert_eq!(alone, together[(m - 1) * n..], "a row does not depend on its neighbours");
            for threads in [1, 2, 4] {
                let again = with_threads(threads, || {
                    let mut again = start.clone();
                    product(&mut again, &Rows::of(&x, k), &weight, true);
                    again
                });
                assert_eq!(again.unwrap(), found, "{threads} threads");
            }
        }
    }
}
