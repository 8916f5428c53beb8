//! One arm of `finetune.arms`.

mod anchor;
mod auto;
mod combine;
mod edit;
mod elastic;
mod first_tokens;
mod layers;
mod lora;
mod merge;
mod project;
mod protect;
mod replay;
mod room;
mod ticket;

use std::path::Path;

use serde_json::json;

pub(super) use self::combine::room_outside;

use self::anchor::anchor;
use self::auto::{auto, is_auto};
use self::combine::{Given, check_edited, check_trained};
use self::edit::edit;
use self::elastic::elastic;
use self::first_tokens::first_tokens;
use self::layers::layers;
use self::lora::lora;
use self::merge::{check_merge, merge};
use self::project::project;
use self::protect::protect;
use self::replay::replay;
use self::room::check_room;
use self::ticket::{MOST_DRAWS, drawn, ticket};
use super::sweep::grid;
use super::training::{calibration, training};
use crate::data::spec::DataSpec;
use crate::pipeline::node::Node;
use crate::pipeline::reader::{Findings, Section, text};
use crate::pipeline::settings::{Arm, ArmTicket, Calibration, Edit, Edited, Task, Ticket, Train, Training};

const TRAIN: [(&str, Train); 7] = [
    ("all", Train::All),
    ("maskable", Train::Maskable),
    ("complement", Train::Complement),
    ("ticket", Train::Ticket),
    ("random", Train::Random),
    ("lora", Train::Lora),
    ("none", Train::None),
];

/// What stands around an arm.
pub(super) struct Around<'a> {
    /// The arms above it, which it can take after or be made of.
    pub earlier: &'a [Arm],
    /// The names of all arms.
    pub names: &'a [&'a str],
    /// The section's hyperparameters.
    pub defaults: &'a Training,
    /// The tasks of a sequence.
    pub tasks: &'a [Task],
    /// The pipeline's tickets.
    pub tickets: &'a [Ticket],
    /// What the model is aligned with, where the pipeline aligns it.
    pub aligned_with: &'a [DataSpec],
    /// Whether the pipeline knows the model that the aligned one was made of.
    pub has_base: bool,
    /// The pipeline file's folder.
    pub folder: &'a Path,
}

impl Around<'_> {
    /// The arm above that `node`, the value of `key`, names.
    fn above(&self, node: &Node, name: &str, key: &str, findings: &mut Findings) -> Option<&Arm> {
        let wanted = text(node).unwrap_or_default();
        let found = self.earlier.iter().find(|arm| arm.name == wanted);
        if found.is_none() {
            let remedy = if wanted == name {
                "name another arm".to_owned()
            } else if self.names.contains(&wanted.as_str()) {
                format!("write {wanted} above {name}")
            } else {
                format!("arms are {}", self.names.join(", "))
            };
            findings.problem(node.place, key, format!("there is no arm {wanted:?} above {name}"), Some(remedy));
        }
        found
    }
}

/// One arm, or one for every draw of its random ticket.
pub(super) fn arm(node: &Node, name: &str, path: &str, around: &Around<'_>, findings: &mut Findings) -> Vec<Arm> {
    let mut section = Section::new(node, path, findings);
    let like = section.get("like").and_then(|node| around.above(node, name, &format!("{path}.like"), findings));
    let from = section.get("from").map(|node| around.above(node, name, &format!("{path}.from"), findings));
    let said = section.get("edit").map(|node| edit(node, &format!("{path}.edit"), around.tickets, findings));
    let inherited = like.and_then(|like| like.edit.as_ref());
    let is_edited = from.is_some() || said.is_some() || (inherited.is_some() && section.get("train").is_none());
    let mut arm = trained(&mut section, name, like, around, findings);
    arm.sweep = match section.get("sweep") {
        Some(node) => Some(grid(node, &format!("{path}.sweep"), findings)),
        None => like.and_then(|like| like.sweep.clone()).filter(|_| !is_edited),
    };
    if let Some(like) = like.filter(|like| like.auto.is_some()) {
        let message = format!("{path} takes after {}, whose recipe is not known before its race", like.name);
        findings.problem(
            section.place_of("like"),
            &section.join("like"),
            message,
            Some("write protect: auto here too, or name another arm".into()),
        );
    }
    let at = section.get("draws").map(|node| node.place);
    let draws = section.whole("draws", 1, findings).unwrap_or(1);
    section.describe("draws", json!({"type": "integer", "minimum": 1, "maximum": MOST_DRAWS}));
    let draws = at.map(|at| (at, draws));
    let (chosen, race) = (is_auto(&mut section), section.get("auto"));
    if chosen && !is_edited {
        let race = auto(&section, race, &arm, around, findings);
        (arm.train, arm.sweep, arm.auto) = (Train::None, None, Some(race));
    } else if is_edited {
        let keys = Given { from: from.is_some(), edit: said.is_some(), like, base: around.has_base };
        let source = from.flatten().or_else(|| around.earlier.iter().find(|arm| inherited.is_some_and(|edited| edited.from == arm.name)));
        let (edit, restored) = said.flatten().or_else(|| Some((inherited?.edit, None))).unzip();
        let restored = restored.flatten();
        check_edited(&section, &keys, edit, restored.is_some(), findings);
        let restores = edit == Some(Edit::Restore);
        arm.ticket = arm.ticket.or(restored).or_else(|| like.and_then(|like| like.ticket.clone())).filter(|_| restores);
        arm.edit = source.zip(edit).map(|(source, edit)| Edited { from: source.name.clone(), edit });
        (arm.train, arm.density, arm.replay, arm.lora, arm.layers) = (Train::None, None, None, None, None);
        (arm.first_tokens, arm.anchor, arm.elastic, arm.project, arm.merge) = (None, None, None, None, None);
        if let Some(source) = source {
            // What its weights were trained with.
            (arm.training, arm.calibration) = (source.training.clone(), source.calibration);
            arm.tasks.clone_from(&source.tasks);
        }
    } else {
        if race.is_some() {
            let message = format!("{path} says how a recipe is chosen, and has one");
            findings.problem(section.place_of("auto"), &section.join("auto"), message, Some("write protect: auto, or remove auto".into()));
        }
        check_trained(&section, &arm, around.tickets, findings);
        check_room(&section, &arm, around.tasks.len(), around.tickets, findings);
        check_merge(&section, &arm, around.tasks.len(), findings);
    }
    section.finish(findings);
    drawn(arm, draws, path, findings)
}

