//! Carries out a pipeline, from fetch to verdict. Reads like the README.

mod arm;
pub mod beside;
mod check;
mod describe;
mod files;
mod merge;
mod sequence;
mod task;

use std::collections::BTreeMap;
use std::path::PathBuf;

use self::arm::{Bench, Sources};
pub use self::check::check;
use self::check::{Files, read};
use self::files::place_artifacts;
pub use self::files::{write_comparison, write_joined, write_reports, write_without_text};

use crate::artifact::digest::sha256;
use crate::artifact::folder::{check_latest, create_run, point_latest};
use crate::artifact::write::write_bytes;
use crate::error::{Exit, Failure};
use crate::eval::calibration::CalibrationFile;
use crate::eval::gate;
use crate::pipeline::settings::{self, Align, Calibration, Pipeline, Train};
use crate::record::{Arm, Cell, Completion, Decision, GateOutcome, ModelOrigin, RECORD_VERSION, Race, Record};
use crate::report::Samples;
use crate::stage::against::Against;
use crate::stage::audit::{By, audit, summary};
use crate::stage::demands::check_models;
use crate::stage::endpoint_judge::account;
use crate::stage::evaluate::{Questions, ask};
use crate::stage::fetch::{Model, fetch, under_its_key};
use crate::stage::frame::Frame;
use crate::stage::initialise::initialise;
use crate::stage::judges::Judges;
use crate::stage::teach::teach;
use crate::stage::{Context, endpoint_model, extract, not_measured, nothing_fits, nothing_to_preserve};

/// What enters a run from outside: clock and place, as values.
pub struct Setting {
    /// The folder for runs; the store is `.store` inside it.
    pub runs: PathBuf,
    /// UTC start, RFC 3339.
    pub started: String,
    /// UTC start as a folder's name: `20261124T093000Z`.
    pub stamp: String,
    /// Peak resident memory of this process so far, in bytes.
    pub peak_memory_bytes: fn() -> u64,
    /// Seconds since the start.
    pub elapsed_s: Box<dyn Fn() -> f64>,
    /// How much of prompts and completions the report holds.
    pub samples: Samples,
}

/// A finished run.
pub struct Outcome {
    /// What was measured.
    pub record: Record,
    /// Its folder.
    pub folder: PathBuf,
    /// How the program ends.
    pub exit: Exit,
    /// Why it ended without deciding its rules; none where it decided them. Its exit code is the same.
    pub failure: Option<Failure>,
}

/// Carries out a pipeline. The record, the report and the other files are written, and returned, even when the run stops because there is
/// nothing to preserve.
///
/// # Errors
/// When a stage cannot be carried out.
pub fn run(context: &Context<'_>, pipeline: &Pipeline, setting: &Setting) -> Result<Outcome, Failure> {
    check_latest(&setting.runs, &pipeline.name)?;
    let Files { calibration, asked, data } = read(context, pipeline)?;
    let judges = Judges::open(context, &pipeline.evaluate)?;
    let mut record = begin(pipeline, setting, &asked, &judges, calibration.as_ref(), data)?;
    if let Some(endpoint) = &pipeline.model.endpoint {
        record.models.insert(0, endpoint_model::origin(endpoint));
        let completions = endpoint_model::ask(context, endpoint, pipeline, &asked, &judges)?;
        record.arms.push(untrained("aligned", pipeline, completions));
        if let Some(system) = &pipeline.model.system {
            record.digests.insert("template.aligned".into(), format!("sha256:{}", sha256(system.as_bytes())));
        }
        return match gate::stopped(&record) {
            Some(gate) => stopped(context, pipeline, setting, record, gate),
            None => {
                record.gate = Some(gate::decide(&record, &pipeline.gate, None));
                conclude(context, pipeline, setting, record)
            }
        };
    }
    let Models { base, aligned, origins } = models(context, pipeline)?;
    record.models.splice(0..0, origins);
    record.digests.extend(record.models.iter().map(|model| (format!("model.{}", model.role), model.weights.clone())));
    record.digests.insert("text.aligned".into(), format!("sha256:{}", aligned.text_digest));
    record.digests.insert("template.aligned".into(), format!("sha256:{}", aligned.text.digest()));
    let evaluate = &pipeline.evaluate;
    let before = match &base {
        Some(base) if evaluate.base => Some((base, ask(context, "base", base, evaluate, &asked, &judges)?)),
        _ => None,
    };
    let mut said = ask(context, "aligned", &aligned, evaluate, &asked, &judges)?;
    let against = Against::new(evaluate, &asked, &aligned, said.clone());
    if let Some((base, mut said)) = before {
        against.measure(context, "base", base, &mut said)?;
        record.arms.push(untrained("base", pipeline, said));
    }
    against.measure(context, "aligned", &aligned, &mut said)?;
    record.arms.push(untrained("aligned", pipeline, said));
    if let Some(gate) = gate::stopped(&record) {
        return stopped(context, pipeline, setting, record, gate);
    }

    if let Some(settings) = &pipeline.finetune {
        let tickets = extract::tickets(context, pipeline, base.as_ref(), &aligned)?;
        for ticket in tickets.values() {
            record.tickets.insert(ticket.name.clone(), ticket.summary.clone());
        }
        let frame = Frame::new(context, pipeline, settings, (base.as_ref(), &aligned), &tickets, &asked, &judges.rules)?;
        if let (Some(figures), Some(cell)) = (frame.aligned_figures(context)?, record.arms.last_mut().and_then(|arm| arm.cells.last_mut()))
        {
            cell.figures = figures;
        }
        record.probes = frame.told(&judges.rules)?;
        if !settings.audit.is_empty() {
            let rows = audit(context, pipeline, &settings.audit, &aligned, By::Cosine)?;
            record.audit = Some(summary(&rows, &settings.sources(), &settings.audit));
        }
        let bench = Bench { context, pipeline, frame, against: &against, judges: &judges };
        let known = bench.losses("aligned", &aligned)?;
        if let Some(cell) = record.arms.last_mut().and_then(|arm| arm.cells.last_mut()) {
            cell.figures.extend(known);
        }
        let (mut sources, mut unfit) = (Sources::new(), Vec::<&str>::new());
        for settings in &settings.arms {
            let race = bench.race(settings)?;
            let won = |race: &Race| race.winner.as_ref().and_then(|winner| settings.won_by(&winner.name, winner.step));
            let made_of_nothing = settings.edit.as_ref().is_some_and(|edited| unfit.contains(&edited.from.as_str()));
            let (arm, digests) = match race.as_ref().map(won) {
                None if !made_of_nothing => bench.arm(settings, &mut sources)?,
                Some(Some(recipe)) => bench.arm(&recipe, &mut sources)?,
                None | Some(None) => {
                    unfit.push(&settings.name);
                    (unfitting(settings)?, BTreeMap::new())
                }
            };
            record.arms.push(Arm { race, ..arm });
            record.digests.extend(digests);
        }
    }
    record.gate = Some(gate::decide(&record, &pipeline.gate, None));
    let undecided = record.gate.as_ref().is_some_and(|gate| gate.decision == Decision::Inconclusive);
    let unfit = undecided && gate::raced_in_vain(&record).next().is_some();
    let mut outcome = conclude(context, pipeline, setting, record)?;
    if let Some(gate) = outcome.record.gate.as_ref().filter(|_| unfit) {
        outcome.failure = Some(nothing_fits(gate.headline.clone()).within(outcome.folder.display().to_string()));
    }
    Ok(outcome)
}

