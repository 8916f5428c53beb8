//! The backend on slices: kernels for several instruction sets, tiles for threads, the same bits for any number of threads.

mod adamw;
pub(in crate::model) mod attention;
mod bf16;
mod cache;
mod divergence;
mod elementwise;
mod head;
mod kept;
pub mod kernels;
mod loss;
pub(in crate::model) mod matmul;
mod matrix;
mod memory;
mod norm;
mod parameter;
mod pull;
mod q8_0;
mod sampled;
mod skinny;
mod threads;

use rayon::prelude::*;

use self::bf16::Bf16;
use self::cache::Cache;
use self::kept::Kept;
pub(crate) use self::kernels::simd;
pub use self::matrix::Matrix;
use self::matrix::expect;
use self::memory::Numbers;
use self::parameter::{Input, Outer, frozen};
pub use self::parameter::{Parameter, Precision};
use self::q8_0::Q8_0;
pub use self::threads::with_threads;
use super::{AdamW, Affine, AttentionOut, Backend, BackendError, Done, Heads, Pieces, RopeTable, Selection, WeightGradient, all};
use crate::model::constraint::Scale;

/// The backend on slices. Its loops run in the rayon pool that they are called in.
#[derive(Debug, Default)]
pub struct Cpu {
    precision: Precision,
    eight_bits: bool,
}

impl Cpu {
    /// A backend with products of this precision.
    pub fn new(precision: Precision) -> Self {
        Self { precision, eight_bits: false }
    }

    /// Holds the matrices that are loaded from now on in Q8_0, and rounds what they are multiplied with likewise: to generate with
    /// and for losses, in half of bfloat16's memory, but without gradients.
    pub fn in_q8_0(self) -> Self {
        Self { eight_bits: true, ..self }
    }
}

impl Drop for Cpu {
    fn drop(&mut self) {
        memory::release();
    }
}

fn wrong(message: String) -> BackendError {
    BackendError { backend: "cpu", message }
}

impl Backend for Cpu {
    type Buffer = Matrix;
    type Weight = Parameter;
    type Kept = Kept;
    type Cache = Cache;

    fn numerics(&self) -> String {
        let computed = self.precision.numerics();
        // Of integers, the sums are the same by any instructions.
        if self.eight_bits { format!("{computed}; matrices and their inputs in q8_0") } else { computed }
    }

    fn upload(&mut self, data: &[f32], rows: usize, columns: usize) -> Done<Matrix> {
        if data.len() != rows * columns {
            return Err(wrong(format!("{} numbers for {rows}×{columns}", data.len())));
        }
        Ok(Matrix { data: Numbers::of(data), rows, columns })
    }

    fn download(&self, buffer: &Matrix) -> Done<Vec<f32>> {
        Ok(buffer.data.to_vec())
    }

    fn shape(&self, buffer: &Matrix) -> (usize, usize) {
        (buffer.rows, buffer.columns)
    }

    fn keep(&mut self, buffer: Matrix) -> Done<Kept> {
        Ok(Kept::new(self.precision, buffer))
    }

    fn recall(&mut self, kept: Kept) -> Done<Matrix> {
        Ok(kept.recall())
    }

    fn load(&mut self, values: &[f32], rows: usize, columns: usize) -> Done<Parameter> {
        if values.len() != rows * columns {
            return Err(wrong(format!("{} numbers for {rows}×{columns}", values.len())));
        }
        Ok(match self.precision {
            _ if self.eight_bits && rows > 1 => Parameter::Q8_0(Q8_0::new(values, rows, columns)),
            Precision::Bf16 if rows > 1 => Parameter::Bf16(Bf16::new(values, rows, columns)),
            _ => Parameter::F32(Matrix { data: Numbers::of(values), rows, columns }),
        })
    }

    fn values(&self, weight: &Parameter) -> Done<Vec<f32>> {
        Ok(weight.values())
    }

    fn size(&self, weight: &Parameter) -> (usize, usize) {
        weight.shape()
    }

    fn zeros(&mut self, rows: usize, columns: usize) -> Done<Matrix> {
        Ok(Matrix::zeros(rows, columns))
    }

