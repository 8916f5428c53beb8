//! One task of an arm, and what an arm has learnt when all its tasks are behind it, one after another or side by side.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::arm::Bench;
use crate::error::Failure;
use crate::pipeline::settings;
use crate::record::{Cell, MergeSummary, TaskTraining, TrainingSummary};
use crate::stage::finetune::{Tuned, finetune};
use crate::stage::sequence::{Leg, task_delta};

/// An arm after its last task, or the merge of all.
pub(super) struct Learnt {
    /// The model, whose training is that of all tasks together.
    pub tuned: Tuned,
    /// The training of each task; empty where the pipeline names none.
    pub tasks: Vec<TaskTraining>,
    /// What merging the tasks did, where they were learnt side by side.
    pub merge: Option<MergeSummary>,
}

impl Bench<'_> {
    /// One task, and where its delta is, of several tasks; the curve goes to `cells`.
    pub(super) fn task(
        &self,
        arm: &settings::Arm,
        seed: u64,
        leg: Leg<'_>,
        name: &str,
        cells: &mut Vec<Cell>,
    ) -> Result<(Tuned, Option<PathBuf>), Failure> {
        let Self { context, frame, .. } = self;
        let mut tuned = finetune(context, arm, frame, seed, leg)?;
        let delta = if frame.has_tasks() {
            let start = leg.before.map_or(frame.aligned(), |before| &before.model);
            task_delta(context, &arm.name, seed, name, start, &tuned.model)?
        } else {
            None
        };
        for (step, figures) in std::mem::take(&mut tuned.curve) {
            cells.push(Cell { seed, after_task: Some(name.to_owned()), step, last: false, figures, completions: BTreeMap::new() });
        }
        Ok((tuned, delta))
    }

    /// A model that is not the arm's end, asked every prompt of every suite.
    pub(super) fn on_the_way(&self, who: &str, seed: u64, task: &str, tuned: &mut Tuned) -> Result<Cell, Failure> {
        let completions = self.ask(who, &tuned.model)?;
        let mut figures = std::mem::take(&mut tuned.figures);
        figures.extend(self.losses(who, &tuned.model)?);
        Ok(Cell { seed, after_task: Some(task.to_owned()), step: tuned.steps, last: false, figures, completions })
    }
}

/// What a task did; none where it was not trained.
pub(super) fn of_task(arm: &settings::Arm, name: &str, tuned: &Tuned) -> Option<TaskTraining> {
    Some(TaskTraining { name: name.to_owned(), training: tuned.training.clone()?, own_weights: arm.has_own_weights() })
}

/// All tasks together: counts are summed, and weights too where each task has its own; of the shares that rounding erased, the largest.
pub(super) fn whole(tasks: &[TaskTraining], update_norm: f64) -> TrainingSummary {
    let all = || tasks.iter().map(|task| &task.training);
    let sum = |of: &dyn Fn(&TrainingSummary) -> u64| all().map(of).sum::<u64>();
    let own = tasks.iter().all(|task| task.own_weights);
    TrainingSummary {
        trained: if own { sum(&|one| one.trained) } else { all().map(|one| one.trained).max().unwrap_or(0) },
        trained_share: if own { all().map(|one| one.trained_share).sum() } else { all().map(|one| one.trained_share).fold(0.0, f64::max) },
        steps: sum(&|one| one.steps),
        tokens: sum(&|one| one.tokens),
        supervised_tokens: sum(&|one| one.supervised_tokens),
        projected: all().map(|one| one.projected).sum(),
        truncated_rows: sum(&|one| one.truncated_rows),
        losses: all().flat_map(|one| one.losses.clone()).collect(),
        gradient_norms: all().flat_map(|one| one.gradient_norms.clone()).collect(),
        seconds: all().map(|one| one.seconds).sum(),
        update_norm,
        erased_by_rounding: all().map(|one| one.erased_by_rounding).fold(0.0, f64::max),
        frozen_changed: sum(&|one| one.frozen_changed),
        stopped: tasks.iter().find_map(|task| Some(format!("task {}: {}", task.name, task.training.stopped.as_ref()?))),
    }
}
