//! What is measured of an arm against the aligned model, on the suites' prompts: distance, and which of their replies is better.

use std::collections::BTreeMap;

use crate::error::Failure;
use crate::pipeline::settings::Evaluate;
use crate::record::Completion;

use super::compare::compare;
use super::evaluate::Questions;
use super::fetch::Model;
use super::{Context, divergence};

/// The aligned model, and what it said.
pub struct Against<'a> {
    /// What is measured.
    pub evaluate: &'a Evaluate,
    /// The suites.
    pub asked: &'a [Questions],
    /// The aligned model.
    pub aligned: &'a Model,
    /// Its completions by suite.
    pub said: BTreeMap<String, Vec<Completion>>,
}

impl Against<'_> {
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
                if self.same_tokens(model) {
                    let found = divergence::measure(context, (self.aligned, model), who, asked, tokens, self.evaluate.batch_size)?;
                    list.iter_mut().zip(found).for_each(|(completion, kl)| completion.kl = kl);
                } else {
                    context.warn(format!("{who} has another tokenizer than the aligned model: their distance is not measured"));
                }
            }
            let comparer = self.evaluate.comparers.iter().find(|comparer| Some(&comparer.name) == asked.info.compare.as_ref());
            if let (Some(comparer), Some(theirs)) = (comparer, self.said.get(name)) {
                compare(context, who, comparer, asked, theirs, list)?;
            }
        }
        Ok(())
    }

    /// Whether a token is the same in both models, so that their distributions are over the same things.
    fn same_tokens(&self, model: &Model) -> bool {
        model.config.vocab_size == self.aligned.config.vocab_size && model.text.tokenizer_digest() == self.aligned.text.tokenizer_digest()
    }
}
