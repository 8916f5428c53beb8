//! The output head with its losses, in chunks of rows.

use candle_core::{DType, Tensor};

use super::{Candle, wrong};
use crate::model::backend::{Done, Selection};
use crate::model::constraint::Scale;

/// Rows whose logits exist at once.
const LOGIT_ROWS: usize = 1024;

/// See `Backend::cross_entropy`.
pub(super) fn cross_entropy(
    backend: &mut Candle,
    h: &Tensor,
    w: &Tensor,
    targets: &[u32],
    scale: Option<Scale<'_>>,
    gradient: Option<(&Selection, &mut Tensor)>,
) -> Done<(Vec<f32>, Option<Tensor>)> {
    let vocabulary = w.dim(0)?;
    if let Some(target) = targets.iter().find(|&&target| target as usize >= vocabulary) {
        return Err(wrong(format!("target {target} in a vocabulary of {vocabulary}")));
    }
    let mut gradient = gradient;
    let (mut losses, mut dh) = (Vec::with_capacity(targets.len()), Vec::new());
    for (part, targets) in targets.chunks(LOGIT_ROWS).enumerate() {
        let rows = targets.len();
        let h = h.narrow(0, part * LOGIT_ROWS, rows)?;
        let logits = h.matmul(&w.t()?)?;
        let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?)?;
        let exponentials = shifted.exp()?;
        let sums = exponentials.sum_keepdim(1)?;
        let index = Tensor::from_vec(targets.to_vec(), (rows, 1), &backend.device)?;
        losses.extend((sums.log()? - shifted.gather(&index, 1)?)?.flatten_all()?.to_vec1::<f32>()?);
        let Some(scale) = scale else { continue };
        let from = part * LOGIT_ROWS;
        let scales: Vec<f32> = (from..from + rows).map(|i| scale.of(i, losses[i])).collect();
        let scales = Tensor::from_vec(scales, (rows, 1), &backend.device)?;
        let ones = Tensor::ones((rows, 1), DType::F32, &backend.device)?;
        let hot = logits.zeros_like()?.scatter_add(&index, &ones, 1)?;
        let d_logits = (exponentials.broadcast_div(&sums)? - hot)?.broadcast_mul(&scales)?;
        if let Some((selection, gradient)) = &mut gradient {
            backend.compact(&d_logits.t()?.matmul(&h)?, selection, gradient)?;
        }
        dh.push(d_logits.matmul(w)?);
    }
    let dh = match (scale, dh.is_empty()) {
        (None, _) => None,
        (Some(_), true) => Some(h.zeros_like()?),
        (Some(_), false) => Some(Tensor::cat(&dh, 0)?),
    };
    Ok((losses, dh))
}

/// See `Backend::divergence`.
pub(super) fn divergence(
    backend: &mut Candle,
    h: &Tensor,
    w: &Tensor,
    reference: (&Tensor, &Tensor),
    scale: f32,
    mut gradient: Option<(&Selection, &mut Tensor)>,
) -> Done<(Vec<f32>, Tensor)> {
    let (rows, mut divergences, mut dh) = (h.dim(0)?, Vec::with_capacity(h.dim(0)?), Vec::new());
    for from in (0..rows).step_by(LOGIT_ROWS) {
        let count = LOGIT_ROWS.min(rows - from);
        let log_softmax = |h: &Tensor, w: &Tensor| -> Done<Tensor> {
            let logits = h.narrow(0, from, count)?.matmul(&w.t()?)?;
            let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?)?;
            Ok(shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(1)?.log()?)?)
        };
        let (wanted, found) = (log_softmax(reference.0, reference.1)?, log_softmax(h, w)?);
        let p = wanted.exp()?;
        divergences.extend((&p * (wanted - &found)?)?.sum(1)?.to_vec1::<f32>()?);
        let d_logits = ((found.exp()? - p)? * f64::from(scale))?;
        if let Some((selection, gradient)) = &mut gradient {
            backend.compact(&d_logits.t()?.matmul(&h.narrow(0, from, count)?)?, selection, gradient)?;
        }
        dh.push(d_logits.matmul(w)?);
    }
    let dh = if dh.is_empty() { h.zeros_like()? } else { Tensor::cat(&dh, 0)? };
    Ok((divergences, dh))
}
