//! Parts of one benchmark, joined: runs whose pipelines are the same but for task, arms, rates and seeds.
//!
//! A **part** is the record of one run. Its task is what its fine-tuning reads ([`task_of`]). A **cell** is what one arm measured at its
//! end, on one task, from one seed; an arm's rate is part of its settings. Parts of one task become one record over all their seeds, of
//! which everything is told that is told of a run, arms at equal utility among it. What must agree, and is compared by digest, stands
//! in `fit`; parts that do not fit are an error that names both sides. Parts in another order give the same result.

mod fit;
mod grid;

use std::collections::BTreeSet;

pub use self::grid::{Missing, task_of};
use self::grid::{Wanted, missing};
use super::gate::decide;
use super::matched::own_rules;
use super::without_text::without_text;
use crate::record::{Arm, Cell, Record, TrainingSummary};

/// A benchmark of which parts are at hand.
#[derive(Debug, Clone, PartialEq)]
pub struct Joined {
    /// By the tasks' names.
    pub tasks: Vec<Task>,
    /// Cells that are wanted and that no part holds, by task, arm and seed.
    pub missing: Vec<Missing>,
    /// Cells that are wanted.
    pub wanted: usize,
    /// Arms that are wanted of every task and seed.
    pub arms: usize,
    /// What a reader must know of how the parts differ.
    pub notes: Vec<String>,
}

/// All parts of one task.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// What its fine-tuning reads.
    pub name: String,
    /// The runs: pipeline, run and seeds.
    pub parts: Vec<(String, String, Vec<u64>)>,
    /// Every cell of every part.
    pub all: Record,
    /// The cells of the seeds that every arm of the parts has; none where there is no such seed. The gate is decided again on it.
    pub complete: Option<Record>,
}

/// Parts that cannot be joined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("these are no parts of one benchmark: {}", .0.join("; "))]
pub struct Misfit(pub Vec<String>);

/// Joins parts. `seeds` and `tasks` are wanted beside those that the parts name.
///
/// # Errors
/// When there are none, a part trained nothing, parts do not fit, or two hold one cell and it is not the same.
pub fn join(parts: &[Record], seeds: &[u64], tasks: &[String]) -> Result<Joined, Misfit> {
    let bare = parts.iter().any(|part| part.without_text);
    let mut parts: Vec<Record> = parts.iter().map(|part| if bare { without_text(part) } else { part.clone() }).collect();
    let untrained = |part: &&Record| task_of(&part.pipeline).is_none();
    let no_task: Vec<String> = parts.iter().filter(untrained).map(|part| format!("run {} fine-tunes nothing", told(part))).collect();
    if !no_task.is_empty() || parts.is_empty() {
        return Err(Misfit(if parts.is_empty() { vec!["there are none".into()] } else { no_task }));
    }
    parts.sort_by_cached_key(|part| (task_of(&part.pipeline), seeds_of(part), part.started.clone(), part.run_id.clone()));
    let misfits = fit::misfits(&parts);
    if !misfits.is_empty() {
        return Err(Misfit(misfits));
    }
    let wanted = Wanted::of(&parts, seeds, tasks);
    let mut joined: Vec<Task> = Vec::new();
    for part in &parts {
        let name = task_of(&part.pipeline).unwrap_or_default();
        let about = (part.name.clone(), part.run_id.clone(), seeds_of(part));
        match joined.iter_mut().find(|task| task.name == name) {
            Some(task) => {
                add(&mut task.all, part).map_err(|twice| Misfit(vec![twice]))?;
                task.parts.push(about);
            }
            None => joined.push(Task { name, parts: vec![about], all: first(part), complete: None }),
        }
    }
    for task in &mut joined {
        in_order(&mut task.all);
        let own: Vec<&Record> = parts.iter().filter(|part| task_of(&part.pipeline).as_ref() == Some(&task.name)).collect();
        task.complete = complete(&task.all, &own);
    }
    let cells = missing(&wanted, &joined);
    Ok(Joined { missing: cells, wanted: wanted.cells(), arms: wanted.arms(), notes: fit::notes(&parts), tasks: joined })
}

/// A part in an error: `NAME (RUN)`.
fn told(part: &Record) -> String {
    format!("{} ({})", part.name, part.run_id)
}

/// The seeds that a part names.
fn seeds_of(part: &Record) -> Vec<u64> {
    part.pipeline["seeds"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_u64).collect()
}

