//! The backend on plain candle tensors: short, and on any candle device; the slice backend's test twin.
//!
//! Weights, activations, gradients and moments stay on the device. To it go token ids, positions, and once for each mask the places of its
//! weights; from it come the losses, and a number a tensor for the norm of the gradients.

mod attention;
mod cache;
mod loss;
mod resident;

use std::collections::HashMap;
use std::sync::OnceLock;

use candle_core::{DType, Device, Tensor};

use self::cache::Cache;
use self::resident::Turns;

use super::{AdamW, Affine, AttentionOut, Backend, BackendError, Done, Heads, Pieces, RopeTable, Selection, WeightGradient, all};
use crate::mask::Mask;
use crate::model::constraint::Scale;

/// The backend on candle tensors.
#[derive(Debug, Clone)]
pub struct Candle {
    device: Device,
    /// The places of masks' weights, which every step needs again.
    places: HashMap<Mask, Tensor>,
    /// What the last rotation took from its table, which those of a whole step take.
    turns: Option<Turns>,
}

impl Candle {
    /// A backend on this device.
    pub fn new(device: Device) -> Self {
        Self { device, places: HashMap::new(), turns: None }
    }

    /// A backend on the first graphics processor that this program was built for, or on candle's own loops where it was built for none.
    ///
    /// # Errors
    /// When there is no such device, or its driver is missing.
    pub fn on_first_device() -> Done<Self> {
        static DEVICE: OnceLock<Result<Device, String>> = OnceLock::new();
        let open = || {
            if cfg!(feature = "cuda") {
                Device::new_cuda(0)
            } else if cfg!(feature = "metal") {
                Device::new_metal(0)
            } else {
                Ok(Device::Cpu)
            }
        };
        let device = DEVICE.get_or_init(|| open().map_err(|error| error.to_string())).clone().map_err(wrong)?;
        Ok(Self::new(device))
    }

    fn matrix(&self, data: Vec<f32>, rows: usize, columns: usize) -> Done<Tensor> {
        Ok(Tensor::from_vec(data, (rows, columns), &self.device)?)
    }

    fn indices(&self, rows: &[usize]) -> Done<Tensor> {
        let rows: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
        Ok(Tensor::from_vec(rows.clone(), rows.len(), &self.device)?)
    }

    /// Adds a dense gradient, (O, I), at the selected positions to the compact one, (1, k).
    fn compact(&mut self, dense: &Tensor, selection: &Selection, gradient: &mut Tensor) -> Done<()> {
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
}

impl From<candle_core::Error> for BackendError {
    fn from(error: candle_core::Error) -> Self {
        Self { backend: "tensor", message: error.to_string() }
    }
}

fn wrong(message: String) -> BackendError {
    BackendError { backend: "tensor", message }
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
        let (cos, sin) = self.turns(positions, table)?;
        let sin = if backward { sin.neg()? } else { sin };
        let (t, columns) = x.dims2()?;
        let heads = x.reshape((t, columns / (2 * half), 2 * half))?;
        let (a, b) = (heads.narrow(2, 0, half)?, heads.narrow(2, half, half)?);
        let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
        let second = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
        *x = Tensor::cat(&[first, second], 2)?.reshape((t, columns))?;
        Ok(())
    }

    fn attention(&mut self, q: &Tensor, k: &Tensor, v: &Tensor, pieces: Pieces<'_>, heads: Heads) -> Done<AttentionOut<Tensor>> {
        attention::forward(q, k, v, pieces, heads)
    }

    fn attention_backward(
        &mut self,
        d_mixed: &Tensor,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _out: &AttentionOut<Tensor>,
        pieces: Pieces<'_>,
        heads: Heads,
    ) -> Done<(Tensor, Tensor, Tensor)> {
        attention::backward(d_mixed, q, k, v, pieces, heads)
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
        scale: Option<Scale<'_>>,
        gradient: Option<(&Selection, &mut Tensor)>,
    ) -> Done<(Vec<f32>, Option<Tensor>)> {
        loss::cross_entropy(self, h, w, targets, scale, gradient)
    }

    fn divergence(
        &mut self,
        h: &Tensor,
        w: &Tensor,
        reference: (&Tensor, &Tensor),
        scale: f32,
        gradient: Option<(&Selection, &mut Tensor)>,
    ) -> Done<(Vec<f32>, Tensor)> {
        loss::divergence(self, h, w, reference, scale, gradient)
    }

    fn cache(&mut self, rows: usize, capacity: usize, heads: Heads) -> Done<Cache> {
        let columns = heads.key_value * heads.size;
        // Two tensors: they are written in place.
        Ok(Cache { keys: self.zeros(rows * capacity, columns)?, values: self.zeros(rows * capacity, columns)?, capacity })
    }

    fn copy_cached(&mut self, cache: &mut Cache, from: usize, to: usize, length: usize) -> Done<()> {
        cache.copy(from, to, length)
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
        cache.attend(q, (k, v), rows, positions, heads)
    }

    fn sum_of_squares(&mut self, gradient: &Tensor) -> Done<f64> {
        if self.device.is_metal() {
            // It has no f64.
            return Ok(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?.into());
        }
        Ok(gradient.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar()?)
    }

    fn dot(&mut self, a: &Tensor, b: &Tensor) -> Done<f64> {
        if self.device.is_metal() {
            // It has no f64.
            return Ok((a * b)?.sum_all()?.to_scalar::<f32>()?.into());
        }
        Ok((a.to_dtype(DType::F64)? * b.to_dtype(DType::F64)?)?.sum_all()?.to_scalar()?)
    }

    fn add_scaled(&mut self, to: &mut Tensor, from: &Tensor, scale: f32) -> Done<()> {
        *to = (&*to + (from * f64::from(scale))?)?;
        Ok(())
    }

    fn pull_back(&mut self, w: &Tensor, selection: &Selection, stiffness: &Tensor, rest: &Tensor, gradient: &mut Tensor) -> Done<()> {
        if *selection == Selection::Nothing {
            return Ok(());
        }
        let flat = w.flatten_all()?;
        let now = match self.positions(selection)? {
            Some(positions) => flat.index_select(&positions, 0)?,
            None => flat,
        };
        *gradient = (&*gradient + (stiffness * (now.unsqueeze(0)? - rest)?)?)?;
        Ok(())
    }

    fn put(&mut self, w: &mut Tensor, selection: &Selection, values: &[f32]) -> Done<()> {
        let shape = w.dims2()?;
        let count = selection.count(shape.0 * shape.1);
        if values.len() != count {
            return Err(BackendError { backend: "tensor", message: format!("{} numbers for {count} weights", values.len()) });
        }
        if count == 0 {
            return Ok(());
        }
        let values = Tensor::from_slice(values, count, &self.device)?;
        *w = match self.positions(selection)? {
            None => values.reshape(shape)?,
            Some(positions) => w.flatten_all()?.scatter(&positions, &values, 0)?.reshape(shape)?,
        };
        Ok(())
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
