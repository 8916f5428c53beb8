//! forecast: how long a pipeline will take, and how much memory and disk, from a short measured probe of its own model.

use std::time::Instant;

use serde::Serialize;

use crate::error::Failure;
use crate::eval::heats::{Budget, heats, steps_of};
use crate::eval::judge;
use crate::event::Event;
use crate::model::backend::Backend;
use crate::model::batch::{Example, Packed};
use crate::model::decoder::Decoder;
use crate::model::generate::generate;
use crate::model::inventory::inventory;
use crate::pipeline::settings::{Arm, Auto, Expect, Finetune, Pipeline, RaceBudget, Score, Train, Training};
use crate::ticket::mask_set::MaskSet;
use crate::train::TrainError;
use crate::train::elastic::sampled;
use crate::train::fit::{Next, Plan, fit};
use crate::train::may_move;

use super::Context;
use super::choices::log_likelihoods;
use super::classifier;
use super::demands::check_at_hand;
use super::evaluate::{Questions, backend_failed};
use super::fetch::{Model, at_hand};
use super::footprint;
use super::frame::probed;
use super::initialise::initialise;
use super::manner::{asked_tokens, greedy, prompts, sampling};
use super::perplexity::pieces;
use super::probe::continued;
use super::retention::{Asked, asks};
use super::rows::{load_rows, training_rows};
use super::train::plan;

/// What a run will need. Stages that are already in the store are counted too.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    /// Wall time, in seconds.
    pub seconds: f64,
    /// The same by what takes it.
    pub parts: Vec<(String, f64)>,
    /// The largest resident memory, in bytes; 0 where the system does not tell.
    pub memory_bytes: u64,
    /// What is written below the folder for runs, in bytes.
    pub disk_bytes: u64,
}

/// Steps of the measured training; the first one warms up, and is not counted.
const STEPS: u64 = 3;

/// Questions with choices that are measured.
const QUESTIONS: usize = 16;

/// Tokens of texts that are read to measure how fast they are.
const READ_TOKENS: usize = 2048;

/// What a forward pass costs of a training step on the same tokens.
const FORWARD: f64 = 1.0 / 3.0;

/// Bytes that are saved, hashed, compared and read again in a second.
const SAVING: f64 = 150e6;

