//! The custom tasks and the arms.

use serde::Serialize;

use super::{Arm, Training};
use crate::data::spec::DataSpec;

/// The custom task, or several, and the arms.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finetune {
    /// The user's rows; none where there are tasks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<DataSpec>,
    /// The tasks that every arm learns: one after another, each from the weights that the one before it left as saved files, or side by
    /// side where it merges them ([`Arm::merge`]); none where there is one task alone, the rows of [`Self::data`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<Task>,
    /// The refusals that the rows of all tasks are compared with, for the report; none where the rows are not audited.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audit: Vec<DataSpec>,
    /// The arms, in order.
    pub arms: Vec<Arm>,
}

/// One of several tasks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub data: Vec<DataSpec>,
    /// The suite that measures it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// The section's hyperparameters with the task's own; what an arm says goes before both ([`Arm::tasks`]).
    pub training: Training,
}

/// What the only task is called where the pipeline names none.
const ONE_TASK: &str = "finetune";

impl Finetune {
    /// The tasks in order, with their rows: at least one, named `finetune` where the pipeline has no `tasks:`.
    pub fn sequence(&self) -> Vec<(&str, &[DataSpec])> {
        if self.tasks.is_empty() {
            return vec![(ONE_TASK, &self.data)];
        }
        self.tasks.iter().map(|task| (task.name.as_str(), task.data.as_slice())).collect()
    }

    /// Every recipe that is trained or edited: the arms, and in place of those whose recipe is chosen their candidates.
    pub fn recipes(&self) -> impl Iterator<Item = &Arm> {
        self.arms.iter().flat_map(Arm::recipes)
    }

    /// The sources of all tasks, in order.
    pub fn sources(&self) -> Vec<DataSpec> {
        self.sequence().into_iter().flat_map(|(_, data)| data.to_vec()).collect()
    }
}
