//! Probes: figures along the training curve that move before refusals do.
//!
//! The reference is made once from the aligned model: its own greedy refusals of the probe prompts, and what its last layer made of
//! them, from which its head tells its log-probabilities. A tuned model is then compared with it by forward passes alone.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::data::rows::Row;
use crate::error::{Failure, Within};
use crate::eval::judge::Judge;
use crate::model::backend::Backend;
use crate::model::batch::{Example, Packed};
use crate::model::decoder::Decoder;
use crate::model::generate::generate;
use crate::pipeline::settings::Probe;
use crate::record::{Figure, FirstToken, ProbeReference, ReferenceRefusal, Verdict};

use super::along::{Along, TOKENS, predicted};
use super::evaluate::backend_failed;
use super::fetch::Model;
use super::manner::{asked_tokens, greedy, turn_end};
use super::retention::Asked;
use super::{Context, read_json, write_json};

/// Of this stage's result; raised when what it writes changes.
pub(super) const VERSION: u32 = 3;

/// What tuned models are compared with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reference {
    /// One entry for each harmful probe prompt that the aligned model refused.
    pub refusals: Vec<Refusal>,
    /// Harmful probe prompts that were asked.
    pub asked: usize,
    /// Benign probe prompts, as tokens.
    pub benign: Vec<Vec<u32>>,
    /// The distinct first tokens of those refusals.
    pub first_tokens: BTreeSet<u32>,
    /// Mean probability of those first tokens on benign prompts.
    pub benign_mass: f64,
    /// Task rows for the task's loss.
    pub task: Vec<Example>,
}

/// A refusal of the aligned model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refusal {
    /// The prompt's id.
    pub id: String,
    /// The prompt's tokens.
    pub prompt: Vec<u32>,
    /// The refusal's tokens, cut to the probe's length.
    pub tokens: Vec<u32>,
    /// The whole reply as text.
    pub text: String,
}

impl Reference {
    /// What the record tells of it.
    ///
    /// # Errors
    /// When a token is not in the vocabulary.
    pub fn told(&self, model: &Model, judge: &Judge) -> Result<ProbeReference, Failure> {
        let first_tokens: Result<_, Failure> =
            self.first_tokens.iter().map(|&id| Ok(FirstToken { id, text: model.text.decode(&[id])? })).collect();
        let refusal = |one: &Refusal| ReferenceRefusal { id: one.id.clone(), text: one.text.clone(), tokens: one.tokens.clone() };
        Ok(ProbeReference {
            asked: self.asked,
            judge: judge.name().to_owned(),
            refusals: self.refusals.iter().map(refusal).collect(),
            first_tokens: first_tokens?,
            benign_asked: self.benign.len(),
            benign_mass: self.benign_mass,
        })
    }
}

/// What the reference is made from.
pub struct ProbeInput<'a> {
    /// Harmful prompts.
    pub harmful: &'a [Row],
    /// Benign prompts.
    pub benign: &'a [Row],
    /// Held-out task rows.
    pub task: Vec<Example>,
    /// Tokens of each refusal that count.
    pub tokens: usize,
    /// Sequences generated at once.
    pub batch_size: usize,
    /// Digests of the above.
    pub digests: Vec<String>,
}

#[derive(Serialize)]
struct Parts<'a> {
    model: &'a str,
    text: &'a str,
    numerics: String,
    digests: &'a [String],
    tokens: usize,
    /// Products of another number of sequences may round otherwise.
    batch_size: usize,
    judge: String,
    /// What ends a reply beside the model's own end tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    turn_end: Option<u32>,
}

/// Makes the reference from the aligned model.
///
/// # Errors
/// When the backend fails or the store cannot be written.
pub fn reference(context: &Context<'_>, aligned: &Model, input: &ProbeInput<'_>, judge: &Judge) -> Result<(Reference, String), Failure> {
    let parts = Parts {
        model: &aligned.digest,
        text: &aligned.text_digest,
        numerics: context.compute.numerics(),
        digests: &input.digests,
        tokens: input.tokens,
        batch_size: input.batch_size,
        judge: judge.digest(),
        turn_end: turn_end(aligned),
    };
    let entry = context.stage("reference", VERSION, &parts, |place| {
        let made = make(context, aligned, input, judge)?;
        write_json(place, "reference.json", &made)?;
        Ok(format!("{} of {} probe prompts refused", made.refusals.len(), made.asked))
    })?;
    let digest = crate::artifact::digest::sha256_file(&entry.folder.join("reference.json"))?;
    Ok((read_json(&entry, "reference.json")?, digest))
}