/// Forecasts; none where the model is not at hand, since a forecast downloads nothing.
///
/// # Errors
/// When the model or the data cannot be used.
pub fn forecast(
    context: &Context<'_>,
    pipeline: &Pipeline,
    asked: &[Questions],
    peak_memory_bytes: fn() -> u64,
) -> Result<Option<Forecast>, Failure> {
    let given = at_hand(context, &pipeline.model)?;
    let made = match &pipeline.pretrain {
        Some(settings) => Some(initialise(context, settings, pipeline.seeds[0], &pipeline.model)?),
        None => None,
    };
    let Some(model) = given.or(made) else { return Ok(None) };
    check_at_hand(context, pipeline, &model)?;
    let mut parts: Vec<(String, f64)> = Vec::new();
    let specs = inventory(&model.config);
    let weights: usize = specs.iter().map(|spec| spec.len()).sum();
    let own = specs.first().and_then(|spec| model.weights.dtype(&spec.name)).map_or(4, |dtype| dtype.bytes());
    let stored = pipeline.model.dtype.wanted().map_or(own, |dtype| dtype.bytes()) * weights;
    let saving = stored as f64 / SAVING;
    let (mut models, mut saved, mut racing, mut held_back, mut deltas) = (1, 0, 0, 0, 0);

    let mut decoder = context.compute.load(&model)?;
    let everything = may_move::all(&specs);
    let maskable = may_move::only(&MaskSet::full(&specs));
    let dense = pipeline.align.is_some() || pipeline.finetune.iter().flat_map(Finetune::recipes).any(|arm| arm.train == Train::All);
    let trained = if dense { &everything } else { &maskable };
    let plain = may_move::count(&specs, trained);
    let mut per_step = |what: &str, training: &Training, sources: &[Vec<Example>]| -> Result<(f64, f64), Failure> {
        let plan = Plan { steps: STEPS, save_every: 0, warmup_steps: 0, learning_rate: 1e-9, ..plan(training, 0) };
        let mut marks = vec![Instant::now()];
        let fitted = fit::<_, TrainError>(&mut decoder, sources, trained, &plan, None, &mut |step, _| {
            context.progress(&format!("forecast {what}"), step.number as usize, STEPS as usize, "steps");
            marks.push(Instant::now());
            Ok(Next::default())
        })?;
        let seconds = marks[1..].windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).sum::<f64>() / (STEPS - 1) as f64;
        let tokens = fitted.progress.tokens as f64 / STEPS as f64;
        // The rows of the run are those of the whole sources, not of the first steps.
        let rows: Vec<f64> =
            sources.iter().map(|rows| rows.iter().map(|row| row.tokens.len() as f64).sum::<f64>() / rows.len().max(1) as f64).collect();
        let usual = rows.iter().sum::<f64>() / rows.len().max(1) as f64
            * (training.per_device_train_batch_size * training.gradient_accumulation_steps) as f64;
        Ok((seconds / tokens.max(1.0) * usual, seconds / tokens.max(1.0)))
    };

    let mut per_token = None;
    if let Some(pretrain) = &pipeline.pretrain {
        let rows = training_rows(context, "pretrain", &pretrain.data, &model, pretrain.training.max_length)?;
        let (step, token) = per_step("pretrain", &pretrain.training, &rows.sources)?;
        parts.push(("pretrain".into(), step * steps_within(&pretrain.training, step / token) as f64 + saving));
        per_token = Some(token);
        saved += 1;
    }
    if let Some(align) = &pipeline.align {
        let rows = training_rows(context, "align", &align.data, &model, align.training.max_length)?;
        let (step, token) = per_step("align", &align.training, &rows.sources)?;
        parts.push(("align".into(), step * steps_within(&align.training, step / token) as f64 + saving));
        per_token = per_token.or(Some(token));
        saved += 1;
    }
    if let Some(finetune) = &pipeline.finetune {
        let longest = finetune.recipes().map(Arm::longest).max().unwrap_or(512);
        let mut tasks = Vec::new();
        for (name, data) in finetune.sequence() {
            tasks.push(training_rows(context, name, data, &model, longest)?.sources);
        }
        let (_, token) = match (finetune.arms.first(), tasks.first()) {
            (Some(arm), Some(sources)) => per_step("finetune", &arm.training, sources)?,
            _ => (0.0, 0.0),
        };
        let row = |sources: &[Vec<Example>]| {
            sources.iter().flatten().map(|row| row.tokens.len() as f64).sum::<f64>() / sources.iter().flatten().count().max(1) as f64
        };
        if !finetune.audit.is_empty() {
            // A pass of each row, and of each refusal.
            let safe = training_rows(context, "finetune.audit", &finetune.audit, &model, longest)?.sources;
            let rows = tasks.iter().flatten().chain(&safe).flatten().map(|row| row.tokens.len() as f64).sum::<f64>();
            parts.push(("audit".into(), rows * token));
        }
        let probes = probe_tokens(context, pipeline, asked, &model)?;
        let generating = probe_generation(context, pipeline, &model, &mut decoder)?;
        let mut of_recipe = |arm: &Arm| -> Result<f64, Failure> {
            let mut all = 0.0;
            let tokens = |sources: &[Vec<Example>]| sources.iter().flatten().map(|row| row.tokens.len() as f64).sum::<f64>();
            // What holds it back: so many tokens more in each step, and so many once.
            let (mut held, mut held_once, mut states) = (0.0, 0.0, 0);
            let anchored = arm.anchor.as_ref().map_or(0, |anchor| anchor.rows);
            let projected = arm.project.as_ref().map_or(0, |project| project.rows);
            for (key, data) in arm.own_data() {
                let (rows_a_step, passes) = match key {
                    "anchor" => (anchored, FORWARD),
                    "project" => (projected, 0.0),
                    "elastic" => (0, 1.0),
                    _ => continue,
                };
                let mut rows = training_rows(context, key, data, &model, longest)?.sources;
                if let Some(elastic) = arm.elastic.as_ref().filter(|_| key == "elastic") {
                    rows = vec![sampled(&rows.concat(), elastic.rows).into_iter().cloned().collect()];
                }
                let mut drawn = 1.0;
                if key == "anchor" {
                    let (count, steps) = (rows.iter().flatten().count(), (0..tasks.len()).map(|i| arm.training_of(i).max_steps).max());
                    drawn = (anchored as f64 * steps.unwrap_or(0) as f64 / count.max(1) as f64).min(1.0);
                    let supervised: usize = rows.iter().flatten().map(Example::supervised_tokens).sum();
                    states += (drawn * supervised as f64) as usize;
                }
                held += rows_a_step as f64 * row(&rows);
                held_once += drawn * passes * tokens(&rows);
            }
            held_back = held_back.max(footprint::held(pipeline, arm, &specs, plain, states));
            // An edited arm is made once, of the end of another.
            let learnt = if arm.edit.is_some() { &tasks[..1] } else { &tasks };
            for (i, sources) in learnt.iter().enumerate() {
                let training = arm.training_of(i);
                let rows_a_step = (training.per_device_train_batch_size * training.gradient_accumulation_steps) as f64;
                let calibrating = if arm.train == Train::Complement && arm.density.is_some() { arm.calibration.steps } else { 0 };
                let fit = steps_within(training, rows_a_step * row(sources) + held);
                let steps = if arm.train == Train::None { 0 } else { fit };
                let probing = pipeline.evaluate.probes.as_ref().map_or(0, |probes| steps / probes.every.max(1) + 2);
                let first_tokens = if arm.first_tokens.is_some() { FORWARD * tokens(sources) } else { 0.0 };
                all += ((steps + calibrating) as f64 * rows_a_step * row(sources) + steps as f64 * held) * token
                    + (held_once + first_tokens) * token
                    + probing as f64 * (probes * token * FORWARD + generating)
                    + saving;
            }
            Ok(if arm.merge.is_some() { all + saving } else { all })
        };
        for arm in &finetune.arms {
            let learnt = if arm.edit.is_some() { 1 } else { tasks.len() + usize::from(arm.merge.is_some()) };
            let recipes = arm.recipes();
            let times = recipes.iter().map(&mut of_recipe).collect::<Result<Vec<f64>, Failure>>()?;
            let slowest = times.iter().copied().fold(0.0, f64::max);
            if let Some(auto) = &arm.auto {
                parts.push((format!("race {}", arm.name), race_seconds(pipeline, arm, auto, &times)));
                // Until the first heat is over, two checkpoints of every candidate: masters and moments.
                racing = racing.max(footprint::race(pipeline, &auto.candidates, &specs));
            }
            // What is chosen is not known: the slowest, and trained to its end.
            parts.push((format!("finetune {}", arm.name), slowest * pipeline.seeds.len() as f64));
            models += learnt * pipeline.seeds.len();
            saved += learnt * pipeline.seeds.len();
            if !finetune.tasks.is_empty() && arm.edit.is_none() {
                deltas += tasks.len() * pipeline.seeds.len() * footprint::delta(pipeline, arm, &specs, own);
            }
        }
        per_token = per_token.or(Some(token));
    }
    if let Some(token) = per_token {
        for ticket in pipeline.tickets.iter().filter(|ticket| ticket.file.is_none()) {
            let Some(spec) = &ticket.data else { continue };
            let (mut tokens, mut rows) = (0.0, 0);
            let other = ticket.minus.as_ref().map(|minus| &minus.data).or(ticket.over.as_ref().map(|over| &over.data));
            for spec in std::iter::once(spec).chain(other) {
                let read = training_rows(context, "ticket", std::slice::from_ref(spec), &model, ticket.max_length)?;
                tokens += read.sources.iter().flatten().map(|row| row.tokens.len() as f64).sum::<f64>();
                rows += read.sources.iter().flatten().count();
            }
            let share = match ticket.score {
                Score::Calibrate => {
                    let times = 1 + u64::from(other.is_some());
                    (ticket.calibration.steps * 8 * times) as f64 / rows.max(1) as f64
                }
                Score::Wanda => FORWARD,
                _ => 1.0,
            };
            parts.push((format!("extract {}", ticket.name), tokens * share * token));
        }
    }
    for questions in asked {
        let seconds = match questions.info.quantization {
            None => asking(&mut decoder, &model, questions, pipeline.evaluate.batch_size)?,
            rounded => {
                let mut decoder = context.compute.rounding(rounded).load(&model)?;
                asking(&mut decoder, &model, questions, pipeline.evaluate.batch_size)?
            }
        };
        parts.push((format!("evaluate {}, {models} models", questions.suite.name), seconds * models as f64));
        if let (Some(tokens), true) = (questions.info.divergence, models > 1) {
            let (path, pass) = distance(&mut decoder, &model, questions, tokens, pipeline.evaluate.batch_size)?;
            parts.push((format!("divergence {}, {} models", questions.suite.name, models - 1), path + pass * 2.0 * (models - 1) as f64));
        }
    }
    drop(decoder);
    for judge in &pipeline.evaluate.classifiers {
        let Some(opened) = classifier::at_hand(context, judge)? else {
            let message =
                format!("the forecast leaves judge {} out: {} is not at hand, and check downloads none", judge.name, judge.classifier);
            (context.listener)(Event::Note { message });
            continue;
        };
        let seconds = opened.seconds(asked)?;
        parts.push((format!("judge {}, {models} models", judge.name), seconds * models as f64));
    }
    let (peak, on_the_way) = (peak_memory_bytes(), racing.max(footprint::checkpoints(pipeline, &specs)));
    Ok(Some(Forecast {
        seconds: parts.iter().map(|(_, seconds)| seconds).sum(),
        parts,
        memory_bytes: if peak == 0 { 0 } else { peak + held_back },
        disk_bytes: (saved * stored + deltas + on_the_way) as u64,
    }))
}

