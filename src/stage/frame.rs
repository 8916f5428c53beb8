//! What every arm starts from: the models, the tickets, the rows and the probes.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use crate::artifact::digest::sha256;
use crate::artifact::store::Workplace;
use crate::data::example::encode;
use crate::data::spec::DataSpec;
use crate::error::{Failure, Within};
use crate::eval::judge::Judge;
use crate::model::batch::Example;
use crate::model::decoder::Decoder;
use crate::model::inventory::{TensorSpec, inventory};
use crate::pipeline::settings::{self, Arm, ArmTicket, Finetune, Pipeline};
use crate::record::{Figure, ProbeReference};
use crate::ticket::budget::count_for;
use crate::ticket::mask_set::MaskSet;

use super::engine::Engine;
use super::evaluate::Questions;
use super::extract::{Extracted, random_masks};
use super::fetch::Model;
use super::finetune::MEASURE_VERSION;
use super::probe::{Measure, ProbeInput, Reference, reference};
use super::retention::{Asked, asks};
use super::rows::{TrainingRows, load_rows, training_rows};
use super::selection::inside;
use super::{Context, read_json, write_json};

/// Seeds of random tickets are apart from those of random arms and of the data order.
const RANDOM_TICKET: u64 = 0x7469_636b;

/// What every arm starts from.
pub struct Frame<'a> {
    pub(super) aligned: &'a Model,
    /// What the aligned model was made of, where the pipeline knows it.
    pub(super) base: Option<&'a Model>,
    pub(super) model_settings: &'a settings::Model,
    tickets: &'a BTreeMap<String, Extracted>,
    /// The tasks' rows with their names, in order; at least one.
    pub(super) tasks: Vec<(String, TrainingRows)>,
    /// Whether the pipeline names tasks, one or more.
    has_tasks: bool,
    /// Other rows that arms learn from or are held on, by where they come from; arms with the same ones share them.
    others: Vec<(Vec<DataSpec>, TrainingRows)>,
    pub(super) probes: Option<(Reference, String, &'a settings::Probes)>,
    measure: OnceCell<Measure<'a, Engine>>,
    /// What the probes that ask need, with its digest; none where no such probe is wanted.
    asked: Option<(Asked<'a>, String)>,
}

impl<'a> Frame<'a> {
    /// Loads the task's rows and makes the probes' reference.
    ///
    /// # Errors
    /// When data cannot be used or the backend fails.
    pub fn new(
        context: &Context<'_>,
        pipeline: &'a Pipeline,
        finetune: &Finetune,
        (base, aligned): (Option<&'a Model>, &'a Model),
        tickets: &'a BTreeMap<String, Extracted>,
        asked: &[Questions],
        judges: &[Judge],
    ) -> Result<Self, Failure> {
        let longest = finetune.recipes().map(Arm::longest).max().unwrap_or(512);
        let tasks = finetune.sequence().into_iter().map(|(name, data)| {
            let what = if finetune.tasks.is_empty() { "finetune".to_owned() } else { format!("task {name}") };
            Ok((name.to_owned(), training_rows(context, &what, data, aligned, longest)?))
        });
        let tasks = tasks.collect::<Result<Vec<_>, Failure>>()?;
        let mut others: Vec<(Vec<DataSpec>, TrainingRows)> = Vec::new();
        for arm in finetune.recipes() {
            for (key, data) in arm.own_data() {
                if others.iter().all(|(have, _)| have != data) {
                    others.push((data.to_vec(), training_rows(context, &format!("{key} of {}", arm.name), data, aligned, longest)?));
                }
            }
        }
        for arm in finetune.recipes() {
            learnable(arm, &tasks, &others).within(|| format!("arm {}", arm.name))?;
        }
        let mut retention = None;
        let probes = match (&pipeline.evaluate.probes, judges.first()) {
            (Some(settings), Some(judge)) => {
                let harmful = load_rows(context, "probes.harmful", &settings.harmful)?;
                let benign = load_rows(context, "probes.benign", &settings.benign)?;
                let (task, task_digest) = task_rows(context, settings, aligned, (asked, finetune), longest)?;
                // The encoded rows: what max_length cuts is another measure.
                let encoded = serde_json::to_string(&task).map_err(|error| Failure::new("internal", error.to_string()))?;
                let task_digest = sha256(format!("{task_digest}\n{encoded}").as_bytes());
                let input = ProbeInput {
                    harmful: &harmful.rows,
                    benign: &benign.rows,
                    task,
                    tokens: settings.tokens,
                    batch_size: pipeline.evaluate.batch_size,
                    digests: vec![harmful.content_digest(), benign.content_digest(), task_digest],
                };
                let (made, mut digest) = reference(context, aligned, &input, judge)?;
                if settings.of.iter().any(|&probe| asks(probe)) {
                    let evaluate = &pipeline.evaluate;
                    let rows = (harmful.rows.as_slice(), benign.rows.as_slice());
                    let asked = Asked::new(aligned, *judge, rows, evaluate.max_new_tokens, evaluate.batch_size)?;
                    let asked_digest = asked.digest()?;
                    digest = sha256(format!("{digest}\n{asked_digest}").as_bytes());
                    retention = Some((asked, asked_digest));
                }
                Some((made, digest, settings))
            }
            _ => None,
        };
        let frame = Self {
            aligned,
            base,
            model_settings: &pipeline.model,
            tickets,
            tasks,
            has_tasks: !finetune.tasks.is_empty(),
            others,
            probes,
            measure: OnceCell::new(),
            asked: retention,
        };
        finetune.recipes().try_for_each(|arm| frame.has_room_for(arm))?;
        Ok(frame)
    }

    /// The aligned model's own figures: where every curve begins. None without probes.
    ///
    /// # Errors
    /// When the backend fails or the store cannot be written.
    pub fn aligned_figures(&self, context: &Context<'_>) -> Result<Option<BTreeMap<String, Figure>>, Failure> {
        let Some((_, reference, settings)) = &self.probes else { return Ok(None) };
        // The reference's digest stands for the prompts and the task rows.
        let parts = (&self.aligned.digest, reference, &settings.of, context.compute.numerics());
        let work = |place: &Workplace| {
            let mut decoder = context.compute.load(self.aligned)?;
            let figures = match self.measure(&mut decoder)? {
                Some((measure, _)) => measure.measure_saved(&mut decoder)?,
                None => BTreeMap::new(),
            };
            write_json(place, "figures.json", &figures)?;
            Ok(format!("{} figures", figures.len()))
        };
        let entry = match &self.asked {
            None => context.stage("measure aligned", MEASURE_VERSION, &parts, work)?,
            Some((_, asked)) => context.stage("measure aligned", MEASURE_VERSION, &(parts, asked), work)?,
        };
        Ok(Some(read_json(&entry, "figures.json")?))
    }

    /// The probes' measure and its interval in steps, made once from a decoder that holds the aligned weights.
    pub(super) fn measure(&self, aligned: &mut Decoder<Engine>) -> Result<Option<(&Measure<'a, Engine>, u64)>, Failure> {
        let Some((made, _, settings)) = &self.probes else { return Ok(None) };
        if self.measure.get().is_none() {
            // Nobody else can have set it meanwhile: stages run one after another.
            let _ =
                self.measure.set(Measure::new(aligned, made.clone(), &settings.of, self.asked.as_ref().map(|(asked, _)| asked.clone()))?);
        }
        Ok(self.measure.get().map(|measure| (measure, settings.every)))
    }

    /// Makes the probes' measure, where there are probes and it was not made yet.
    ///
    /// # Errors
    /// When the backend fails.
    pub(super) fn ready(&self, context: &Context<'_>) -> Result<(), Failure> {
        if self.probes.is_some() && self.measure.get().is_none() {
            self.measure(&mut context.compute.load(self.aligned)?)?;
        }
        Ok(())
    }

    /// What the record tells of the probes.
    ///
    /// # Errors
    /// When a token is not in the vocabulary.
    pub fn told(&self, judges: &[Judge]) -> Result<Option<ProbeReference>, Failure> {
        match (&self.probes, judges.first()) {
            (Some((made, _, _)), Some(judge)) => Ok(Some(made.told(self.aligned, judge)?)),
            _ => Ok(None),
        }
    }

    /// What an arm reads beside the task under one of its keys ([`Arm::own_data`]); none where it has no such key.
    pub(super) fn beside(&self, arm: &Arm, key: &'static str) -> Option<&TrainingRows> {
        let (_, data) = arm.own_data().find(|(own, _)| *own == key)?;
        self.others.iter().find(|(have, _)| have == data).map(|(_, rows)| rows)
    }

    /// The tasks' names in order; at least one.
    pub fn tasks(&self) -> impl Iterator<Item = &str> {
        self.tasks.iter().map(|(name, _)| name.as_str())
    }

    /// The model that every arm begins with.
    pub fn aligned(&self) -> &'a Model {
        self.aligned
    }

    /// Whether the pipeline names tasks, one or more.
    pub fn has_tasks(&self) -> bool {
        self.has_tasks
    }

    /// Checks that as many weights as an arm trains, in all tasks together where each has its own, are outside its ticket and inside its
    /// layers.
    fn has_room_for(&self, arm: &Arm) -> Result<(), Failure> {
        let random = matches!(arm.ticket, Some(ArmTicket::Random { .. }));
        // A random ticket is as dense as its pattern, which the pipeline's check knows.
        let several = self.tasks.len() > 1 && arm.has_own_weights();
        let Some(density) = arm.density.filter(|_| arm.layers.is_some() || !random || several) else { return Ok(()) };
        let specs = inventory(&self.aligned.config);
        let ticket = self.ticket_of(arm, &specs, 0)?;
        let inside = inside(arm, &specs, ticket.as_ref().map(|(masks, _)| masks));
        let (one, room) = (count_for(density, inside.len())?, inside.count());
        if several && one <= room && one * self.tasks.len() > room {
            return Err(no_room(arm, self.tasks.len(), one, &inside));
        }
        if one <= room {
            return Ok(());
        }
        let message = format!(
            "arm {} trains {:.1} % of maskable, and only {:.1} % lie where it may train (outside its ticket, inside its layers)",
            arm.name,
            density * 100.0,
            inside.density() * 100.0
        );
        Err(Failure::new("density", message).remedy("lower the arm's density or its ticket's, or give it more layers"))
    }

    /// The probes' figures of saved weights, those that are finite numbers.
    ///
    /// # Errors
    /// When the backend fails.
    pub(super) fn figures_of(&self, context: &Context<'_>, model: &Model) -> Result<BTreeMap<String, Figure>, Failure> {
        self.ready(context)?;
        let figures = match self.measure.get() {
            Some(measure) => measure.measure_saved(&mut context.compute.load(model)?)?,
            None => BTreeMap::new(),
        };
        Ok(finite(figures))
    }
    /// The arm's ticket with what identifies it; none for arms that use none.
    pub(super) fn ticket_of(&self, arm: &Arm, specs: &[TensorSpec], seed: u64) -> Result<Option<(MaskSet, String)>, Failure> {
        let named =
            |name: &String| self.tickets.get(name).ok_or_else(|| Failure::new("unknown-ticket", format!("there is no ticket {name:?}")));
        match &arm.ticket {
            None => Ok(None),
            Some(ArmTicket::Named(name)) => {
                let extracted = named(name)?;
                Ok(Some((extracted.ticket.masks.clone(), extracted.digest.clone())))
            }
            Some(ArmTicket::Random { like, draw }) => {
                let origin = &named(like)?.ticket.origin;
                // Draws are apart from seeds.
                let drawn = RANDOM_TICKET ^ seed ^ (u64::from(*draw) << 48);
                Ok(Some((random_masks(specs, drawn, origin.budget(), None)?, format!("random {drawn} {}", origin.budget().told()))))
            }
        }
    }
}

