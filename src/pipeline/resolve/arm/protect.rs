//! `protect`: several protections of an arm by their names, each as its own key would be with its defaults.

use serde_json::json;

use super::Around;
use super::auto::is_auto;
use crate::data::spec::DataSpec;
use crate::pipeline::data::sources;
use crate::pipeline::reader::{Findings, Section, choose, list};
use crate::pipeline::settings::{Arm, ArmTicket, Elastic, FirstTokens, Project, Replay, Train};

#[derive(Clone, Copy, PartialEq)]
enum Protection {
    Ticket,
    Replay,
    FirstTokens,
    Anchor,
    Elastic,
    Project,
}

/// The key that each stands for.
const PROTECTIONS: [(&str, Protection, &str); 6] = [
    ("ticket", Protection::Ticket, "train"),
    ("replay", Protection::Replay, "replay"),
    ("first-tokens", Protection::FirstTokens, "first_tokens"),
    ("anchor", Protection::Anchor, "anchor"),
    ("elastic", Protection::Elastic, "elastic"),
    ("project", Protection::Project, "project"),
];

/// Gives an arm the protections that `protect` names: `ticket` trains outside the pipeline's first ticket, `replay` rehearses one row in
/// eight of what the model was aligned with, `anchor` holds it to the aligned model there, `first-tokens` holds the first tokens, `elastic`
/// holds the weights on which those rows depend, and `project` takes from each gradient what would raise their loss.
pub(super) fn protect(section: &mut Section<'_>, arm: &mut Arm, around: &Around<'_>, findings: &mut Findings) {
    let path = section.join("protect");
    let one = json!({"enum": PROTECTIONS.map(|(name, _, _)| name)});
    section.describe("protect", json!({"anyOf": [{"const": "auto"}, one, {"type": "array", "items": one, "minItems": 1}]}));
    let Some(node) = section.get("protect").filter(|_| !is_auto(section)) else { return };
    let names = PROTECTIONS.map(|(name, protection, _)| (name, protection));
    let mut chosen: Vec<Protection> = Vec::new();
    for item in list(node) {
        chosen.extend(choose(item, &path, &names, findings).filter(|protection| !chosen.contains(protection)));
    }
    if list(node).is_empty() {
        findings.problem(node.place, &path, format!("{path} names no protection"), Some("write protect: [ticket, replay]".into()));
    }
    for (name, protection, key) in PROTECTIONS {
        if !chosen.contains(&protection) {
            continue;
        }
        if section.entries().iter().any(|(given, _, _)| *given == key) {
            let message = format!("{path} names {name}, and {} says it in full", section.join(key));
            findings.problem(node.place, &path, message, Some(format!("remove {key}, or {name} from protect")));
            continue;
        }
        match protection {
            Protection::Ticket => {
                arm.train = Train::Complement;
                arm.ticket = arm.ticket.take().or_else(|| around.tickets.first().map(|first| ArmTicket::Named(first.name.clone())));
                arm.lora = None;
            }
            Protection::Replay => arm.replay = Some(Replay { data: safety_data(around), share: super::replay::SHARE }),
            Protection::FirstTokens => arm.first_tokens = Some(FirstTokens::default()),
            Protection::Anchor => arm.anchor = Some(super::anchor::usual(safety_data(around))),
            Protection::Elastic => {
                arm.elastic = Some(Elastic { data: safety_data(around), strength: super::elastic::STRENGTH, rows: super::elastic::ROWS })
            }
            Protection::Project => arm.project = Some(Project { data: safety_data(around), rows: super::project::ROWS }),
        }
    }
}

/// The `data` of a section; where it names none, that of the arm it takes after, else [`safety_data`].
pub(super) fn own_or_safety_data(
    section: &mut Section<'_>,
    inherited: Option<&Vec<DataSpec>>,
    around: &Around<'_>,
    findings: &mut Findings,
) -> Vec<DataSpec> {
    let path = section.join("data");
    match section.get("data") {
        Some(node) => sources(node, &path, around.folder, findings),
        None => inherited.cloned().unwrap_or_else(|| safety_data(around)),
    }
}

/// What the model was aligned with, where the pipeline says so; else the program's own refusals, and helpful replies beside them, so that
/// refusing is not all that is rehearsed.
pub(super) fn safety_data(around: &Around<'_>) -> Vec<DataSpec> {
    match around.aligned_with {
        [] => ["builtin:refusals", "builtin:helpful"].map(DataSpec::new).into(),
        data => data.to_vec(),
    }
}