/// The steps of a training, each of so many tokens.
fn steps_within(training: &Training, tokens: f64) -> u64 {
    training.max_tokens.map_or(training.max_steps, |most| training.max_steps.min((most as f64 / tokens.max(1.0)) as u64))
}

/// The seconds of a race whose candidates would take `times` to their end, where each takes an equal part of its steps; 0 where no race is.
fn race_seconds(pipeline: &Pipeline, arm: &Arm, auto: &Auto, times: &[f64]) -> f64 {
    let Some(probes) = &pipeline.evaluate.probes else { return 0.0 };
    let steps = arm.training.max_steps;
    let paces: Vec<f64> = times.iter().map(|seconds| seconds / steps as f64).collect();
    let budget = auto.budget.map(|budget| match budget {
        RaceBudget::MaxSteps(most) => Budget::Steps(most),
        RaceBudget::Minutes(most) => Budget::Minutes { most, paces: &paces },
    });
    let taken = heats(paces.len(), steps, probes.every, budget).map_or(0, |heats| steps_of(&heats));
    taken as f64 * paces.iter().sum::<f64>() / paces.len() as f64
}

/// Seconds that a model takes for a whole suite, by its first batch.
fn asking<B: Backend>(decoder: &mut Decoder<B>, model: &Model, questions: &Questions, batch_size: usize) -> Result<f64, Failure> {
    if questions.suite.expect == Expect::Perplexity {
        return reading(decoder, model, questions);
    }
    let most = if questions.choices.is_empty() { batch_size } else { QUESTIONS };
    let batch = most.min(questions.rows.len());
    let start;
    if questions.choices.is_empty() {
        let prompts = prompts(model, questions, &questions.rows[..batch])?;
        start = Instant::now();
        generate(decoder, &prompts, &sampling(model, &questions.suite), batch_size, &mut |_, _| {}).map_err(backend_failed)?;
    } else {
        start = Instant::now();
        let ids: Vec<&str> = questions.rows.iter().map(|row| row.id.as_str()).collect();
        log_likelihoods(decoder, model, &questions.choices[..batch], &ids, &mut |_, _| {})?;
    }
    Ok(start.elapsed().as_secs_f64() * questions.rows.len() as f64 / batch.max(1) as f64)
}

