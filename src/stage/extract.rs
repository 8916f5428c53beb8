//! extract: the tickets.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::artifact::write::write_whole;
use crate::error::{Failure, Within};
use crate::model::inventory::{TensorSpec, inventory};
use crate::pipeline::settings::{self, DataSpec, Pipeline, Scope, Score, Structure};
use crate::record::TicketSummary;
use crate::ticket::TicketError;
use crate::ticket::budget::Budget;
use crate::ticket::compare::compare;
use crate::ticket::file::{Origin, Ticket};
use crate::ticket::mask_set::MaskSet;
use crate::ticket::score::{Scores, random_of};
use crate::ticket::select::select;

use super::Context;
use super::calibrate::{cannot_choose, told_apart};
use super::fetch::Model;
use super::over::Over;
use super::rows::{TrainingRows, training_rows};
use super::scores::{Found, Models, calibration_failed};

/// Of this stage's result; raised when what it writes changes.
pub(super) const VERSION: u32 = 3;

/// A ticket of the pipeline.
pub struct Extracted {
    /// Its name.
    pub name: String,
    /// The ticket.
    pub ticket: Ticket,
    /// What the record tells of it.
    pub summary: TicketSummary,
    /// Digest of its file's masks.
    pub digest: String,
}

#[derive(Serialize)]
struct Parts<'a> {
    aligned: &'a str,
    base: Option<&'a str>,
    text: &'a str,
    data: &'a [String],
    score: Score,
    density: f64,
    scope: Scope,
    #[serde(skip_serializing_if = "Structure::is_weight")]
    structure: Structure,
    #[serde(skip_serializing_if = "Option::is_none")]
    minus: Option<(&'a [String], f64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    over: Option<(&'a [String], f64)>,
    max_length: usize,
    calibration: Option<settings::Calibration>,
    seed: u64,
    numerics: String,
}

/// Extracts, or reads, every ticket of the pipeline; by name.
///
/// # Errors
/// When data cannot be used, a score is no number, too few weights have a score, or a ticket file does not fit the model.
pub fn tickets(
    context: &Context<'_>,
    pipeline: &Pipeline,
    base: Option<&Model>,
    aligned: &Model,
) -> Result<BTreeMap<String, Extracted>, Failure> {
    let mut tickets: BTreeMap<String, Extracted> = BTreeMap::new();
    for settings in &pipeline.tickets {
        let ticket = ticket(context, settings, base, aligned, pipeline.seeds[0])?;
        let first = pipeline.tickets.first().and_then(|first| tickets.get(&first.name));
        let mut summary = summarise(&ticket);
        if settings.file.is_none() {
            // An equal ticket may have been extracted when its data lay elsewhere.
            summary.data = settings.data.as_ref().map(|spec| spec.source.clone());
            summary.minus = settings.minus.as_ref().map(|minus| (minus.data.source.clone(), minus.density));
            summary.over = settings.over.as_ref().map(|over| (over.data.source.clone(), over.epsilon));
        }
        summary.twin_of.clone_from(&settings.twin_of);
        summary.overlap = first.map(|first| {
            let (all, _) = compare(&first.ticket.masks, &ticket.masks);
            (all.jaccard(), all.jaccard_by_chance())
        });
        let digest = ticket.origin.bits.clone();
        tickets.insert(settings.name.clone(), Extracted { name: settings.name.clone(), ticket, summary, digest });
    }
    Ok(tickets)
}

/// What the record tells of a ticket.
pub fn summarise(ticket: &Ticket) -> TicketSummary {
    TicketSummary {
        score: ticket.origin.score.clone(),
        scope: ticket.origin.scope.name().into(),
        structure: (!ticket.origin.structure.is_weight()).then(|| ticket.origin.structure.name().into()),
        density: ticket.masks.density(),
        count: ticket.masks.count() as u64,
        maskable: ticket.masks.len() as u64,
        data: ticket.origin.data.as_ref().map(|(source, _)| source.clone()),
        minus: ticket.origin.minus.as_ref().map(|((source, _), density)| (source.clone(), *density)),
        over: ticket.origin.over.as_ref().map(|((source, _), epsilon)| (source.clone(), *epsilon)),
        twin_of: None,
        seed: ticket.origin.seed,
        digest: format!("sha256:{}", ticket.origin.bits),
        density_by_kind: ticket.masks.density_by_kind(),
        overlap: None,
    }
}

/// Checks that a ticket's file, where it is one, can be read; whether it fits the model is known when that is fetched.
///
/// # Errors
/// When it is no ticket.
pub fn readable(settings: &settings::Ticket) -> Result<(), Failure> {
    let read = |file: &std::path::PathBuf| Ticket::read(file).within(|| format!("ticket {}", settings.name));
    settings.file.as_ref().map(read).transpose().map(drop)
}

