//! What can be told of a sweep before anything is trained: how many runs it is, and whether its arms see as much.

use super::node::Place;
use super::reader::Findings;
use super::settings::{Arm, Pipeline};

/// More trainings than anybody means to start.
pub const MOST_RUNS: usize = 300;

/// Trainings and edits of a pipeline: arms times seeds.
pub fn runs(pipeline: &Pipeline) -> usize {
    pipeline.finetune.as_ref().map_or(0, |finetune| finetune.arms.len()) * pipeline.seeds.len()
}

/// Checks the arms of a sweep together; without one there is nothing to check.
pub(super) fn check_sweep(pipeline: &Pipeline, place: Place, findings: &mut Findings) {
    let Some(finetune) = &pipeline.finetune else { return };
    let swept: Vec<&Arm> = finetune.arms.iter().filter(|arm| arm.family.is_some()).collect();
    if swept.is_empty() {
        return;
    }
    let runs = runs(pipeline);
    if runs > MOST_RUNS {
        let (arms, seeds) = (finetune.arms.len(), pipeline.seeds.len());
        let message = format!("the sweep makes {runs} runs ({arms} arms with {seeds} seeds), expected at most {MOST_RUNS}");
        let remedy = "name fewer values, sweep fewer arms (sweep: {arms: [protected, control]}), or write fewer seeds";
        findings.problem(place, "finetune.sweep", message, Some(remedy.into()));
    }
    let steps = |arm: &&Arm| arm.sweep.as_ref().is_some_and(|grid| !grid.max_steps.is_empty());
    if let Some((arm, most)) = swept.iter().copied().filter(|arm| steps(arm)).find_map(|arm| Some((arm, arm.training.max_tokens?))) {
        let message = format!("{} is swept over max_steps, and has max_tokens: {most}, which may end them alike", arm.name);
        let remedy = "remove max_tokens, or max_steps from the sweep";
        findings.problem(place, "finetune.sweep", message, Some(remedy.into()));
    }
    let rows =
        |arm: &Arm| arm.training.max_steps * (arm.training.per_device_train_batch_size * arm.training.gradient_accumulation_steps) as u64;
    let budget = |arm: &&Arm| (rows(arm), arm.training.max_length, arm.training.max_tokens);
    let sees = |arm: &Arm| {
        let all = arm.training.max_tokens.map(|most| format!(", {most} in all")).unwrap_or_default();
        format!("{} sees {} rows of at most {} tokens{all}", arm.name, rows(arm), arm.training.max_length)
    };
    let fixed: Vec<&Arm> = swept.into_iter().filter(|arm| arm.sweep.as_ref().is_some_and(|grid| grid.max_steps.is_empty())).collect();
    if let Some((first, other)) = fixed.first().and_then(|first| Some((first, fixed.iter().find(|arm| budget(arm) != budget(first))?))) {
        let message = format!("{}, and {}: arms of a sweep have the same budget", sees(first), sees(other));
        let remedy = "give them the same max_steps, max_tokens, batch and max_length, or sweep the steps: sweep: {max_steps: [50, 100]}";
        findings.problem(place, "finetune.sweep", message, Some(remedy.into()));
    }
}
