//! `finetune.sweep`: arms are expanded over a grid of settings.

use serde_json::json;

use crate::pipeline::check_sweep::MOST_RUNS;
use crate::pipeline::node::{Node, Place};
use crate::pipeline::reader::{Findings, Section, list, show, text};
use crate::pipeline::settings::{Arm, Edited, Grid, Ticket, Train};

use super::arm::room_outside;

/// The section's sweep.
pub(super) struct Sweep {
    /// The grid of arms that have none of their own.
    grid: Grid,
    /// The arms, as they are written; none: all that train.
    arms: Option<Vec<String>>,
}

impl Sweep {
    /// The grid of an arm that is written under this name.
    pub(super) fn of(&self, name: &str) -> Option<&Grid> {
        self.arms.as_ref().is_none_or(|arms| arms.iter().any(|arm| arm == name)).then_some(&self.grid)
    }
}

/// `finetune.sweep`, beside arms of these names.
pub(super) fn sweep(node: &Node, names: &[&str], findings: &mut Findings) -> Sweep {
    let mut section = Section::new(node, "finetune.sweep", findings);
    let grid = read(&mut section, findings);
    let texts = json!({"type": "string"});
    section.describe("arms", json!({"anyOf": [texts, {"type": "array", "items": texts, "minItems": 1}]}));
    let arms = section.get("arms").map(|node| {
        let mut arms: Vec<String> = Vec::new();
        for item in list(node) {
            let name = text(item).unwrap_or_default();
            if names.contains(&name.as_str()) {
                arms.push(name);
            } else {
                let remedy = format!("arms are {}", names.join(", "));
                findings.problem(item.place, "finetune.sweep.arms", format!("there is no arm {name:?} to sweep"), Some(remedy));
            }
        }
        arms
    });
    section.finish(findings);
    Sweep { grid, arms }
}

/// The `sweep` of one arm.
pub(super) fn grid(node: &Node, path: &str, findings: &mut Findings) -> Grid {
    let mut section = Section::new(node, path, findings);
    let grid = read(&mut section, findings);
    section.finish(findings);
    grid
}

/// The learning rates of a section; empty where it names none.
pub(super) fn rates(section: &mut Section<'_>, findings: &mut Findings) -> Vec<f64> {
    numbers(section, "learning_rate", "numbers above 0", |rate| rate > 0.0, findings)
}

fn read(section: &mut Section<'_>, findings: &mut Findings) -> Grid {
    let share = |share: f64| share > 0.0 && share <= 1.0;
    let whole = |steps: f64| (1.0..=1_000_000.0).contains(&steps) && steps.fract() == 0.0;
    Grid {
        learning_rate: rates(section, findings),
        density: numbers(section, "density", "shares in (0, 1]", share, findings),
        max_steps: numbers(section, "max_steps", "whole numbers from 1 to 1000000", whole, findings)
            .into_iter()
            .map(|steps| steps as u64)
            .collect(),
    }
}

/// A list of numbers, each once, in the order in which they are given; empty where the key is not.
fn numbers(section: &mut Section<'_>, key: &'static str, what: &str, fits: impl Fn(f64) -> bool, findings: &mut Findings) -> Vec<f64> {
    let number = json!({"type": "number"});
    section.describe(key, json!({"anyOf": [number, {"type": "array", "items": number, "minItems": 1}], "description": what}));
    let mut numbers: Vec<f64> = Vec::new();
    let path = section.join(key);
    for item in section.get(key).map(list).unwrap_or_default() {
        match text(item).and_then(|text| text.parse().ok()).filter(|&number: &f64| number.is_finite() && fits(number)) {
            Some(number) if numbers.contains(&number) => {}
            Some(number) => numbers.push(number),
            None => {
                let remedy = format!("write {what}: {key}: [1e-4, 3e-4]").replace("1e-4, 3e-4", example(key));
                findings.problem(item.place, &path, format!("{path} has {}, expected {what}", show(item)), Some(remedy));
            }
        }
    }
    numbers
}

fn example(key: &str) -> &'static str {
    match key {
        "density" => "0.05, 0.1",
        "max_steps" => "50, 100",
        _ => "1e-4, 3e-4",
    }
}