/// A record of what is known before anything is fetched; `digests` are those of the data.
fn begin(
    pipeline: &Pipeline,
    setting: &Setting,
    asked: &[Questions],
    judges: &Judges<'_>,
    calibration: Option<&CalibrationFile>,
    mut digests: BTreeMap<String, String>,
) -> Result<Record, Failure> {
    let resolved = serde_json::to_value(pipeline).map_err(|error| Failure::new("internal", error.to_string()))?;
    for questions in asked {
        digests.insert(format!("suite.{}", questions.suite.name), format!("sha256:{}", questions.info.digest));
    }
    let told = judges.told(calibration);
    digests.extend(told.iter().map(|(name, judge)| (format!("judge.{name}"), judge.digest.clone())));
    let origins = judges.origins();
    digests.extend(origins.iter().map(|model| (format!("model.{}", model.role), model.weights.clone())));
    Ok(Record {
        version: RECORD_VERSION,
        without_text: false,
        name: pipeline.name.clone(),
        run_id: format!("{}-{}", setting.stamp, &sha256(resolved.to_string().as_bytes())[..8]),
        program: format!("steadfast {}", env!("CARGO_PKG_VERSION")),
        started: setting.started.clone(),
        seconds: 0.0,
        peak_memory_bytes: 0,
        pipeline: resolved,
        digests,
        numerics: BTreeMap::new(),
        models: origins,
        tickets: BTreeMap::new(),
        stages: Vec::new(),
        suites: asked.iter().map(|questions| (questions.suite.name.clone(), questions.info.clone())).collect(),
        judges: told,
        probes: None,
        audit: None,
        arms: Vec::new(),
        warnings: Vec::new(),
        gate: None,
    })
}

/// The models that a pipeline starts from.
pub struct Models {
    /// Before safety alignment, where the pipeline names it.
    pub base: Option<Model>,
    /// The model to protect.
    pub aligned: Model,
    /// What the record tells of them.
    pub origins: Vec<ModelOrigin>,
}

