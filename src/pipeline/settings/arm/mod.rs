//! One arm: a way from aligned to tuned.

mod anchor;
mod auto;
mod edit;
mod elastic;
mod first_tokens;
mod layers;
mod lora;
mod merge;
mod project;
mod replay;

use serde::Serialize;

pub use self::anchor::Anchor;
pub use self::auto::{Auto, RaceBudget};
pub use self::edit::Edited;
pub use self::elastic::Elastic;
pub use self::first_tokens::FirstTokens;
pub use self::layers::Layers;
pub use self::lora::Lora;
pub use self::merge::{Merge, MergeMethod};
pub use self::project::Project;
pub use self::replay::Replay;
use super::{Calibration, Grid, Training};
use crate::data::spec::DataSpec;

/// One way from aligned to tuned, with `like:` carried out and the section's defaults filled in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Arm {
    /// Its name.
    pub name: String,
    /// The arm of which this is a setting, or which has others: of an arm that is swept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// The grid it is swept over; the resolved arms tell what came of it.
    #[serde(skip)]
    pub sweep: Option<Grid>,
    /// What it trains.
    pub train: Train,
    /// Trained share of maskable, in (0, 1]; with `complement`, the task's own top inside it (LoTTO).
    pub density: Option<f64>,
    /// The ticket it stays outside of, trains, or restores.
    pub ticket: Option<ArmTicket>,
    /// The short training that finds a LoTTO arm's own ticket.
    pub calibration: Calibration,
    /// Hyperparameters.
    pub training: Training,
    /// Those of each of several tasks, in their order: the section's, then the task's, then the arm's own; none where there is one task.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<Training>,
    /// Other rows that are mixed into its batches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
    /// How the first tokens of the task's replies are held to the aligned model's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_tokens: Option<FirstTokens>,
    /// Rows on which it is held to the aligned model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Anchor>,
    /// How its weights are pulled back to the aligned model's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elastic: Option<Elastic>,
    /// Rows whose loss no step may raise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<Project>,
    /// What a `lora` arm trains; none for every other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<Lora>,
    /// The layers to which all of this is limited; none = all of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Layers>,
    /// How its tasks, each of them trained from the aligned model, become one; none where they are learnt one after another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merge: Option<Merge>,
    /// What it is made of, in place of training; `train` is then `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edit: Option<Edited>,
    /// How its recipe is chosen; what it trains is then known after the race alone, see [`Self::chosen`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto: Option<Auto>,
    /// Ends after so many steps, on the schedule of all of them: where a race found its best; none = after all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

impl Arm {
    /// The hyperparameters of a task, counted from 0.
    pub fn training_of(&self, task: usize) -> &Training {
        self.tasks.get(task).unwrap_or(&self.training)
    }

    /// The rows that it reads beside the task's, by the key that names them.
    pub fn own_data(&self) -> impl Iterator<Item = (&'static str, &[DataSpec])> {
        let replay = self.replay.as_ref().map(|replay| ("replay", replay.data.as_slice()));
        let anchor = self.anchor.as_ref().map(|anchor| ("anchor", anchor.data.as_slice()));
        let elastic = self.elastic.as_ref().map(|elastic| ("elastic", elastic.data.as_slice()));
        let project = self.project.as_ref().map(|project| ("project", project.data.as_slice()));
        [replay, anchor, elastic, project].into_iter().flatten()
    }

    /// The longest row of any task, in tokens.
    pub fn longest(&self) -> usize {
        self.tasks.iter().map(|training| training.max_length).max().unwrap_or(self.training.max_length)
    }

    /// The arm with the recipe of one of its candidates, which ends after so many steps.
    pub fn chosen(&self, candidate: &Self, step: u64) -> Self {
        let until = (step < candidate.training.max_steps).then_some(step);
        Self { name: self.name.clone(), family: None, until, ..candidate.clone() }
    }

    /// [`Self::chosen`] of the candidate of this name; none where it has none.
    pub fn won_by(&self, candidate: &str, step: u64) -> Option<Self> {
        let found = self.auto.as_ref()?.candidates.iter().find(|other| other.name == candidate)?;
        Some(self.chosen(found, step))
    }

    /// The arms that are trained for this one: its candidates, or itself.
    pub fn recipes(&self) -> &[Self] {
        self.auto.as_ref().map_or(std::slice::from_ref(self), |auto| &auto.candidates)
    }

    /// Whether each of several tasks has weights of its own, which no other task of the arm may train: a task's own ticket (LoTTO), or the
    /// next share of a random order. Every other arm trains the same weights in each task.
    pub fn has_own_weights(&self) -> bool {
        matches!((self.train, self.density), (Train::Complement, Some(_)) | (Train::Random, _))
    }
}

/// What an arm trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Train {
    /// Every parameter.
    All,
    /// Every weight that a mask may hold.
    Maskable,
    /// Maskable minus the ticket.
    Complement,
    /// The ticket.
    Ticket,
    /// A random share of maskable, of the arm's density.
    Random,
    /// Low-rank factors beside the matrices of [`Arm::lora`].
    Lora,
    /// Nothing: the aligned model again, or what [`Arm::edit`] makes.
    None,
}

/// Which ticket an arm uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArmTicket {
    /// One of the pipeline's, by name.
    Named(String),
    /// A random one of the same density, drawn from the arm's seed.
    Random {
        /// The ticket whose density and scope it takes.
        like: String,
        /// Which draw, from 0.
        draw: u32,
    },
}
