//! Text from outside, in every report.

use serde_json::json;

use super::{html, junit, markdown};
use crate::record::{RECORD_VERSION, Record};

/// What must not get through: markup of each format, control characters, a bidirectional override.
const HOSTILE: &str = "a<script>alert(1)</script>|`b`\\|*c*_d_[e](http://f)]]>\"'&amp;\n\u{7}\u{1b}[31m\0\u{202e}g";

fn hostile() -> Record {
    let suite = |expect: &str, judges: &[&str]| {
        json!({"expect": expect, "prompts": 1, "digest": HOSTILE, "source": HOSTILE, "max_new_tokens": 1, "judges": judges,
               "items": [{"id": HOSTILE, "prompt": HOSTILE, "category": HOSTILE, "reference": HOSTILE}]})
    };
    let completion =
        json!({"text": HOSTILE, "ended": true, "tokens": 3, "verdicts": {"phrases": "complied"}, "extracted": null, "correct": false});
    let cell = json!({"seed": 0, "after_task": null, "step": 0, "last": true, "completions": {HOSTILE: [completion], "task": [completion]},
                      "figures": {"task_nll": {"value": 1.5, "standard_error": 0.1, "count": 3}, HOSTILE: {"value": 2.0, "standard_error": null, "count": 1}}});
    let training = json!({"trained": 1, "trained_share": 0.1, "steps": 1, "tokens": 5, "supervised_tokens": 2, "truncated_rows": 0, "losses": [1.0],
                          "gradient_norms": [1.0], "seconds": 1.0, "update_norm": 1.0, "erased_by_rounding": 0.0, "frozen_changed": 0, "stopped": HOSTILE});
    let rule = json!({"rule": HOSTILE, "arm": HOSTILE, "metric": HOSTILE, "judge": HOSTILE, "decision": "pass", "value": 0.5, "interval": [0.1, 0.9], "p": null, "p_holm": null, "corrected": null,
                      "limit": 0.5, "p": null, "p_holm": null, "corrected": null, "reason": HOSTILE, "needed_prompts": null});
    let record = json!({
        "version": RECORD_VERSION, "name": HOSTILE, "run_id": HOSTILE, "program": HOSTILE, "started": HOSTILE, "seconds": 1.0,
        "peak_memory_bytes": 1, "pipeline": {HOSTILE: HOSTILE}, "digests": {HOSTILE: HOSTILE}, "numerics": {HOSTILE: HOSTILE},
        "models": [{"role": HOSTILE, "source": HOSTILE, "revision": HOSTILE, "weights": HOSTILE, "parameters": 1, "maskable": 1, "dtype": HOSTILE}],
        "tickets": {HOSTILE: {"score": HOSTILE, "scope": HOSTILE, "density": 0.5, "count": 1, "maskable": 2, "data": HOSTILE, "seed": 1,
                              "digest": HOSTILE, "density_by_kind": {HOSTILE: 0.5}, "overlap": [0.1, 0.2]}},
        "stages": [{"stage": HOSTILE, "key": HOSTILE, "reused": true, "seconds": 1.0}],
        "suites": {HOSTILE: suite("refusal", &["phrases"]), "task": suite("exact_match", &[])},
        "judges": {HOSTILE: {"kind": HOSTILE, "version": HOSTILE, "digest": HOSTILE, "calibration": HOSTILE, "measured": null}},
        "probes": {"asked": 1, "judge": HOSTILE, "refusals": [{"id": HOSTILE, "text": HOSTILE, "tokens": [1]}],
                   "first_tokens": [{"id": 1, "text": HOSTILE}], "benign_asked": 1, "benign_mass": 0.5},
        "arms": [{"name": "aligned", "settings": null, "summary": HOSTILE, "training": null, "cells": [cell]},
                 {"name": HOSTILE, "settings": {HOSTILE: HOSTILE}, "summary": HOSTILE, "training": training, "cells": [cell]}],
        "warnings": [HOSTILE],
        "gate": {"decision": "error", "headline": HOSTILE, "findings": [HOSTILE], "rules": [rule]},
    });
    serde_json::from_value(record).unwrap_or_else(|error| panic!("{error}"))
}

/// Whether text holds a character that no report may: all controls but line feed and tab, and bidirectional overrides.
fn invisible(text: &str) -> Option<char> {
    text.chars().find(|c| (c.is_control() && !matches!(c, '\n' | '\t')) || ('\u{202a}'..='\u{202e}').contains(c))
}

#[test]
fn the_page_runs_nothing_and_shows_everything() {
    let page = html::render(&hostile()).unwrap_or_else(|error| panic!("{error}"));
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "markup of a completion is text");
    assert_eq!(invisible(&page), None);
    // Every attribute that holds text from outside is quoted, and no quote gets through.
    assert!(!page.contains("\"'&amp;amp;"), "a raw quote");
    assert!(page.matches("alert(1)").count() > 30, "names, prompts, completions, reasons");
}

#[test]
fn the_summary_keeps_its_tables() {
    let summary = markdown::render(&hostile());
    assert_eq!(invisible(&summary), None);
    let unescaped = |line: &str, wanted: char| {
        let mut escaped = false;
        line.chars()
            .filter(|&c| {
                let counts = c == wanted && !escaped;
                escaped = c == '\\' && !escaped;
                counts
            })
            .count()
    };
    let tables: Vec<Vec<&str>> = summary
        .split("\n\n")
        .map(|part| part.lines().filter(|line| line.starts_with('|')).collect())
        .filter(|t: &Vec<_>| !t.is_empty())
        .collect();
    assert_eq!(tables.len(), 3, "scorecard, rules, training: {summary}");
    for table in tables {
        assert!(table.len() > 2, "{table:?}");
        for line in &table {
            assert_eq!(unescaped(line, '|'), unescaped(table[0], '|'), "{line}");
        }
    }
    let intervals = summary.matches(" [0.0, 79.3]").count() + summary.matches(" [−79.3, +79.3]").count();
    for (markup, own) in [('<', 0), ('`', 0), ('&', 0), ('[', intervals)] {
        assert_eq!(unescaped(&summary, markup), own, "{markup}: {summary}");
    }
    let plain = markdown::plain(&hostile());
    assert!(plain.contains("a<script>alert(1)</script>|`b`\\|*c*_d_[e](http://f)]]>"), "{plain}");
}

#[test]
fn junit_is_xml_and_an_arm_that_stopped_is_no_success() {
    let mut record = hostile();
    let xml = junit::render(&record).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(invisible(&xml), None);
    assert!(!xml.contains("]]>") && !xml.contains("<script"), "{xml}");
    assert_eq!(xml.matches("<testcase").count(), 2);
    // The rule holds, but the run has an error: the verdict's own case says so.
    assert!(xml.contains("errors=\"1\"") && xml.contains("failures=\"0\""), "{xml}");
    record.gate = None;
    let xml = junit::render(&record).unwrap_or_else(|error| panic!("{error}"));
    assert!(xml.contains("tests=\"1\"") && xml.contains("errors=\"1\""), "a run without a gate does not look green: {xml}");
}
