//! What can be told of a pipeline before anything is downloaded, beyond single keys.

use std::collections::BTreeMap;

use super::check_auto::check_auto;
use super::check_endpoints::check_endpoints;
use super::check_sweep::check_sweep;
use super::node::Place;
use super::reader::Findings;
use super::settings::{Arm, ArmTicket, Pipeline, Probe, Score, Suite, Ticket, Train};
use crate::eval::judge;
use crate::eval::metric::Metric;
use crate::record::Expect;

/// Checks the settings as a whole; `other` is the model that is asked the suites, where that is not the pipeline's own.
pub fn check(pipeline: &Pipeline, other: Option<&str>, place: Place, findings: &mut Findings) {
    let model = &pipeline.model;
    if let (Some(_), Some(base)) = (&pipeline.pretrain, &model.base) {
        findings.problem(
            place,
            "pretrain",
            format!("the base is given ({base}) and made by pretrain"),
            Some("remove model.base or pretrain".into()),
        );
    }
    check_endpoints(pipeline, place, findings);
    check_sweep(pipeline, place, findings);
    check_auto(pipeline, place, findings);
    let base = model.base.is_some() || pipeline.pretrain.is_some();
    match (base.then_some(()), &model.aligned, &pipeline.align) {
        (_, Some(_), Some(_)) => {
            findings.problem(place, "align", "the aligned model is given and made by align", Some("remove model.aligned or align".into()))
        }
        (None, _, Some(_)) => findings.problem(place, "align", "align needs a base model", Some("write model.base, or pretrain:".into())),
        (Some(_), None, None) => findings.problem(
            place,
            "model",
            "there is a base, and nothing makes it an aligned model",
            Some("write align:, or name it model.aligned".into()),
        ),
        (None, None, None) if model.endpoint.is_none() => {
            findings.problem(place, "model", "the pipeline names no model", Some("write model: {aligned: …}".into()))
        }
        _ => {}
    }
    for ticket in &pipeline.tickets {
        if ticket.score == Score::TaskVector && !base {
            findings.problem(
                place,
                &(if ticket.name == "ticket" { "ticket".to_owned() } else { format!("tickets.{}", ticket.name) }),
                "a task-vector ticket needs a base model",
                Some("write model.base, or score: snip".into()),
            );
        }
    }
    for name in pipeline.evaluate.rule_judges() {
        if judge::by_name(name).is_err() {
            findings.problem(
                place,
                "evaluate.judges",
                format!("there is no judge {name:?}"),
                Some(format!("judges are {}", judge::names().join(", "))),
            );
        }
    }
    if pipeline.evaluate.suites.is_empty() {
        findings.problem(
            place,
            "evaluate.suites",
            "there is no suite: nothing would be measured",
            Some("write suites: {harmful: {prompts: builtin:harmful, expect: refusal}}".into()),
        );
    }
    let evaluate = &pipeline.evaluate;
    let is_tiny = |source: &str| source.starts_with("builtin:tiny-");
    let own = || [&model.base, &model.aligned].into_iter().flatten();
    let of_others = other.map_or_else(|| own().any(|model| !is_tiny(model)), |other| !is_tiny(other));
    for suite in evaluate.suites.iter().filter(|suite| of_others && is_tiny(&suite.prompts.source)) {
        let path = format!("evaluate.suites.{}", suite.name);
        let message = format!("{} is for the embedded model and what is made of it, and says nothing of another", suite.prompts.source);
        let remedy = match suite.expect {
            Expect::Refusal => "for another model take builtin:harmful, or prompts of your own",
            Expect::Answer => "for another model take builtin:benign or builtin:contrast-prompts, or prompts of your own",
            _ => "for another model take rows of your own",
        };
        findings.warning(place, &path, message, Some(remedy.into()));
    }
    let against = evaluate.divergence.is_some() || evaluate.suites.iter().any(|suite| suite.compare.is_some());
    if against && pipeline.finetune.is_none() && !evaluate.base && other.is_none() {
        let message = "divergence and compare are of arms beside the aligned model, and there is none";
        findings.warning(place, "evaluate", message, Some("add finetune.arms".into()));
    }
    if pipeline.gate.is_empty() {
        let message = "there is no rule: the run measures and ends inconclusive, with exit code 3";
        findings.warning(place, "gate", message, Some("add {arm: aligned, metric: harmful.refusal_rate, at_least: 0.8}".into()));
    }
    let Some(finetune) = &pipeline.finetune else { return };
    let is_utility = |metric: &str| {
        metric == "task_nll"
            || pipeline.evaluate.suites.iter().any(|suite| is_task(suite) && metric.starts_with(&format!("{}.", suite.name)))
    };
    if !pipeline.gate.is_empty() && !pipeline.gate.iter().any(|rule| is_utility(&rule.metric)) {
        let message = "no rule asks whether the task was learned: an arm that learned nothing would pass";
        findings.warning(place, "gate", message, Some(utility_rule(pipeline, &finetune.arms)));
    }
    folders(&pipeline.seeds, &finetune.arms, place, findings);
    twins(&pipeline.tickets, &finetune.arms, place, findings);
    let protected = finetune.arms.iter().any(|arm| matches!(arm.ticket, Some(ArmTicket::Named(_))));
    let control = finetune.arms.iter().any(|arm| matches!(arm.ticket, Some(ArmTicket::Random { .. })));
    if protected && !control {
        findings.warning(
            place,
            "finetune.arms",
            "no arm has a random ticket: the report cannot tell the ticket from any mask",
            Some("add control: {like: protected, ticket: random}".into()),
        );
    }
}

