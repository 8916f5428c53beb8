//! `finetune.tasks`: several tasks.

use std::collections::BTreeSet;
use std::path::Path;

use super::folder_name;
use super::training::training;
use crate::pipeline::data::sources;
use crate::pipeline::node::Node;
use crate::pipeline::reader::{Findings, Section, list, text};
use crate::pipeline::settings::{Evaluate, Task, Training};

/// What to write.
const EXAMPLE: &str = "write tasks: [{name: sums, data: sums.jsonl}, {name: letters, data: letters.jsonl}]";

pub(super) fn tasks(node: &Node, folder: &Path, outer: &Training, findings: &mut Findings) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    for (i, node) in list(node).into_iter().enumerate() {
        let path = format!("finetune.tasks.{i}");
        let mut section = Section::new(node, &path, findings);
        let name = section.text("name", findings);
        let data = section.get("data").map(|node| sources(node, &format!("{path}.data"), folder, findings));
        let suite = section.text("suite", findings);
        let training = training(&mut section, outer, findings);
        let (place, at) = (section.place, section.place_of("name"));
        section.finish(findings);
        if data.as_ref().is_none_or(Vec::is_empty) {
            findings.problem(place, &path, format!("{path} has no data"), Some(EXAMPLE.into()));
        }
        let Some(name) = name else {
            findings.problem(place, &path, format!("{path} has no name"), Some(EXAMPLE.into()));
            continue;
        };
        folder_name(&name, at, &format!("{path}.name"), findings);
        if tasks.iter().any(|task| task.name == name) {
            findings.problem(at, &format!("{path}.name"), format!("two tasks are named {name:?}"), Some("rename one of them".into()));
        }
        tasks.push(Task { name, data: data.unwrap_or_default(), suite, training });
    }
    if list(node).is_empty() {
        findings.problem(node.place, "finetune.tasks", "finetune.tasks names no task", Some(EXAMPLE.into()));
    }
    tasks
}

/// Checks that the suites that tasks name are there; `finetune` is the section's node.
pub(super) fn check_suites(finetune: &Node, evaluate: &Evaluate, findings: &mut Findings) {
    // The sections were read before: what was found in them is known.
    let mut known = Findings::default();
    let mut measured = BTreeSet::new();
    let Some(tasks) = Section::new(finetune, "finetune", &mut known).get("tasks") else { return };
    for (i, node) in list(tasks).into_iter().enumerate() {
        let path = format!("finetune.tasks.{i}");
        let Some(node) = Section::new(node, &path, &mut known).get("suite") else { continue };
        let wanted = text(node).unwrap_or_default();
        if !measured.insert(wanted.clone()) {
            let remedy = "give each task a suite of its own, or join the tasks".to_owned();
            findings.problem(node.place, &format!("{path}.suite"), format!("suite {wanted:?} measures two tasks"), Some(remedy));
        }
        if evaluate.suites.iter().all(|suite| suite.name != wanted) {
            let names: Vec<&str> = evaluate.suites.iter().map(|suite| suite.name.as_str()).collect();
            let remedy = format!("suites are {}", names.join(", "));
            findings.problem(node.place, &format!("{path}.suite"), format!("there is no suite {wanted:?}"), Some(remedy));
        }
    }
}
