//! Causal attention of packed rows, one row after another.

use candle_core::{D, Tensor};

use crate::model::backend::{AttentionOut, Done, Heads, Pieces};

/// Causal attention weights of some queries q (t, H·D) that end a row of n keys and values (n, KV·D): (H, t, n), and q as (H, t, D),
/// k and v as (H, n, D), repeated for their queries.
pub(super) fn weights(q: &Tensor, k: &Tensor, v: &Tensor, heads: Heads) -> Done<(Tensor, Tensor, Tensor, Tensor, Tensor)> {
    let (t, n) = (q.dim(0)?, k.dim(0)?);
    let split = |x: &Tensor, heads_of: usize| -> Done<Tensor> { Ok(x.reshape(((), heads_of, heads.size))?.transpose(0, 1)?.contiguous()?) };
    let repeat = |x: Tensor| -> Done<Tensor> {
        let times = heads.query / heads.key_value;
        Ok(x.unsqueeze(1)?.expand((heads.key_value, times, n, heads.size))?.reshape((heads.query, n, heads.size))?)
    };
    let q = split(q, heads.query)?;
    let (k, v) = (repeat(split(k, heads.key_value)?)?, repeat(split(v, heads.key_value)?)?);
    let mut scores = (q.matmul(&k.transpose(1, 2)?.contiguous()?)? / (heads.size as f64).sqrt())?;
    if t > 1 {
        // Query i of t stands at n − t + i.
        let place = |from: usize, count: usize| Tensor::arange(from as u32, (from + count) as u32, q.device());
        let (queries, keys) = (place(n - t, t)?.reshape((t, 1))?, place(0, n)?.reshape((1, n))?);
        let later = queries.broadcast_lt(&keys)?.unsqueeze(0)?.broadcast_as(scores.shape())?;
        let never = Tensor::full(f32::NEG_INFINITY, scores.shape(), q.device())?;
        scores = later.where_cond(&never, &scores)?;
    }
    let peak = scores.max_keepdim(D::Minus1)?;
    let exponentials = scores.broadcast_sub(&peak)?.exp()?;
    let sums = exponentials.sum_keepdim(D::Minus1)?;
    let log_sum_exp = (sums.log()? + peak)?.squeeze(2)?.t()?.contiguous()?; // (t, H)
    Ok((exponentials.broadcast_div(&sums)?, log_sum_exp, q, k, v))
}

/// (H, t, D) to (t, H·D).
pub(super) fn joined(x: &Tensor) -> Done<Tensor> {
    let (heads, t, size) = x.dims3()?;
    Ok(x.transpose(0, 1)?.contiguous()?.reshape((t, heads * size))?)
}

/// Sums the query heads that share a key/value head: (H, t, D) to (t, KV·D).
fn shared(x: &Tensor, heads: Heads) -> Done<Tensor> {
    let t = x.dim(1)?;
    joined(&x.reshape((heads.key_value, heads.query / heads.key_value, t, heads.size))?.sum(1)?)
}

/// The tokens of a piece.
fn own(x: &Tensor, piece: &[usize]) -> Done<Tensor> {
    Ok(x.narrow(0, piece[0], piece[1] - piece[0])?)
}

/// What its row begins with, then the tokens of a piece.
fn seen(x: &Tensor, piece: &[usize], pieces: Pieces<'_>) -> Done<Tensor> {
    match pieces.before(piece[0]) {
        0 => own(x, piece),
        before => Ok(Tensor::cat(&[&x.narrow(0, 0, before)?, &own(x, piece)?], 0)?),
    }
}

/// Takes the gradient of what a piece saw: that of its own tokens stands by itself, that of its row's beginning is added to the first.
fn spread(gradient: &Tensor, before: usize, parts: &mut Vec<Tensor>) -> Done<()> {
    if let Some(first) = parts.first_mut().filter(|_| before > 0) {
        *first = (&*first + gradient.narrow(0, 0, before)?)?;
    }
    parts.push(gradient.narrow(0, before, gradient.dim(0)? - before)?);
    Ok(())
}

/// See `Backend::attention`.
pub(super) fn forward(q: &Tensor, k: &Tensor, v: &Tensor, pieces: Pieces<'_>, heads: Heads) -> Done<AttentionOut<Tensor>> {
    let (mut mixed, mut sums) = (Vec::new(), Vec::new());
    for piece in pieces.starts.windows(2) {
        let (p, log_sum_exp, _, _, v) = weights(&own(q, piece)?, &seen(k, piece, pieces)?, &seen(v, piece, pieces)?, heads)?;
        mixed.push(joined(&p.matmul(&v)?)?);
        sums.push(log_sum_exp);
    }
    Ok(AttentionOut { mixed: Tensor::cat(&mixed, 0)?, log_sum_exp: Tensor::cat(&sums, 0)? })
}

/// See `Backend::attention_backward`.
pub(super) fn backward(
    d_mixed: &Tensor,
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    pieces: Pieces<'_>,
    heads: Heads,
) -> Done<(Tensor, Tensor, Tensor)> {
    let (mut dq, mut dk, mut dv) = (Vec::new(), Vec::new(), Vec::new());
    for piece in pieces.starts.windows(2) {
        let (t, before) = (piece[1] - piece[0], pieces.before(piece[0]));
        let (p, _, q, k, v) = weights(&own(q, piece)?, &seen(k, piece, pieces)?, &seen(v, piece, pieces)?, heads)?;
        let d = own(d_mixed, piece)?.reshape((t, heads.query, heads.size))?.transpose(0, 1)?.contiguous()?;
        spread(&shared(&p.transpose(1, 2)?.contiguous()?.matmul(&d)?, heads)?, before, &mut dv)?;
        let d_weights = d.matmul(&v.transpose(1, 2)?.contiguous()?)?;
        let mean = (&d_weights * &p)?.sum_keepdim(D::Minus1)?;
        let d_scores = ((d_weights.broadcast_sub(&mean)? * &p)? / (heads.size as f64).sqrt())?;
        dq.push(joined(&d_scores.matmul(&k)?)?);
        spread(&shared(&d_scores.transpose(1, 2)?.contiguous()?.matmul(&q)?, heads)?, before, &mut dk)?;
    }
    Ok((Tensor::cat(&dq, 0)?, Tensor::cat(&dk, 0)?, Tensor::cat(&dv, 0)?))
}
