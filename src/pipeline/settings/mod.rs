//! The resolved pipeline: every key with its value, aliases made canonical, `like:` carried out, paths absolute.
//!
//! Stages read only this. It is what `steadfast check` prints and what `run.json` holds.

mod arm;
mod evaluate;
mod finetune;
mod model;
mod sweep;
mod ticket;
mod training;

use serde::Serialize;

pub use self::arm::{
    Anchor, Arm, ArmTicket, Auto, Edited, Elastic, FirstTokens, Layers, Lora, Merge, MergeMethod, Project, RaceBudget, Replay, Train,
};
pub use self::evaluate::{Divergence, Evaluate, Probe, Probes, Suite};
pub use self::finetune::{Finetune, Task};
pub use self::model::{ComputeDtype, Dtype, Model};
pub use self::sweep::Grid;
pub use self::ticket::{Minus, Over, Score, Ticket, safety_rows};
pub use self::training::{Align, Architecture, Calibration, Pretrain, Training};
pub use super::classifier_judge::{ClassifierJudge, PLACES};
pub use super::endpoint_judge::{Comparer, EndpointJudge};
pub use crate::data::choices::ChoiceForm;
pub use crate::data::spec::{Columns, DataFormat, DataSpec};
pub use crate::edit::Edit;
pub use crate::eval::judge::rubric::Rubric;
pub use crate::eval::rule::{Among, Bound, Condition, Extract, Rule};
pub use crate::hub::chat::{Endpoint, Price};
pub use crate::record::{Expect, Manner, Sampled, System, Window};
pub use crate::ticket::budget::{Scope, Structure};
pub use crate::train::schedule::Scheduler;

/// A whole pipeline, checked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pipeline {
    /// Names the runs: letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// Seeds of data order and random tickets; every arm runs once for each. At least one.
    pub seeds: Vec<u64>,
    /// The models.
    pub model: Model,
    /// How the base is made; none when it is given.
    pub pretrain: Option<Pretrain>,
    /// How the base becomes the aligned model; none when it is given.
    pub align: Option<Align>,
    /// The pipeline's tickets in order; the first is named `ticket`, the others as under `tickets:`.
    pub tickets: Vec<Ticket>,
    /// The custom task and the arms; none for an evaluation of the aligned model alone.
    pub finetune: Option<Finetune>,
    /// What is measured.
    pub evaluate: Evaluate,
    /// The rules.
    pub gate: Vec<Rule>,
}
