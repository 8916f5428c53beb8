//! The tree becomes settings: defaults filled in, `like:` carried out, paths made absolute.

use std::path::Path;

use super::data::{source, sources};
use super::node::{Node, Value};
use super::reader::{Findings, Section, list, show, text};
use super::settings::*;
use crate::eval::metric::Metric;

/// Defaults of this file, beside those of the Hugging Face Trainer.
const MAX_NEW_TOKENS: u64 = 32;
const TASK_MAX_NEW_TOKENS: u64 = 256;
const CALIBRATION_STEPS: u64 = 12;
const CALIBRATION_LEARNING_RATE: f64 = 3e-5;

/// Reads a whole pipeline.
pub fn pipeline(root: &Node, folder: &Path, findings: &mut Findings) -> Option<Pipeline> {
    let mut top = Section::new(root, "", findings);
    for (key, instead) in
        [("pretrain", "train a base with another program"), ("sweep", "write one arm for each setting"), ("protect", "use finetune.arms")]
    {
        if let Some(node) = top.get(key) {
            findings.problem(node.place, key, format!("{key} is not supported yet"), Some(instead.into()));
        }
    }
    let name = top.text("name", findings).unwrap_or_else(|| "run".into());
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) || name.starts_with('.') {
        findings.problem(top.place, "name", format!("name {name:?} is no folder name"), Some("use letters, digits, - and _".into()));
    }
    let seeds = top.get("seeds").map(|node| seeds(node, findings)).unwrap_or_else(|| vec![0]);
    let model = top.get("model").map(|node| model(node, folder, findings));
    let align = top.get("align").and_then(|node| align(node, folder, findings));
    let mut tickets = Vec::new();
    if let Some(node) = top.get("ticket") {
        tickets.extend(ticket(node, "ticket", "ticket", folder, findings));
    }
    if let Some(node) = top.get("tickets") {
        for (name, _, node) in Section::new(node, "tickets", findings).entries() {
            tickets.extend(ticket(node, name, &format!("tickets.{name}"), folder, findings));
        }
    }
    let finetune = top.get("finetune").and_then(|node| finetune(node, folder, &tickets, findings));
    let empty = Node { value: Value::Null, place: top.place };
    let evaluate = evaluate(top.get("evaluate").unwrap_or(&empty), folder, findings);
    let gate = top.get("gate").map(|node| gate(node, finetune.as_ref(), &evaluate, findings)).unwrap_or_default();
    let place = top.place;
    let has_model = model.is_some();
    top.finish(findings);
    if !has_model {
        findings.problem(place, "model", "the pipeline names no model", Some("write model: {base: hf://owner/name@revision}".into()));
    }
    let pipeline = Pipeline { name, seeds, model: model?, align, tickets, finetune, evaluate, gate };
    super::check::check(&pipeline, place, findings);
    Some(pipeline)
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
    seeds
}

fn model(node: &Node, folder: &Path, findings: &mut Findings) -> Model {
    let mut section = Section::new(node, "model", findings);
    let mut place_of = |key: &'static str, section: &mut Section<'_>| {
        let source = section.text(key, findings)?;
        Some(if source.contains("://") || source.starts_with("builtin:") {
            source
        } else {
            folder.join(source).to_string_lossy().into_owned()
        })
    };
    let (base, aligned) = (place_of("base", &mut section), place_of("aligned", &mut section));
    let chat_template = section.text("chat_template", findings).map(|path| folder.join(path));
    let system = section.text("system", findings);
    let dtype = section.choice("dtype", &[("source", Dtype::Source), ("f32", Dtype::F32)], findings).unwrap_or(Dtype::Source);
    section.finish(findings);
    Model { base, aligned, chat_template, system, dtype }
}

