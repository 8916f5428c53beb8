//! What can be told of endpoints, and of judges that the user names, before any is asked.

use super::node::Place;
use super::reader::Findings;
use super::settings::{Dtype, Endpoint, Pipeline};
use crate::eval::judge;

/// Checks the endpoints and the judges of a pipeline against the rest of it.
pub(super) fn check_endpoints(pipeline: &Pipeline, place: Place, findings: &mut Findings) {
    let evaluate = &pipeline.evaluate;
    let named = evaluate.endpoints.iter().map(|judge| &judge.name).chain(evaluate.comparers.iter().map(|comparer| &comparer.name));
    let named = named.map(|name| (name, "name: llm, endpoint"));
    for (name, form) in named.chain(evaluate.classifiers.iter().map(|judge| (&judge.name, "name: minos, classifier"))) {
        if judge::by_name(name).is_ok() {
            findings.problem(
                place,
                "evaluate.judges",
                format!("the program has a judge {name:?} of its own"),
                Some(format!("give yours another name: {{{form}: …}}")),
            );
        }
    }
    let endpoints = evaluate.endpoints.iter().map(|judge| &judge.endpoint);
    for endpoint in endpoints.chain(evaluate.comparers.iter().map(|comparer| &comparer.endpoint)) {
        clear_text(endpoint, "evaluate.judges", place, findings);
    }
    let names: Vec<&String> = evaluate.judges.iter().chain(evaluate.comparers.iter().map(|comparer| &comparer.name)).collect();
    for (i, name) in names.iter().enumerate() {
        if names[..i].contains(name) {
            findings.problem(place, "evaluate.judges", format!("judge {name:?} stands twice"), Some("name each judge once".into()));
        }
    }
    if evaluate.probes.is_some() && pipeline.finetune.is_some() && !evaluate.judges.is_empty() && evaluate.rule_judges().next().is_none() {
        findings.problem(
            place,
            "evaluate.probes",
            "probes need a judge that comes with the program, to tell which replies are refusals",
            Some("write phrases before the others: judges: [phrases, {name: …}], or leave probes out".into()),
        );
    }
    let model = &pipeline.model;
    let Some(endpoint) = &model.endpoint else { return };
    clear_text(endpoint, "model.endpoint", place, findings);
    let weights = [
        ("model.base", model.base.is_some()),
        ("model.aligned", model.aligned.is_some()),
        ("model.chat_template", model.chat_template.is_some()),
        ("model.dtype", model.dtype != Dtype::Source),
        ("pretrain", pipeline.pretrain.is_some()),
        ("align", pipeline.align.is_some()),
        ("ticket", pipeline.tickets.iter().any(|ticket| ticket.name == "ticket")),
        ("tickets", pipeline.tickets.iter().any(|ticket| ticket.name != "ticket")),
        ("finetune", pipeline.finetune.is_some()),
        ("evaluate.probes", evaluate.probes.is_some()),
        ("evaluate.base", evaluate.base),
        ("evaluate.divergence", evaluate.divergence.is_some()),
        ("evaluate.quantization", evaluate.quantization.is_some()),
    ];
    let chosen = evaluate.suites.iter().filter(|suite| !suite.expect.is_generated());
    let begun = evaluate.suites.iter().filter(|suite| suite.manner.prefill.is_some());
    let of_suites = chosen.map(|suite| format!("evaluate.suites.{}", suite.name));
    let of_suites = of_suites.chain(begun.map(|suite| format!("evaluate.suites.{}.prefill", suite.name)));
    let given = weights.into_iter().filter(|(_, given)| *given).map(|(key, _)| key.to_owned());
    for key in given.chain(of_suites) {
        findings.problem(
            place,
            &key,
            format!("{key} needs a model's weights, and the model is behind an endpoint, which gives text alone"),
            Some(format!("remove {key}, or write model: {{aligned: hf://OWNER/NAME@COMMIT}} instead of model.endpoint")),
        );
    }
}

/// A key, and harmful prompts, in clear text through a network.
fn clear_text(endpoint: &Endpoint, key: &str, place: Place, findings: &mut Findings) {
    if endpoint.url.starts_with("http://") && !endpoint.is_this_machine() {
        let what = if endpoint.key_env.is_some() { "prompts, replies and the key" } else { "prompts and replies" };
        let message = format!("{what} go to {} unencrypted", endpoint.host());
        findings.warning(place, key, message, Some("write https:// where the server has it".into()));
    }
}