/// Checks that an arm learns something of every row that it reads, in every task.
fn learnable(arm: &Arm, tasks: &[(String, TrainingRows)], others: &[(Vec<DataSpec>, TrainingRows)]) -> Result<(), Failure> {
    let own = |data: &[DataSpec]| others.iter().find(|(have, _)| have == data).map(|(_, rows)| rows);
    for (i, (_, rows)) in tasks.iter().enumerate() {
        let max_length = arm.training_of(i).max_length;
        rows.learnable(max_length)?;
        arm.own_data().filter_map(|(_, data)| own(data)).try_for_each(|rows| rows.learnable(max_length))?;
    }
    Ok(())
}

/// Tasks that run out of weights before the last of them.
fn no_room(arm: &Arm, tasks: usize, one: usize, inside: &MaskSet) -> Failure {
    let room = inside.count();
    let message = format!(
        "arm {} trains another {one} weights in each of {tasks} tasks, {} in all, and only {room} of {} lie where it may train (outside its ticket, inside its layers)",
        arm.name,
        one * tasks,
        inside.len()
    );
    let fits = (room as f64 / tasks as f64 / inside.len().max(1) as f64 * 1000.0).floor() / 1000.0;
    Failure::new("density", message).remedy(format!("write density: {fits:.3} or less, make its ticket smaller, or leave tasks out"))
}