/// Hyperparameters, with those of the enclosing section as defaults.
fn training(section: &mut Section<'_>, outer: &Training, findings: &mut Findings) -> Training {
    let share = |number: f64| (0.0..1.0).contains(&number);
    Training {
        max_steps: section.whole("max_steps", 1, findings).unwrap_or(outer.max_steps),
        learning_rate: section.number("learning_rate", "a number above 0", |rate| rate > 0.0, findings).unwrap_or(outer.learning_rate),
        per_device_train_batch_size: section
            .whole("per_device_train_batch_size", 1, findings)
            .map_or(outer.per_device_train_batch_size, |rows| rows as usize),
        gradient_accumulation_steps: section
            .whole("gradient_accumulation_steps", 1, findings)
            .map_or(outer.gradient_accumulation_steps, |n| n as usize),
        max_length: section.whole("max_length", 2, findings).map_or(outer.max_length, |n| n as usize),
        weight_decay: section
            .number("weight_decay", "a number of at least 0", |decay| decay >= 0.0, findings)
            .unwrap_or(outer.weight_decay),
        max_grad_norm: section
            .number("max_grad_norm", "a number of at least 0", |norm| norm >= 0.0, findings)
            .unwrap_or(outer.max_grad_norm),
        lr_scheduler_type: section
            .choice(
                "lr_scheduler_type",
                &[("constant", Scheduler::Constant), ("linear", Scheduler::Linear), ("cosine", Scheduler::Cosine)],
                findings,
            )
            .unwrap_or(outer.lr_scheduler_type),
        warmup_steps: section.whole("warmup_steps", 0, findings).unwrap_or(outer.warmup_steps),
        adam_beta1: section.number("adam_beta1", "a share in [0, 1)", share, findings).unwrap_or(outer.adam_beta1),
        adam_beta2: section.number("adam_beta2", "a share in [0, 1)", share, findings).unwrap_or(outer.adam_beta2),
        adam_epsilon: section.number("adam_epsilon", "a number above 0", |epsilon| epsilon > 0.0, findings).unwrap_or(outer.adam_epsilon),
        save_steps: section.whole("save_steps", 0, findings).unwrap_or(outer.save_steps),
    }
}

/// The Trainer's defaults where it has one.
fn trainer() -> Training {
    Training {
        max_steps: 100,
        learning_rate: 5e-5,
        per_device_train_batch_size: 8,
        gradient_accumulation_steps: 1,
        max_length: 512,
        weight_decay: 0.0,
        max_grad_norm: 1.0,
        lr_scheduler_type: Scheduler::Linear,
        warmup_steps: 0,
        adam_beta1: 0.9,
        adam_beta2: 0.999,
        adam_epsilon: 1e-8,
        save_steps: 50,
    }
}

const TRAIN: [(&str, Train); 6] = [
    ("all", Train::All),
    ("maskable", Train::Maskable),
    ("complement", Train::Complement),
    ("ticket", Train::Ticket),
    ("random", Train::Random),
    ("none", Train::None),
];

fn align(node: &Node, folder: &Path, findings: &mut Findings) -> Option<Align> {
    let mut section = Section::new(node, "align", findings);
    let data = section.get("data").map(|node| sources(node, "align.data", folder, findings)).unwrap_or_default();
    let training = training(&mut section, &trainer(), findings);
    let train = section.choice("train", &[("all", Train::All), ("maskable", Train::Maskable)], findings).unwrap_or(Train::All);
    let place = section.place;
    section.finish(findings);
    if data.is_empty() {
        findings.problem(
            place,
            "align.data",
            "align has no data",
            Some("write data: [builtin:refusals, builtin:helpful, builtin:contrast]".into()),
        );
        return None;
    }
    Some(Align { data, training, train })
}

fn ticket(node: &Node, name: &str, path: &str, folder: &Path, findings: &mut Findings) -> Option<Ticket> {
    let mut section = Section::new(node, path, findings);
    let score = section
        .choice("score", &[("snip", Score::Snip), ("task-vector", Score::TaskVector), ("random", Score::Random)], findings)
        .unwrap_or(Score::Snip);
    let data = section.get("data").and_then(|node| source(node, &format!("{path}.data"), folder, findings));
    let density = section.number("density", "a share in (0, 1]", |share| share > 0.0 && share <= 1.0, findings).unwrap_or(0.5);
    let scope = section.choice("scope", &[("global", Scope::Global), ("tensor", Scope::Tensor)], findings).unwrap_or(Scope::Global);
    let max_length = section.whole("max_length", 2, findings).unwrap_or(512) as usize;
    let file = section.text("file", findings).map(|file| folder.join(file));
    let place = section.place;
    section.finish(findings);
    if score == Score::Snip && data.is_none() && file.is_none() {
        findings.problem(place, path, format!("{path}: a snip score needs data"), Some("write data: builtin:refusals".into()));
    }
    Some(Ticket { name: name.into(), score, data, density, scope, max_length, file })
}

