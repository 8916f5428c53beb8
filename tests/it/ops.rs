//! Each operation of both backends, forward and backward, against candle-nn's under candle's autograd.

use anyhow::{Context, Result, ensure};
use candle_core::{D, Device, Tensor, Var};
use candle_nn::{loss, ops, rotary_emb};
use steadfast::model::backend::cpu::Cpu;
use steadfast::model::backend::tensor::Candle;
use steadfast::model::backend::{Backend, Heads, Pieces, RopeTable, Selection};
use steadfast::model::constraint::{Constraint, Scale};

use crate::reference::distance;

/// ‖found − expected‖ ÷ ‖expected‖ of one operation, at most.
const LIMIT: f64 = 1e-5;

/// Numbers in −1..1.
fn noise(seed: u32, n: usize) -> Vec<f32> {
    let mut state = u64::from(seed);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n + 8).map(|_| next()).skip(8).collect()
}

/// A matrix of noise on the backend and as a variable of candle's.
fn matrix<B: Backend>(backend: &mut B, seed: u32, rows: usize, columns: usize) -> Result<(B::Buffer, Var)> {
    let values = noise(seed, rows * columns);
    let variable = Var::from_tensor(&Tensor::from_slice(&values, (rows, columns), &Device::Cpu)?)?;
    Ok((backend.upload(&values, rows, columns)?, variable))
}

/// A parameter of noise on the backend and as a variable of candle's.
fn parameter<B: Backend>(backend: &mut B, seed: u32, rows: usize, columns: usize) -> Result<(B::Weight, Var)> {
    let values = noise(seed, rows * columns);
    let variable = Var::from_tensor(&Tensor::from_slice(&values, (rows, columns), &Device::Cpu)?)?;
    Ok((backend.load(&values, rows, columns)?, variable))
}

/// Compares an output, then the gradients of Σ output · `dy` with what candle's autograd says of each variable.
struct Check<'a, B: Backend> {
    backend: &'a B,
    what: &'static str,
}

impl<B: Backend> Check<'_, B> {
    fn same(&self, part: &str, found: &B::Buffer, expected: &Tensor) -> Result<()> {
        let far = distance(&self.backend.download(found)?, &expected.flatten_all()?.to_vec1()?);
        ensure!(far < LIMIT, "{}: {part} is {far:e} away on {}", self.what, self.backend.numerics());
        Ok(())
    }

    fn gradients(&self, output: &Tensor, dy: &Var, found: &[(&str, &B::Buffer, &Var)]) -> Result<()> {
        let store = (output * dy.as_tensor())?.sum_all()?.backward()?;
        for (part, gradient, variable) in found {
            self.same(part, gradient, store.get(variable).context("candle has no gradient")?)?;
        }
        Ok(())
    }
}

fn rms_norm<B: Backend>(backend: &mut B) -> Result<()> {
    let (rows, columns, epsilon) = (37, 72, 1e-5);
    let (x, vx) = matrix(backend, 1, rows, columns)?;
    let (w, vw) = parameter(backend, 2, 1, columns)?;
    let (dy, vdy) = matrix(backend, 3, rows, columns)?;
    let (y, inverse) = backend.rms_norm(&x, &w, epsilon)?;
    let mut dw = backend.zeros(1, columns)?;
    let dx = backend.rms_norm_backward(&dy, &x, &w, &inverse, Some(&mut dw))?;
    let expected = ops::rms_norm_slow(&vx, &vw.flatten_all()?, epsilon as f32)?;
    let check = Check { backend, what: "rms_norm" };
    check.same("output", &y, &expected)?;
    check.gradients(&expected, &vdy, &[("dx", &dx, &vx), ("dw", &dw, &vw)])
}

fn rope<B: Backend>(backend: &mut B) -> Result<()> {
    let (tokens, heads, half) = (19, 3, 12);
    let (mut x, vx) = matrix(backend, 4, tokens, heads * 2 * half)?;
    let (mut dy, vdy) = matrix(backend, 5, tokens, heads * 2 * half)?;
    let angles: Vec<f32> = (0..tokens * half).map(|i| (i / half) as f32 * 0.9f32.powi((i % half) as i32)).collect();
    let angles = Tensor::from_vec(angles, (tokens, half), &Device::Cpu)?;
    let (cos, sin) = (angles.cos()?, angles.sin()?);
    let table = RopeTable { cos: cos.flatten_all()?.to_vec1()?, sin: sin.flatten_all()?.to_vec1()?, half };
    let positions: Vec<u32> = (0..tokens as u32).collect();
    backend.rope(&mut x, &positions, &table, false)?;
    backend.rope(&mut dy, &positions, &table, true)?;
    let split = vx.reshape((1, tokens, heads, 2 * half))?.transpose(1, 2)?;
    let expected = rotary_emb::rope_slow(&split, &cos, &sin)?.transpose(1, 2)?.reshape((tokens, heads * 2 * half))?;
    let check = Check { backend, what: "rope" };
    check.same("output", &x, &expected)?;
    check.gradients(&expected, &vdy, &[("dx", &dy, &vx)])
}