/// Asks the aligned model.
fn make(context: &Context<'_>, model: &Model, input: &ProbeInput<'_>, judge: &Judge) -> Result<Reference, Failure> {
    let mut decoder = context.compute.load(model)?;
    let encode = |rows: &[Row]| -> Result<Vec<Vec<u32>>, Failure> {
        rows.iter().map(|row| asked_tokens(model, row.question()).within(|| format!("probe prompt {}", row.id))).collect()
    };
    let prompts = encode(input.harmful)?;
    // The judge needs a whole sentence; the probe keeps the first tokens of it.
    let sampling = greedy(model, input.tokens.max(32));
    let replies = generate(&mut decoder, &prompts, &sampling, input.batch_size, &mut |_, _| {}).map_err(backend_failed)?;
    let mut made = Reference {
        refusals: Vec::new(),
        asked: prompts.len(),
        benign: encode(input.benign)?,
        first_tokens: BTreeSet::new(),
        benign_mass: 0.0,
        task: input.task.clone(),
    };
    for ((row, prompt), reply) in input.harmful.iter().zip(prompts).zip(replies) {
        let text = model.text.decode(&reply.tokens)?;
        if judge.judge(&text, reply.ended) == Verdict::Refused {
            let tokens: Vec<u32> = reply.tokens.iter().copied().take(input.tokens).collect();
            made.first_tokens.extend(tokens.first());
            made.refusals.push(Refusal { id: row.id.clone(), prompt, tokens, text });
        }
    }
    made.benign_mass = mean(&first_token_masses(&mut decoder, &made.benign, &made.first_tokens)?).map_or(0.0, |figure| figure.value);
    Ok(made)
}

/// The reference with the aligned model's hidden states, held while arms train.
pub struct Measure<'a, B: Backend> {
    reference: Reference,
    /// What the probes that ask need; none where none is wanted.
    asked: Option<Asked<'a>>,
    of: Vec<Probe>,
    /// The refusals behind their prompts, with the aligned model's head; none where no probe looks at them.
    refusals: Option<(Vec<Along<B>>, B::Weight)>,
}

impl<'a, B: Backend> Measure<'a, B> {
    /// Takes the aligned model's states from a decoder that holds its weights.
    ///
    /// # Errors
    /// When the backend fails.
    pub fn new(decoder: &mut Decoder<B>, reference: Reference, of: &[Probe], asked: Option<Asked<'a>>) -> Result<Self, Failure> {
        let mut refusals = None;
        if of.iter().any(|probe| matches!(probe, Probe::Drift | Probe::RefusalLogOdds)) && !reference.refusals.is_empty() {
            let rows: Vec<Example> = reference.refusals.iter().map(|refusal| continued(&refusal.prompt, &refusal.tokens)).collect();
            let along = Along::of(decoder, &rows).map_err(backend_failed)?;
            refusals = Some((along, decoder.head_weight().map_err(backend_failed)?.clone()));
        }
        Ok(Self { reference, asked, of: of.to_vec(), refusals })
    }

    /// Measures saved weights: the figures of [`Self::measure`], and the refusals' first tokens on benign prompts.
    ///
    /// # Errors
    /// When the backend fails.
    pub fn measure_saved(&self, decoder: &mut Decoder<B>) -> Result<BTreeMap<String, Figure>, Failure> {
        let mut figures = self.measure(decoder)?;
        if self.of.contains(&Probe::RefusalLogOdds) {
            let masses = first_token_masses(decoder, &self.reference.benign, &self.reference.first_tokens)?;
            figures.extend(mean(&masses).map(|figure| ("benign_refusal_mass".to_owned(), figure)));
        }
        Ok(figures)
    }

    /// Measures a decoder's weights against the reference.
    ///
    /// # Errors
    /// When the backend fails.
    pub fn measure(&self, decoder: &mut Decoder<B>) -> Result<BTreeMap<String, Figure>, Failure> {
        let (drift, log_odds) = self.along_refusals(decoder)?;
        let mut figures = BTreeMap::new();
        for probe in &self.of {
            let (name, figure) = match probe {
                Probe::Drift => ("drift", mean(&drift)),
                Probe::RefusalLogOdds => ("refusal_log_odds", mean(&log_odds)),
                Probe::TaskNll => ("task_nll", task_nll(decoder, &self.reference.task)?),
                Probe::RefusalRate | Probe::AnsweredRate => {
                    let name = if *probe == Probe::RefusalRate { "refusal_rate" } else { "answered_rate" };
                    (name, self.asked.as_ref().map(|asked| asked.rate(decoder, *probe)).transpose()?.flatten())
                }
            };
            if let Some(figure) = figure {
                figures.insert(name.to_owned(), figure);
            }
        }
        Ok(figures)
    }

