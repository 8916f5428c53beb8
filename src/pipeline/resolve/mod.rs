//! The tree becomes settings: defaults filled in, `like:` carried out, paths made absolute.

mod against;
mod arm;
mod choices;
mod classifier;
mod endpoint;
mod evaluate;
mod expect;
mod finetune;
mod gate;
mod judges;
mod manner;
mod over;
mod pretrain;
mod sweep;
mod tasks;
mod ticket;
mod training;

use std::path::{Path, PathBuf};

use self::endpoint::endpoint;
use self::evaluate::evaluate;
use self::finetune::finetune;
use self::gate::gate;
use self::pretrain::pretrain;
use self::ticket::ticket;
use self::training::align;
use super::node::{Node, Place, Value};
use super::reader::{ELSEWHERE, Findings, Section, list, show, text};
use super::settings::{ComputeDtype, Dtype, Model, Pipeline};
use crate::data::template::DATE;

/// Reads a whole pipeline; `other` is the model that is asked its suites, where that is not its own.
pub fn pipeline(root: &Node, folder: &Path, other: Option<&str>, findings: &mut Findings) -> Option<Pipeline> {
    let mut top = Section::new(root, "", findings);
    for (key, instead) in ELSEWHERE {
        if let Some(node) = top.get(key) {
            findings.problem(node.place, key, format!("{key} is no section of its own"), Some(instead.into()));
        }
    }
    let name = top.text("name", findings).unwrap_or_else(|| "run".into());
    folder_name(&name, top.place, "name", findings);
    let seeds = top.get("seeds").map(|node| seeds(node, findings)).unwrap_or_else(|| vec![0]);
    let nothing = Node { value: Value::Null, place: top.place };
    let made = top.get("pretrain").is_some();
    let model = top.get("model").or(made.then_some(&nothing)).map(|node| model(node, folder, findings));
    let pretrain = top.get("pretrain").and_then(|node| pretrain(node, folder, findings));
    let align = top.get("align").and_then(|node| align(node, folder, findings));
    let mut tickets = Vec::new();
    if let Some(node) = top.get("ticket") {
        tickets.extend(ticket(node, "ticket", "ticket", folder, &[], findings));
    }
    if let Some(node) = top.get("tickets") {
        for (name, place, node) in Section::named(node, "tickets", findings).entries() {
            let path = format!("tickets.{name}");
            folder_name(name, *place, &path, findings);
            let taken = match *name {
                "random" => Some("arms write ticket: random for one that is drawn"),
                "ticket" if tickets.iter().any(|ticket| ticket.name == "ticket") => Some("the pipeline's own, under ticket:, is called so"),
                _ => None,
            };
            if let Some(why) = taken {
                findings.problem(*place, &path, format!("a ticket cannot be named {name:?}: {why}"), Some("choose another name".into()));
            }
            let read = ticket(node, name, &path, folder, &tickets, findings);
            tickets.extend(read);
        }
    }
    let aligned_with = align.as_ref().map_or(&[][..], |align| &align.data);
    let has_base = made || model.as_ref().is_some_and(|model: &Model| model.base.is_some());
    let finetune = top.get("finetune").and_then(|node| finetune(node, folder, &tickets, (aligned_with, has_base), findings));
    let evaluate = evaluate(top.get("evaluate").unwrap_or(&nothing), folder, findings);
    if let Some(node) = top.get("finetune") {
        tasks::check_suites(node, &evaluate, findings);
    }
    let gate = top.get("gate").map(|node| gate(node, finetune.as_ref(), &evaluate, findings)).unwrap_or_default();
    let place = top.place;
    let has_model = model.is_some();
    top.finish(findings);
    if !has_model && pretrain.is_none() {
        findings.problem(
            place,
            "model",
            "the pipeline names no model",
            Some("write model: {aligned: hf://OWNER/NAME@COMMIT}, or a folder".into()),
        );
    }
    let pipeline = Pipeline { name, seeds, model: model?, pretrain, align, tickets, finetune, evaluate, gate };
    super::check::check(&pipeline, other, place, findings);
    Some(pipeline)
}

