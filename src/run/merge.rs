//! The tasks of an arm side by side, each from the aligned model, and then in one.

use super::arm::Bench;
use super::task::{Learnt, of_task, whole};
use crate::error::Failure;
use crate::pipeline::settings;
use crate::record::Cell;
use crate::stage::finetune::Tuned;
use crate::stage::merge::{Whole, merge};
use crate::stage::sequence::Leg;
use crate::ticket::mask_set::MaskSet;

impl Bench<'_> {
    /// Trains an arm on every task with one seed, each from the aligned model, asks each of the models every prompt of every suite, and
    /// merges them; the merge is asked by the caller, as every arm's end is. `cells` takes the curves and the models of the tasks.
    pub(super) fn learn_apart(
        &self,
        arm: &settings::Arm,
        how: &settings::Merge,
        seed: u64,
        cells: &mut Vec<Cell>,
    ) -> Result<Learnt, Failure> {
        let (mut tasks, mut deltas, mut taken) = (Vec::new(), Vec::new(), None::<MaskSet>);
        for (task, name) in self.frame.tasks().enumerate() {
            let leg = Leg { task, before: None, taken: taken.as_ref() };
            let (mut tuned, delta) = self.task(arm, seed, leg, name, cells)?;
            cells.push(self.on_the_way(&format!("{} on {name} alone", arm.name), seed, name, &mut tuned)?);
            tasks.extend(of_task(arm, name, &tuned));
            if let Some(earlier) = delta.is_some().then(|| deltas.iter().position(|other| *other == delta)).flatten() {
                let (first, digest) = (self.frame.tasks().nth(earlier).unwrap_or_default(), &tuned.model.digest);
                let message = format!("arm {} merges tasks {first} and {name}, which both end at weights sha256 {digest}", arm.name);
                return Err(Failure::new("same-delta", message).remedy("remove one of the two tasks, or give them other rows"));
            }
            deltas.push(delta);
            taken = tuned.taken;
        }
        let Whole { model, summary, stopped, figures } = merge(self.context, (arm, how), &self.frame, seed, &deltas)?;
        let mut training = whole(&tasks, summary.update_norm);
        training.stopped = training.stopped.or(stopped);
        let tuned = Tuned { model, steps: training.steps, training: Some(training), edit: None, curve: Vec::new(), figures, taken: None };
        Ok(Learnt { tuned, tasks, merge: Some(summary) })
    }
}