fn ticket(context: &Context<'_>, settings: &settings::Ticket, base: Option<&Model>, aligned: &Model, seed: u64) -> Result<Ticket, Failure> {
    let specs = inventory(&aligned.config);
    if let Some(file) = &settings.file {
        let named = || format!("ticket {}", settings.name);
        let ticket = Ticket::read(file).within(named)?;
        ticket.bind(&specs, &aligned.digest).within(named)?;
        return Ok(ticket);
    }
    let rows = |spec: Option<&DataSpec>| match spec {
        Some(spec) => {
            training_rows(context, &format!("ticket {}", settings.name), std::slice::from_ref(spec), aligned, settings.max_length)
        }
        None => Ok(TrainingRows::default()),
    };
    let scored_on = rows(settings.data.as_ref())?;
    let minus = settings.minus.as_ref().map(|minus| Ok::<_, Failure>((minus, rows(Some(&minus.data))?))).transpose()?;
    let over = settings.over.as_ref().map(|over| Ok::<_, Failure>((over, rows(Some(&over.data))?))).transpose()?;
    let parts = Parts {
        aligned: &aligned.digest,
        base: if settings.score == Score::TaskVector { base.map(|base| base.digest.as_str()) } else { None },
        text: &aligned.text_digest,
        data: &scored_on.digests,
        score: settings.score,
        density: settings.density,
        scope: settings.scope,
        structure: settings.structure,
        minus: minus.as_ref().map(|(minus, rows)| (rows.digests.as_slice(), minus.density)),
        over: over.as_ref().map(|(over, rows)| (rows.digests.as_slice(), over.epsilon)),
        max_length: settings.max_length,
        calibration: (settings.score == Score::Calibrate).then_some(settings.calibration),
        seed: if matches!(settings.score, Score::Random | Score::Calibrate) { seed } else { 0 },
        numerics: context.compute.numerics(),
    };
    let entry = context.stage(&format!("extract {}", settings.name), VERSION, &parts, |place| {
        let models = Models { base, aligned };
        let taken = match &minus {
            Some((minus, rows)) => Some(top(context, settings, models, (&specs, rows, None), (minus.density, None), seed)?),
            None => None,
        };
        let outside = taken.map(|taken| taken.complement());
        let divided = over.as_ref().map(|(over, rows)| Over::on(context, (settings, over), models, &specs, rows, seed)).transpose()?;
        let on = (specs.as_slice(), &scored_on, divided.as_ref());
        let masks = top(context, settings, models, on, (settings.density, outside.as_ref()), seed)?;
        let written = |spec: &DataSpec, rows: &TrainingRows| rows.digests.first().map(|digest| (spec.source.clone(), digest.clone()));
        let origin = Origin {
            version: 0,
            model: aligned.digest.clone(),
            base: parts.base.map(str::to_owned),
            score: settings.score.name().into(),
            density: settings.density,
            scope: settings.scope,
            structure: settings.structure,
            data: settings.data.as_ref().and_then(|spec| written(spec, &scored_on)),
            minus: minus.as_ref().and_then(|(minus, rows)| Some((written(&minus.data, rows)?, minus.density))),
            over: over.as_ref().and_then(|(over, rows)| Some((written(&over.data, rows)?, over.epsilon))),
            seed: (settings.score == Score::Random).then_some(seed),
            sizes: BTreeMap::new(),
            bits: String::new(),
        };
        let ticket = Ticket::new(origin, masks);
        write_whole(&place.folder.join("ticket.safetensors"), |file| ticket.write(file))?;
        Ok(format!("{} of {} maskable weights", ticket.masks.count(), ticket.masks.len()))
    })?;
    Ok(Ticket::read(&entry.folder.join("ticket.safetensors"))?)
}

/// The top `density` of a ticket's score on some rows, divided where it is a ratio, outside of what is taken away.
fn top(
    context: &Context<'_>,
    settings: &settings::Ticket,
    models: Models<'_>,
    (specs, rows, over): (&[TensorSpec], &TrainingRows, Option<&Over<'_>>),
    (density, outside): (f64, Option<&MaskSet>),
    seed: u64,
) -> Result<MaskSet, Failure> {
    let found = Found::on(context, settings, models, specs, rows, seed)?;
    let budget = Budget { density, scope: settings.scope, structure: settings.structure };
    // An error of the scores themselves passes; one of the selection is told as what it means here.
    let scores = |spec: &TensorSpec| {
        let scores = found.scores(spec)?;
        match over {
            Some(over) => over.divide(&scores, spec),
            None => Ok(scores),
        }
    };
    let chosen = select(specs, budget, outside, |spec| scores(spec).map_err(Stopped::Scores));
    let masks = chosen.and_then(|chosen| {
        let chosen = if settings.score == Score::Calibrate { told_apart(chosen)? } else { chosen.masks };
        if chosen.count() > 0 {
            return Ok(chosen);
        }
        Err(TicketError::Nothing { density, scope: settings.scope.name(), structure: settings.structure.name() }.into())
    });
    masks.map_err(|stopped| match stopped {
        Stopped::Scores(failure) => failure,
        Stopped::Selection(error) if outside.is_some() => error.after_minus().into(),
        Stopped::Selection(error) if settings.score == Score::Calibrate => calibration_failed(cannot_choose(&error)),
        Stopped::Selection(error) => error.into(),
    })
}

/// Why no ticket could be made.
enum Stopped {
    Scores(Failure),
    Selection(TicketError),
}

impl From<TicketError> for Stopped {
    fn from(error: TicketError) -> Self {
        Self::Selection(error)
    }
}

/// A random set, as it is drawn from a seed; with `within`, of that set's weights.
///
/// # Errors
/// When the density is not in (0, 1], or `within` has fewer weights.
pub fn random_masks(specs: &[TensorSpec], seed: u64, budget: Budget, within: Option<&MaskSet>) -> Result<MaskSet, TicketError> {
    Ok(select(specs, budget, within, |spec| Scores::new(&spec.name, random_of(seed, spec, budget.structure)))?.masks)
}