/// The figures that are numbers: a model that diverged has none rather than NaN ones.
pub(super) fn finite(figures: BTreeMap<String, Figure>) -> BTreeMap<String, Figure> {
    figures.into_iter().filter(|(_, figure)| figure.value.is_finite()).collect()
}

/// Held-out task rows: those that the probes name, else those of the suites that several tasks name, all together, else the first
/// task suite's.
fn task_rows(
    context: &Context<'_>,
    settings: &settings::Probes,
    model: &Model,
    (asked, finetune): (&[Questions], &Finetune),
    max_length: usize,
) -> Result<(Vec<Example>, String), Failure> {
    if let Some(spec) = &settings.task {
        let rows = training_rows(context, "probes.task", std::slice::from_ref(spec), model, max_length)?;
        return Ok((rows.sources.into_iter().flatten().collect(), rows.digests.concat()));
    }
    let (mut rows, mut digests) = (Vec::new(), String::new());
    for questions in probed(asked, finetune) {
        let encoded = encode(&model.text, &questions.rows, max_length).within(|| format!("suite {} as probe", questions.suite.name))?;
        rows.extend(encoded.examples);
        digests.push_str(&questions.info.digest);
    }
    Ok((rows, digests))
}

/// The task suites that several tasks name, in the order of the suites.
pub(super) fn named_suites<'a>(asked: &'a [Questions], finetune: &Finetune) -> Vec<&'a Questions> {
    let named = |questions: &&Questions| finetune.tasks.iter().any(|task| task.suite.as_ref() == Some(&questions.suite.name));
    asked.iter().filter(named).filter(|questions| questions.is_task()).collect()
}

/// Those whose answers are a probe: the named ones, or the first task suite where no task names any.
pub fn probed<'a>(asked: &'a [Questions], finetune: &Finetune) -> Vec<&'a Questions> {
    if finetune.tasks.iter().any(|task| task.suite.is_some()) {
        return named_suites(asked, finetune);
    }
    asked.iter().find(|questions| questions.is_task()).into_iter().collect()
}