/// Every arm, each followed by itself with the other settings of its grid, if it has one: `NAME-lr1e-4`, `NAME-lr1e-4-d0_05-s50`. The
/// arm itself keeps its name and its settings, so that what rules are about is settled before anything is measured. A setting that
/// means nothing for an arm is left alone: the density of arms that have none, everything of arms that train nothing. An arm that is made of a swept
/// one's weights is made of every one of its settings.
pub(super) fn expanded(arms: Vec<Arm>, tickets: &[Ticket], place: Place, findings: &mut Findings) -> Vec<Arm> {
    let mut all: Vec<Arm> = Vec::with_capacity(arms.len());
    for arm in arms {
        if let Some(edited) = arm.edit.clone().filter(|_| arm.sweep.is_some()) {
            let others: Vec<Arm> =
                all.iter().filter(|other| is_setting_of(other, &edited.from)).map(|source| made_of(&arm, source)).collect();
            let family = (!others.is_empty()).then(|| arm.name.clone());
            all.push(Arm { family, sweep: None, ..arm });
            all.extend(others);
            continue;
        }
        let Some(grid) = arm.sweep.clone().filter(|_| arm.train != Train::None) else {
            all.push(Arm { sweep: None, ..arm });
            continue;
        };
        let size = [grid.learning_rate.len(), grid.density.len(), grid.max_steps.len()].into_iter().map(|n| n.max(1)).product::<usize>();
        if size > MOST_RUNS {
            let message = format!("the sweep of arm {} has {size} settings, expected at most {MOST_RUNS}", arm.name);
            findings.problem(place, "finetune.sweep", message, Some("name fewer values, or fewer lists".into()));
            all.push(arm);
            continue;
        }
        let others = variants(&arm, &grid);
        if let Some(tight) = others.iter().find(|other| room_outside(other, tickets).is_some_and(|room| other.density > Some(room))) {
            let message = format!("{} trains more of maskable than lies outside its ticket", tight.name);
            findings.problem(place, "finetune.sweep.density", message, Some("sweep lower densities, or lower the ticket's".into()));
        }
        let family = (!others.is_empty()).then(|| arm.name.clone());
        all.push(Arm { family, ..arm });
        all.extend(others);
    }
    all
}

/// Whether an arm is another setting of the one of this name.
fn is_setting_of(arm: &Arm, name: &str) -> bool {
    arm.name != name && arm.family.as_deref() == Some(name)
}

/// An edited arm, made of another setting of the arm that it is made of: its name has the same end.
fn made_of(edited: &Arm, source: &Arm) -> Arm {
    let end = source.family.as_ref().and_then(|family| source.name.strip_prefix(family.as_str())).unwrap_or_default();
    let edit = edited.edit.clone().map(|edit| Edited { from: source.name.clone(), ..edit });
    let (training, calibration) = (source.training.clone(), source.calibration);
    let name = format!("{}{end}", edited.name);
    Arm { name, family: Some(edited.name.clone()), sweep: None, edit, training, calibration, ..edited.clone() }
}

/// An arm with every setting of a grid but its own.
fn variants(arm: &Arm, grid: &Grid) -> Vec<Arm> {
    let rates = or_own(&grid.learning_rate, arm.training.learning_rate);
    let densities: Vec<Option<f64>> = match arm.density {
        Some(own) => or_own(&grid.density, own).into_iter().map(Some).collect(),
        None => vec![None],
    };
    let steps = or_own(&grid.max_steps, arm.training.max_steps);
    let mut found: Vec<Arm> = Vec::new();
    for &learning_rate in &rates {
        for &density in &densities {
            for &max_steps in &steps {
                let mut name = arm.name.clone();
                if !grid.learning_rate.is_empty() {
                    name += &format!("-lr{learning_rate:e}");
                }
                if let Some(density) = density.filter(|_| !grid.density.is_empty()) {
                    name += &format!("-d{density}");
                }
                if !grid.max_steps.is_empty() {
                    name += &format!("-s{max_steps}");
                }
                let mut other = Arm { name: name.replace('.', "_"), family: Some(arm.name.clone()), density, ..arm.clone() };
                (other.training.learning_rate, other.training.max_steps) = (learning_rate, max_steps);
                let same = (other.density, &other.training) == (arm.density, &arm.training);
                found.extend((!same).then_some(other));
            }
        }
    }
    found
}

fn or_own<T: Clone>(values: &[T], own: T) -> Vec<T> {
    if values.is_empty() { vec![own] } else { values.to_vec() }
}
