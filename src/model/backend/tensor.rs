//! The backend on plain candle tensors: slower, short, and on any candle device; the slice backend's test twin.

use candle_core::{D, DType, Device, IndexOp, Tensor};

use super::{AdamW, Affine, AttentionOut, Backend, BackendError, Done, Heads, RopeTable, Selection, WeightGradient, all};

/// The backend on candle tensors.
#[derive(Debug, Clone)]
pub struct Candle {
    device: Device,
}

impl Candle {
    /// A backend on this device.
    pub fn new(device: Device) -> Self {
        Self { device }
    }

    fn matrix(&self, data: Vec<f32>, rows: usize, columns: usize) -> Done<Tensor> {
        Ok(Tensor::from_vec(data, (rows, columns), &self.device)?)
    }

    fn indices(&self, rows: &[usize]) -> Done<Tensor> {
        let rows: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
        Ok(Tensor::from_vec(rows.clone(), rows.len(), &self.device)?)
    }

    /// The compact positions of a selection as indices into the flat tensor.
    fn positions(&self, selection: &Selection) -> Done<Option<Tensor>> {
        match selection {
            Selection::Subset(mask) => Ok(Some(self.indices(&mask.positions().collect::<Vec<_>>())?)),
            Selection::Nothing | Selection::Everything => Ok(None),
        }
    }

    /// Adds a dense gradient, (O, I), at the selected positions to the compact one, (1, k).
    fn compact(&self, dense: &Tensor, selection: &Selection, gradient: &mut Tensor) -> Done<()> {
        if *selection == Selection::Nothing {
            return Ok(());
        }
        let flat = dense.flatten_all()?;
        let chosen = match self.positions(selection)? {
            Some(positions) => flat.index_select(&positions, 0)?,
            None => flat,
        };
        *gradient = (&*gradient + chosen.unsqueeze(0)?)?;
        Ok(())
    }

    /// Causal attention weights of one row: (H, t, t), and q, k, v as (H, t, D), keys and values repeated for their queries.
    fn weights(&self, q: &Tensor, k: &Tensor, v: &Tensor, heads: Heads) -> Done<(Tensor, Tensor, Tensor, Tensor, Tensor)> {
        let t = q.dim(0)?;
        let split = |x: &Tensor, n: usize| -> Done<Tensor> { Ok(x.reshape((t, n, heads.size))?.transpose(0, 1)?.contiguous()?) };
        let repeat = |x: Tensor| -> Done<Tensor> {
            let times = heads.query / heads.key_value;
            Ok(x.unsqueeze(1)?.expand((heads.key_value, times, t, heads.size))?.reshape((heads.query, t, heads.size))?)
        };
        let q = split(q, heads.query)?;
        let (k, v) = (repeat(split(k, heads.key_value)?)?, repeat(split(v, heads.key_value)?)?);
        let scores = (q.matmul(&k.transpose(1, 2)?.contiguous()?)? / (heads.size as f64).sqrt())?;
        let causal: Vec<f32> = (0..t).flat_map(|i| (0..t).map(move |j| if j > i { f32::NEG_INFINITY } else { 0.0 })).collect();
        let scores = scores.broadcast_add(&Tensor::from_vec(causal, (1, t, t), &self.device)?)?;
        let peak = scores.max_keepdim(D::Minus1)?;
        let exponentials = scores.broadcast_sub(&peak)?.exp()?;
        let sums = exponentials.sum_keepdim(D::Minus1)?;
        let log_sum_exp = (sums.log()? + peak)?.squeeze(2)?.t()?.contiguous()?; // (t, H)
        Ok((exponentials.broadcast_div(&sums)?, log_sum_exp, q, k, v))
    }
}

/// (H, t, D) to (t, H·D).
fn joined(x: &Tensor) -> Done<Tensor> {
    let (heads, t, size) = x.dims3()?;
    Ok(x.transpose(0, 1)?.contiguous()?.reshape((t, heads * size))?)
}

