//! The tasks of an arm, one after another.

use super::arm::Bench;
use super::task::{Learnt, of_task, whole};
use crate::error::Failure;
use crate::pipeline::settings;
use crate::record::Cell;
use crate::stage::edit::distance;
use crate::stage::sequence::Leg;
use crate::stage::train::finite_or_zero;

impl Bench<'_> {
    /// Trains an arm on every task with one seed, each from what the one before it saved, and asks the model after each every prompt of
    /// every suite; the last is asked by the caller, as every arm's end is. `cells` takes the curves and the models before the last.
    pub(super) fn learn(&self, arm: &settings::Arm, seed: u64, cells: &mut Vec<Cell>) -> Result<Learnt, Failure> {
        let frame = &self.frame;
        let names: Vec<&str> = frame.tasks().collect();
        let mut tasks = Vec::new();
        let mut tuned = self.task(arm, seed, Leg { task: 0, before: None, taken: None }, names[0], cells)?.0;
        tasks.extend(of_task(arm, names[0], &tuned));
        for (i, name) in names.iter().enumerate().skip(1) {
            let earlier = names[i - 1];
            let who = format!("{} after {earlier}", arm.name);
            cells.push(self.on_the_way(&who, seed, earlier, &mut tuned)?);
            let leg = Leg { task: i, before: Some(&tuned), taken: tuned.taken.as_ref() };
            let next = self.task(arm, seed, leg, name, cells)?.0;
            tasks.extend(of_task(arm, name, &next));
            tuned = next;
        }
        if !frame.has_tasks() {
            tasks.clear();
        } else if tasks.len() > 1 {
            let update_norm = finite_or_zero(distance(&frame.aligned().weights, &tuned.model.weights)?);
            tuned.training = Some(whole(&tasks, update_norm));
        }
        Ok(Learnt { tuned, tasks, merge: None })
    }
}