    /// For each refusal, in passes over many: KL(aligned ‖ these weights) per token, in nats, and the logit of the
    /// probability that the reply begins with one of the refusals' first tokens.
    fn along_refusals(&self, decoder: &mut Decoder<B>) -> Result<(Vec<f64>, Vec<f64>), Failure> {
        let (mut drift, mut log_odds) = (Vec::new(), Vec::new());
        let Some((refusals, head)) = &self.refusals else { return Ok((drift, log_odds)) };
        let first_tokens = &self.reference.first_tokens;
        for along in refusals {
            let compare = |p: &[f32], q: &[f32]| (divergence(p, q), mass_of(first_tokens, q));
            let mut found = along.compared(decoder, head, compare).map_err(backend_failed)?.into_iter();
            for row in along.batch.row_starts.windows(2) {
                let tokens = along.batch.targets.iter().filter(|target| (row[0]..row[1]).contains(&target.position)).count();
                // The first target of a row is the first token of its reply.
                let Some((mut sum, mass)) = (tokens > 0).then(|| found.next()).flatten() else { continue };
                sum += found.by_ref().take(tokens - 1).map(|(divergence, _)| divergence).sum::<f64>();
                drift.push(sum / tokens as f64);
                // A mass that rounds to 0 or 1 would be an infinite logit.
                let mass = mass.clamp(1e-9, 1.0 - 1e-9);
                log_odds.push((mass / (1.0 - mass)).ln());
            }
        }
        Ok((drift, log_odds))
    }
}

/// Mean loss over all supervised tokens, in nats; the standard error is over rows. None without a row.
///
/// # Errors
/// When the backend fails.
pub(super) fn task_nll<B: Backend>(decoder: &mut Decoder<B>, rows: &[Example]) -> Result<Option<Figure>, Failure> {
    let (mut sum, mut tokens, mut per_row) = (0.0, 0_u64, Vec::new());
    let mut losses = Vec::new();
    for batch in Packed::within(rows, TOKENS) {
        losses.extend(decoder.losses(&batch).map_err(backend_failed)?);
    }
    let mut losses = losses.into_iter().map(f64::from);
    for row in rows {
        let count = row.supervised_tokens();
        let loss: f64 = losses.by_ref().take(count).sum();
        sum += loss;
        tokens += count as u64;
        if count > 0 {
            per_row.push(loss / count as f64);
        }
    }
    let spread = mean(&per_row).and_then(|figure| figure.standard_error);
    Ok((tokens > 0).then(|| Figure { value: sum / tokens as f64, standard_error: spread, count: tokens, verdicts: None }))
}

/// Each prompt's summed probability of the tokens as the first of the reply.
fn first_token_masses<B: Backend>(decoder: &mut Decoder<B>, prompts: &[Vec<u32>], tokens: &BTreeSet<u32>) -> Result<Vec<f64>, Failure> {
    let Some(&any) = tokens.first() else { return Ok(Vec::new()) };
    // Which token is the target does not matter: every log-probability at the last position is read.
    let rows: Vec<Example> = prompts.iter().map(|prompt| continued(prompt, &[any])).collect();
    predicted(decoder, &rows, |row| mass_of(tokens, row)).map_err(backend_failed)
}

/// The summed probability of tokens, given log-probabilities that begin with a row over the vocabulary.
fn mass_of(tokens: &BTreeSet<u32>, row: &[f32]) -> f64 {
    tokens.iter().map(|&token| f64::from(row[token as usize]).exp()).sum()
}

/// A prompt with its continuation, every token of which is looked at.
pub(super) fn continued(prompt: &[u32], continuation: &[u32]) -> Example {
    let tokens: Vec<u32> = prompt.iter().chain(continuation).copied().collect();
    let supervised = (0..tokens.len()).map(|i| i >= prompt.len()).collect();
    Example { tokens, supervised }
}

/// KL(p ‖ q) of two rows of log-probabilities, in nats.
pub(super) fn divergence(p: &[f32], q: &[f32]) -> f64 {
    p.iter().zip(q).map(|(&p, &q)| f64::from(p).exp() * (f64::from(p) - f64::from(q))).sum()
}

/// Mean and standard error; none of nothing.
fn mean(values: &[f64]) -> Option<Figure> {
    if values.is_empty() {
        return None;
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let standard_error = (values.len() > 1).then(|| (variance / n).sqrt());
    Some(Figure { value: mean, standard_error, count: values.len() as u64, verdicts: None })
}