/// Sums the query heads that share a key/value head: (H, t, D) to (t, KV·D).
fn shared(x: &Tensor, heads: Heads) -> Done<Tensor> {
    let t = x.dim(1)?;
    joined(&x.reshape((heads.key_value, heads.query / heads.key_value, t, heads.size))?.sum(1)?)
}

impl From<candle_core::Error> for BackendError {
    fn from(error: candle_core::Error) -> Self {
        Self { backend: "tensor", message: error.to_string() }
    }
}

fn wrong(message: String) -> BackendError {
    BackendError { backend: "tensor", message }
}

/// Keys and values of one layer, (rows · capacity, KV·D) each.
pub struct Cache {
    keys: Tensor,
    values: Tensor,
    capacity: usize,
}

impl Backend for Candle {
    type Buffer = Tensor;
    type Weight = Tensor;
    type Kept = Tensor;
    type Cache = Cache;

    fn numerics(&self) -> String {
        format!("tensor {:?} f32", self.device.location())
    }

    fn upload(&mut self, data: &[f32], rows: usize, columns: usize) -> Done<Tensor> {
        self.matrix(data.to_vec(), rows, columns)
    }

    fn download(&self, buffer: &Tensor) -> Done<Vec<f32>> {
        Ok(buffer.flatten_all()?.to_vec1()?)
    }

    fn shape(&self, buffer: &Tensor) -> (usize, usize) {
        buffer.dims2().unwrap_or_default()
    }

    fn keep(&mut self, buffer: Tensor) -> Done<Tensor> {
        Ok(buffer)
    }

    fn recall(&mut self, kept: Tensor) -> Done<Tensor> {
        Ok(kept)
    }

    fn load(&mut self, values: &[f32], rows: usize, columns: usize) -> Done<Tensor> {
        self.upload(values, rows, columns)
    }

    fn values(&self, weight: &Tensor) -> Done<Vec<f32>> {
        self.download(weight)
    }

    fn size(&self, weight: &Tensor) -> (usize, usize) {
        self.shape(weight)
    }

    fn zeros(&mut self, rows: usize, columns: usize) -> Done<Tensor> {
        Ok(Tensor::zeros((rows, columns), DType::F32, &self.device)?)
    }

    fn clear(&mut self, buffer: &mut Tensor) -> Done<()> {
        *buffer = buffer.zeros_like()?;
        Ok(())
    }

    fn add_into(&mut self, to: &mut Tensor, from: &Tensor) -> Done<()> {
        *to = (&*to + from)?;
        Ok(())
    }

    fn gather_rows(&mut self, x: &Tensor, rows: &[usize]) -> Done<Tensor> {
        Ok(x.index_select(&self.indices(rows)?, 0)?)
    }

    fn scatter_rows(&mut self, x: &Tensor, rows: &[usize], total_rows: usize) -> Done<Tensor> {
        let zeros = self.zeros(total_rows, x.dim(1)?)?;
        Ok(zeros.index_add(&self.indices(rows)?, x, 0)?)
    }

    fn embed(&mut self, table: &Tensor, ids: &[u32]) -> Done<Tensor> {
        self.gather_rows(table, &ids.iter().map(|&id| id as usize).collect::<Vec<_>>())
    }

    fn embed_backward(&mut self, dx: &Tensor, ids: &[u32], d_table: &mut Tensor) -> Done<()> {
        let ids = Tensor::from_vec(ids.to_vec(), ids.len(), &self.device)?;
        let shape = d_table.dims2()?;
        *d_table = d_table.reshape(((), dx.dim(1)?))?.index_add(&ids, dx, 0)?.reshape(shape)?;
        Ok(())
    }

