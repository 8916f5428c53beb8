//! race: candidates train side by side in heats, and the probes say which of them an arm becomes.
//!
//! The trainings are one stage. Their checkpoints lie in its workplace, so that a heat goes on where the one before it ended and a killed
//! race resumes; they are gone when it is finished. What was best of the winner is made into the arm's own files before that, by the same
//! stage as every arm's, which would find the same bits without it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use crate::artifact::store::Workplace;
use crate::artifact::write::remove_if_there;
use crate::error::Failure;
use crate::eval::heats::{Budget, TooSmall, heats};
use crate::eval::race::{Limits, survivors, winner};
use crate::model::inventory::{TensorSpec, inventory};
use crate::pipeline::settings::{Arm, Auto, RaceBudget, Train};
use crate::record::{Figure, Heat, Race, RaceEnd, RacePoint, Tried, Winner};
use crate::ticket::mask_set::MaskSet;
use crate::train::fit::Next;

use super::finetune::finetune_from;
use super::frame::Frame;
use super::learn::{Course, Curve, learn};
use super::parts::Parts;
use super::selection::Job;
use super::sequence::Leg;
use super::{Context, read_json, write_json};

/// Of the race's result; raised when the same candidates come to another.
pub(super) const VERSION: u32 = 5;

/// Of how fast candidates train.
pub(super) const PACE_VERSION: u32 = 2;

/// Where a race begins, as every arm does.
const START: Leg<'_> = Leg { task: 0, before: None, taken: None };

/// Races the candidates of an arm with one seed. `summary` says what a candidate does.
///
/// # Errors
/// When the budget is too small, a probe has no figure, the backend fails, or the store cannot be written.
pub fn race(
    context: &Context<'_>,
    arm: &Arm,
    auto: &Auto,
    frame: &Frame<'_>,
    summary: &dyn Fn(&Arm) -> String,
    seed: u64,
) -> Result<Race, Failure> {
    let specs = inventory(&frame.aligned.config);
    let mut field = Vec::new();
    for candidate in &auto.candidates {
        field.push(Candidate { arm: candidate, ticket: frame.ticket_of(candidate, &specs, seed)? });
    }
    let every = frame.probes.as_ref().map_or(1, |(_, _, settings)| settings.every);
    let figures = frame.aligned_figures(context)?.unwrap_or_default();
    let aligned = point(0, &figures).ok_or_else(|| no_figures(arm))?;
    let count = |name: &str| figures.get(name).map_or(0, |figure| figure.count);
    let prompts = [count("refusal_rate"), count("answered_rate")];
    let limits = Limits { aligned, drop_at_most: auto.drop_at_most, answers_drop_at_most: auto.answers_drop_at_most, prompts };
    let track = Track { context, frame, specs: &specs, limits, seed };
    let paces = match auto.budget {
        Some(RaceBudget::Minutes(_)) => track.paces(arm, &field, every)?,
        _ => Vec::new(),
    };
    let budget = auto.budget.map(|budget| match budget {
        RaceBudget::MaxSteps(steps) => Budget::Steps(steps),
        RaceBudget::Minutes(most) => Budget::Minutes { most, paces: &paces },
    });
    let heats = heats(field.len(), arm.training.max_steps, every, budget).map_err(|small| too_small(&arm.name, small))?;
    let parts: Vec<Parts<'_>> = field.iter().map(|candidate| track.parts(candidate)).collect();
    // The result calls candidates by their names, and the cheaper recipe wins by family.
    let names: Vec<(&str, &str)> = auto.candidates.iter().map(|one| (one.name.as_str(), family(one))).collect();
    let key = (&parts, &heats, auto.drop_at_most, auto.answers_drop_at_most, names);
    let entry = context.stage(&format!("race {}", arm.name), VERSION, &key, |place| {
        let start = Instant::now();
        let tried = track.heats(&field, &heats, place)?;
        let chosen = winner(&tried, &limits).map(|(place, point)| (place, point.step));
        if let Some((best, step)) = chosen {
            let files = Files::of(place, best);
            finetune_from(context, &arm.chosen(field[best].arm, step), frame, seed, START, Some((&files.best, &files.curve)))?;
        }
        let race = Race {
            seed,
            drop_at_most: auto.drop_at_most,
            answers_drop_at_most: auto.answers_drop_at_most,
            prompts,
            aligned,
            heats: heats.clone(),
            steps: tried.iter().filter_map(|one| one.points.last()).map(|point| point.step).sum(),
            seconds: start.elapsed().as_secs_f64(),
            winner: chosen.map(|(place, step)| Winner { name: tried[place].name.clone(), step }),
            tried,
        };
        write_json(place, "race.json", &race)?;
        Ok(race.sentences(&arm.name).swap_remove(0))
    })?;
    let mut race: Race = read_json(&entry, "race.json")?;
    // Words are of this run: what they name may lie elsewhere in the next.
    race.tried.iter_mut().zip(&auto.candidates).for_each(|(one, candidate)| one.summary = summary(candidate));
    Ok(race)
}