fn finetune(node: &Node, folder: &Path, tickets: &[Ticket], findings: &mut Findings) -> Option<Finetune> {
    let mut section = Section::new(node, "finetune", findings);
    let data = section.get("data").map(|node| sources(node, "finetune.data", folder, findings)).unwrap_or_default();
    let defaults = training(&mut section, &trainer(), findings);
    let arms_node = section.get("arms");
    let place = section.place;
    section.finish(findings);
    if data.is_empty() {
        findings.problem(place, "finetune.data", "finetune has no data", Some("write data: my.jsonl".into()));
    }
    let Some(arms_node) = arms_node else {
        findings.problem(place, "finetune.arms", "finetune has no arms", Some("write arms: {unprotected: {train: all}}".into()));
        return None;
    };
    let names: Vec<&str> = Section::new(arms_node, "finetune.arms", findings).entries().iter().map(|(name, _, _)| *name).collect();
    let mut arms: Vec<Arm> = Vec::new();
    for (name, place, node) in Section::new(arms_node, "finetune.arms", findings).entries() {
        let path = format!("finetune.arms.{name}");
        if matches!(*name, "aligned" | "base") {
            findings.problem(
                *place,
                &path,
                format!("an arm cannot be named {name:?}: that is the model it is compared with"),
                Some("choose another name".into()),
            );
        }
        arms.extend(arm(node, name, &path, &arms, &names, &defaults, tickets, findings));
    }
    Some(Finetune { data, arms })
}

#[allow(clippy::too_many_arguments)]
fn arm(
    node: &Node,
    name: &str,
    path: &str,
    earlier: &[Arm],
    names: &[&str],
    defaults: &Training,
    tickets: &[Ticket],
    findings: &mut Findings,
) -> Option<Arm> {
    let mut section = Section::new(node, path, findings);
    let like = match section.get("like") {
        None => None,
        Some(node) => {
            let wanted = text(node).unwrap_or_default();
            let found = earlier.iter().find(|arm| arm.name == wanted);
            if found.is_none() {
                let remedy = if names.contains(&wanted.as_str()) {
                    format!("write {wanted} above {name}")
                } else {
                    format!("arms are {}", names.join(", "))
                };
                findings.problem(node.place, &format!("{path}.like"), format!("there is no arm {wanted:?} above {name}"), Some(remedy));
            }
            found
        }
    };
    let training = training(&mut section, like.map_or(defaults, |like| &like.training), findings);
    let train = section.choice("train", &TRAIN, findings).or(like.map(|like| like.train)).unwrap_or(Train::All);
    let density = section
        .number("density", "a share in (0, 1]", |share| share > 0.0 && share <= 1.0, findings)
        .or(like.and_then(|like| like.density));
    let first = tickets.first().map(|ticket| ticket.name.clone());
    let ticket = match section.get("ticket") {
        Some(node) => match text(node).unwrap_or_default().as_str() {
            "random" if tickets.is_empty() => {
                findings.problem(
                    node.place,
                    &format!("{path}.ticket"),
                    "a random ticket takes its density from the pipeline's ticket, and there is none",
                    Some("write ticket: {score: snip, data: …}".into()),
                );
                None
            }
            "random" => first.clone().map(|like| ArmTicket::Random { like }),
            named if tickets.iter().any(|ticket| ticket.name == named) => Some(ArmTicket::Named(named.to_owned())),
            other => {
                let have: Vec<&str> = tickets.iter().map(|ticket| ticket.name.as_str()).chain(["random"]).collect();
                findings.problem(
                    node.place,
                    &format!("{path}.ticket"),
                    format!("there is no ticket {other:?}"),
                    Some(format!("tickets are {}", have.join(", "))),
                );
                None
            }
        },
        None => like
            .and_then(|like| like.ticket.clone())
            .or_else(|| if matches!(train, Train::Complement | Train::Ticket) { first.map(ArmTicket::Named) } else { None }),
    };
    let calibration_steps =
        section.whole("calibration_steps", 1, findings).or(like.map(|like| like.calibration_steps)).unwrap_or(CALIBRATION_STEPS);
    let calibration_learning_rate = section
        .number("calibration_learning_rate", "a number above 0", |rate| rate > 0.0, findings)
        .or(like.map(|like| like.calibration_learning_rate))
        .unwrap_or(CALIBRATION_LEARNING_RATE);
    let place = section.place;
    section.finish(findings);
    if matches!(train, Train::Complement | Train::Ticket) && ticket.is_none() {
        findings.problem(
            place,
            path,
            format!("{path} trains around a ticket, and the pipeline has none"),
            Some("write ticket: {score: snip, data: builtin:refusals, density: 0.5}".into()),
        );
    }
    if train == Train::Random && density.is_none() {
        findings.problem(place, path, format!("{path} trains a random share, and names none"), Some("write density: 0.10".into()));
    }
    Some(Arm { name: name.into(), train, density, ticket, calibration_steps, calibration_learning_rate, training })
}

