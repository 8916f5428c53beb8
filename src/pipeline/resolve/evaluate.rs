//! `evaluate`: suites and probes.

use std::path::Path;

use serde_json::json;

use super::against::{against, divergence};
use super::expect::{Expected, expected, with_text};
use super::judges::{Named, judges};
use super::manner::manner;
use super::{existing, folder_name};
use crate::data::catalogue::{Entry, entries};
use crate::pipeline::data::source;
use crate::pipeline::node::Node;
use crate::pipeline::reader::{Findings, Section, choose, list, text};
use crate::pipeline::settings::{Columns, DataSpec, Evaluate, Expect, Extract, Probe, Probes, Suite};
use crate::record::Quantization;

/// Most tokens of a reply where a suite does not say.
const MAX_NEW_TOKENS: u64 = 32;
const TASK_MAX_NEW_TOKENS: u64 = 256;

pub(super) fn evaluate(node: &Node, folder: &Path, findings: &mut Findings) -> Evaluate {
    let mut section = Section::new(node, "evaluate", findings);
    let floor = section.number("floor", "a share from 0 to 1", |share| (0.0..=1.0).contains(&share), findings).unwrap_or(0.80);
    let errors_at_most = section.number("errors_at_most", "a share from 0 to 1", |share| (0.0..=1.0).contains(&share), findings);
    let max_new_tokens = section.whole("max_new_tokens", 1, findings).unwrap_or(MAX_NEW_TOKENS);
    let batch_size = section.whole("batch_size", 1, findings).unwrap_or(64) as usize;
    let quantization = section.choice("quantization", &[("none", None), ("q8_0", Some(Quantization::Q8_0))], findings).flatten();
    let base = section.flag("base", findings).unwrap_or(false);
    let given = section.get("judges");
    let Named { names: judges, endpoints, classifiers, comparers } = given.map(|node| judges(node, folder, findings)).unwrap_or_default();
    if given.is_some_and(|node| list(node).is_empty()) || (judges.is_empty() && !comparers.is_empty()) {
        findings.problem(
            section.place,
            "evaluate.judges",
            "there is no judge: nothing could be decided",
            Some("write judges: [phrases]".into()),
        );
    }
    let calibration = section
        .text("calibration", findings)
        .map(|path| existing(&mut section, "calibration", &folder.join(path), "give what judge calibrate --out wrote", findings));
    let mut suites = Vec::new();
    if let Some(node) = section.get("suites") {
        for (name, place, node) in Section::named(node, "evaluate.suites", findings).entries() {
            folder_name(name, *place, &format!("evaluate.suites.{name}"), findings);
            suites.extend(suite(node, name, max_new_tokens, folder, findings));
        }
    }
    let probes = section.get("probes").and_then(|node| probes(node, folder, findings));
    let divergence = section.get("divergence").and_then(|node| divergence(node, &suites, findings));
    against(&suites, &comparers, section.place, findings);
    section.finish(findings);
    let max_new_tokens = max_new_tokens as usize;
    Evaluate {
        floor,
        errors_at_most,
        suites,
        judges,
        endpoints,
        classifiers,
        comparers,
        calibration,
        max_new_tokens,
        batch_size,
        quantization,
        base,
        probes,
        divergence,
    }
}

