//! `evaluate.judges`: by name, behind a URL, or an encoder.

use std::path::Path;

use super::classifier::{self, classifier};
use super::endpoint::{self, Asked, judging};
use super::folder_name;
use crate::pipeline::node::{Node, Value};
use crate::pipeline::reader::{Findings, Section, list, text};
use crate::pipeline::settings::{ClassifierJudge, Comparer, Endpoint, EndpointJudge};

/// The judges of a pipeline.
pub(super) struct Named {
    /// The names of all that judge one reply, in order.
    pub names: Vec<String>,
    /// Those that are language models behind a URL.
    pub endpoints: Vec<EndpointJudge>,
    /// Those that are encoders.
    pub classifiers: Vec<ClassifierJudge>,
    /// Those that compare two replies, and are not among the names.
    pub comparers: Vec<Comparer>,
}

impl Default for Named {
    fn default() -> Self {
        Self { names: vec!["phrases".to_owned()], endpoints: Vec::new(), classifiers: Vec::new(), comparers: Vec::new() }
    }
}

pub(super) fn judges(node: &Node, folder: &Path, findings: &mut Findings) -> Named {
    let mut named = Named { names: Vec::new(), ..Named::default() };
    for (i, node) in list(node).into_iter().enumerate() {
        let path = format!("evaluate.judges.{i}");
        if let Value::Map(entries) = &node.value {
            let has = |wanted: &str| entries.iter().any(|(key, _, value)| key == wanted && value.value != Value::Null);
            if has("classifier") && !has("endpoint") {
                let found = classifier(node, &path, folder, findings);
                named.names.extend(found.iter().map(|judge| judge.name.clone()));
                named.classifiers.extend(found);
            } else {
                match behind(node, &path, findings) {
                    Some((name, endpoint, Asked::Rubric(template))) => {
                        named.names.push(name.clone());
                        named.endpoints.push(EndpointJudge { name, endpoint, template });
                    }
                    Some((name, endpoint, Asked::Pairwise)) => named.comparers.push(Comparer { name, endpoint }),
                    None => {}
                }
            }
        } else if let Some(name) = text(node) {
            named.names.push(name);
        } else {
            let remedy = "write a name, or {name: llm, endpoint: {url: https://HOST/v1, model: NAME, template: refusal}}";
            findings.problem(node.place, &path, format!("{path} is {}, expected a judge", node.kind()), Some(remedy.into()));
        }
    }
    named
}

/// A judge behind a URL.
fn behind(node: &Node, path: &str, findings: &mut Findings) -> Option<(String, Endpoint, Asked)> {
    let mut section = Section::new(node, path, findings);
    let name = name(&mut section, "llm", findings);
    let inner = section.get("endpoint");
    if let Some(both) = section.get("classifier").filter(|_| inner.is_some()) {
        let message = format!("{path} has an endpoint and a classifier");
        findings.problem(both.place, path, message, Some("write two judges, each with a name".into()));
    } else if inner.is_none() {
        let remedy = format!("{}; or {}", endpoint::EXAMPLE, classifier::EXAMPLE);
        findings.problem(section.place, path, format!("{path} has no endpoint and no classifier"), Some(remedy));
    }
    section.finish(findings);
    let (endpoint, asked) = judging(inner?, &format!("{path}.endpoint"), findings);
    Some((name?, endpoint?, asked?))
}

/// The name that the user gives a judge.
pub(super) fn name(section: &mut Section<'_>, example: &str, findings: &mut Findings) -> Option<String> {
    let (name, path) = (section.text("name", findings), section.path.clone());
    match &name {
        Some(name) => folder_name(name, section.place, &format!("{path}.name"), findings),
        None => findings.problem(section.place, &path, format!("{path} has no name"), Some(format!("write name: {example}"))),
    }
    name
}
