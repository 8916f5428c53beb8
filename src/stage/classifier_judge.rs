//! judge: an encoder with labels says what completions are. What it computed for a set of texts is remembered; what its labels mean,
//! and from which probability on, is applied to the remembered logits.

use std::collections::HashMap;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::artifact::digest::sha256;
use crate::data::encoder_text::EncoderRow;
use crate::error::Failure;
use crate::model::encoder::{Encoder, Row};
use crate::record::{JudgeError, Verdict};

use super::classifier::Classifier;
use super::evaluate::Questions;
use super::judges::Judgement;
use super::{Context, read_json, write_json};

/// Of the logits; raised when the same texts get others.
pub(super) const VERSION: u32 = 1;

/// Tokens that are computed at once: rows behind one another, as many as have room; a longer row alone.
const AT_ONCE: usize = 1024;

/// Prompts of a suite that the forecast tries.
const TRIED: usize = 8;

/// What came out for one text.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Scored {
    /// One a label.
    logits: Vec<f32>,
    /// Whether the text was longer than the classifier reads.
    cut: bool,
    /// Whether nothing of the completion was left.
    unseen: bool,
}

#[derive(Serialize)]
struct Parts<'a> {
    weights: &'a str,
    text: &'a str,
    numerics: String,
    input: &'a [String],
    max_length: usize,
    texts: String,
}

impl Classifier<'_> {
    /// What it says of prompts with their completions; of an empty completion nothing can be said. `who` is whose they are, for people.
    ///
    /// # Errors
    /// When a text cannot be made into tokens, the computation fails, or the store cannot be written.
    pub fn judgements(&self, context: &Context<'_>, who: &str, said: &[(&str, &str)]) -> Result<Vec<Judgement>, Failure> {
        let places: Vec<usize> = (0..said.len()).filter(|&i| !said[i].1.trim().is_empty()).collect();
        let mut judgements = vec![Judgement::from(Verdict::Undetermined); said.len()];
        if places.is_empty() {
            return Ok(judgements);
        }
        let texts: Vec<_> = places.iter().map(|&i| self.settings.texts(said[i].0, said[i].1)).collect();
        let parts = Parts {
            weights: self.weights_digest(),
            text: &self.text_digest,
            numerics: Encoder::numerics(),
            input: &self.settings.input,
            max_length: self.max_length,
            texts: sha256(serde_json::to_string(&texts).unwrap_or_default().as_bytes()),
        };
        let what = format!("judge {} {who}", self.settings.name);
        let entry = context.stage(&what, VERSION, &parts, |place| {
            let pairs: Vec<_> = places.iter().map(|&i| said[i]).collect();
            let scored = self.scored(context, &what, &pairs)?;
            write_json(place, "logits.json", &scored)?;
            let count = |wanted| scored.iter().filter(|one| self.verdict(one) == wanted).count();
            let (refused, complied) = (count(Verdict::Refused), count(Verdict::Complied));
            Ok(format!("{refused} refused, {complied} complied, {} undetermined", said.len() - refused - complied))
        })?;
        let scored: Vec<Scored> = read_json(&entry, "logits.json")?;
        for (place, one) in places.into_iter().zip(&scored) {
            judgements[place] = Judgement { verdict: self.verdict(one), error: one.unseen.then_some(JudgeError::Unseen), score: None };
        }
        let cut = scored.iter().filter(|one| one.cut).count();
        if cut > 0 {
            let unseen = scored.iter().filter(|one| one.unseen).count();
            let lost = if unseen > 0 { format!("; of {unseen} nothing was left, and they are undetermined") } else { String::new() };
            context.warn(format!(
                "{what}: {cut} of {} texts are longer than {} tokens and were cut on the right{lost}",
                scored.len(),
                self.max_length
            ));
        }
        Ok(judgements)
    }

    /// Seconds that it takes for the replies of one model to every suite that is judged, measured on a few prompts of each; a reply is
    /// taken to be as long as it may be.
    ///
    /// # Errors
    /// When a text cannot be made into tokens, or the computation fails.
    pub(super) fn seconds(&self, asked: &[Questions]) -> Result<f64, Failure> {
        let start = Instant::now();
        let encoder = self.load()?;
        let loading = start.elapsed().as_secs_f64();
        let mut seconds = 0.0;
        for questions in asked.iter().filter(|questions| !questions.info.judges.is_empty()) {
            let few = &questions.info.items[..questions.info.items.len().min(TRIED)];
            let rows = few.iter().map(|item| {
                let mut row = self.row(&item.prompt, "A reply.")?;
                let most = (row.tokens.len() + questions.suite.max_new_tokens).min(self.max_length);
                for values in [&mut row.tokens, &mut row.types] {
                    *values = values.iter().copied().cycle().take(most).collect();
                }
                Ok(row)
            });
            let rows = rows.collect::<Result<Vec<_>, Failure>>()?;
            let start = Instant::now();
            encoder.logits(&rows.iter().map(EncoderRow::row).collect::<Vec<_>>())?;
            seconds += loading + start.elapsed().as_secs_f64() * questions.info.prompts as f64 / few.len().max(1) as f64;
        }
        Ok(seconds)
    }

    fn verdict(&self, scored: &Scored) -> Verdict {
        if scored.unseen { Verdict::Undetermined } else { self.labels.verdict(&scored.logits) }
    }

    /// The logits of every text, each computed once however often it stands there.
    fn scored(&self, context: &Context<'_>, what: &str, said: &[(&str, &str)]) -> Result<Vec<Scored>, Failure> {
        let mut rows: Vec<(EncoderRow, bool)> = Vec::new();
        let mut known: HashMap<EncoderRow, usize> = HashMap::new();
        let mut of = Vec::with_capacity(said.len());
        for (prompt, completion) in said {
            let row = self.row(prompt, completion)?;
            // What is left would be the same without the completion.
            let unseen = row.cut && self.row(prompt, "")?.tokens == row.tokens;
            of.push(*known.entry(row.clone()).or_insert_with(|| {
                rows.push((row, unseen));
                rows.len() - 1
            }));
        }
        let encoder = self.load()?;
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|&i| rows[i].0.tokens.len());
        let mut scored: Vec<Option<Scored>> = vec![None; rows.len()];
        let mut done = 0;
        while done < order.len() {
            let mut tokens = 0;
            let has_room = |&&i: &&usize| {
                tokens += rows[i].0.tokens.len();
                tokens <= AT_ONCE
            };
            let count = order[done..].iter().take_while(has_room).count().max(1);
            let next = &order[done..done + count];
            let packed: Vec<Row<'_>> = next.iter().map(|&i| rows[i].0.row()).collect();
            for (&i, logits) in next.iter().zip(encoder.logits(&packed)?) {
                scored[i] = Some(Scored { logits, cut: rows[i].0.cut, unseen: rows[i].1 });
            }
            done += count;
            context.progress(what, done, order.len(), "texts");
        }
        Ok(of.into_iter().filter_map(|i| scored[i].clone()).collect())
    }
}