    fn clear(&mut self, buffer: &mut Matrix) -> Done<()> {
        memory::clear(&mut buffer.data);
        Ok(())
    }

    fn add_into(&mut self, to: &mut Matrix, from: &Matrix) -> Done<()> {
        expect("summand", (from.rows, from.columns), (to.rows, to.columns))?;
        elementwise::add(&mut to.data, &from.data);
        Ok(())
    }

    fn gather_rows(&mut self, x: &Matrix, rows: &[usize]) -> Done<Matrix> {
        let mut out = Matrix::blank(rows.len(), x.columns);
        for (i, &row) in rows.iter().enumerate() {
            if row >= x.rows {
                return Err(wrong(format!("row {row} of {}", x.rows)));
            }
            out.row_mut(i).copy_from_slice(x.row(row));
        }
        Ok(out)
    }

    fn scatter_rows(&mut self, x: &Matrix, rows: &[usize], total_rows: usize) -> Done<Matrix> {
        let mut out = Matrix::zeros(total_rows, x.columns);
        for (i, &row) in rows.iter().enumerate() {
            if row >= total_rows {
                return Err(wrong(format!("row {row} of {total_rows}")));
            }
            for (to, from) in out.row_mut(row).iter_mut().zip(x.row(i)) {
                *to += from;
            }
        }
        Ok(out)
    }

    fn embed(&mut self, table: &Parameter, ids: &[u32]) -> Done<Matrix> {
        let rows: Vec<usize> = ids.iter().map(|&id| id as usize).collect();
        let (all, columns) = table.shape();
        if let Some(row) = rows.iter().find(|&&row| row >= all) {
            return Err(wrong(format!("row {row} of {all}")));
        }
        let mut out = Matrix::blank(rows.len(), columns);
        out.data.par_chunks_mut(columns.max(1)).zip(&rows).for_each(|(to, &row)| table.row(row, to));
        Ok(out)
    }

    fn embed_backward(&mut self, dx: &Matrix, ids: &[u32], d_table: &mut Matrix) -> Done<()> {
        let width = dx.columns;
        expect("embedding gradient", (dx.rows, d_table.data.len() % width.max(1)), (ids.len(), 0))?;
        for (t, &id) in ids.iter().enumerate() {
            let at = id as usize * width;
            let Some(row) = d_table.data.get_mut(at..at + width) else { return Err(wrong(format!("token {id} is not in the embedding"))) };
            for (to, from) in row.iter_mut().zip(dx.row(t)) {
                *to += from;
            }
        }
        Ok(())
    }