fn swiglu<B: Backend>(backend: &mut B) -> Result<()> {
    let (rows, columns) = (23, 53);
    let (gate, vgate) = matrix(backend, 6, rows, columns)?;
    let (up, vup) = matrix(backend, 7, rows, columns)?;
    let (dy, vdy) = matrix(backend, 8, rows, columns)?;
    let y = backend.swiglu(&gate, &up)?;
    let (dgate, dup) = backend.swiglu_backward(&dy, &gate, &up)?;
    // candle_nn::ops::swiglu takes both as the halves of one tensor.
    let expected = ops::swiglu(&Tensor::cat(&[vgate.as_tensor(), vup.as_tensor()], 1)?)?;
    let check = Check { backend, what: "swiglu" };
    check.same("output", &y, &expected)?;
    check.gradients(&expected, &vdy, &[("dgate", &dgate, &vgate), ("dup", &dup, &vup)])
}

fn cross_entropy<B: Backend>(backend: &mut B) -> Result<()> {
    let (rows, hidden, vocabulary, scale) = (29, 31, 301, 0.25);
    let (h, vh) = matrix(backend, 9, rows, hidden)?;
    let (w, vw) = parameter(backend, 10, vocabulary, hidden)?;
    let targets: Vec<u32> = (0..rows as u32).map(|i| i * 97 % vocabulary as u32).collect();
    let mut dw = backend.zeros(1, vocabulary * hidden)?;
    let gradient = Some((&Selection::Everything, &mut dw));
    let (losses, dh) = backend.cross_entropy(&h, &w, &targets, Some(scale.into()), gradient)?;
    let mean = loss::cross_entropy(&vh.matmul(&vw.t()?)?, &Tensor::new(targets.as_slice(), &Device::Cpu)?)?;
    let found: f64 = losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / rows as f64;
    let expected = f64::from(mean.to_scalar::<f32>()?);
    ensure!((found - expected).abs() < LIMIT * expected, "cross_entropy: {found}, candle-nn {expected}");
    // Ours is the gradient of the scaled sum, candle's of the mean.
    let store = (mean * (f64::from(scale) * rows as f64))?.backward()?;
    let check = Check { backend, what: "cross_entropy" };
    check.same("dh", &dh.context("no gradient")?, store.get(&vh).context("no gradient")?)?;
    check.same("dw", &dw, store.get(&vw).context("no gradient")?)
}

/// −(2/β)·log σ(β·(log π − log π_aligned)) in candle's operations.
fn constrained<B: Backend>(backend: &mut B) -> Result<()> {
    let (rows, hidden, vocabulary, factor) = (7, 31, 301, 0.25);
    let (h, vh) = matrix(backend, 9, rows, hidden)?;
    let (w, vw) = parameter(backend, 10, vocabulary, hidden)?;
    let targets: Vec<u32> = (0..rows as u32).map(|i| i * 97 % vocabulary as u32).collect();
    let constraints: Vec<Constraint> =
        (0..rows).map(|i| Constraint { aligned_loss: 2.0 + i as f32, beta: [0.5, 2.0, 0.1][i % 3] }).collect();
    let mut dw = backend.zeros(1, vocabulary * hidden)?;
    let scale = Scale { factor, constraints: &constraints };
    let (_, dh) = backend.cross_entropy(&h, &w, &targets, Some(scale), Some((&Selection::Everything, &mut dw)))?;
    let log_pi = ops::log_softmax(&vh.matmul(&vw.t()?)?, D::Minus1)?.gather(&Tensor::from_vec(targets, (rows, 1), &Device::Cpu)?, 1)?;
    let column = |values: Vec<f32>| Tensor::from_vec(values, (rows, 1), &Device::Cpu);
    let (aligned, beta) = (
        column(constraints.iter().map(|constraint| -constraint.aligned_loss).collect())?,
        column(constraints.iter().map(|constraint| constraint.beta).collect())?,
    );
    let sigmoid = ((log_pi - aligned)?.mul(&beta)?.neg()?.exp()? + 1.0)?.recip()?;
    let objective = ((sigmoid.log()? * -2.0)?.div(&beta)?.sum_all()? * f64::from(factor))?;
    let store = objective.backward()?;
    let check = Check { backend, what: "constrained cross_entropy" };
    check.same("dh", &dh.context("no gradient")?, store.get(&vh).context("no gradient")?)?;
    check.same("dw", &dw, store.get(&vw).context("no gradient")?)
}