fn suite(node: &Node, name: &str, max_new_tokens: u64, folder: &Path, findings: &mut Findings) -> Option<Suite> {
    let path = format!("evaluate.suites.{name}");
    let mut section = Section::new(node, &path, findings);
    let copied = section.get("prompts").is_some();
    let known = section.get("suite").and_then(|node| published(node, &path, copied, findings));
    let prompts = section.get("prompts").and_then(|node| source(node, &format!("{path}.prompts"), folder, findings));
    let limit = section.whole("limit", 1, findings).map(|limit| limit as usize);
    let prompts = prompts.or_else(|| known.map(|entry| DataSpec::new(entry.hub.clone()))).map(|prompts| DataSpec {
        // Columns that the user names win over the catalogue's.
        variants: known.filter(|_| prompts.columns == Columns::default()).map(Entry::variants).unwrap_or_default(),
        limit: prompts.limit.or(limit),
        ..prompts
    });
    let Expected { expect, answer, choice, window, text } = expected(section.get("expect"), known, &path, section.place, findings);
    let expect = expect.unwrap_or(Expect::Refusal);
    let prompts = prompts.map(|prompts| DataSpec { columns: with_text(prompts.columns, text, &path, section.place, findings), ..prompts });
    let compare = section.text("compare", findings);
    let words = [("gsm8k", Extract::Gsm8k), ("last_number", Extract::LastNumber), ("text", Extract::Text)];
    let usual = known.and_then(|entry| entry.extract.as_deref()).and_then(|name| words.iter().find(|(word, _)| *word == name));
    let extract = section.choice("extract", &words, findings).unwrap_or(usual.map_or(Extract::Gsm8k, |(_, extract)| *extract));
    let default = match expect {
        Expect::ExactMatch | Expect::Rouge => TASK_MAX_NEW_TOKENS,
        Expect::MultipleChoice | Expect::Perplexity => 0,
        Expect::Refusal | Expect::Answer => max_new_tokens,
    };
    let given = section.whole("max_new_tokens", 1, findings);
    if let (false, Some(_), Some(node)) = (expect.is_generated(), given, section.get("max_new_tokens")) {
        let what = if expect == Expect::Perplexity { "texts" } else { "choices" };
        let message = format!("{path} has {what}: nothing is generated");
        findings.problem(node.place, &format!("{path}.max_new_tokens"), message, Some("remove max_new_tokens".into()));
    }
    let max_new_tokens = given.unwrap_or(default) as usize;
    let manner = manner(&mut section, expect, known.and_then(|entry| entry.template.clone()), findings);
    let place = section.place;
    section.finish(findings);
    if prompts.is_none() {
        findings.problem(place, &path, format!("{path} has no prompts"), Some("write prompts: builtin:harmful".into()));
    }
    Some(Suite { name: name.into(), prompts: prompts?, expect, manner, answer, extract, choice, window, compare, max_new_tokens })
}

/// A suite of the catalogue. Where the user gives a copy, the one on the hub does not matter.
fn published(node: &Node, path: &str, copied: bool, findings: &mut Findings) -> Option<&'static Entry> {
    let name = text(node).unwrap_or_default();
    let path = format!("{path}.suite");
    let Some(entry) = entries().iter().find(|entry| entry.name == name) else {
        let near = entries().iter().max_by(|a, b| strsim::jaro_winkler(&a.name, &name).total_cmp(&strsim::jaro_winkler(&b.name, &name)));
        let remedy = near.map(|entry| format!("did you mean {}? `steadfast suites` lists them", entry.name));
        findings.problem(node.place, &path, format!("there is no published suite {name:?}"), remedy);
        return None;
    };
    if !copied && (!entry.pinned || entry.gated) {
        let what = if entry.gated { "asks for a login" } else { "is not pinned to a commit" };
        let own = entry.download.as_ref().map(|file| format!("download {} (sha256 {}), and write prompts: FILE", file.url, file.sha256));
        findings.warning(node.place, &path, format!("the copy of {name} on the hub {what}"), own);
    }
    Some(entry)
}

fn probes(node: &Node, folder: &Path, findings: &mut Findings) -> Option<Probes> {
    let mut section = Section::new(node, "evaluate.probes", findings);
    let every = section.whole("every", 1, findings).unwrap_or(5);
    let words = [
        ("drift", Probe::Drift),
        ("refusal_log_odds", Probe::RefusalLogOdds),
        ("task_nll", Probe::TaskNll),
        ("refusal_rate", Probe::RefusalRate),
        ("answered_rate", Probe::AnsweredRate),
    ];
    let word = json!({"enum": words.iter().map(|(word, _)| *word).collect::<Vec<_>>()});
    section.describe("of", json!({"anyOf": [word, {"type": "array", "items": word}]}));
    let of = match section.get("of") {
        Some(node) => list(node).into_iter().filter_map(|node| choose(node, "evaluate.probes.of", &words, findings)).collect(),
        // Those that ask take the time of a suite: only where they are wanted.
        None => words.iter().take(3).map(|(_, probe)| *probe).collect(),
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
