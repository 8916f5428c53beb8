//! What can be told of a pipeline before anything is downloaded, beyond single keys.

use super::check_auto::check_auto;
use super::check_endpoints::check_endpoints;
use super::check_sweep::check_sweep;
use super::node::Place;
use super::reader::Findings;
use super::settings::{Arm, ArmTicket, Pipeline, Score, Ticket, Train};
use crate::eval::judge;
use crate::record::Expect;

/// Checks the settings as a whole.
pub fn check(pipeline: &Pipeline, place: Place, findings: &mut Findings) {
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
    let models = || [&model.base, &model.aligned].into_iter().flatten();
    let of_others = models().any(|model| !is_tiny(model));
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
    if against && pipeline.finetune.is_none() && !evaluate.base {
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
            || pipeline.evaluate.suites.iter().any(|suite| {
                matches!(suite.expect, Expect::ExactMatch | Expect::MultipleChoice | Expect::Rouge)
                    && metric.starts_with(&format!("{}.", suite.name))
            })
    };
    if !pipeline.gate.is_empty() && !pipeline.gate.iter().any(|rule| is_utility(&rule.metric)) {
        findings.warning(
            place,
            "gate",
            "no rule asks whether the task was learned: an arm that learned nothing would pass",
            Some("add {arm: protected, metric: task_nll, retain_at_least: 0.9, of: unprotected}".into()),
        );
    }
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
