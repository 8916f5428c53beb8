//! What can be told of a race before anything is trained: whether its probes are there, and whether its budget is enough.

use super::node::Place;
use super::reader::Findings;
use super::settings::{Arm, Auto, Pipeline, Probe, Probes, RaceBudget};
use crate::eval::heats::{Budget, heats};

/// More candidates than anybody means to race.
const MOST: usize = 100;

/// The probes that a race looks at.
const NEEDED: [(&str, Probe); 3] =
    [("refusal_rate", Probe::RefusalRate), ("answered_rate", Probe::AnsweredRate), ("task_nll", Probe::TaskNll)];

/// Checks every arm whose recipe is chosen.
pub(super) fn check_auto(pipeline: &Pipeline, place: Place, findings: &mut Findings) {
    let arms = pipeline.finetune.iter().flat_map(|finetune| &finetune.arms);
    for (arm, auto) in arms.filter_map(|arm| Some((arm, arm.auto.as_ref()?))) {
        let path = format!("finetune.arms.{}.auto", arm.name);
        let mut problem = |key: &str, message: String, remedy: String| findings.problem(place, key, message, Some(remedy));
        if auto.candidates.is_empty() || auto.candidates.len() > MOST {
            let message = format!("{path} has {} candidates, expected 1 to {MOST}", auto.candidates.len());
            problem(&path, message, "name arms above it: candidates: [unprotected, protected], or fewer of them and fewer rates".into());
            continue;
        }
        let rows = |one: &Arm| one.training.per_device_train_batch_size * one.training.gradient_accumulation_steps;
        let budget = |one: &Arm| (rows(one), one.training.max_length);
        if let Some(other) = auto.candidates.iter().find(|other| budget(other) != budget(arm)) {
            let message = format!(
                "{} trains on {} rows a step of at most {} tokens, and {} on {} of at most {}: candidates race on the same",
                arm.name,
                rows(arm),
                arm.training.max_length,
                other.name,
                rows(other),
                other.training.max_length
            );
            problem(&path, message, "give them the same per_device_train_batch_size, gradient_accumulation_steps and max_length".into());
        }
        let mut all = std::iter::once(arm).chain(&auto.candidates);
        if let Some((one, most)) = all.find_map(|one| Some((one, one.training.max_tokens?))) {
            let message = format!("arm {} is chosen by a race of as many steps, and {} has max_tokens: {most}", arm.name, one.name);
            problem(&path, message, "remove max_tokens, or write protect: auto in a pipeline of its own".into());
        }
        if let Some((message, remedy)) = missing_probe(pipeline.evaluate.probes.as_ref(), arm) {
            problem("evaluate.probes", message, remedy);
        }
        if let Some((probes, budget)) = pipeline.evaluate.probes.as_ref().zip(steps_of(auto))
            && let Err(small) = heats(auto.candidates.len(), arm.training.max_steps, probes.every, Some(Budget::Steps(budget)))
        {
            let remedy = format!("write {} or more, or race fewer candidates and learning rates", small.remedy);
            problem(&path, format!("arm {}: {small}", arm.name), remedy);
        }
    }
}

/// The budget in steps, where the file says it.
fn steps_of(auto: &Auto) -> Option<u64> {
    match auto.budget {
        Some(RaceBudget::MaxSteps(steps)) => Some(steps),
        _ => None,
    }
}

/// What the race cannot look at: a probe, or task rows that no suite asks.
fn missing_probe(probes: Option<&Probes>, arm: &Arm) -> Option<(String, String)> {
    let remedy = "write evaluate: {probes: {every: 10, of: [refusal_rate, answered_rate, task_nll], task: ROWS}}";
    let Some(probes) = probes else {
        return Some((format!("arm {} is chosen by probes, and there are none", arm.name), remedy.into()));
    };
    if let Some((name, _)) = NEEDED.iter().find(|(_, probe)| !probes.of.contains(probe)) {
        return Some((format!("arm {} is chosen by the probe {name}, which is not measured", arm.name), remedy.into()));
    }
    probes.task.is_none().then(|| {
        let message = format!("arm {} would be chosen by rows of the suite on which it is judged", arm.name);
        (message, "write evaluate: {probes: {task: ROWS}}, rows that no suite asks and no arm learns, such as {path: my.csv, split: [0.9, 1]} beside finetune: {data: {path: my.csv, split: [0, 0.9]}}".into())
    })
}