/// Seconds that the aligned model takes for the beginnings of its replies to a suite, and that one pass over them takes, by its first
/// batch.
fn distance<B: Backend>(
    decoder: &mut Decoder<B>,
    model: &Model,
    questions: &Questions,
    tokens: usize,
    batch_size: usize,
) -> Result<(f64, f64), Failure> {
    let batch = batch_size.min(questions.rows.len());
    let whole = questions.rows.len() as f64 / batch.max(1) as f64;
    let samples = questions.suite.manner.samples();
    let prompts: Vec<Vec<u32>> = prompts(model, questions, &questions.rows[..batch])?.into_iter().step_by(samples).collect();
    let start = Instant::now();
    let replies = generate(decoder, &prompts, &greedy(model, tokens), batch, &mut |_, _| {}).map_err(backend_failed)?;
    let path = start.elapsed().as_secs_f64() * whole;
    let few = batch.min(8);
    let rows: Vec<Example> = prompts.iter().zip(&replies).take(few).map(|(prompt, reply)| continued(prompt, &reply.tokens)).collect();
    let start = Instant::now();
    decoder.log_probabilities(&Packed::from_examples(&rows)).map_err(backend_failed)?;
    Ok((path, start.elapsed().as_secs_f64() * questions.rows.len() as f64 / few.max(1) as f64))
}

