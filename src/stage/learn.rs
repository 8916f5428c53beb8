//! A training that is measured along its way: what an arm's training and a candidate's in a race are.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::Failure;
use crate::model::decoder::{Decoder, Trained};
use crate::pipeline::settings::Train;
use crate::record::Figure;
use crate::train::checkpoint::Progress;
use crate::train::fit::{Fitted, Next, Plan, Step, fit_with};
use crate::train::lora::{self, Lora};
use crate::train::may_move;
use crate::train::optimizer::Optimizer;
use crate::train::tokens::within;

use super::engine::Engine;
use super::fetch::Model;
use super::frame::{Frame, finite};
use super::restraint::{elastic, restraints};
use super::selection::{Job, selection};
use super::train::plan;

/// Figures along a training, by step.
pub(super) type Curve = Vec<(u64, BTreeMap<String, Figure>)>;

/// How far a training goes, and where it leaves what a later one goes on from.
pub(super) struct Course<'a> {
    /// Ends after so many steps, on the schedule of all; none = after all.
    pub until: Option<u64>,
    /// Whether its last step is measured too: without that it is by the files that are saved of it.
    pub to_the_end: bool,
    /// The checkpoint that it begins with, where there is one, and leaves where it is interrupted or ends early.
    pub checkpoint: &'a Path,
    /// The figures of the steps behind the checkpoint.
    pub curve: &'a Path,
}

/// A training at its end.
pub(super) struct Learnt {
    /// With the trained weights.
    pub decoder: Decoder<Engine>,
    /// What might move.
    pub trained: Trained,
    /// How many numbers were trained.
    pub count: u64,
    /// What it did.
    pub progress: Progress,
    /// Why it could not go on; none where it went to its end.
    pub stopped: Option<String>,
    /// Figures along it.
    pub curve: Curve,
    /// Rows that `max_length` cut.
    pub truncated: u64,
}

/// Trains one task of an arm from the weights of `from`. `watch` hears of every measured step, with its figures that are finite numbers.
///
/// # Errors
/// When data cannot be used, the backend fails, or a file cannot be written.
pub(super) fn learn(
    job: &Job<'_>,
    frame: &Frame<'_>,
    from: &Model,
    course: &Course<'_>,
    watch: &mut dyn FnMut(&Curve) -> Next,
) -> Result<Learnt, Failure> {
    let Job { context, arm, specs, examples, .. } = job;
    let training = arm.training_of(job.task);
    if from.digest != frame.aligned.digest {
        frame.ready(context)?;
    }
    let mut decoder = context.compute.load(from)?;
    let measure = frame.measure(&mut decoder)?;
    let mut restraints = restraints(job, frame, from, &mut decoder)?;
    let (trained, impossible) = match selection(job, &mut decoder)? {
        Ok(trained) => (trained, None),
        Err(why) => (Trained::new(), Some(why)),
    };
    restraints.elastic = elastic(job, frame, from, (&mut decoder, &trained))?;
    let steps = if arm.train == Train::None || impossible.is_some() { 0 } else { training.max_steps };
    // The arm's own ticket was found on the task alone.
    let replay = frame.beside(arm, "replay").map(|rows| rows.cut(training.max_length)).transpose()?;
    let mut sources = examples.sources.clone();
    sources.extend(replay.iter().flat_map(|rows| rows.sources.clone()));
    let replay_share = arm.replay.as_ref().map(|replay| (examples.sources.len(), replay.share));
    let plan = Plan { steps, until: course.until, replay_share, ..plan(training, job.seed) };
    let plan = training.max_tokens.map_or(Ok(plan), |most| within(plan, &sources, &mut restraints, most))?;
    let steps = plan.steps;
    let end = course.until.map_or(steps, |until| until.min(steps));
    let mut curve: Curve = std::fs::read_to_string(course.curve).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let what = format!("finetune {}", arm.name);
    let mut after = |step: Step, decoder: &mut Decoder<_>| -> Result<Next, Failure> {
        context.progress(&what, step.number as usize, end as usize, format!("loss {:.3}", step.loss));
        let Some((measure, every)) = measure else { return Ok(Next::default()) };
        let is_due = if step.number < end { step.number.is_multiple_of(every) } else { course.to_the_end };
        if !is_due {
            return Ok(Next::default());
        }
        curve.retain(|(earlier, _)| *earlier < step.number);
        curve.push((step.number, finite(measure.measure(decoder)?)));
        let text = serde_json::to_vec(&curve).unwrap_or_default();
        crate::artifact::write::write_bytes(course.curve, &text)?;
        Ok(watch(&curve))
    };
    let mut count = may_move::count(specs, &trained);
    let Fitted { progress, stopped } = match &arm.lora {
        None => {
            let mut optimizer = Optimizer::new(&mut decoder, specs, &trained, plan.optimizer)?;
            fit_with(&mut decoder, &sources, &trained, &plan, &mut restraints, &mut optimizer, Some(course.checkpoint), &mut after)?
        }
        Some(settings) => {
            let shape = lora::Shape { rank: settings.rank, alpha: settings.alpha, seed: job.seed };
            let mut factors = Lora::new(&mut decoder, &trained, shape, plan.optimizer)?;
            count = factors.count();
            fit_with(&mut decoder, &sources, &trained, &plan, &mut restraints, &mut factors, Some(course.checkpoint), &mut after)?
        }
    };
    // A checkpoint of an earlier step may lie beside the figures of later ones.
    curve.retain(|(step, _)| *step < end || course.to_the_end && *step == end);
    Ok(Learnt {
        decoder,
        trained,
        count,
        progress,
        stopped: impossible.or(stopped.map(|error| error.to_string())),
        curve,
        truncated: (examples.truncated + replay.as_ref().map_or(0, |rows| rows.truncated)) as u64,
    })
}
