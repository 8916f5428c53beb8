//! One arm, from the aligned model to its cells in the record.

use std::collections::BTreeMap;

use super::describe::describe;
use crate::error::Failure;
use crate::pipeline::settings::{self, Pipeline};
use crate::record::{Arm, Cell, Completion, Figure, Race, TrainingSummary};
use crate::stage::Context;
use crate::stage::against::Against;
use crate::stage::edit::edit;
use crate::stage::evaluate::ask;
use crate::stage::fetch::Model;
use crate::stage::finetune::Tuned;
use crate::stage::frame::Frame;
use crate::stage::judges::Judges;
use crate::stage::losses::losses;
use crate::stage::race::race;

/// The tuned models of the arms so far, by arm and seed: what later arms are made of.
pub(super) type Sources = BTreeMap<(String, u64), Tuned>;

/// What all arms share.
pub(super) struct Bench<'a> {
    pub context: &'a Context<'a>,
    pub pipeline: &'a Pipeline,
    pub frame: Frame<'a>,
    pub against: &'a Against<'a>,
    pub judges: &'a Judges<'a>,
}

impl Bench<'_> {
    /// One arm over all seeds: trained, or made of another one's weights, saved, and measured on the saved files, with the digests of its
    /// weights.
    pub(super) fn arm(&self, settings: &settings::Arm, sources: &mut Sources) -> Result<(Arm, BTreeMap<String, String>), Failure> {
        let Self { context, pipeline, frame, .. } = self;
        let (mut cells, mut digests) = (Vec::new(), BTreeMap::new());
        let (mut training, mut edited, mut tasks, mut merge) = (None, None, Vec::new(), None);
        let end = frame.tasks().last().map(str::to_owned).filter(|_| !self.is_merged(settings));
        for &seed in &pipeline.seeds {
            let mut tuned = match &settings.edit {
                None => {
                    let learnt = match &settings.merge {
                        None => self.learn(settings, seed, &mut cells)?,
                        Some(how) => self.learn_apart(settings, how, seed, &mut cells)?,
                    };
                    if tasks.is_empty() {
                        tasks = learnt.tasks;
                    }
                    merge = merge.or(learnt.merge);
                    learnt.tuned
                }
                Some(how) => {
                    let source = sources.get(&(how.from.clone(), seed)).ok_or_else(|| {
                        Failure::new("unknown-arm", format!("arm {} is made of {}, which was not trained", settings.name, how.from))
                            .remedy("write that arm above it")
                    })?;
                    edit(context, settings, how, frame, source, seed)?
                }
            };
            let completions = self.ask(&settings.name, &tuned.model)?;
            let seeded = if seed == 0 { String::new() } else { format!(".seed-{seed}") };
            digests.insert(format!("model.{}{seeded}", settings.name), format!("sha256:{}", tuned.model.digest));
            let mut figures = std::mem::take(&mut tuned.figures);
            figures.extend(self.losses(&settings.name, &tuned.model)?);
            cells.push(Cell { seed, after_task: end.clone(), step: tuned.steps, last: true, figures, completions });
            training = TrainingSummary::of_seeds(training, tuned.training.take());
            edited = edited.or(tuned.edit.take());
            if self.is_source(&settings.name) {
                sources.insert((settings.name.clone(), seed), tuned);
            }
        }
        let arm = Arm {
            name: settings.name.clone(),
            settings: serde_json::to_value(settings).map_err(|error| Failure::new("internal", error.to_string()))?,
            summary: describe(settings),
            training,
            edit: edited,
            tasks,
            merge,
            race: None,
            cells,
        };
        Ok((arm, digests))
    }

    /// How the recipe of an arm is chosen, with the first seed; none where it is given.
    pub(super) fn race(&self, settings: &settings::Arm) -> Result<Option<Race>, Failure> {
        let Some(auto) = &settings.auto else { return Ok(None) };
        Ok(Some(race(self.context, settings, auto, &self.frame, &describe, self.pipeline.seeds[0])?))
    }

    /// How well a model knows each task's answers; nothing without a sequence.
    pub(super) fn losses(&self, who: &str, model: &Model) -> Result<BTreeMap<String, Figure>, Failure> {
        let Some(finetune) = &self.pipeline.finetune else { return Ok(BTreeMap::new()) };
        losses(self.context, who, model, finetune, self.against.asked)
    }

    /// What a model says to every prompt, with what is measured against the aligned one.
    pub(super) fn ask(&self, who: &str, model: &Model) -> Result<BTreeMap<String, Vec<Completion>>, Failure> {
        let mut said = ask(self.context, who, model, &self.pipeline.evaluate, self.against.asked, self.judges)?;
        self.against.measure(self.context, who, model, &mut said)?;
        Ok(said)
    }

    /// Whether an arm's end is a merge of all tasks, or is made of one.
    fn is_merged(&self, arm: &settings::Arm) -> bool {
        let arms = self.pipeline.finetune.iter().flat_map(|finetune| &finetune.arms);
        let from = arm.edit.as_ref().and_then(|edited| arms.clone().find(|other| other.name == edited.from));
        arm.merge.is_some() || from.is_some_and(|from| self.is_merged(from))
    }

    /// Whether another arm is made of this one.
    fn is_source(&self, name: &str) -> bool {
        let arms = self.pipeline.finetune.iter().flat_map(|finetune| &finetune.arms);
        arms.filter_map(|arm| arm.edit.as_ref()).any(|edited| edited.from == name)
    }
}
