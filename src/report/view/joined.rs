//! Parts of one benchmark as one: a scorecard and arms at equal utility a task, every cell, and what is missing.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Chart;
use super::ends::ends;
use super::matched::{MatchedView, tables};
use super::replaced::{ReplacedView, replaced};
use super::scorecard::{ArmRow, Column, scorecard};
use crate::eval::join::{Joined, Missing, Task};
use crate::eval::matched::family;
use crate::record::{Arm, Record};

/// A benchmark.
#[derive(Debug, Serialize)]
pub struct JoinedView {
    /// How many cells there are, and of how many.
    pub held: [usize; 2],
    /// Task, pipeline, run and seeds.
    pub parts: Vec<[String; 4]>,
    /// How the parts differ.
    pub notes: Vec<String>,
    /// By name.
    pub tasks: Vec<JoinedTask>,
    /// Task, arm and seeds that no part holds.
    pub missing: Vec<[String; 3]>,
}

/// One task.
#[derive(Debug, Serialize)]
pub struct JoinedTask {
    /// Its name.
    pub name: String,
    /// `seeds 0, 1 and 2`, or why there is no table over seeds.
    pub seeds: String,
    /// Column heads of the scorecard and of the cells.
    pub columns: Vec<Column>,
    /// One row an arm over all seeds that every arm has.
    pub arms: Vec<ArmRow>,
    /// Where the settings of each arm ended, over these seeds.
    pub charts: Vec<Chart>,
    /// The gate's decision over these seeds, and its headline.
    pub verdict: Option<[String; 2]>,
    /// Rule, decision and why, over these seeds.
    pub rules: Vec<[String; 3]>,
    /// Arms at equal utility, over these seeds.
    pub matched: Vec<MatchedView>,
    /// What replaced each lost refusal, over these seeds.
    pub replaced: Vec<ReplacedView>,
    /// Every cell, by arm and seed.
    pub cells: Vec<JoinedCell>,
}

/// One cell.
#[derive(Debug, Serialize)]
pub struct JoinedCell {
    /// The arm of which this is a setting.
    pub family: String,
    /// `1e-3`; empty where nothing is trained.
    pub rate: String,
    /// The seed.
    pub seed: u64,
    /// One figure a column.
    pub figures: Vec<String>,
}

/// Tells a joined benchmark.
pub fn joined(joined: &Joined) -> JoinedView {
    let parts = joined.tasks.iter().flat_map(|task| {
        task.parts.iter().map(|(name, run, seeds)| [task.name.clone(), name.clone(), run.clone(), numbers(seeds.iter().copied())])
    });
    JoinedView {
        held: [joined.wanted - joined.missing.len(), joined.wanted],
        parts: parts.collect(),
        notes: joined.notes.clone(),
        tasks: joined.tasks.iter().map(task_view).collect(),
        missing: by_arm(&joined.missing, joined.arms),
    }
}

/// Missing cells in as few rows: the seeds of a task of which there is no arm, then those of each arm.
fn by_arm(missing: &[Missing], arms: usize) -> Vec<[String; 3]> {
    let of = |task: &str, seed: u64| missing.iter().filter(|cell| cell.task == task && cell.seed == seed).count();
    let mut rows = Vec::new();
    for cells in missing.chunk_by(|a, b| a.task == b.task) {
        let task = &cells[0].task;
        let is_whole = |cell: &&Missing| of(task, cell.seed) == arms;
        let whole: BTreeSet<u64> = cells.iter().filter(is_whole).map(|cell| cell.seed).collect();
        if !whole.is_empty() {
            rows.push([task.clone(), format!("every arm ({arms})"), numbers(whole.into_iter())]);
        }
        let some: Vec<&Missing> = cells.iter().filter(|cell| !is_whole(cell)).collect();
        let arm = |cells: &[&Missing]| [task.clone(), cells[0].arm.clone(), numbers(cells.iter().map(|cell| cell.seed))];
        rows.extend(some.chunk_by(|a, b| a.arm == b.arm).map(arm));
    }
    rows
}