/// Seconds that a model takes to read a suite of texts, by its first windows.
fn reading<B: Backend>(decoder: &mut Decoder<B>, model: &Model, questions: &Questions) -> Result<f64, Failure> {
    let window = questions.suite.window.unwrap_or_default();
    let mut windows = Vec::new();
    for row in &questions.rows {
        windows.extend(pieces(model, row, window)?);
    }
    let tokens = |windows: &[Example]| windows.iter().map(|window| window.tokens.len()).sum::<usize>();
    let mut first = 1;
    while first < windows.len() && tokens(&windows[..first]) < READ_TOKENS {
        first += 1;
    }
    let start = Instant::now();
    decoder.losses(&Packed::from_examples(&windows[..first])).map_err(backend_failed)?;
    Ok(start.elapsed().as_secs_f64() * tokens(&windows) as f64 / tokens(&windows[..first]).max(1) as f64)
}

/// Seconds of one measure of the probes that ask.
fn probe_generation<B: Backend>(
    context: &Context<'_>,
    pipeline: &Pipeline,
    model: &Model,
    decoder: &mut Decoder<B>,
) -> Result<f64, Failure> {
    let evaluate = &pipeline.evaluate;
    let judge = evaluate.rule_judges().find_map(|name| judge::by_name(name).ok());
    let (Some(probes), Some(judge)) = (&evaluate.probes, judge) else { return Ok(0.0) };
    if !probes.of.iter().any(|&probe| asks(probe)) {
        return Ok(0.0);
    }
    let rows = |what: &str, spec| Ok::<_, Failure>(load_rows(context, what, spec)?.rows);
    let (harmful, benign) = (rows("probes.harmful", &probes.harmful)?, rows("probes.benign", &probes.benign)?);
    Asked::new(model, judge, (&harmful, &benign), evaluate.max_new_tokens, evaluate.batch_size)?.seconds(decoder, &probes.of)
}

/// Tokens of one measure of the probes.
fn probe_tokens(context: &Context<'_>, pipeline: &Pipeline, asked: &[Questions], model: &Model) -> Result<f64, Failure> {
    let Some(probes) = &pipeline.evaluate.probes else { return Ok(0.0) };
    let mut tokens = 0;
    for row in load_rows(context, "probes.harmful", &probes.harmful)?.rows {
        tokens += asked_tokens(model, row.question())?.len() + probes.tokens;
    }
    let task = match (&probes.task, &pipeline.finetune) {
        (Some(spec), _) => load_rows(context, "probes.task", spec)?.rows,
        (None, Some(finetune)) => probed(asked, finetune).into_iter().flat_map(|questions| questions.rows.clone()).collect(),
        (None, None) => Vec::new(),
    };
    for row in &task {
        tokens += model.text.encode(&model.text.render(&row.messages, false)?)?.len();
    }
    Ok(tokens as f64)
}
