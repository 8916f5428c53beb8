//! What models predict along rows of tokens: passes of many short rows, and never the predictions of all their places at once.

use rayon::prelude::*;

use crate::model::backend::{Backend, Done};
use crate::model::batch::{Example, Packed};
use crate::model::decoder::Decoder;

/// Tokens of a forward pass at most: enough for the kernels, and little to hold. A longer row is a pass of its own.
pub(super) const TOKENS: usize = 2_048;

/// Places whose predictions over the vocabulary exist at once.
const PLACES: usize = 64;

/// Rows of a forward pass with another model's normalised final hidden states (N, C) at their targets.
pub(super) struct Along<B: Backend> {
    /// The rows.
    pub batch: Packed,
    states: B::Buffer,
}

impl<B: Backend> Along<B> {
    /// Rows as passes, with the states of the model that the decoder holds.
    ///
    /// # Errors
    /// When a token is not in the vocabulary or the backend fails.
    pub fn of<'a>(decoder: &mut Decoder<B>, rows: impl IntoIterator<Item = &'a Example>) -> Done<Vec<Self>> {
        let with_states = |batch: Packed| Ok(Self { states: decoder.target_states(&batch)?, batch });
        Packed::within(rows, TOKENS).into_iter().map(with_states).collect()
    }

    /// What `compare` makes of the log-probabilities of both models at each target, (V) each: those of the states, which belong to `head`
    /// (V, C), then those of the decoder's model.
    ///
    /// # Errors
    /// When shapes do not fit or the backend fails.
    pub fn compared<T: Send>(
        &self,
        decoder: &mut Decoder<B>,
        head: &B::Weight,
        compare: impl Fn(&[f32], &[f32]) -> T + Sync,
    ) -> Done<Vec<T>> {
        let states = decoder.target_states(&self.batch)?;
        let vocabulary = decoder.config().vocab_size;
        let mut found = Vec::with_capacity(self.batch.targets.len());
        for places in chunks(self.batch.targets.len()) {
            let (theirs, own) =
                (decoder.backend_mut().gather_rows(&self.states, &places)?, decoder.backend_mut().gather_rows(&states, &places)?);
            let (p, q) = (decoder.predictions(&theirs, Some(head))?, decoder.predictions(&own, None)?);
            found.par_extend(p.par_chunks(vocabulary).zip(q.par_chunks(vocabulary)).map(|(p, q)| compare(p, q)));
        }
        Ok(found)
    }
}

/// What `read` makes of the model's log-probabilities (V) at each target of some rows, in their order.
///
/// # Errors
/// When a token is not in the vocabulary or the backend fails.
pub(super) fn predicted<'a, B: Backend, T: Send>(
    decoder: &mut Decoder<B>,
    rows: impl IntoIterator<Item = &'a Example>,
    read: impl Fn(&[f32]) -> T + Sync,
) -> Done<Vec<T>> {
    let vocabulary = decoder.config().vocab_size;
    let mut found = Vec::new();
    for batch in Packed::within(rows, TOKENS) {
        let states = decoder.target_states(&batch)?;
        for places in chunks(batch.targets.len()) {
            let some = decoder.backend_mut().gather_rows(&states, &places)?;
            found.par_extend(decoder.predictions(&some, None)?.par_chunks(vocabulary).map(&read));
        }
    }
    Ok(found)
}

/// Places in order, so many at a time.
fn chunks(count: usize) -> impl Iterator<Item = Vec<usize>> {
    (0..count).step_by(PLACES).map(move |from| (from..(from + PLACES).min(count)).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::backend::BackendError;
    use crate::model::backend::cpu::Cpu;
    use crate::model::config::ModelConfig;
    use crate::model::fresh::fresh;

    fn decoder(seed: u64) -> Decoder<Cpu> {
        let json = r#"{"architectures": ["LlamaForCausalLM"], "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 50, "max_position_embeddings": 4096,
            "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true}"#;
        let config = ModelConfig::from_json(json, None).unwrap();
        let load = |spec: &_| -> Result<Vec<f32>, BackendError> {
            Ok(fresh(&config, spec, seed).into_iter().map(|weight| if weight == 1.0 { 1.0 } else { 10.0 * weight }).collect())
        };
        Decoder::new(config.clone(), Cpu::default(), load).unwrap()
    }

    /// More rows than a pass has room for, and more places than exist at once; a row without any among them, and one as long as a pass.
    #[test]
    fn passes_and_pieces_have_the_predictions_of_every_row_alone() {
        let row = |i: usize| {
            let length = if i == 40 { TOKENS + 1 } else { 20 + 13 * i % 90 };
            let tokens = (0..length).map(|at| ((7 * i + 3 * at + at * at / 5) % 50) as u32).collect();
            Example { tokens, supervised: (0..length).map(|at| i != 7 && at + 5 >= length).collect() }
        };
        let rows: Vec<Example> = (0..60).map(row).collect();
        let (mut aligned, mut tuned) = (decoder(1), decoder(2));
        let head = aligned.head_weight().unwrap().clone();
        let along = Along::of(&mut aligned, &rows).unwrap();
        assert!(along.len() > 2 && along.iter().all(|pass| pass.batch.tokens.len() <= TOKENS || pass.batch.row_starts.len() == 2));
        assert!(along.iter().any(|pass| pass.batch.targets.len() > PLACES));
        let mut found = Vec::new();
        for pass in &along {
            found.extend(pass.compared(&mut tuned, &head, |p, q| (p.to_vec(), q.to_vec())).unwrap());
        }
        let own = predicted(&mut tuned, &rows, <[f32]>::to_vec).unwrap();
        let mut expected = Vec::new();
        for row in &rows {
            let batch = Packed::from_examples([row]);
            let (p, q) = (aligned.log_probabilities(&batch).unwrap(), tuned.log_probabilities(&batch).unwrap());
            expected.extend(p.chunks(50).zip(q.chunks(50)).map(|(p, q)| (p.to_vec(), q.to_vec())));
        }
        assert_eq!((found.len(), own.len()), (expected.len(), expected.len()));
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
        for (at, ((found, own), expected)) in found.iter().zip(&own).zip(&expected).enumerate() {
            assert!(near(&found.0, &expected.0) && near(&found.1, &expected.1) && near(own, &expected.1), "place {at}");
            assert!(!near(&expected.0, &expected.1), "two models that predict the same at place {at}");
        }
    }
}
