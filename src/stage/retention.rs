//! The probes that ask: the probe prompts are answered greedily along the training, and judged.

use std::time::Instant;

use serde::Serialize;

use crate::artifact::digest::sha256;
use crate::data::rows::Row;
use crate::error::{Failure, Within};
use crate::eval::judge::Judge;
use crate::model::backend::Backend;
use crate::model::decoder::Decoder;
use crate::model::generate::generate;
use crate::pipeline::settings::Probe;
use crate::record::{Figure, Verdict};

use super::evaluate::backend_failed;
use super::fetch::Model;
use super::manner::{asked_tokens, greedy, turn_end};

/// What is asked, and who judges.
#[derive(Clone)]
pub struct Asked<'a> {
    /// The aligned model, whose tokenizer every tuned one shares.
    model: &'a Model,
    judge: Judge,
    harmful: Vec<Vec<u32>>,
    benign: Vec<Vec<u32>>,
    max_new_tokens: usize,
    batch_size: usize,
}

#[derive(Serialize)]
struct Parts<'a> {
    harmful: &'a [Vec<u32>],
    benign: &'a [Vec<u32>],
    judge: String,
    max_new_tokens: usize,
    /// Products of another number of sequences may round otherwise.
    batch_size: usize,
    /// What ends a reply beside the model's own end tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    turn_end: Option<u32>,
}

/// Whether a probe asks.
pub fn asks(probe: Probe) -> bool {
    matches!(probe, Probe::RefusalRate | Probe::AnsweredRate)
}

impl<'a> Asked<'a> {
    /// Prompts of both kinds, as the model is asked them in the suites: with as many new tokens.
    ///
    /// # Errors
    /// Names the prompt that cannot be put.
    pub fn new(
        model: &'a Model,
        judge: Judge,
        (harmful, benign): (&[Row], &[Row]),
        max_new_tokens: usize,
        batch_size: usize,
    ) -> Result<Self, Failure> {
        let encode = |rows: &[Row]| -> Result<Vec<Vec<u32>>, Failure> {
            rows.iter().map(|row| asked_tokens(model, row.question()).within(|| format!("probe prompt {}", row.id))).collect()
        };
        Ok(Self { model, judge, harmful: encode(harmful)?, benign: encode(benign)?, max_new_tokens, batch_size })
    }

    /// Digest of everything that decides the verdicts beside the weights.
    ///
    /// # Errors
    /// When the parts cannot be written as JSON, which is a defect of the program.
    pub fn digest(&self) -> Result<String, Failure> {
        let parts = Parts {
            harmful: &self.harmful,
            benign: &self.benign,
            judge: self.judge.digest(),
            max_new_tokens: self.max_new_tokens,
            batch_size: self.batch_size,
            turn_end: turn_end(self.model),
        };
        let text = serde_json::to_string(&parts).map_err(|error| Failure::new("internal", error.to_string()))?;
        Ok(sha256(text.as_bytes()))
    }

    /// Seconds that one measure of these probes takes a model, by its first batches.
    ///
    /// # Errors
    /// When the backend fails.
    pub fn seconds<B: Backend>(&self, decoder: &mut Decoder<B>, of: &[Probe]) -> Result<f64, Failure> {
        let mut seconds = 0.0;
        for (probe, prompts) in [(Probe::RefusalRate, &self.harmful), (Probe::AnsweredRate, &self.benign)] {
            let first = &prompts[..prompts.len().min(self.batch_size)];
            if of.contains(&probe) && !first.is_empty() {
                let start = Instant::now();
                let sampling = greedy(self.model, self.max_new_tokens);
                generate(decoder, first, &sampling, self.batch_size, &mut |_, _| {}).map_err(backend_failed)?;
                seconds += start.elapsed().as_secs_f64() * prompts.len() as f64 / first.len() as f64;
            }
        }
        Ok(seconds)
    }

    /// The share of harmful prompts that are refused, or of benign ones that are answered, with the verdict on each. None of a probe
    /// that does not ask, and of no prompts. The standard error is the binomial one.
    ///
    /// # Errors
    /// When the backend fails, or a reply is no text.
    pub fn rate<B: Backend>(&self, decoder: &mut Decoder<B>, probe: Probe) -> Result<Option<Figure>, Failure> {
        let (prompts, wanted) = match probe {
            Probe::RefusalRate => (&self.harmful, Verdict::Refused),
            Probe::AnsweredRate => (&self.benign, Verdict::Complied),
            _ => return Ok(None),
        };
        if prompts.is_empty() {
            return Ok(None);
        }
        let sampling = greedy(self.model, self.max_new_tokens);
        let replies = generate(decoder, prompts, &sampling, self.batch_size, &mut |_, _| {}).map_err(backend_failed)?;
        let (mut verdicts, mut hits) = (String::with_capacity(replies.len()), 0_usize);
        for reply in replies {
            let verdict = self.judge.judge(&self.model.text.decode(&reply.tokens)?, reply.ended);
            hits += usize::from(verdict == wanted);
            verdicts.push(match verdict {
                Verdict::Refused => 'r',
                Verdict::Complied => 'c',
                Verdict::Undetermined => 'u',
            });
        }
        let n = prompts.len() as f64;
        let value = hits as f64 / n;
        let standard_error = Some((value * (1.0 - value) / n).sqrt());
        Ok(Some(Figure { value, standard_error, count: prompts.len() as u64, verdicts: Some(verdicts) }))
    }
}
