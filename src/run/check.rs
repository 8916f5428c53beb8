//! What a run reads and checks before any model is fetched.

use std::collections::BTreeMap;

use crate::error::Failure;
use crate::eval::calibration::CalibrationFile;
use crate::eval::gate;
use crate::pipeline::settings::{Expect, Extract, Pipeline};
use crate::record::SuiteItem;
use crate::stage::evaluate::{Questions, questions};
use crate::stage::frame::probed;
use crate::stage::judging::read_calibration;
use crate::stage::{Context, classifier, extract, rows};

/// What was read.
pub(super) struct Files {
    pub calibration: Option<CalibrationFile>,
    pub asked: Vec<Questions>,
    /// Digests of the data, by what it is for.
    pub data: BTreeMap<String, String>,
}

/// Reads every file of rows that a pipeline names, and checks that training data, probes and suites are apart; opens the judges that are
/// at hand. Returns the suites.
///
/// # Errors
/// What a run would fail with on its data and judges, before any model is fetched.
pub fn check(context: &Context<'_>, pipeline: &Pipeline) -> Result<Vec<Questions>, Failure> {
    let Files { asked, .. } = read(context, pipeline)?;
    for judge in &pipeline.evaluate.classifiers {
        classifier::at_hand(context, judge)?;
    }
    Ok(asked)
}

/// Reads every file of rows that a pipeline names, and checks them together.
pub(super) fn read(context: &Context<'_>, pipeline: &Pipeline) -> Result<Files, Failure> {
    for ticket in &pipeline.tickets {
        extract::readable(ticket)?;
    }
    let calibration = pipeline.evaluate.calibration.as_deref().map(read_calibration).transpose()?;
    let asked = questions(context, &pipeline.evaluate)?;
    check_categories(pipeline, &asked)?;
    check_task_rows(pipeline, &asked)?;
    let data = rows::check_overlaps(context, pipeline, &asked)?;
    warn_of_extraction(context, &asked);
    warn_of_silent_tasks(context, pipeline, &asked);
    Ok(Files { calibration, asked, data })
}

/// Warns of answers that are looked for behind `####` where no reference has one: models trained on such rows write none, and score nothing.
fn warn_of_extraction(context: &Context<'_>, asked: &[Questions]) {
    for questions in asked.iter().filter(|one| one.suite.expect == Expect::ExactMatch && one.suite.extract == Extract::Gsm8k) {
        let marked = |item: &SuiteItem| item.reference.as_ref().is_some_and(|reference| reference.contains("####"));
        if !questions.info.items.iter().any(marked) {
            let suite = &questions.suite.name;
            context.warn(format!(
                "suite {suite} takes the answer from behind #### in a reply, and no reference has a ####: if replies have none either, nothing is ever right; --set evaluate.suites.{suite}.extract=last_number, or =text"
            ));
        }
    }
}

/// Warns of a task's suite whose rows have no replies: the task's loss is taken without it.
fn warn_of_silent_tasks(context: &Context<'_>, pipeline: &Pipeline, asked: &[Questions]) {
    let named = pipeline.finetune.iter().flat_map(|finetune| &finetune.tasks).filter_map(|task| task.suite.as_ref());
    let probed = pipeline.evaluate.probes.as_ref().is_some_and(|probes| probes.task.is_none());
    let answered = |questions: &&Questions| questions.suite.expect.is_referenced();
    for name in named.filter(|_| probed) {
        if asked.iter().find(|one| one.suite.name == *name).filter(answered).is_some_and(|questions| !questions.is_task()) {
            context.warn(format!(
                "not every row of suite {name} has a reply: the probes' task loss is taken without it; say which column holds them (columns: {{prompt: COLUMN, response: COLUMN}})"
            ));
        }
    }
}

/// Checks that every category that a rule names is in its suite.
fn check_categories(pipeline: &Pipeline, asked: &[Questions]) -> Result<(), Failure> {
    let suite = |name: &str| asked.iter().find(|questions| questions.suite.name == name).map(|questions| &questions.info);
    match gate::missing_category(suite, &pipeline.gate) {
        None => Ok(()),
        Some((rule, why)) => Err(Failure::new("unknown-category", format!("gate.{rule}: {why}")).remedy(
            "name one of the categories that there are, say which column holds them (prompts: {path: FILE, columns: {category: COLUMN}}), or remove category and per from the rule",
        )),
    }
}

/// Checks that a rule about the task's loss has rows on which that is taken: the rows of a task suite may have no replies.
fn check_task_rows(pipeline: &Pipeline, asked: &[Questions]) -> Result<(), Failure> {
    let own = pipeline.evaluate.probes.as_ref().is_some_and(|probes| probes.task.is_some());
    let of_suites = || pipeline.finetune.as_ref().is_some_and(|finetune| !probed(asked, finetune).is_empty());
    match pipeline.gate.iter().position(|rule| rule.metric == "task_nll") {
        Some(rule) if !own && !of_suites() => {
            let message = format!("gate.{rule} is about task_nll, and no suite's rows have the replies on which that is taken");
            Err(Failure::new("no-task-rows", message).remedy(
                "say which column holds them (prompts: {path: FILE, columns: {prompt: COLUMN, response: COLUMN}}), or write evaluate: {probes: {task: ROWS}}",
            ))
        }
        _ => Ok(()),
    }
}
