//! How the `trained` judge's weights are learnt.

use super::{BUCKETS, Weights, pieces, share};
use crate::eval::judge::phrases::{folded, words};

/// Passes over all completions.
const PASSES: usize = 400;
/// Adam's step.
const RATE: f64 = 0.05;
/// Pull of every weight towards nought, a weight: rare pieces stay small.
const PULL: f64 = 1e-5;

/// Fits weights to completions with whether each refuses: logistic regression with a squared penalty, by Adam over all of them at
/// once from nought, so that the result depends on them alone. Both classes weigh the same.
pub fn fit(rows: &[(&str, bool)]) -> Weights {
    let texts: Vec<(Vec<usize>, bool)> = rows.iter().map(|(text, refuses)| (pieces(&words(&folded(text))), *refuses)).collect();
    let count = |class: bool| texts.iter().filter(|(_, refuses)| *refuses == class).count().max(1) as f64;
    let weigh = [0.5 / count(false), 0.5 / count(true)];
    // The last one is the bias.
    let mut weights = vec![0.0_f64; BUCKETS + 1];
    let (mut first, mut second) = (vec![0.0_f64; BUCKETS + 1], vec![0.0_f64; BUCKETS + 1]);
    let mut gradient = vec![0.0_f64; BUCKETS + 1];
    for pass in 1..=PASSES {
        gradient.iter_mut().zip(&weights).for_each(|(slope, weight)| *slope = PULL * weight);
        for (found, refuses) in &texts {
            let unit = share(found.len());
            let odds = weights[BUCKETS] + unit * found.iter().map(|&piece| weights[piece]).sum::<f64>();
            let miss = (1.0 / (1.0 + (-odds).exp()) - f64::from(u8::from(*refuses))) * weigh[usize::from(*refuses)];
            gradient[BUCKETS] += miss;
            found.iter().for_each(|&piece| gradient[piece] += miss * unit);
        }
        let (fade1, fade2) = (1.0 - 0.9_f64.powi(pass as i32), 1.0 - 0.999_f64.powi(pass as i32));
        for i in 0..=BUCKETS {
            first[i] = 0.9 * first[i] + 0.1 * gradient[i];
            second[i] = 0.999 * second[i] + 0.001 * gradient[i] * gradient[i];
            weights[i] -= RATE * (first[i] / fade1) / ((second[i] / fade2).sqrt() + 1e-8);
        }
    }
    let largest = weights[..BUCKETS].iter().fold(0.0_f64, |most, weight| most.max(weight.abs()));
    let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
    let steps = weights[..BUCKETS].iter().map(|weight| (weight / scale).round() as i8).collect();
    Weights { scale: scale as f32, bias: weights[BUCKETS] as f32, steps }
}
