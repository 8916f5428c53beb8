//! One AdamW step, on all weights of a tensor or on the selected ones.

use rayon::prelude::*;

use super::elementwise::{CHUNK, chunk_starts, split_compact};
use super::simd::dispatched;
use crate::mask::Mask;
use crate::model::backend::AdamW;

/// The step's constants, computed once in f64.
#[derive(Clone, Copy)]
struct Constants {
    scale: f32,
    beta1: f32,
    beta2: f32,
    rest1: f32,
    rest2: f32,
    decay: f32,
    step_size: f32,
    root_correction: f32,
    epsilon: f32,
}

impl Constants {
    fn new(step: &AdamW) -> Self {
        let correction1 = 1.0 - step.beta1.powf(step.step as f64);
        let correction2 = 1.0 - step.beta2.powf(step.step as f64);
        Self {
            scale: step.gradient_scale,
            beta1: step.beta1 as f32,
            beta2: step.beta2 as f32,
            rest1: (1.0 - step.beta1) as f32,
            rest2: (1.0 - step.beta2) as f32,
            decay: (1.0 - step.learning_rate * step.weight_decay) as f32,
            step_size: (step.learning_rate / correction1) as f32,
            root_correction: (1.0 / correction2.sqrt()) as f32,
            epsilon: step.epsilon as f32,
        }
    }

    /// The new weight; the moments are updated in place.
    #[inline(always)]
    fn update(&self, w: f32, g: f32, m: &mut f32, v: &mut f32) -> f32 {
        let g = g * self.scale;
        *m = self.beta1 * *m + self.rest1 * g;
        *v = self.beta2 * *v + self.rest2 * g * g;
        w * self.decay - self.step_size * *m / (v.sqrt() * self.root_correction + self.epsilon)
    }
}

dispatched! {
    fn dense_chunk(w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], c: Constants) {
        for (((w, g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
            *w = c.update(*w, *g, m, v);
        }
    }
}

/// Every weight.
pub fn dense(w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], step: &AdamW) {
    let c = Constants::new(step);
    w.par_chunks_mut(CHUNK)
        .zip(g.par_chunks(CHUNK))
        .zip(m.par_chunks_mut(CHUNK))
        .zip(v.par_chunks_mut(CHUNK))
        .for_each(|(((w, g), m), v)| dense_chunk(w, g, m, v, c));
}

/// The selected weights; the others keep their bits.
pub fn selected(w: &mut [f32], mask: &Mask, g: &[f32], m: &mut [f32], v: &mut [f32], step: &AdamW) {
    let c = Constants::new(step);
    let starts = chunk_starts(mask);
    let (m, v) = (split_compact(m, &starts), split_compact(v, &starts));
    w.par_chunks_mut(CHUNK).zip(mask.words().par_chunks(CHUNK / 64)).zip(m).zip(v).enumerate().for_each(|(chunk, (((w, words), m), v))| {
        let mut slot = 0;
        let from = starts[chunk];
        for (i, &word) in words.iter().enumerate() {
            let mut rest = word;
            while rest != 0 {
                let at = i * 64 + rest.trailing_zeros() as usize;
                rest &= rest - 1;
                w[at] = c.update(w[at], g[from + slot], &mut m[slot], &mut v[slot]);
                slot += 1;
            }
        }
    });
}
