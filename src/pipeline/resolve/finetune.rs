//! `finetune`: the custom task, and its arms.

use std::path::Path;

use super::arm::{Around, arm};
use super::folder_name;
use super::sweep::{expanded, sweep};
use super::tasks::tasks;
use super::training::{trainer, training};
use crate::data::spec::DataSpec;
use crate::pipeline::data::sources;
use crate::pipeline::node::{Node, Value};
use crate::pipeline::reader::{Findings, Section};
use crate::pipeline::settings::{Arm, Finetune, Ticket, safety_rows};

pub(super) fn finetune(
    node: &Node,
    folder: &Path,
    tickets: &[Ticket],
    (aligned_with, has_base): (&[DataSpec], bool),
    findings: &mut Findings,
) -> Option<Finetune> {
    let mut section = Section::new(node, "finetune", findings);
    let data = section.get("data").map(|node| sources(node, "finetune.data", folder, findings)).unwrap_or_default();
    let defaults = training(&mut section, &trainer(), findings);
    let tasks_node = section.get("tasks");
    let arms_node = section.get("arms");
    let sweep_node = section.get("sweep");
    let audit_node = section.get("audit");
    let (place, data_place) = (section.place, section.get("data").map(|_| section.place_of("data")));
    section.finish(findings);
    let audit = audit_node.map(|node| audit(node, folder, tickets, findings)).unwrap_or_default();
    let tasks = tasks_node.map(|node| tasks(node, folder, &defaults, findings)).unwrap_or_default();
    match (data_place, tasks_node) {
        (Some(place), Some(_)) => findings.problem(
            place,
            "finetune.data",
            "finetune has data and tasks, whose rows are their own",
            Some("move it into a task, tasks: [{name: NAME, data: …}], or remove tasks".into()),
        ),
        (_, None) if data.is_empty() => {
            findings.problem(
                place,
                "finetune.data",
                "finetune has no data",
                Some("write data: my.jsonl, or tasks: [{name: …, data: …}]".into()),
            );
        }
        _ => {}
    }
    let Some(arms_node) = arms_node else {
        findings.problem(place, "finetune.arms", "finetune has no arms", Some("write arms: {unprotected: {train: all}}".into()));
        return None;
    };
    let names: Vec<&str> = Section::named(arms_node, "finetune.arms", findings).entries().iter().map(|(name, _, _)| *name).collect();
    let swept = sweep_node.map(|node| sweep(node, &names, findings));
    let (mut arms, mut written): (Vec<Arm>, Vec<&str>) = (Vec::new(), Vec::new());
    for (name, place, node) in Section::named(arms_node, "finetune.arms", findings).entries() {
        let path = format!("finetune.arms.{name}");
        folder_name(name, *place, &path, findings);
        if matches!(*name, "aligned" | "base") {
            findings.problem(
                *place,
                &path,
                format!("an arm cannot be named {name:?}: that is the model it is compared with"),
                Some("choose another name".into()),
            );
        }
        let around = Around { earlier: &arms, names: &names, defaults: &defaults, tasks: &tasks, tickets, aligned_with, has_base, folder };
        let made = arm(node, name, &path, &around, findings);
        arms.extend(made);
        written.resize(arms.len(), *name);
    }
    if let Some(swept) = &swept {
        let without = arms.iter_mut().zip(&written).filter(|(arm, _)| arm.sweep.is_none() && arm.auto.is_none());
        without.for_each(|(arm, name)| arm.sweep = swept.of(name).cloned());
    }
    if let Some(arm) = arms.iter().find(|arm| !tasks.is_empty() && arm.sweep.is_some()) {
        findings.problem(
            sweep_node.map_or(place, |node| node.place),
            "finetune.sweep",
            format!("arm {} is swept, and learns several tasks, each with its own settings", arm.name),
            Some("sweep one task at a time: write data in place of tasks, or remove sweep".into()),
        );
    }
    if let Some(arm) = arms.iter().find(|arm| !tasks.is_empty() && arm.auto.is_some()) {
        findings.problem(
            place,
            "finetune.arms",
            format!("arm {} is chosen by a race, and there are several tasks: a race is on one", arm.name),
            Some("write data in place of tasks, or say what the arm trains".into()),
        );
    }
    let arms = expanded(arms, tickets, sweep_node.map_or(place, |node| node.place), findings);
    for (_, arm) in arms.iter().enumerate().filter(|(i, arm)| arms[..*i].iter().any(|other| other.name == arm.name)) {
        findings.problem(
            place,
            "finetune.arms",
            format!("two arms are named {:?}: draws are named after their arm", arm.name),
            Some("rename one of them".into()),
        );
    }
    Some(Finetune { data, tasks, audit, arms })
}

/// The refusals that an audit compares the rows with: those that are named, or with `audit: true` the data of the first ticket that has any.
fn audit(node: &Node, folder: &Path, tickets: &[Ticket], findings: &mut Findings) -> Vec<DataSpec> {
    match node.value {
        Value::Bool(false) => Vec::new(),
        Value::Bool(true) => {
            let found = safety_rows(tickets).cloned();
            if found.is_none() {
                let message = "finetune.audit is true, and no ticket of the pipeline has data to compare the rows with";
                findings.problem(node.place, "finetune.audit", message, Some("name refusals: audit: builtin:refusals".into()));
            }
            found.into_iter().collect()
        }
        _ => sources(node, "finetune.audit", folder, findings),
    }
}