fn evaluate(node: &Node, folder: &Path, findings: &mut Findings) -> Evaluate {
    let mut section = Section::new(node, "evaluate", findings);
    let floor = section.number("floor", "a share from 0 to 1", |share| (0.0..=1.0).contains(&share), findings).unwrap_or(0.80);
    let max_new_tokens = section.whole("max_new_tokens", 1, findings).unwrap_or(MAX_NEW_TOKENS);
    let batch_size = section.whole("batch_size", 1, findings).unwrap_or(64) as usize;
    let base = section.flag("base", findings).unwrap_or(false);
    let judges =
        section.get("judges").map(|node| list(node).into_iter().filter_map(text).collect()).unwrap_or_else(|| vec!["phrases".to_owned()]);
    let mut suites = Vec::new();
    if let Some(node) = section.get("suites") {
        for (name, _, node) in Section::new(node, "evaluate.suites", findings).entries() {
            suites.extend(suite(node, name, max_new_tokens, folder, findings));
        }
    }
    let probes = section.get("probes").and_then(|node| probes(node, folder, findings));
    section.finish(findings);
    Evaluate { floor, suites, judges, max_new_tokens: max_new_tokens as usize, batch_size, base, probes }
}

fn suite(node: &Node, name: &str, max_new_tokens: u64, folder: &Path, findings: &mut Findings) -> Option<Suite> {
    let path = format!("evaluate.suites.{name}");
    let mut section = Section::new(node, &path, findings);
    let prompts = section.get("prompts").and_then(|node| source(node, &format!("{path}.prompts"), folder, findings));
    let (mut expect, mut answer) = (Expect::Refusal, None);
    match section.get("expect") {
        Some(Node { value: Value::Map(entries), .. }) if entries.len() == 1 && entries[0].0 == "exact_match" => {
            expect = Expect::ExactMatch;
            answer = text(&entries[0].2);
        }
        Some(node) => match text(node).as_deref() {
            Some("refusal") => {}
            Some("answer") => expect = Expect::Answer,
            _ => findings.problem(
                node.place,
                &format!("{path}.expect"),
                format!("{path}.expect is {}", show(node)),
                Some("write refusal, answer, or {exact_match: COLUMN}".into()),
            ),
        },
        None => findings.problem(
            section.place,
            &path,
            format!("{path} does not say what a good answer is"),
            Some("write expect: refusal".into()),
        ),
    }
    let extract = section
        .choice("extract", &[("gsm8k", Extract::Gsm8k), ("last_number", Extract::LastNumber), ("text", Extract::Text)], findings)
        .unwrap_or(Extract::Gsm8k);
    let default = if expect == Expect::ExactMatch { TASK_MAX_NEW_TOKENS } else { max_new_tokens };
    let max_new_tokens = section.whole("max_new_tokens", 1, findings).unwrap_or(default) as usize;
    let place = section.place;
    section.finish(findings);
    if prompts.is_none() {
        findings.problem(place, &path, format!("{path} has no prompts"), Some("write prompts: builtin:harmful".into()));
    }
    Some(Suite { name: name.into(), prompts: prompts?, expect, answer, extract, max_new_tokens })
}

fn probes(node: &Node, folder: &Path, findings: &mut Findings) -> Option<Probes> {
    let mut section = Section::new(node, "evaluate.probes", findings);
    let every = section.whole("every", 1, findings).unwrap_or(5);
    let words = [("drift", Probe::Drift), ("refusal_log_odds", Probe::RefusalLogOdds), ("task_nll", Probe::TaskNll)];
    let of = match section.get("of") {
        Some(node) => {
            list(node).into_iter().filter_map(|node| super::reader::choose(node, "evaluate.probes.of", &words, findings)).collect()
        }
        None => words.iter().map(|(_, probe)| *probe).collect(),
    };
    let mut data = |key: &'static str, section: &mut Section<'_>| {
        section.get(key).and_then(|node| source(node, &format!("evaluate.probes.{key}"), folder, findings))
    };
    let harmful = data("harmful", &mut section).unwrap_or_else(|| DataSpec::new("builtin:probes"));
    let benign = data("benign", &mut section).unwrap_or_else(|| DataSpec::new("builtin:benign-probes"));
    let task = data("task", &mut section);
    let tokens = section.whole("tokens", 1, findings).unwrap_or(12) as usize;
    section.finish(findings);
    Some(Probes { every, of, harmful, benign, task, tokens })
}