    fn linear<const N: usize>(&mut self, x: &Matrix, weights: [Affine<'_, Parameter>; N]) -> Done<[Matrix; N]> {
        let mut input = Input::new(&x.data, x.columns);
        let outputs = weights.map(|(w, bias)| {
            let (outputs, inputs) = w.shape();
            expect("linear input", (x.rows, x.columns), (x.rows, inputs))?;
            let mut y = Matrix::blank(x.rows, outputs);
            if let Some(bias) = bias {
                let bias = bias.vector()?;
                expect("bias", (bias.rows, bias.columns), (1, outputs))?;
                for t in 0..y.rows {
                    y.row_mut(t).copy_from_slice(&bias.data);
                }
            }
            w.forward().product(&mut y.data, &mut input, bias.is_some());
            Ok(y)
        });
        all(outputs)
    }

    fn linear_dx<const N: usize>(&mut self, maps: [(&Matrix, &Parameter); N]) -> Done<Matrix> {
        let (mut dx, mut add) = (Matrix::blank(0, 0), false);
        for (dy, w) in maps {
            let (outputs, inputs) = w.shape();
            if !add {
                dx = Matrix::blank(dy.rows, inputs);
            }
            expect("output gradient", (dy.rows, dy.columns), (dx.rows, outputs))?;
            expect("input gradient", (dx.rows, dx.columns), (dx.rows, inputs))?;
            w.backward()?.product(&mut dx.data, &dy.data, add);
            add = true;
        }
        Ok(dx)
    }

    fn linear_dw(&mut self, x: &Matrix, weights: &mut [WeightGradient<'_, Matrix>]) -> Done<()> {
        let mut input = Outer::new(&x.data, x.columns);
        for WeightGradient { dy, selection, gradient } in weights {
            expect("output gradient", (dy.rows, 1), (x.rows, 1))?;
            let len = dy.columns * x.columns;
            expect("compact gradient", (1, gradient.data.len()), (1, selection.count(len)))?;
            input.add_gradient(self.precision, &mut gradient.data, (&dy.data, dy.columns), selection);
        }
        Ok(())
    }

    fn bias_dw(&mut self, dy: &Matrix, gradient: &mut Matrix) -> Done<()> {
        expect("bias gradient", (gradient.rows, gradient.columns), (1, dy.columns))?;
        for t in 0..dy.rows {
            for (to, from) in gradient.data.iter_mut().zip(dy.row(t)) {
                *to += from;
            }
        }
        Ok(())
    }

    fn rms_norm(&mut self, x: &Matrix, w: &Parameter, epsilon: f64) -> Done<(Matrix, Matrix)> {
        let w = w.vector()?;
        expect("norm weight", (w.rows, w.columns), (1, x.columns))?;
        Ok(norm::forward(x, &w.data, epsilon))
    }

    fn rms_norm_backward(
        &mut self,
        dy: &Matrix,
        x: &Matrix,
        w: &Parameter,
        inverse_rms: &Matrix,
        gradient: Option<&mut Matrix>,
    ) -> Done<Matrix> {
        expect("norm gradient", (dy.rows, dy.columns), (x.rows, x.columns))?;
        Ok(norm::backward(dy, x, &w.vector()?.data, inverse_rms, gradient.map(|g| &mut *g.data)))
    }

    fn rope(&mut self, x: &mut Matrix, positions: &[u32], table: &RopeTable, backward: bool) -> Done<()> {
        if let Some(&position) = positions.iter().find(|&&p| (p as usize + 1) * table.half > table.cos.len()) {
            return Err(wrong(format!("position {position} is past the {} of the rotary table", table.cos.len() / table.half)));
        }
        elementwise::rope(x, positions, table, backward);
        Ok(())
    }

    fn attention(&mut self, q: &Matrix, k: &Matrix, v: &Matrix, pieces: Pieces<'_>, heads: Heads) -> Done<AttentionOut<Matrix>> {
        expect("queries", (q.rows, q.columns), (k.rows, heads.query * heads.size))?;
        expect("keys", (k.rows, k.columns), (v.rows, heads.key_value * heads.size))?;
        let (mixed, log_sum_exp) = attention::forward(self.precision, q, k, v, pieces, heads);
        Ok(AttentionOut { mixed, log_sum_exp })
    }

    fn attention_backward(
        &mut self,
        d_mixed: &Matrix,
        q: &Matrix,
        k: &Matrix,
        v: &Matrix,
        out: &AttentionOut<Matrix>,
        pieces: Pieces<'_>,
        heads: Heads,
    ) -> Done<(Matrix, Matrix, Matrix)> {
        expect("mixed gradient", (d_mixed.rows, d_mixed.columns), (q.rows, q.columns))?;
        Ok(attention::backward(self.precision, d_mixed, q, k, v, &out.mixed, &out.log_sum_exp, pieces, heads))
    }

    fn swiglu(&mut self, gate: &Matrix, up: &Matrix) -> Done<Matrix> {
        expect("up", (up.rows, up.columns), (gate.rows, gate.columns))?;
        Ok(elementwise::swiglu(gate, up))
    }

    fn swiglu_backward(&mut self, d_out: &Matrix, gate: &Matrix, up: &Matrix) -> Done<(Matrix, Matrix)> {
        expect("up", (up.rows, up.columns), (gate.rows, gate.columns))?;
        Ok(elementwise::swiglu_backward(d_out, gate, up))
    }

    fn cross_entropy(
        &mut self,
        h: &Matrix,
        w: &Parameter,
        targets: &[u32],
        scale: Option<Scale<'_>>,
        gradient: Option<(&Selection, &mut Matrix)>,
    ) -> Done<(Vec<f32>, Option<Matrix>)> {
        let (vocabulary, hidden) = w.shape();
        expect("targets", (targets.len(), h.columns), (h.rows, hidden))?;
        if let Some(target) = targets.iter().find(|&&target| target as usize >= vocabulary) {
            return Err(wrong(format!("target {target} in a vocabulary of {vocabulary}")));
        }
        loss::cross_entropy(h, w, targets, scale, gradient, self.precision)
    }

    fn divergence(
        &mut self,
        h: &Matrix,
        w: &Parameter,
        reference: (&Matrix, &Parameter),
        scale: f32,
        gradient: Option<(&Selection, &mut Matrix)>,
    ) -> Done<(Vec<f32>, Matrix)> {
        let (vocabulary, hidden) = w.shape();
        expect("hidden states", (h.rows, h.columns), (reference.0.rows, hidden))?;
        expect("reference", (reference.1.shape().0, reference.0.columns), (vocabulary, reference.1.shape().1))?;
        divergence::divergence(h, w, reference, scale, gradient, self.precision)
    }

    fn cache(&mut self, rows: usize, capacity: usize, heads: Heads) -> Done<Cache> {
        Ok(Cache::new(self.precision, rows, capacity, heads))
    }

    fn copy_cached(&mut self, cache: &mut Cache, from: usize, to: usize, length: usize) -> Done<()> {
        cache.copy(from, to, length);
        Ok(())
    }

    fn attention_cached(
        &mut self,
        q: &Matrix,
        k: &Matrix,
        v: &Matrix,
        cache: &mut Cache,
        rows: &[usize],
        positions: &[u32],
        heads: Heads,
    ) -> Done<Matrix> {
        expect("queries", (q.rows, q.columns), (rows.len(), heads.query * heads.size))?;
        if let Some(position) = positions.iter().find(|&&position| position as usize >= cache.capacity) {
            return Err(wrong(format!("position {position} in a cache of {}", cache.capacity)));
        }
        cache.write(k, v, rows, positions);
        Ok(cache.attend(q, rows, positions))
    }

    fn sum_of_squares(&mut self, gradient: &Matrix) -> Done<f64> {
        Ok(elementwise::sum_of_squares(&gradient.data))
    }

    fn dot(&mut self, a: &Matrix, b: &Matrix) -> Done<f64> {
        expect("factors", (a.rows, a.columns), (b.rows, b.columns))?;
        Ok(elementwise::dot(&a.data, &b.data))
    }

    fn add_scaled(&mut self, to: &mut Matrix, from: &Matrix, scale: f32) -> Done<()> {
        expect("summands", (from.rows, from.columns), (to.rows, to.columns))?;
        elementwise::add_scaled(&mut to.data, &from.data, scale);
        Ok(())
    }

    fn pull_back(&mut self, w: &Parameter, selection: &Selection, stiffness: &Matrix, rest: &Matrix, gradient: &mut Matrix) -> Done<()> {
        pull::back(w, selection, stiffness, rest, gradient)
    }

    fn put(&mut self, w: &mut Parameter, selection: &Selection, values: &[f32]) -> Done<()> {
        w.put(selection, values)
    }

    fn adamw(
        &mut self,
        w: &mut Parameter,
        selection: &Selection,
        gradient: &Matrix,
        m: &mut Matrix,
        v: &mut Matrix,
        step: &AdamW,
    ) -> Done<()> {
        let (rows, columns) = w.shape();
        let count = selection.count(rows * columns);
        for (what, found) in [("gradient", gradient.data.len()), ("first moment", m.data.len()), ("second moment", v.data.len())] {
            expect(what, (1, found), (1, count))?;
        }
        let (gradient, m, v) = (&gradient.data, &mut m.data, &mut v.data);
        match (w, selection) {
            (_, Selection::Nothing) => {}
            (Parameter::Q8_0(_), _) => return Err(frozen()),
            (Parameter::Bf16(w), _) => w.adamw(selection, gradient, m, v, step),
            (Parameter::F32(w), Selection::Everything) => adamw::dense(&mut w.data, gradient, m, v, step),
            (Parameter::F32(w), Selection::Subset(mask)) => adamw::selected(&mut w.data, mask, gradient, m, v, step),
        };
        Ok(())
    }
}
