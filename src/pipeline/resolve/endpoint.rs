//! `endpoint`: a language model behind a URL, as a judge or as the model.

use serde_json::{Map, Value as Json};

use crate::eval::judge::pairwise;
use crate::hub::chat::{OURS, bad_url};
use crate::pipeline::node::{Node, Value};
use crate::pipeline::reader::{Findings, Section};
use crate::pipeline::settings::{Endpoint, Price, Rubric};

/// Requests at once where the pipeline does not say.
const CONCURRENCY: u64 = 4;
const MOST_AT_ONCE: u64 = 64;
/// Seconds that a request may take where the pipeline does not say.
const TIMEOUT: u64 = 120;

pub(super) const EXAMPLE: &str = "write endpoint: {url: https://HOST/v1, model: NAME, key_env: OPENAI_API_KEY}";

/// `model.endpoint`.
pub(super) fn endpoint(node: &Node, path: &str, findings: &mut Findings) -> Option<Endpoint> {
    let mut section = Section::new(node, path, findings);
    let endpoint = read(&mut section, findings);
    section.finish(findings);
    endpoint
}

/// What a judge behind an endpoint is asked.
#[derive(Clone, Copy)]
pub(super) enum Asked {
    /// Of one reply.
    Rubric(Rubric),
    /// Of two.
    Pairwise,
}

/// The `endpoint` of a judge, which also says what is asked.
pub(super) fn judging(node: &Node, path: &str, findings: &mut Findings) -> (Option<Endpoint>, Option<Asked>) {
    let mut section = Section::new(node, path, findings);
    let mut templates: Vec<(&str, Asked)> = Rubric::NAMES.iter().map(|&(name, rubric)| (name, Asked::Rubric(rubric))).collect();
    templates.push((pairwise::NAME, Asked::Pairwise));
    let template = section.choice("template", &templates, findings);
    if section.get("template").is_none() {
        let remedy = "write template: refusal, harm, strongreject or pairwise";
        findings.problem(section.place, path, format!("{path} does not say what is asked"), Some(remedy.into()));
    }
    let endpoint = read(&mut section, findings);
    section.finish(findings);
    (endpoint, template)
}

fn read(section: &mut Section<'_>, findings: &mut Findings) -> Option<Endpoint> {
    let path = section.path.clone();
    let url = section.text("url", findings).map(|url| url.trim_end_matches('/').to_owned());
    let model = section.text("model", findings);
    let key_env = section.text("key_env", findings);
    let concurrency = section.whole("concurrency", 1, findings).unwrap_or(CONCURRENCY);
    let timeout_seconds = section.whole("timeout_seconds", 1, findings).unwrap_or(TIMEOUT);
    let parameters = section.get("parameters").map(|node| parameters(node, &format!("{path}.parameters"), findings)).unwrap_or_default();
    let price = section.get("price").and_then(|node| price(node, &format!("{path}.price"), findings));
    let mut problem = |key: &'static str, message: String, remedy: &str| {
        let place = section.get(key).map_or(section.place, |node| node.place);
        findings.problem(place, &format!("{path}.{key}"), message, Some(remedy.into()));
    };
    match url.as_deref().map(bad_url) {
        None => problem("url", format!("{path} has no url"), EXAMPLE),
        // The URL itself is not shown: there may be a secret in it.
        Some(Some(why)) => problem("url", format!("{path}.url {why}"), EXAMPLE),
        Some(None) => {}
    }
    if model.as_deref().is_none_or(str::is_empty) {
        problem("model", format!("{path} names no model"), EXAMPLE);
    }
    if let Some(name) = key_env.as_deref().filter(|name| !is_variable(name)) {
        // A key that was written where its variable's name belongs is not shown.
        let message = format!("{path}.key_env is no name of an environment variable ({} characters)", name.chars().count());
        problem("key_env", message, "export the key under a name in capitals, and write that name: key_env: OPENAI_API_KEY");
    }
    if concurrency > MOST_AT_ONCE {
        let message = format!("{path}.concurrency is {concurrency}, at most {MOST_AT_ONCE} requests are made at once");
        problem("concurrency", message, "write concurrency: 4");
    }
    let url = url.filter(|url| bad_url(url).is_none())?;
    Some(Endpoint { url, model: model?, key_env, concurrency: concurrency as usize, timeout_seconds, price, parameters })
}

/// Further fields of every request, as they are written.
fn parameters(node: &Node, path: &str, findings: &mut Findings) -> Map<String, Json> {
    let Value::Map(entries) = &node.value else {
        let message = format!("{path} is {}, expected a section of the server's own fields", node.kind());
        findings.problem(node.place, path, message, Some("write parameters: {repeat_penalty: 1.0}".into()));
        return Map::new();
    };
    for (key, place, _) in entries {
        if OURS.contains(&key.as_str()) {
            let message = format!("{path}.{key} is set by the program");
            let remedy = format!("remove {key}; temperature, top_p and samples are keys of a suite, max_new_tokens too");
            findings.problem(*place, &format!("{path}.{key}"), message, Some(remedy));
        }
    }
    entries.iter().map(|(key, _, node)| (key.clone(), node.json())).collect()
}

/// Letters, digits and `_` in capitals, as variables with keys are named; a key has small letters or `-`.
fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

fn price(node: &Node, path: &str, findings: &mut Findings) -> Option<Price> {
    let mut section = Section::new(node, path, findings);
    let mut of = |key: &'static str, section: &mut Section<'_>| {
        let expected = "what a million tokens cost, at least 0";
        let found = section.number(key, expected, |number| number >= 0.0, findings);
        if found.is_none() && section.get(key).is_none() {
            let message = format!("{path} does not say what {key} costs");
            findings.problem(section.place, &format!("{path}.{key}"), message, Some("write price: {input: 0.15, output: 0.60}".into()));
        }
        found
    };
    let (input, output) = (of("input", &mut section), of("output", &mut section));
    section.finish(findings);
    Some(Price { input: input?, output: output? })
}
