//! The gate as SARIF 2.1.0: one result a rule that does not hold, for code scanning and editors.
//!
//! Source: the OASIS standard, and what GitHub reads of it (docs.github.com, "SARIF support for code scanning").

use serde_json::{Value, json};

use super::shown;
use crate::record::{Decision, Record, RuleOutcome};

/// Most characters of a message; GitHub shows no more than a thousand.
const MESSAGE: usize = 1000;

/// The log; a gate that passed has no results.
pub fn render(record: &Record) -> String {
    let mut outcomes: Vec<RuleOutcome> = record.gate.as_ref().map(|gate| gate.rules.clone()).unwrap_or_default();
    // A run can stop before its rules, or because an arm could not be trained: where no rule says so, the verdict is a result.
    let (decision, headline) =
        record.gate.as_ref().map_or((Decision::Error, "no gate was decided"), |gate| (gate.decision, gate.headline.as_str()));
    if outcomes.iter().all(|outcome| outcome.decision != decision) && decision != Decision::Pass {
        outcomes.push(verdict(decision, headline));
    }
    let mut rules: Vec<&str> = outcomes.iter().map(|outcome| outcome.rule.as_str()).collect();
    rules.dedup();
    let described = rules.iter().enumerate().map(|(i, rule)| json!({"id": id(i), "shortDescription": {"text": short(rule)}}));
    let results = outcomes.iter().filter_map(|outcome| {
        let level = match outcome.decision {
            Decision::Pass => return None,
            Decision::Fail | Decision::Error => "error",
            Decision::Inconclusive => "warning",
        };
        let index = rules.iter().position(|rule| *rule == outcome.rule)?;
        let judge = outcome.judge.as_ref().map(|judge| format!(" (judge {judge})")).unwrap_or_default();
        let text = short(&format!("{}{judge}: {}", outcome.rule, outcome.reason));
        Some(json!({
            "ruleId": id(index), "ruleIndex": index, "level": level, "message": {"text": text},
            // A rule is about a run, not about a line: the record stands for it.
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": "run.json"}, "region": {"startLine": 1}}}],
            "partialFingerprints": {"rule/v1": short(&format!("{}{judge}", outcome.rule))},
        }))
    });
    let driver = json!({
        "name": "steadfast", "version": short(record.program.trim_start_matches("steadfast ")),
        "informationUri": env!("CARGO_PKG_REPOSITORY"), "rules": described.collect::<Vec<_>>(),
    });
    let log: Value = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
        "runs": [{
            "tool": {"driver": driver}, "results": results.collect::<Vec<_>>(),
            "automationDetails": {"id": format!("steadfast/{}/", short(&record.name))},
        }],
    });
    format!("{log:#}\n")
}

fn verdict(decision: Decision, headline: &str) -> RuleOutcome {
    RuleOutcome {
        rule: "verdict".into(),
        arm: String::new(),
        metric: String::new(),
        category: None,
        judge: None,
        decision,
        value: None,
        interval: None,
        limit: 0.0,
        p: None,
        p_holm: None,
        p_margin: None,
        bootstrap: None,
        corrected: None,
        reason: headline.into(),
        needed_prompts: None,
    }
}

fn id(index: usize) -> String {
    format!("rule-{}", index + 1)
}

fn short(text: &str) -> String {
    shown(text).chars().take(MESSAGE).collect()
}