/// A path of the pipeline; a problem where nothing is there.
fn existing(section: &mut Section<'_>, key: &'static str, path: &Path, remedy: &str, findings: &mut Findings) -> PathBuf {
    if !path.exists() {
        let place = section.get(key).map_or(section.place, |node| node.place);
        let name = section.join(key);
        findings.problem(place, &name, format!("{name}: there is nothing at {}", path.display()), Some(remedy.into()));
    }
    path.to_path_buf()
}

/// Where a model is: an address as written, or a path made absolute; a problem where nothing is there.
fn model_source(section: &mut Section<'_>, key: &'static str, folder: &Path, remedy: &str, findings: &mut Findings) -> Option<String> {
    let source = section.text(key, findings)?;
    if source.contains("://") || source.starts_with("builtin:") {
        return Some(source);
    }
    Some(existing(section, key, &folder.join(source), remedy, findings).to_string_lossy().into_owned())
}

/// Names become folders and parts of metrics: `name`, arms, tickets and suites.
fn folder_name(name: &str, place: Place, path: &str, findings: &mut Findings) {
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
        findings.problem(place, path, format!("{name:?} is no name"), Some("use letters, digits, - and _".into()));
    }
}

fn seeds(node: &Node, findings: &mut Findings) -> Vec<u64> {
    let seeds: Vec<u64> = list(node).into_iter().filter_map(text).filter_map(|seed| seed.parse().ok()).collect();
    if seeds.is_empty() || seeds.len() != list(node).len() {
        findings.problem(
            node.place,
            "seeds",
            format!("seeds is {}, expected a list of whole numbers", show(node)),
            Some("write seeds: [0]".into()),
        );
        return vec![0];
    }
    if let Some(twice) = seeds.iter().enumerate().find(|(i, seed)| seeds[..*i].contains(seed)) {
        findings.problem(
            node.place,
            "seeds",
            format!("seed {} stands twice: the same run would count as two", twice.1),
            Some("write each seed once".into()),
        );
    }
    seeds
}

fn model(node: &Node, folder: &Path, findings: &mut Findings) -> Model {
    let mut section = Section::new(node, "model", findings);
    let mut place_of = |key: &'static str, section: &mut Section<'_>| {
        model_source(section, key, folder, "write hf://OWNER/NAME@COMMIT, a Hugging Face folder, or a .gguf file", findings)
    };
    let (base, aligned) = (place_of("base", &mut section), place_of("aligned", &mut section));
    let endpoint = section.get("endpoint").and_then(|node| endpoint(node, "model.endpoint", findings));
    let chat_template = section
        .text("chat_template", findings)
        .map(|path| existing(&mut section, "chat_template", &folder.join(path), "give a Jinja file", findings));
    let system = section.text("system", findings);
    let date = match section.text("date", findings).map(|text| (text.parse(), text)) {
        None => DATE,
        Some((Ok(date), _)) => date,
        Some((Err(_), text)) => {
            let place = section.get("date").map_or(section.place, |node| node.place);
            findings.problem(place, "model.date", format!("model.date is {text:?}, expected a day"), Some("write date: 2026-01-31".into()));
            DATE
        }
    };
    let dtype = section.choice("dtype", &[("source", Dtype::Source), ("f32", Dtype::F32)], findings).unwrap_or(Dtype::Source);
    let words = [("auto", ComputeDtype::Auto), ("f32", ComputeDtype::F32), ("bf16", ComputeDtype::Bf16)];
    let compute_dtype = section.choice("compute_dtype", &words, findings).unwrap_or(ComputeDtype::Auto);
    section.finish(findings);
    Model { base, aligned, endpoint, chat_template, system, date, dtype, compute_dtype }
}