    fn linear<const N: usize>(&mut self, x: &Tensor, weights: [Affine<'_, Tensor>; N]) -> Done<[Tensor; N]> {
        let outputs = weights.map(|(w, bias)| {
            let y = x.matmul(&w.t()?)?;
            Ok(match bias {
                Some(bias) => y.broadcast_add(bias)?,
                None => y,
            })
        });
        all(outputs)
    }

    fn linear_dx<const N: usize>(&mut self, maps: [(&Tensor, &Tensor); N]) -> Done<Tensor> {
        let parts = all(maps.map(|(dy, w)| Ok(dy.matmul(w)?)))?;
        let mut parts = parts.into_iter();
        let first = parts.next().ok_or_else(|| wrong("no linear map".to_owned()))?;
        parts.try_fold(first, |sum, part| Ok((sum + part)?))
    }

    fn linear_dw(&mut self, x: &Tensor, weights: &mut [WeightGradient<'_, Tensor>]) -> Done<()> {
        for WeightGradient { dy, selection, gradient } in weights {
            self.compact(&dy.t()?.matmul(x)?, selection, gradient)?;
        }
        Ok(())
    }

    fn bias_dw(&mut self, dy: &Tensor, gradient: &mut Tensor) -> Done<()> {
        *gradient = (&*gradient + dy.sum_keepdim(0)?)?;
        Ok(())
    }

    fn rms_norm(&mut self, x: &Tensor, w: &Tensor, epsilon: f64) -> Done<(Tensor, Tensor)> {
        let inverse = (x.sqr()?.mean_keepdim(1)? + epsilon)?.sqrt()?.recip()?;
        Ok((x.broadcast_mul(&inverse)?.broadcast_mul(w)?, inverse))
    }

    fn rms_norm_backward(
        &mut self,
        dy: &Tensor,
        x: &Tensor,
        w: &Tensor,
        inverse_rms: &Tensor,
        gradient: Option<&mut Tensor>,
    ) -> Done<Tensor> {
        let unit = x.broadcast_mul(inverse_rms)?;
        if let Some(gradient) = gradient {
            *gradient = (&*gradient + (dy * &unit)?.sum_keepdim(0)?)?;
        }
        let scaled = dy.broadcast_mul(w)?;
        let mean = (&scaled * &unit)?.mean_keepdim(1)?;
        Ok((scaled - unit.broadcast_mul(&mean)?)?.broadcast_mul(inverse_rms)?)
    }

    fn rope(&mut self, x: &mut Tensor, positions: &[u32], table: &RopeTable, backward: bool) -> Done<()> {
        let half = table.half;
        let rows: Vec<usize> = positions.iter().map(|&position| position as usize).collect();
        let length = table.cos.len() / half;
        let index = self.indices(&rows)?;
        let pick = |values: &[f32]| -> Done<Tensor> {
            Ok(Tensor::from_slice(values, (length, half), &self.device)?.index_select(&index, 0)?.unsqueeze(1)?)
        };
        let (cos, sin) = (pick(&table.cos)?, pick(&table.sin)?);
        let sin = if backward { sin.neg()? } else { sin };
        let (t, columns) = x.dims2()?;
        let heads = x.reshape((t, columns / (2 * half), 2 * half))?;
        let (a, b) = (heads.narrow(2, 0, half)?, heads.narrow(2, half, half)?);
        let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
        let second = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
        *x = Tensor::cat(&[first, second], 2)?.reshape((t, columns))?;
        Ok(())
    }

    fn attention(&mut self, q: &Tensor, k: &Tensor, v: &Tensor, row_starts: &[usize], heads: Heads) -> Done<AttentionOut<Tensor>> {
        let (mut mixed, mut sums) = (Vec::new(), Vec::new());
        for row in row_starts.windows(2) {
            let part = |x: &Tensor| x.narrow(0, row[0], row[1] - row[0]);
            let (weights, log_sum_exp, _, _, v) = self.weights(&part(q)?, &part(k)?, &part(v)?, heads)?;
            mixed.push(joined(&weights.matmul(&v)?)?);
            sums.push(log_sum_exp);
        }
        Ok(AttentionOut { mixed: Tensor::cat(&mixed, 0)?, log_sum_exp: Tensor::cat(&sums, 0)? })
    }

    fn attention_backward(
        &mut self,
        d_mixed: &Tensor,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _out: &AttentionOut<Tensor>,
        row_starts: &[usize],
        heads: Heads,
    ) -> Done<(Tensor, Tensor, Tensor)> {
        let (mut dq, mut dk, mut dv) = (Vec::new(), Vec::new(), Vec::new());
        for row in row_starts.windows(2) {
            let t = row[1] - row[0];
            let part = |x: &Tensor| x.narrow(0, row[0], t);
            let (weights, _, q, k, v) = self.weights(&part(q)?, &part(k)?, &part(v)?, heads)?;
            let d = part(d_mixed)?.reshape((t, heads.query, heads.size))?.transpose(0, 1)?.contiguous()?;
            dv.push(shared(&weights.transpose(1, 2)?.contiguous()?.matmul(&d)?, heads)?);
            let d_weights = d.matmul(&v.transpose(1, 2)?.contiguous()?)?;
            let mean = (&d_weights * &weights)?.sum_keepdim(D::Minus1)?;
            let d_scores = ((d_weights.broadcast_sub(&mean)? * &weights)? / (heads.size as f64).sqrt())?;
            dq.push(joined(&d_scores.matmul(&k)?)?);
            dk.push(shared(&d_scores.transpose(1, 2)?.contiguous()?.matmul(&q)?, heads)?);
        }
        Ok((Tensor::cat(&dq, 0)?, Tensor::cat(&dk, 0)?, Tensor::cat(&dv, 0)?))
    }

    fn swiglu(&mut self, gate: &Tensor, up: &Tensor) -> Done<Tensor> {
        Ok((gate.silu()? * up)?)
    }

    fn swiglu_backward(&mut self, d_out: &Tensor, gate: &Tensor, up: &Tensor) -> Done<(Tensor, Tensor)> {
        let sigmoid = (gate.neg()?.exp()? + 1.0)?.recip()?;
        let silu = (gate * &sigmoid)?;
        // silu' = σ + silu · (1 − σ)
        let slope = (&sigmoid + (&silu * sigmoid.affine(-1.0, 1.0)?)?)?;
        Ok((((d_out * up)? * slope)?, (d_out * silu)?))
    }

    fn cross_entropy(
        &mut self,
        h: &Tensor,
        w: &Tensor,
        targets: &[u32],
        scale: Option<f32>,
        gradient: Option<(&Selection, &mut Tensor)>,
    ) -> Done<(Vec<f32>, Option<Tensor>)> {
        let vocabulary = w.dim(0)?;
        if let Some(target) = targets.iter().find(|&&target| target as usize >= vocabulary) {
            return Err(wrong(format!("target {target} in a vocabulary of {vocabulary}")));
        }
        let logits = h.matmul(&w.t()?)?;
        let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?)?;
        let exponentials = shifted.exp()?;
        let sums = exponentials.sum_keepdim(1)?;
        let index = Tensor::from_vec(targets.to_vec(), (targets.len(), 1), &self.device)?;
        let losses = (sums.log()? - shifted.gather(&index, 1)?)?.flatten_all()?.to_vec1()?;
        let Some(scale) = scale else { return Ok((losses, None)) };
        let ones = Tensor::ones((targets.len(), 1), DType::F32, &self.device)?;
        let hot = logits.zeros_like()?.scatter_add(&index, &ones, 1)?;
        let d_logits = ((exponentials.broadcast_div(&sums)? - hot)? * f64::from(scale))?;
        if let Some((selection, gradient)) = gradient {
            self.compact(&d_logits.t()?.matmul(h)?, selection, gradient)?;
        }
        Ok((losses, Some(d_logits.matmul(w)?)))
    }

    fn cache(&mut self, rows: usize, capacity: usize, heads: Heads) -> Done<Cache> {
        let zeros = self.zeros(rows * capacity, heads.key_value * heads.size)?;
        Ok(Cache { keys: zeros.clone(), values: zeros, capacity })
    }

    fn copy_cached(&mut self, cache: &mut Cache, from: usize, to: usize, length: usize) -> Done<()> {
        for kept in [&mut cache.keys, &mut cache.values] {
            *kept = kept.slice_scatter0(&kept.narrow(0, from * cache.capacity, length)?, to * cache.capacity)?;
        }
        Ok(())
    }

    fn attention_cached(
        &mut self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        cache: &mut Cache,
        rows: &[usize],
        positions: &[u32],
        heads: Heads,
    ) -> Done<Tensor> {
        let (capacity, mut mixed) = (cache.capacity, Vec::new());
        for (t, (&row, &position)) in rows.iter().zip(positions).enumerate() {
            let position = position as usize;
            if position >= capacity {
                return Err(wrong(format!("position {position} in a cache of {capacity}")));
            }
            let at = row * capacity + position;
            for (cache, new) in [(&mut cache.keys, k), (&mut cache.values, v)] {
                *cache = cache.slice_scatter0(&new.narrow(0, t, 1)?, at)?;
            }
            // One query over its sequence so far: the last row of causal attention.
            let part = |x: &Tensor| x.narrow(0, row * capacity, position + 1);
            let (keys, values) = (part(&cache.keys)?, part(&cache.values)?);
            let query = q.i(t)?.reshape((heads.query, 1, heads.size))?;
            let times = heads.query / heads.key_value;
            let spread = |x: Tensor| -> Done<Tensor> {
                let x = x.reshape((position + 1, heads.key_value, heads.size))?.transpose(0, 1)?;
                Ok(x.unsqueeze(1)?.expand((heads.key_value, times, position + 1, heads.size))?.reshape((
                    heads.query,
                    position + 1,
                    heads.size,
                ))?)
            };
            let (keys, values) = (spread(keys)?, spread(values)?);
            let scores = (query.matmul(&keys.transpose(1, 2)?.contiguous()?)? / (heads.size as f64).sqrt())?;
            let exponentials = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
            let weights = exponentials.broadcast_div(&exponentials.sum_keepdim(D::Minus1)?)?;
            mixed.push(weights.matmul(&values)?.reshape((1, heads.query * heads.size))?);
        }
        Ok(Tensor::cat(&mixed, 0)?)
    }

    fn sum_of_squares(&mut self, gradient: &Tensor) -> Done<f64> {
        Ok(gradient.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar()?)
    }

    fn adamw(
        &mut self,
        w: &mut Tensor,
        selection: &Selection,
        gradient: &Tensor,
        m: &mut Tensor,
        v: &mut Tensor,
        step: &AdamW,
    ) -> Done<()> {
        if *selection == Selection::Nothing {
            return Ok(());
        }
        let gradient = (gradient * f64::from(step.gradient_scale))?;
        *m = ((&*m * step.beta1)? + (&gradient * (1.0 - step.beta1))?)?;
        *v = ((&*v * step.beta2)? + (gradient.sqr()? * (1.0 - step.beta2))?)?;
        let correction1 = 1.0 - step.beta1.powf(step.step as f64);
        let correction2 = 1.0 - step.beta2.powf(step.step as f64);
        let root = ((&*v / correction2)?.sqrt()? + step.epsilon)?;
        let update = ((&*m / root)? * (step.learning_rate / correction1))?;
        let shape = w.dims2()?;
        let flat = w.flatten_all()?;
        let moved =
            |now: Tensor| -> Done<Tensor> { Ok(((now * (1.0 - step.learning_rate * step.weight_decay))? - update.flatten_all()?)?) };
        *w = match self.positions(selection)? {
            None => moved(flat)?.reshape(shape)?,
            Some(positions) => flat.scatter(&positions, &moved(flat.index_select(&positions, 0)?)?, 0)?.reshape(shape)?,
        };
        Ok(())
    }
}