/// Every seed of an arm has a folder of its own in a run, `ARM` of seed 0 and `ARM-seed-N` of every other.
fn folders(seeds: &[u64], arms: &[Arm], place: Place, findings: &mut Findings) {
    let folder = |name: &str, seed: u64| if seed == 0 { name.to_owned() } else { format!("{name}-seed-{seed}") };
    let mut made: BTreeMap<String, (&str, u64)> = BTreeMap::new();
    for (arm, &seed) in arms.iter().flat_map(|arm| seeds.iter().map(move |seed| (arm, seed))) {
        let Some((other, of)) = made.insert(folder(&arm.name, seed), (arm.name.as_str(), seed)) else { continue };
        // Two arms of one name, and a seed that stands twice, are told elsewhere.
        if other != arm.name {
            let message = format!("arm {} with seed {seed} and arm {other} with seed {of} would have the same folder", arm.name);
            let named = if seed == 0 { arm.name.as_str() } else { other };
            findings.problem(place, &format!("finetune.arms.{named}"), message, Some("choose another name".into()));
        }
    }
}

/// Whether a suite measures the task.
fn is_task(suite: &Suite) -> bool {
    matches!(suite.expect, Expect::ExactMatch | Expect::MultipleChoice | Expect::Rouge)
}

/// A rule that asks whether the task was learned, of what there is: about an arm that the gate is about already, beside one that trains
/// every weight.
fn utility_rule(pipeline: &Pipeline, arms: &[Arm]) -> String {
    let evaluate = &pipeline.evaluate;
    // The rows of a suite may have no replies to take the loss of; those of a probe have.
    let is_probed = evaluate.probes.as_ref().is_some_and(|probes| probes.task.is_some() && probes.of.contains(&Probe::TaskNll));
    let of_suite = |suite: &Suite| format!("{}.{}", suite.name, Metric::names(suite.expect).first().unwrap_or(&""));
    let metric = if is_probed { Some("task_nll".to_owned()) } else { evaluate.suites.iter().find(|suite| is_task(suite)).map(of_suite) };
    let gated = pipeline.gate.iter().map(|rule| &rule.arm).find(|name| arms.iter().any(|arm| arm.name == **name));
    let (Some(metric), Some(arm)) = (metric, gated.or(arms.last().map(|arm| &arm.name))) else {
        return "add a suite of the task, or held-out rows of it (evaluate: {probes: {task: ROWS}}), and a rule about it".into();
    };
    let others = || arms.iter().filter(|other| other.name != *arm);
    let condition = match others().find(|other| other.train == Train::All).or_else(|| others().next()) {
        Some(of) => format!("retain_at_least: 0.9, of: {}", of.name),
        None if is_probed => "at_most: 1".into(),
        None => "at_least: 0.5".into(),
    };
    format!("add {{arm: {arm}, metric: {metric}, {condition}}}")
}

/// A twin without an arm that can be compared tells nothing.
fn twins(tickets: &[Ticket], arms: &[Arm], place: Place, findings: &mut Findings) {
    for (ticket, original) in tickets.iter().filter_map(|ticket| Some((&ticket.name, ticket.twin_of.as_ref()?))) {
        let around = |name: &String| -> Vec<&Arm> {
            let named = Some(ArmTicket::Named(name.clone()));
            let written = |arm: &&Arm| arm.family.as_ref().is_none_or(|family| *family == arm.name);
            arms.iter().filter(written).filter(|arm| arm.ticket == named && arm.train == Train::Complement).collect()
        };
        let bare = |arm: &Arm| Arm { name: String::new(), family: None, sweep: None, ticket: None, ..arm.clone() };
        let (own, theirs) = (around(original), around(ticket));
        if own.iter().any(|own| theirs.iter().any(|theirs| bare(own) == bare(theirs))) {
            continue;
        }
        let like = own.first().map_or("ARM", |arm| arm.name.as_str());
        findings.warning(
            place,
            "finetune.arms",
            format!("ticket {ticket} is the twin of {original}, and no two arms differ in these tickets alone: they are not compared"),
            Some(format!("add {ticket}: {{like: {like}, ticket: {ticket}}}")),
        );
    }
}
