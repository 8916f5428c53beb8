//! What is measured of an arm against the aligned model, on the suites' prompts: distance, and which of their replies is better.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::error::Failure;
use crate::pipeline::settings::Evaluate;
use crate::record::Completion;

use super::Context;
use super::compare::compare;
use super::divergence::{self, Way, way};
use super::evaluate::Questions;
use super::fetch::Model;

/// The aligned model, and what it said.
pub struct Against<'a> {
    /// The suites.
    pub asked: &'a [Questions],
    evaluate: &'a Evaluate,
    aligned: &'a Model,
    /// Its completions by suite.
    said: BTreeMap<String, Vec<Completion>>,
    /// Its own replies, along which distances are measured, by suite: made when the first arm needs them.
    ways: RefCell<BTreeMap<String, Rc<Way>>>,
}

impl<'a> Against<'a> {
    /// The aligned model's completions are `said`.
    pub fn new(evaluate: &'a Evaluate, asked: &'a [Questions], aligned: &'a Model, said: BTreeMap<String, Vec<Completion>>) -> Self {
        Self { asked, evaluate, aligned, said, ways: RefCell::default() }
    }

    /// Adds to a model's completions what the pipeline asks to be measured against the aligned model; the aligned model itself is at
    /// distance 0, and its replies are ties.
    ///
    /// # Errors
    /// When the backend or an endpoint fails, or the store cannot be written.
    pub fn measure(
        &self,
        context: &Context<'_>,
        who: &str,
        model: &Model,
        completions: &mut BTreeMap<String, Vec<Completion>>,
    ) -> Result<(), Failure> {
        for asked in self.asked {
            let name = &asked.suite.name;
            let Some(list) = completions.get_mut(name) else { continue };
            if let Some(tokens) = asked.info.divergence {
                let found = self.distances(context, who, model, asked, tokens)?;
                list.iter_mut().zip(found).for_each(|(completion, kl)| completion.kl = kl);
            }
            let comparer = self.evaluate.comparers.iter().find(|comparer| Some(&comparer.name) == asked.info.compare.as_ref());
            if let (Some(comparer), Some(theirs)) = (comparer, self.said.get(name)) {
                compare(context, who, comparer, asked, theirs, list)?;
            }
        }
        Ok(())
    }

    /// Each prompt's distance from the aligned model; nothing where the models do not share their tokens.
    fn distances(
        &self,
        context: &Context<'_>,
        who: &str,
        model: &Model,
        asked: &Questions,
        tokens: usize,
    ) -> Result<Vec<Option<f64>>, Failure> {
        if model.digest == self.aligned.digest {
            return Ok(vec![Some(0.0); asked.rows.len()]);
        }
        if let Some(what) = self.other_tokens(model) {
            context.warn(format!("{who} has {what} than the aligned model: their distance is not measured"));
            return Ok(Vec::new());
        }
        let suite = &asked.suite.name;
        let known = self.ways.borrow().get(suite).cloned();
        let way = match known {
            Some(way) => way,
            None => {
                let made = Rc::new(way(context, self.aligned, asked, tokens, self.evaluate.batch_size)?);
                self.ways.borrow_mut().insert(suite.clone(), made.clone());
                made
            }
        };
        divergence::measure(context, (self.aligned, model), &format!("divergence {who} {suite}"), &way)
    }

    /// What differs, where a token is not the same in both models, so that their distributions are not over the same things.
    fn other_tokens(&self, model: &Model) -> Option<String> {
        let (own, other) = (self.aligned.config.vocab_size, model.config.vocab_size);
        if own != other {
            return Some(format!("another vocabulary ({other} tokens, not {own})"));
        }
        (model.text.tokenizer_digest() != self.aligned.text.tokenizer_digest()).then(|| "another tokenizer".to_owned())
    }
}