/// Fetches the models of a pipeline, or makes the aligned one from the base.
///
/// # Errors
/// When a model cannot be fetched or aligned, or the pipeline names none.
pub fn models(context: &Context<'_>, pipeline: &Pipeline) -> Result<Models, Failure> {
    let mut origins = Vec::new();
    let mut fetched = |role: &str, source: &Option<String>| -> Result<Option<Model>, Failure> {
        let Some(source) = source else { return Ok(None) };
        let (model, origin) = fetch(context, role, source, &pipeline.model).map_err(|failure| under_its_key(failure, role))?;
        origins.push(origin);
        Ok(Some(model))
    };
    let (mut base, given) = (fetched("base", &pipeline.model.base)?, fetched("aligned", &pipeline.model.aligned)?);
    let fresh = match &pipeline.pretrain {
        Some(settings) => Some(initialise(context, settings, pipeline.seeds[0], &pipeline.model)?),
        None => None,
    };
    // Before anything is trained or asked: an aligned model that is yet to be made has its base's shape.
    let before = fresh.as_ref().or(base.as_ref());
    if let Some(aligned) = given.as_ref().or(before) {
        check_models(pipeline, before, aligned)?;
    }
    if let (Some(settings), Some(fresh)) = (&pipeline.pretrain, &fresh) {
        let lessons = Align {
            data: settings.data.clone(),
            training: settings.training.clone(),
            train: Train::All,
            density: None,
            calibration: Calibration::default(),
            seed: None,
        };
        let made = teach(context, "pretrain", fresh, &lessons, pipeline.seeds[0], &pipeline.model)?;
        origins.push(made.origin("base", "made by pretrain", None));
        base = Some(made);
    }
    let aligned = match (given, &pipeline.align, &base) {
        (Some(given), _, _) => given,
        (None, Some(settings), Some(base)) => {
            let made = teach(context, "align", base, settings, settings.seed.unwrap_or(pipeline.seeds[0]), &pipeline.model)?;
            origins.push(made.origin("aligned", "made by align", None));
            made
        }
        _ => {
            return Err(Failure::new("no-model", "the pipeline names no aligned model")
                .remedy("write model.aligned, or model.base with an align: section"));
        }
    };
    Ok(Models { base, aligned, origins })
}

/// An arm for which no recipe was found.
fn unfitting(settings: &settings::Arm) -> Result<Arm, Failure> {
    Ok(Arm {
        name: settings.name.clone(),
        settings: serde_json::to_value(settings).map_err(|error| Failure::new("internal", error.to_string()))?,
        summary: "no recipe fits".into(),
        training: None,
        edit: None,
        tasks: Vec::new(),
        merge: None,
        race: None,
        cells: Vec::new(),
    })
}

/// What was said by a model that nothing here has trained.
fn untrained(name: &str, pipeline: &Pipeline, completions: BTreeMap<String, Vec<Completion>>) -> Arm {
    let cell = Cell { seed: pipeline.seeds[0], after_task: None, step: 0, last: true, figures: BTreeMap::new(), completions };
    let summary = if name == "base" { "before safety alignment" } else { "the model that the pipeline protects" };
    Arm {
        name: name.into(),
        settings: serde_json::Value::Null,
        summary: summary.into(),
        training: None,
        edit: None,
        tasks: Vec::new(),
        merge: None,
        race: None,
        cells: vec![cell],
    }
}

/// Writes the files of a run that stopped early, and ends it.
fn stopped(
    context: &Context<'_>,
    pipeline: &Pipeline,
    setting: &Setting,
    mut record: Record,
    gate: GateOutcome,
) -> Result<Outcome, Failure> {
    let sentence = gate.headline.clone();
    let failure = if gate.decision == Decision::Error { not_measured(sentence) } else { nothing_to_preserve(sentence) };
    record.gate = Some(gate);
    let outcome = conclude(context, pipeline, setting, record)?;
    let failure = Some(failure.within(outcome.folder.display().to_string()));
    Ok(Outcome { failure, ..outcome })
}

/// Writes the run's folder.
fn conclude(context: &Context<'_>, pipeline: &Pipeline, setting: &Setting, mut record: Record) -> Result<Outcome, Failure> {
    let computed = if pipeline.model.endpoint.is_some() { "not known (endpoint)".into() } else { context.compute.numerics() };
    record.numerics.insert("backend".into(), computed);
    record.numerics.insert("threads".into(), context.compute.threads.to_string());
    account(context, &mut record);
    record.warnings = context.warnings.borrow().clone();
    record.stages = context.timings.borrow().clone();
    record.seconds = (setting.elapsed_s)();
    record.peak_memory_bytes = (setting.peak_memory_bytes)();
    let folder = create_run(&setting.runs, &pipeline.name, &record.run_id)?;
    if let Some(id) = folder.file_name() {
        record.run_id = id.to_string_lossy().into_owned();
    }
    let json = serde_json::to_string_pretty(&record).map_err(|error| Failure::new("internal", error.to_string()))?;
    write_bytes(&folder.join("run.json"), json.as_bytes())?;
    write_reports(&record, &folder, setting.samples)?;
    place_artifacts(context, &folder)?;
    point_latest(&folder)?;
    let exit = record.gate.as_ref().map_or(Exit::Inconclusive, |gate| exit_of(gate.decision));
    Ok(Outcome { record, folder, exit, failure: None })
}

/// The exit code of a gate's decision.
pub fn exit_of(decision: Decision) -> Exit {
    match decision {
        Decision::Pass => Exit::Passed,
        Decision::Fail => Exit::Failed,
        Decision::Inconclusive => Exit::Inconclusive,
        Decision::Error => Exit::CouldNotRun,
    }
}