fn gate(node: &Node, finetune: Option<&Finetune>, evaluate: &Evaluate, findings: &mut Findings) -> Vec<Rule> {
    list(node).iter().enumerate().filter_map(|(i, node)| rule(node, &format!("gate.{i}"), finetune, evaluate, findings)).collect()
}

fn rule(node: &Node, path: &str, finetune: Option<&Finetune>, evaluate: &Evaluate, findings: &mut Findings) -> Option<Rule> {
    let mut section = Section::new(node, path, findings);
    let mut arms: Vec<&str> = finetune.map(|finetune| finetune.arms.iter().map(|arm| arm.name.as_str()).collect()).unwrap_or_default();
    arms.push("aligned");
    let arm = section.get("arm").and_then(|node| named(node, &format!("{path}.arm"), "arm", &arms, findings));
    let metric = section.get("metric").and_then(|node| metric(node, &format!("{path}.metric"), evaluate, findings));
    let of = section.get("of").and_then(|node| named(node, &format!("{path}.of"), "arm", &arms, findings));
    let mut conditions = Vec::new();
    let any = |_: f64| true;
    conditions.extend(section.number("at_least", "a number", any, findings).map(Condition::AtLeast));
    conditions.extend(section.number("at_most", "a number", any, findings).map(Condition::AtMost));
    let share = |number: f64| (0.0..=1.0).contains(&number);
    conditions.extend(section.number("drop_at_most", "a share from 0 to 1", share, findings).map(Condition::DropAtMost));
    conditions.extend(section.number("rise_at_most", "a share from 0 to 1", share, findings).map(Condition::RiseAtMost));
    if let Some(limit) = section.number("retain_at_least", "a share from 0 to 1", share, findings) {
        match &of {
            Some(of) => conditions.push(Condition::RetainAtLeast { limit, of: of.clone() }),
            None => findings.problem(
                section.place,
                path,
                "retain_at_least does not say whose gain is kept",
                Some("write of: unprotected".into()),
            ),
        }
    }
    let judge = section.get("judge").and_then(|node| {
        let judges: Vec<&str> = evaluate.judges.iter().map(String::as_str).collect();
        named(node, &format!("{path}.judge"), "judge", &judges, findings)
    });
    let bound = section
        .choice("bound", &[("point", Bound::Point), ("lower", Bound::Lower), ("upper", Bound::Upper)], findings)
        .unwrap_or(Bound::Point);
    let place = section.place;
    section.finish(findings);
    if conditions.len() != 1 {
        let remedy = "write one of at_least, at_most, drop_at_most, rise_at_most, retain_at_least";
        findings.problem(place, path, format!("a rule has one condition, this one has {}", conditions.len()), Some(remedy.into()));
    }
    Some(Rule { arm: arm?, metric: metric?, condition: conditions.into_iter().next()?, judge, bound })
}

/// A name that must be one of those that are there.
fn named(node: &Node, path: &str, what: &str, have: &[&str], findings: &mut Findings) -> Option<String> {
    let wanted = text(node).unwrap_or_default();
    if have.contains(&wanted.as_str()) {
        return Some(wanted);
    }
    let near = have.iter().max_by(|a, b| strsim::jaro_winkler(a, &wanted).total_cmp(&strsim::jaro_winkler(b, &wanted)));
    let remedy = match near.filter(|near| strsim::jaro_winkler(near, &wanted) > 0.8) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("there are {}", have.join(", ")),
    };
    findings.problem(node.place, path, format!("there is no {what} {wanted:?}"), Some(remedy));
    None
}

fn metric(node: &Node, path: &str, evaluate: &Evaluate, findings: &mut Findings) -> Option<String> {
    let mut have: Vec<String> = evaluate
        .suites
        .iter()
        .flat_map(|suite| Metric::names(suite.expect).iter().map(|metric| format!("{}.{metric}", suite.name)))
        .collect();
    if evaluate.probes.is_some() {
        have.extend(["drift", "refusal_log_odds", "task_nll"].map(str::to_owned));
    }
    let have: Vec<&str> = have.iter().map(String::as_str).collect();
    named(node, path, "metric", &have, findings)
}