/// Whether an arm is measured for itself: `aligned` and `base` are what it starts from.
pub(super) fn is_tuned(arm: &Arm) -> bool {
    !arm.settings.is_null()
}

/// The seeds of which an arm was measured at its end.
pub(super) fn ended(arm: &Arm) -> BTreeSet<u64> {
    arm.cells.iter().filter(|cell| cell.last).map(|cell| cell.seed).collect()
}

/// The first part of a task, as what the others are added to. What is about one run alone goes.
fn first(part: &Record) -> Record {
    let mut all = part.clone();
    all.stages.clear();
    all.gate = None;
    all.digests.retain(|key, _| fit::is_shared(key));
    all
}

/// Adds the cells of another part, and its arms where they are new.
fn add(all: &mut Record, part: &Record) -> Result<(), String> {
    for arm in &part.arms {
        let Some(known) = all.arms.iter_mut().find(|known| known.name == arm.name) else {
            all.arms.push(arm.clone());
            continue;
        };
        if !is_tuned(arm) {
            continue;
        }
        let of = |arm: &Arm, seed: u64| arm.cells.iter().filter(|cell| cell.seed == seed).cloned().collect::<Vec<Cell>>();
        for seed in arm.cells.iter().map(|cell| cell.seed).collect::<BTreeSet<_>>() {
            let (before, now) = (of(known, seed), of(arm, seed));
            if before.is_empty() {
                known.cells.extend(now);
            } else if before != now {
                let task = task_of(&part.pipeline).unwrap_or_default();
                return Err(format!(
                    "arm {} of task {task} from seed {seed} is in run {} and in another, and is not the same",
                    arm.name,
                    told(part)
                ));
            }
        }
        // Of several races none is that of all seeds.
        known.race = known.race.take().filter(|race| Some(race) == arm.race.as_ref());
        known.training = known.training.clone().or_else(|| arm.training.clone());
        known.edit = known.edit.clone().or_else(|| arm.edit.clone());
        known.merge = known.merge.clone().or_else(|| arm.merge.clone());
    }
    all.audit = all.audit.take().filter(|audit| Some(audit) == part.audit.as_ref());
    let new = |warning: &&String| !all.warnings.contains(warning);
    let warnings: Vec<String> = part.warnings.iter().filter(new).cloned().collect();
    all.warnings.extend(warnings);
    all.seconds += part.seconds;
    all.peak_memory_bytes = all.peak_memory_bytes.max(part.peak_memory_bytes);
    Ok(())
}

/// Cells by seed, as they are written by a run; those of one seed stay in their order.
fn in_order(all: &mut Record) {
    all.arms.iter_mut().for_each(|arm| arm.cells.sort_by_key(|cell| cell.seed));
    let seeds: BTreeSet<u64> = all.arms.iter().filter(|arm| is_tuned(arm)).flat_map(ended).collect();
    all.pipeline["seeds"] = seeds.into_iter().collect::<Vec<u64>>().into();
}

/// The record of the seeds that all arms have, with its gate; differences are paired by seed. An arm that stopped early in one of the parts
/// that these seeds come from has stopped early.
fn complete(all: &Record, parts: &[&Record]) -> Option<Record> {
    let tuned = || all.arms.iter().filter(|arm| is_tuned(arm) && !arm.cells.is_empty());
    let seeds = tuned().map(ended).reduce(|both, seeds| both.intersection(&seeds).copied().collect())?;
    let mut complete = all.clone();
    complete.arms.retain(|arm| !is_tuned(arm) || !arm.cells.is_empty());
    for arm in complete.arms.iter_mut().filter(|arm| is_tuned(arm)) {
        arm.cells.retain(|cell| seeds.contains(&cell.seed));
        let used = parts.iter().filter_map(|part| part.arms.iter().find(|other| other.name == arm.name));
        let used = used.filter(|other| ended(other).iter().any(|seed| seeds.contains(seed)));
        arm.training = used.fold(None, |first, next| TrainingSummary::of_seeds(first, next.training.clone()));
    }
    complete.pipeline["seeds"] = seeds.iter().copied().collect::<Vec<u64>>().into();
    complete.gate = Some(decide(&complete, &own_rules(&complete), None));
    (!seeds.is_empty()).then_some(complete)
}

#[cfg(test)]
mod tests;
