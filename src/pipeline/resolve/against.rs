//! What is measured of arms against the aligned model: `evaluate.divergence`, and `compare` of suites.

use crate::pipeline::node::{Node, Place};
use crate::pipeline::reader::{Findings, Section, list, text};
use crate::pipeline::settings::{Comparer, Divergence, Expect, Suite};

/// Tokens of a reply where the pipeline does not say.
const TOKENS: u64 = 32;

/// `evaluate.divergence`; the suites are all whose prompts are answered, where it names none.
pub(super) fn divergence(node: &Node, suites: &[Suite], findings: &mut Findings) -> Option<Divergence> {
    let path = "evaluate.divergence";
    let mut section = Section::new(node, path, findings);
    let tokens = section.whole("tokens", 1, findings).unwrap_or(TOKENS) as usize;
    let generated: Vec<&str> = suites.iter().filter(|suite| suite.expect.is_generated()).map(|suite| suite.name.as_str()).collect();
    let mut names: Vec<String> = Vec::new();
    match section.get("suites") {
        None => names.extend(generated.iter().map(|name| (*name).to_owned())),
        Some(node) => {
            for item in list(node) {
                let name = text(item).unwrap_or_default();
                if generated.contains(&name.as_str()) && !names.contains(&name) {
                    names.push(name);
                } else {
                    let why = if names.contains(&name) { "stands twice" } else { "is no suite whose prompts are answered" };
                    let remedy = format!("there are {}", generated.join(", "));
                    findings.problem(item.place, &format!("{path}.suites"), format!("{path}.suites: {name:?} {why}"), Some(remedy));
                }
            }
        }
    }
    let place = section.place;
    section.finish(findings);
    if names.is_empty() {
        let message = format!("{path} has no suite whose prompts are answered: nothing would be measured");
        findings.problem(place, path, message, Some("remove divergence, or add a suite: {prompts: builtin:benign, expect: answer}".into()));
        return None;
    }
    Some(Divergence { tokens, suites: names })
}

/// Checks who compares what.
pub(super) fn against(suites: &[Suite], comparers: &[Comparer], place: Place, findings: &mut Findings) {
    let names: Vec<&str> = comparers.iter().map(|comparer| comparer.name.as_str()).collect();
    for suite in suites {
        let Some(judge) = &suite.compare else { continue };
        let path = format!("evaluate.suites.{}.compare", suite.name);
        if suite.expect != Expect::Answer {
            let message = format!("{path}: only answers to good prompts are compared, and this suite expects something else");
            findings.problem(place, &path, message, Some("remove compare, or write expect: answer".into()));
        }
        if !names.contains(&judge.as_str()) {
            let remedy = format!(
                "write judges: [phrases, {{name: {judge}, endpoint: {{url: https://HOST/v1, model: NAME, template: pairwise}}}}]{}",
                if names.is_empty() { String::new() } else { format!("; or compare: {}", names.join(", or ")) }
            );
            findings.problem(
                place,
                &path,
                format!("{path} is {judge:?}, and no judge of that name has the template pairwise"),
                Some(remedy),
            );
        }
    }
    for name in names.into_iter().filter(|name| suites.iter().all(|suite| suite.compare.as_deref() != Some(name))) {
        let message = format!("judge {name:?} compares two replies, and no suite asks it to");
        findings.problem(
            place,
            "evaluate.judges",
            message,
            Some(format!("write suites: {{benign: {{prompts: …, expect: answer, compare: {name}}}}}")),
        );
    }
}