fn divergence<B: Backend>(backend: &mut B) -> Result<()> {
    let (rows, hidden, vocabulary, scale) = (29, 31, 301, 0.25);
    let (h, vh) = matrix(backend, 9, rows, hidden)?;
    let (w, vw) = parameter(backend, 10, vocabulary, hidden)?;
    let (other_h, vother_h) = matrix(backend, 15, rows, hidden)?;
    let (other_w, vother_w) = parameter(backend, 16, vocabulary, hidden)?;
    let mut dw = backend.zeros(1, vocabulary * hidden)?;
    let (found, dh) = backend.divergence(&h, &w, (&other_h, &other_w), scale, Some((&Selection::Everything, &mut dw)))?;
    let of = |h: &Tensor, w: &Tensor| ops::log_softmax(&h.matmul(&w.t()?)?, D::Minus1);
    let (wanted, q) = (of(&vother_h, &vother_w)?.detach(), of(&vh, &vw)?);
    let divergences = (wanted.exp()? * (wanted - q)?)?.sum(1)?;
    for (found, expected) in found.iter().zip(divergences.to_vec1::<f32>()?) {
        ensure!((found - expected).abs() < 1e-4 * expected.abs().max(1.0), "divergence: {found}, candle {expected}");
    }
    let store = (divergences.sum_all()? * f64::from(scale))?.backward()?;
    let check = Check { backend, what: "divergence" };
    check.same("dh", &dh, store.get(&vh).context("no gradient")?)?;
    check.same("dw", &dw, store.get(&vw).context("no gradient")?)
}

/// Packed rows of queries that share key and value heads, against each row alone: two rows, and three behind what they begin with.
fn attention<B: Backend>(backend: &mut B) -> Result<()> {
    attention_of(backend, Pieces { starts: &[0, 17, 41], prefix: 0 })?;
    attention_of(backend, Pieces { starts: &[0, 17, 41, 42, 115], prefix: 17 })
}

fn attention_of<B: Backend>(backend: &mut B, pieces: Pieces<'_>) -> Result<()> {
    let heads = Heads { query: 6, key_value: 2, size: 16 };
    let tokens = *pieces.starts.last().context("no piece")?;
    let (q, vq) = matrix(backend, 11, tokens, heads.query * heads.size)?;
    let (k, vk) = matrix(backend, 12, tokens, heads.key_value * heads.size)?;
    let (v, vv) = matrix(backend, 13, tokens, heads.key_value * heads.size)?;
    let (dy, vdy) = matrix(backend, 14, tokens, heads.query * heads.size)?;
    let out = backend.attention(&q, &k, &v, pieces, heads)?;
    let (dq, dk, dv) = backend.attention_backward(&dy, &q, &k, &v, &out, pieces, heads)?;
    let mut rows = Vec::new();
    for row in pieces.starts.windows(2) {
        let (t, before) = (row[1] - row[0], pieces.before(row[0]));
        let n = before + t;
        let split = |x: &Tensor, n: usize| x.reshape(((), n, heads.size))?.transpose(0, 1)?.unsqueeze(0)?.contiguous();
        let queries = split(&vq.narrow(0, row[0], t)?, heads.query)?;
        let shared = |x: &Var| {
            let seen = Tensor::cat(&[x.narrow(0, 0, before)?, x.narrow(0, row[0], t)?], 0)?;
            candle_transformers::utils::repeat_kv(split(&seen, heads.key_value)?, heads.query / heads.key_value)?.contiguous()
        };
        let causal: Vec<f32> = (0..t * n).map(|i| if i % n > before + i / n { f32::NEG_INFINITY } else { 0.0 }).collect();
        let scores = (queries.matmul(&shared(&vk)?.transpose(2, 3)?.contiguous()?)? / (heads.size as f64).sqrt())?;
        let weights = ops::softmax(&scores.broadcast_add(&Tensor::from_vec(causal, (1, 1, t, n), &Device::Cpu)?)?, D::Minus1)?;
        rows.push(weights.matmul(&shared(&vv)?)?.transpose(1, 2)?.contiguous()?.reshape((t, heads.query * heads.size))?);
    }
    let expected = Tensor::cat(&rows, 0)?;
    let check = Check { backend, what: "attention" };
    check.same("output", &out.mixed, &expected)?;
    check.gradients(&expected, &vdy, &[("dq", &dq, &vq), ("dk", &dk, &vk), ("dv", &dv, &vv)])
}

fn every_operation<B: Backend>(mut backend: B) -> Result<()> {
    rms_norm(&mut backend)?;
    rope(&mut backend)?;
    swiglu(&mut backend)?;
    cross_entropy(&mut backend)?;
    constrained(&mut backend)?;
    divergence(&mut backend)?;
    attention(&mut backend)
}

#[test]
fn operations_on_slices_are_candle_nns() -> Result<()> {
    every_operation(Cpu::default())
}

#[test]
fn operations_on_tensors_are_candle_nns() -> Result<()> {
    every_operation(Candle::new(Device::Cpu))
}