fn numbers(seeds: impl Iterator<Item = u64>) -> String {
    seeds.map(|seed| seed.to_string()).collect::<Vec<_>>().join(", ")
}

fn seeds_of(record: &Record) -> BTreeSet<u64> {
    tuned(record).flat_map(|arm| arm.cells.iter().filter(|cell| cell.last).map(|cell| cell.seed)).collect()
}

fn tuned(record: &Record) -> impl Iterator<Item = &Arm> {
    record.arms.iter().filter(|arm| !arm.settings.is_null())
}

fn task_view(task: &Task) -> JoinedTask {
    let cells = cells(&task.all);
    let Some(record) = &task.complete else {
        let (columns, _) = scorecard(&task.all, &|_| false);
        let seeds = "no seed of which every arm was measured: no table over seeds".to_owned();
        return JoinedTask {
            name: task.name.clone(),
            seeds,
            columns,
            arms: Vec::new(),
            charts: Vec::new(),
            verdict: None,
            rules: Vec::new(),
            matched: Vec::new(),
            replaced: Vec::new(),
            cells,
        };
    };
    let rules = || record.gate.iter().flat_map(|gate| &gate.rules);
    let gated = |arm: &str| rules().any(|rule| rule.arm == arm);
    let (columns, arms) = scorecard(record, &gated);
    let (used, all) = (seeds_of(record), seeds_of(&task.all));
    let left_out = numbers(all.difference(&used).copied());
    let left_out = if left_out.is_empty() { left_out } else { format!("; not of every arm, and left out here: {left_out}") };
    let word = if used.len() == 1 { "seed" } else { "seeds" };
    let told = rules().map(|rule| [rule.rule.clone(), super::words::verdict(Some(rule.decision)).1.to_owned(), rule.reason.clone()]);
    JoinedTask {
        name: task.name.clone(),
        seeds: format!("{word} {}{left_out}", numbers(used.into_iter())),
        columns,
        arms,
        charts: ends(record, &gated),
        verdict: record.gate.as_ref().map(|gate| [super::words::verdict(Some(gate.decision)).1.to_owned(), gate.headline.clone()]),
        rules: told.collect(),
        matched: tables(record),
        replaced: replaced(record, &gated),
        cells,
    }
}

/// Every cell; of the models that nothing has trained the one that there is.
fn cells(all: &Record) -> Vec<JoinedCell> {
    let mut cells: Vec<(usize, JoinedCell)> = Vec::new();
    // Every seed by itself, in the columns of all.
    let heads: Vec<String> = scorecard(all, &|_| false).0.into_iter().map(|column| column.name).collect();
    for seed in seeds_of(all) {
        let mut one = all.clone();
        for arm in &mut one.arms {
            arm.cells.retain(|cell| arm.settings.is_null() || cell.seed == seed);
        }
        one.arms.retain(|arm| arm.cells.iter().any(|cell| cell.last));
        let (columns, rows) = scorecard(&one, &|_| false);
        for row in rows {
            let Some((place, arm)) = all.arms.iter().enumerate().find(|(_, arm)| arm.name == row.name && !arm.settings.is_null()) else {
                continue;
            };
            let figure = |head: &String| {
                let cell = columns.iter().zip(&row.cells).find(|(column, _)| column.name == *head);
                cell.map(|(_, cell)| cell.value.clone()).unwrap_or_default()
            };
            let rate = arm.settings["training"]["learning_rate"].as_f64().filter(|_| arm.settings["train"] != "none");
            let rate = rate.map(|rate| format!("{rate:e}")).unwrap_or_default();
            cells.push((place, JoinedCell { family: family(arm).to_owned(), rate, seed, figures: heads.iter().map(figure).collect() }));
        }
    }
    let first = |cell: &JoinedCell| all.arms.iter().position(|arm| family(arm) == cell.family);
    cells.sort_by_key(|(place, cell)| (first(cell), *place, cell.seed));
    cells.into_iter().map(|(_, cell)| cell).collect()
}
