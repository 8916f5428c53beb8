//! Which cells a benchmark wants, and which of them no part holds.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Task, ended, is_tuned, seeds_of};
use crate::record::Record;

/// A cell that no part holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// The task.
    pub task: String,
    /// The arm, with its rate where it is of a sweep.
    pub arm: String,
    /// The seed.
    pub seed: u64,
}

/// What a benchmark wants: every arm on every task from every seed.
pub(super) struct Wanted {
    tasks: BTreeSet<String>,
    arms: BTreeSet<String>,
    seeds: BTreeSet<u64>,
}

impl Wanted {
    /// What the pipelines of the parts name, and more. An arm that is named for one task is wanted for all.
    pub(super) fn of(parts: &[Record], seeds: &[u64], tasks: &[String]) -> Self {
        let named = |part: &Record| -> Vec<String> {
            let arms = part.pipeline["finetune"]["arms"].as_array().into_iter().flatten();
            arms.filter_map(|arm| arm["name"].as_str().map(str::to_owned)).collect()
        };
        Self {
            tasks: parts.iter().filter_map(|part| task_of(&part.pipeline)).chain(tasks.iter().cloned()).collect(),
            arms: parts.iter().flat_map(named).collect(),
            seeds: parts.iter().flat_map(seeds_of).chain(seeds.iter().copied()).collect(),
        }
    }

    pub(super) fn arms(&self) -> usize {
        self.arms.len()
    }

    pub(super) fn cells(&self) -> usize {
        self.tasks.len() * self.arms.len() * self.seeds.len()
    }
}

/// The cells that are wanted and that no task holds, in order.
pub(super) fn missing(wanted: &Wanted, tasks: &[Task]) -> Vec<Missing> {
    let mut cells = Vec::new();
    for task in &wanted.tasks {
        let arms = tasks.iter().filter(|known| known.name == *task).flat_map(|known| &known.all.arms);
        let held: BTreeSet<(&str, u64)> =
            arms.filter(|arm| is_tuned(arm)).flat_map(|arm| ended(arm).into_iter().map(|seed| (arm.name.as_str(), seed))).collect();
        for arm in &wanted.arms {
            let lacks = wanted.seeds.iter().filter(|seed| !held.contains(&(arm.as_str(), **seed)));
            cells.extend(lacks.map(|&seed| Missing { task: task.clone(), arm: arm.clone(), seed }));
        }
    }
    cells
}

/// What a pipeline's fine-tuning is called: its tasks' names, or where its rows come from, without folders, endings and `builtin:`;
/// none where it trains nothing.
pub fn task_of(pipeline: &Value) -> Option<String> {
    let finetune = &pipeline["finetune"];
    let names = |list: &Value, key: &str| -> Vec<String> {
        list.as_array().into_iter().flatten().filter_map(|one| one[key].as_str().map(short)).collect()
    };
    let (tasks, data) = (names(&finetune["tasks"], "name"), names(&finetune["data"], "source"));
    match (tasks.is_empty(), data.is_empty()) {
        (false, _) => Some(tasks.join(" then ")),
        (true, false) => Some(data.join(" + ")),
        (true, true) => None,
    }
}

fn short(source: &str) -> String {
    let name = source.trim_start_matches("builtin:").rsplit(['/', '\\']).next().unwrap_or(source);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned()
}