/// The keys of an arm that trains.
fn trained(section: &mut Section<'_>, name: &str, like: Option<&Arm>, around: &Around<'_>, findings: &mut Findings) -> Arm {
    let path = section.path.clone();
    let training = training(section, like.map_or(around.defaults, |like| &like.training), findings);
    // What is wrong in the arm's own keys was told above.
    let mut told = Findings::default();
    let of_task = |(i, task): (usize, &Task)| like.and_then(|like| like.tasks.get(i)).unwrap_or(&task.training).clone();
    let outer: Vec<Training> = around.tasks.iter().enumerate().map(of_task).collect();
    let tasks = outer.iter().map(|outer| self::training(section, outer, &mut told)).collect();
    let train = section.choice("train", &TRAIN, findings).or(like.map(|like| like.train)).unwrap_or(Train::All);
    let density = section
        .number("density", "a share in (0, 1]", |share| share > 0.0 && share <= 1.0, findings)
        .or(like.and_then(|like| like.density));
    let around_ticket = matches!(train, Train::Complement | Train::Ticket);
    let ticket = match section.get("ticket") {
        Some(node) => ticket(node, &format!("{path}.ticket"), around.tickets, findings),
        None if around_ticket => {
            like.and_then(|like| like.ticket.clone()).or_else(|| around.tickets.first().map(|first| ArmTicket::Named(first.name.clone())))
        }
        None => None,
    };
    let calibration = calibration(section, like.map_or_else(Calibration::default, |like| like.calibration), findings);
    let replay = match section.get("replay") {
        Some(node) => replay(node, &format!("{path}.replay"), around.folder, findings),
        None => like.and_then(|like| like.replay.clone()),
    };
    let node = section.get("lora");
    let factors = lora(node, &format!("{path}.lora"), like.and_then(|like| like.lora.as_ref()), findings);
    let layers = match section.get("layers") {
        Some(node) => layers(node, &format!("{path}.layers"), findings),
        None => like.and_then(|like| like.layers.clone()),
    };
    let lora = (train == Train::Lora).then_some(factors);
    let first_tokens = match section.get("first_tokens") {
        Some(node) => {
            let inherited = like.and_then(|like| like.first_tokens.as_ref());
            Some(first_tokens(node, &format!("{path}.first_tokens"), inherited, findings))
        }
        None => like.and_then(|like| like.first_tokens.clone()),
    };
    let anchor = match section.get("anchor") {
        Some(node) => {
            let inherited = like.and_then(|like| like.anchor.as_ref());
            Some(anchor(node, &format!("{path}.anchor"), inherited, around, findings))
        }
        None => like.and_then(|like| like.anchor.clone()),
    };
    let elastic = match section.get("elastic") {
        Some(node) => {
            let inherited = like.and_then(|like| like.elastic.as_ref());
            Some(elastic(node, &format!("{path}.elastic"), inherited, around, findings))
        }
        None => like.and_then(|like| like.elastic.clone()),
    };
    let project = match section.get("project") {
        Some(node) => {
            let inherited = like.and_then(|like| like.project.as_ref());
            Some(project(node, &format!("{path}.project"), inherited, around, findings))
        }
        None => like.and_then(|like| like.project.clone()),
    };
    let merge = match section.get("merge") {
        Some(node) => merge(node, &format!("{path}.merge"), around.tasks.len(), findings),
        None => like.and_then(|like| like.merge.clone()).filter(|_| train != Train::None),
    };
    let mut arm = Arm {
        name: name.into(),
        family: None,
        sweep: None,
        train,
        density,
        ticket,
        calibration,
        training,
        tasks,
        replay,
        first_tokens,
        anchor,
        elastic,
        project,
        lora,
        layers,
        merge,
        edit: None,
        auto: None,
        until: None,
    };
    protect(section, &mut arm, around, findings);
    arm
}