fn family(arm: &Arm) -> &str {
    arm.family.as_deref().unwrap_or(&arm.name)
}

fn too_small(arm: &str, small: TooSmall) -> Failure {
    let remedy = format!("write auto: {{{}}} or more, or race fewer candidates and learning rates", small.remedy);
    Failure::new("race-budget", format!("arm {arm}: {small}")).remedy(remedy)
}

fn no_figures(arm: &Arm) -> Failure {
    Failure::new(
        "no-probes",
        format!("arm {} is chosen by the probes refusal_rate, answered_rate and task_nll, which are not there", arm.name),
    )
    .remedy("write evaluate: {probes: {every: 10, of: [refusal_rate, answered_rate, task_nll], task: ROWS}}")
}

/// One that races, with its ticket and what identifies that.
struct Candidate<'a> {
    arm: &'a Arm,
    ticket: Option<(MaskSet, String)>,
}

/// What all candidates share.
struct Track<'a, 'c, 'f> {
    context: &'a Context<'c>,
    frame: &'a Frame<'f>,
    specs: &'a [TensorSpec],
    limits: Limits,
    seed: u64,
}

/// The files of a candidate in a workplace; resume checkpoints all of them.
struct Files {
    state: PathBuf,
    curve: PathBuf,
    best: PathBuf,
}

impl Files {
    fn of(place: &Workplace, candidate: usize) -> Self {
        let file = |what: &str| place.folder.join(format!("checkpoint-{candidate}-{what}"));
        Self { state: file("state.safetensors"), curve: file("curve.json"), best: file("best.safetensors") }
    }

    /// Removes the checkpoint to go on from, and the best one too where it is not wanted; what is lost is trained again to the same bits.
    fn remove(&self, best_too: bool) -> Result<(), Failure> {
        remove_if_there(&self.state)?;
        if best_too {
            remove_if_there(&self.best)?;
        }
        Ok(())
    }

    fn points(&self) -> Vec<RacePoint> {
        let read = std::fs::read_to_string(&self.curve).ok().and_then(|text| serde_json::from_str::<Curve>(&text).ok());
        read.map(|curve| points(&curve)).unwrap_or_default()
    }
}

impl Track<'_, '_, '_> {
    fn parts<'b>(&'b self, candidate: &'b Candidate<'_>) -> Parts<'b> {
        let digest = candidate.ticket.as_ref().map(|(_, digest)| digest.clone());
        Parts::of(self.context, candidate.arm, self.frame, (self.seed, START), digest)
    }

    /// The seconds that a step of each candidate takes, with its share of a probe: each recipe is trained to the first probe at the first of its
    /// settings. Tickets that were found for it before are not counted; what it reads once (a Fisher information) is. A recipe that
    /// cannot be trained so far is taken to be as slow as the slowest.
    fn paces(&self, arm: &Arm, field: &[Candidate<'_>], every: u64) -> Result<Vec<f64>, Failure> {
        let until = every.min(arm.training.max_steps);
        let mut known: BTreeMap<&str, Option<f64>> = BTreeMap::new();
        for candidate in field {
            let recipe = family(candidate.arm);
            if !known.contains_key(recipe) {
                known.insert(recipe, self.pace(arm, candidate, until)?);
            }
        }
        let slowest = known.values().flatten().copied().reduce(f64::max).ok_or_else(|| {
            let message = format!("the pace of {} cannot be measured: no recipe could be trained to step {until}", arm.name);
            Failure::new("race-budget", message).remedy("write auto: {max_steps: 1000} in place of minutes, or name other candidates")
        })?;
        Ok(field.iter().map(|candidate| known[family(candidate.arm)].unwrap_or(slowest)).collect())
    }

    /// The seconds that a step of one candidate takes; none where it cannot be trained to step `until`.
    fn pace(&self, arm: &Arm, candidate: &Candidate<'_>, until: u64) -> Result<Option<f64>, Failure> {
        // Results do not depend on the threads, and their pace does.
        let key = (self.parts(candidate), until, self.context.compute.threads);
        let entry = self.context.stage(&format!("pace {} {}", arm.name, family(candidate.arm)), PACE_VERSION, &key, |place| {
            let files = Files::of(place, 0);
            // What an interrupted measurement left would make this one look fast: by its figures alone it would be over.
            files.remove(true)?;
            remove_if_there(&files.curve)?;
            let start = Instant::now();
            let (points, _) = self.go_on(candidate, until, &files)?;
            let seconds = start.elapsed().as_secs_f64();
            let pace = points.last().filter(|point| point.step >= until).map(|_| seconds / until as f64);
            write_json(place, "pace.json", &pace)?;
            Ok(match pace {
                Some(pace) => format!("{pace:.3} s a step, with its share of a probe"),
                None => format!("could not be trained to step {until}"),
            })
        })?;
        read_json(&entry, "pace.json")
    }

    /// Carries the heats out; the summaries are left empty.
    fn heats(&self, field: &[Candidate<'_>], heats: &[Heat], place: &Workplace) -> Result<Vec<Tried>, Failure> {
        let mut runs: Vec<(Vec<RacePoint>, Option<String>)> = vec![(Vec::new(), None); field.len()];
        let mut on: Vec<usize> = (0..field.len()).collect();
        for (i, heat) in heats.iter().enumerate() {
            if i > 0 {
                let racing: Vec<(usize, &[RacePoint])> =
                    on.iter().filter(|&&place| runs[place].1.is_none()).map(|&place| (place, runs[place].0.as_slice())).collect();
                on = survivors(&racing, &self.limits, heat.runs);
            }
            // Checkpoints are large, and of those that are out only the best of all can be wanted.
            let bests: Vec<Option<f64>> = runs.iter().map(|(points, _)| Some(self.limits.best(points)?.task_nll)).collect();
            let least = bests.iter().flatten().copied().reduce(f64::min);
            for out in (0..field.len()).filter(|out| i > 0 && !on.contains(out)) {
                Files::of(place, out).remove(bests[out] != least)?;
            }
            for &one in &on {
                runs[one] = self.go_on(&field[one], heat.until, &Files::of(place, one))?;
            }
        }
        let tried = runs.into_iter().zip(field).map(|((points, failed), Candidate { arm, .. })| {
            let last = points.last().map_or(0, |point| point.step);
            let end = match failed {
                Some(why) => RaceEnd::Failed(why),
                None if self.limits.left(&points) => RaceEnd::Left,
                None if self.limits.best(&points).is_none() => RaceEnd::NothingLearnt,
                None if last >= arm.training.max_steps => RaceEnd::Finished,
                None => RaceEnd::Outpaced,
            };
            Tried { name: arm.name.clone(), family: family(arm).to_owned(), plain: is_plain(arm), summary: String::new(), points, end }
        });
        Ok(tried.collect())
    }

    /// Trains a candidate on to a step, or until it has left the limits. Returns its points, and why it could not go on.
    fn go_on(&self, candidate: &Candidate<'_>, until: u64, files: &Files) -> Result<(Vec<RacePoint>, Option<String>), Failure> {
        let (context, frame, limits) = (self.context, self.frame, &self.limits);
        let mut known = files.points();
        // Of a killed race: a later heat's points decide nothing in this one.
        known.retain(|point| point.step <= until);
        if limits.left(&known) || known.last().is_some_and(|point| point.step >= until) {
            return Ok((known, None));
        }
        let arm = candidate.arm;
        let job = Job {
            context,
            arm,
            specs: self.specs,
            ticket: candidate.ticket.as_ref().map(|(masks, _)| masks),
            seed: self.seed,
            task: START.task,
            taken: None,
            examples: frame.tasks[START.task].1.cut(arm.training.max_length)?,
        };
        let course = Course { until: Some(until), to_the_end: true, checkpoint: &files.state, curve: &files.curve };
        let learnt = learn(&job, frame, frame.aligned, &course, &mut |curve| {
            let points = points(curve);
            let is_best = curve.last().is_some_and(|(step, _)| limits.is_best(&points, *step));
            Next { keep: is_best.then(|| files.best.clone()), stop: limits.left(&points) }
        })?;
        Ok((points(&learnt.curve), learnt.stopped))
    }
}

/// Whether an arm is plain fine-tuning.
fn is_plain(arm: &Arm) -> bool {
    matches!(arm.train, Train::All | Train::Maskable)
        && arm.own_data().next().is_none()
        && arm.first_tokens.is_none()
        && arm.layers.is_none()
}

/// The probes of a step; none where one of them has no figure.
fn point(step: u64, figures: &BTreeMap<String, Figure>) -> Option<RacePoint> {
    let value = |name: &str| figures.get(name).map(|figure| figure.value);
    let loss = figures.get("task_nll")?;
    Some(RacePoint {
        step,
        task_nll: loss.value,
        standard_error: loss.standard_error.unwrap_or(0.0),
        refusal_rate: value("refusal_rate")?,
        answered_rate: value("answered_rate")?,
    })
}

fn points(curve: &Curve) -> Vec<RacePoint> {
    curve.iter().filter_map(|(step, figures)| point(*step, figures)).collect()
}
