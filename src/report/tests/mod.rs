//! Text from outside, in every report.

mod annotations;
mod joined;

use serde_json::json;

use super::csp::source;
use super::{Samples, html, junit, markdown, sarif};
use crate::record::{Decision, RECORD_VERSION, Record};

/// What must not get through: markup of each format, control characters, a bidirectional override, a
/// letter that nobody sees, no character at all.
const HOSTILE: &str = "a<script>alert(1)</script>|`b`\\|*c*_d_[e](http://f)]]>\"'&amp;\n\u{7}\u{1b}[31m\0\u{202e}\u{e0041}\u{ffff}g";

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
    let rule = json!({"rule": HOSTILE, "arm": HOSTILE, "metric": HOSTILE, "judge": HOSTILE, "decision": "pass", "value": 0.5, "interval": [0.1, 0.9],
                      "limit": 0.5, "p": null, "p_holm": null, "corrected": null, "reason": HOSTILE, "needed_prompts": null});
    let point = json!({"step": 1, "task_nll": 1.0, "standard_error": 0.1, "refusal_rate": 1.0, "answered_rate": 1.0});
    let race = json!({"seed": 0, "drop_at_most": 0.05, "answers_drop_at_most": 0.05, "aligned": point, "heats": [{"until": 1, "runs": 1}],
                           "steps": 1, "seconds": 0.1, "winner": {"name": HOSTILE, "step": 1},
                           "tried": [{"name": HOSTILE, "family": HOSTILE, "plain": true, "summary": HOSTILE, "points": [point], "end": {"failed": HOSTILE}}]});
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
                 {"name": HOSTILE, "settings": {HOSTILE: HOSTILE}, "summary": HOSTILE, "training": training, "cells": [cell],
                  "edit": {"from": HOSTILE, "weights": "", "changed": 3, "changed_share": 0.5, "projected": [1, 2], "distance": 1.0, "update_norm": 2.0,
                           "erased_by_rounding": 0.0, "kept_changed": 0, "seconds": 0.1},
                  "race": race}],
        "audit": {"safety": [HOSTILE], "rows": 1, "conflicting": 1, "quartiles": [-0.1, -0.1, -0.1, -0.1, -0.1],
                  "top": [{"source": HOSTILE, "row": 1, "id": HOSTILE, "cosine": -0.1, "dot": -1.0, "prompt": HOSTILE, "reply": HOSTILE}]},
        "warnings": [HOSTILE],
        "gate": {"decision": "error", "headline": HOSTILE, "findings": [HOSTILE], "rules": [rule]},
    });
    serde_json::from_value(record).unwrap_or_else(|error| panic!("{error}"))
}

/// What no report may hold: controls but line feed and tab, bidirectional overrides, unseen letters, what is no character.
fn invisible(text: &str) -> Option<char> {
    let unseen = |c: &char| ('\u{202a}'..='\u{202e}').contains(c) || ('\u{e0000}'..='\u{e007f}').contains(c) || *c == '\u{ffff}';
    text.chars().find(|c| (c.is_control() && !matches!(c, '\n' | '\t')) || unseen(c))
}

fn page(record: &Record, samples: Samples) -> String {
    html::render(record, samples).unwrap_or_else(|error| panic!("{error}"))
}

/// What stands between two texts, the first time.
fn between<'a>(page: &'a str, before: &str, after: &str) -> &'a str {
    page.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map(|(inside, _)| inside).unwrap_or_else(|| panic!("no {before}"))
}

/// What the page's script reads: it cannot end its element.
fn data(page: &str) -> serde_json::Value {
    let data = between(page, "<script type=\"application/json\" id=\"data\">", "</script>");
    let read: serde_json::Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
    let texts = read.to_string();
    assert_eq!(invisible(&texts), None, "nor what the script would bring back");
    assert!(!texts.contains("\\u00"), "{texts}");
    read
}

#[test]
fn the_page_runs_its_own_script_alone_and_shows_everything() {
    let page = page(&hostile(), Samples::All);
    assert!(page.contains("&lt;script&gt;") && page.matches("<script").count() == 2, "markup of a completion is text");
    assert_eq!(invisible(&page), None);
    // Every attribute that holds text from outside is quoted, and no quote gets through.
    assert!(!page.contains("\"'&amp;amp;"), "a raw quote");
    assert!(page.matches("alert(1)").count() > 30, "names, prompts, completions, reasons");
    let data = data(&page);
    assert_eq!(data["suites"].as_array().map(Vec::len), Some(2));
    assert!(data["arms"][1].as_str().is_some_and(|name| name.starts_with("a<script>")), "{data}");
}

#[test]
fn the_policy_names_the_script_and_the_style_of_the_page() {
    let page = page(&hostile(), Samples::All);
    let policy = between(&page, "http-equiv=\"Content-Security-Policy\" content=\"", "\"");
    let (style, script) = (between(&page, "<style>", "</style>"), between(&page, "<script>", "</script>"));
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.contains(&format!("style-src '{}'", source(style))), "{policy}");
    assert!(policy.contains(&format!("script-src '{}'", source(script))), "{policy}");
    // What the policy would block: styles and handlers in attributes, and anything that is loaded.
    let markup = page.replace(style, "").replace(script, "");
    for blocked in [" style=", " onclick=", " src=", "<link", "<img", "<iframe", "@import", "url("] {
        assert!(!markup.contains(blocked), "{blocked}");
    }
}

/// A record of prompts, five tuned arms, and judges who disagree on every third prompt.
fn large(prompts: usize, text: impl Fn(usize, usize) -> String) -> Record {
    let arms = ["aligned", "unprotected", "protected", "sparse", "control", "gentle"];
    let items: Vec<_> = (0..prompts)
        .map(|i| json!({"id": format!("h{i}"), "prompt": text(i, 9), "category": format!("c{}", i % 7), "reference": null}))
        .collect();
    let arm = |(a, name): (usize, &&str)| {
        let completion = |i: usize| {
            let verdict = |refused: bool| if refused { "refused" } else { "complied" };
            let refused = a != 1 || i.is_multiple_of(2);
            json!({"text": text(i, a), "ended": !i.is_multiple_of(5), "tokens": 9, "extracted": null, "correct": null,
                   "verdicts": {"phrases": verdict(refused), "trained": verdict(refused != i.is_multiple_of(3))}})
        };
        let cell = json!({"seed": 0, "after_task": null, "step": 0, "last": true, "figures": {},
                          "completions": {"harmful": (0..prompts).map(completion).collect::<Vec<_>>()}});
        json!({"name": name, "settings": null, "summary": "", "training": null, "cells": [cell]})
    };
    let judge = json!({"kind": "phrases", "version": "1", "digest": "", "calibration": "not calibrated"});
    let record = json!({
        "version": RECORD_VERSION, "name": "large", "run_id": "r", "program": "p", "started": "s", "seconds": 1.0, "peak_memory_bytes": 1,
        "pipeline": {}, "digests": {}, "numerics": {}, "models": [], "tickets": {}, "stages": [], "warnings": [], "gate": null,
        "suites": {"harmful": {"expect": "refusal", "prompts": prompts, "digest": "", "source": "", "max_new_tokens": 8, "judges": ["phrases", "trained"], "items": items}},
        "judges": {"phrases": judge, "trained": judge},
        "probes": {"asked": 1, "judge": "phrases", "refusals": [{"id": "p1", "text": text(0, 8), "tokens": [1]}],
                   "first_tokens": [{"id": 11, "text": text(0, 7)}], "benign_asked": 1, "benign_mass": 0.5},
        "arms": arms.iter().enumerate().map(arm).collect::<Vec<_>>(),
    });
    serde_json::from_value(record).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_thousand_prompts_and_five_arms_stay_under_two_megabytes() {
    let record = large(1_000, |i, a| format!("{a} \"isn't\" {i} <b>/").repeat(30));
    let page = page(&record, Samples::All);
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    assert!(page.contains("characters are cut") && !page.contains("are listed"), "it is said where a text is cut");
    let first = &data(&page)["suites"][0]["items"][0];
    assert!(
        first[2].as_str().is_some_and(|prompt| prompt.len() > 100) && first[3].as_u64().is_some_and(|left_out| left_out > 0),
        "{first}"
    );
    assert_eq!(page, html::render(&record.clone(), Samples::All).unwrap_or_default(), "the same bytes");
}

#[test]
fn a_page_that_would_be_too_large_lists_fewer_prompts_and_says_so() {
    let page = page(&large(8_000, |i, a| format!("{i} {a} ").repeat(30)), Samples::All);
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    let note = between(&page, "Of 8000 prompts, ", " are listed");
    let data = data(&page);
    let listed = data["suites"][0]["items"].as_array().map_or(0, Vec::len);
    assert_eq!(note, listed.to_string());
    // The arm lost every second prompt: these are listed first.
    assert!(listed > 1_000 && data["suites"][0]["items"][listed - 1][0] == format!("h{}", 2 * listed - 1), "{listed}");
}

#[test]
fn equal_completions_are_in_the_page_once() {
    let page = page(&large(2_000, |_, a| format!("the same of {a} ").repeat(90)), Samples::All);
    // Each of the six arms has two: one ended by the token limit.
    assert_eq!(data(&page)["said"].as_array().map(Vec::len), Some(12));
}

#[test]
fn one_line_of_a_megabyte_breaks_nothing() {
    let line = format!("\u{5d0}\u{202e}{}", "\u{1b}[1m</p>".repeat(100_000));
    let page = page(&large(3, |_, _| line.clone()), Samples::All);
    assert!(page.len() < 500_000, "{} bytes", page.len());
    assert_eq!(invisible(&page), None);
}

#[test]
fn places_in_the_page_are_unique() {
    let mut record = large(30, |i, a| format!("{i} {a}"));
    if let Some(suite) = record.suites.get_mut("harmful") {
        suite.items.iter_mut().enumerate().for_each(|(i, item)| item.id = format!("{} \"{}", "long".repeat(50), i % 2 * i));
    }
    let page = page(&record, Samples::All);
    let data = data(&page);
    let listed = data["suites"][0]["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    ids.extend(listed.iter().filter_map(|item| item[0].as_str()));
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert!(ids.len() == all && all > 30 && listed.len() == 30, "{ids:?}");
}

#[test]
fn samples_that_are_not_wanted_are_not_in_the_page() {
    let mut record = large(4, |i, a| format!("secret {i} of {a}"));
    let completions = record.arms.iter_mut().flat_map(|arm| &mut arm.cells).flat_map(|cell| cell.completions.values_mut().flatten());
    completions.for_each(|completion| completion.extracted = Some("secret".into()));
    for item in record.suites.values_mut().flat_map(|suite| &mut suite.items) {
        item.reference = Some("secret".into());
    }
    let shows = |samples: Samples, what: &str| page(&record, samples).contains(what);
    assert_eq!([Samples::All, Samples::Ids, Samples::None].map(|samples| shows(samples, "secret")), [true, false, false]);
    assert_eq!([Samples::All, Samples::Ids, Samples::None].map(|samples| shows(samples, "[\"h3\",3,")), [true, true, false]);
    assert!(shows(Samples::None, "<caption>harmful (phrases): refused is wanted</caption>"), "counts are always there");
}

#[test]
fn judges_stand_beside_each_other() {
    let page = page(&large(9, |i, a| format!("{i} {a}")), Samples::All);
    for told in ["harmful: refused (phrases)", "harmful: refused (trained)", "How far the judges agree", "66.7 %", "judges disagree"] {
        assert!(page.contains(told), "{told}");
    }
    // A letter an arm, by each judge: what the first calls a refusal, the second does not on every third prompt.
    let data = data(&page);
    assert_eq!(data["suites"][0]["items"][1][5], json!(["rcrrrr", "rcrrrr"]));
    assert_eq!(data["suites"][0]["items"][3][5], json!(["rcrrrr", "crcccc"]));
}

/// The record of a run over three seeds: one cell more for every tuned arm and seed, the aligned model has one.
fn three_seeds() -> Record {
    let mut record = large(10, |i, a| format!("Take a cup of {i}, and wait for {a} of them."));
    for arm in record.arms.iter_mut().filter(|arm| arm.name != "aligned") {
        for seed in [3, 7] {
            let mut cell = arm.cells[0].clone();
            cell.seed = seed;
            if let Some(said) = cell.completions.get_mut("harmful").and_then(|said| said.get_mut(usize::from(seed == 7))) {
                said.verdicts.insert("phrases".into(), crate::record::Verdict::Complied);
            }
            arm.cells.push(cell);
        }
    }
    record
}

#[test]
fn seeds_are_pooled_and_can_be_chosen() {
    let page = page(&three_seeds(), Samples::All);
    let data = data(&page);
    assert_eq!((&data["takes"], &data["units"]), (&json!(["0", "3", "7"]), &json!("seeds")));
    // The aligned model's answer stands beside every seed's; all arms lose prompt 0 in seed 3.
    assert_eq!(data["suites"][0]["items"][0][5][0], json!("rrrrrrrcccccrrrrrr"));
    for told in ["<option value=\"\">all 3</option>", "all 3 seeds together", "seed 0: 0, 3: <a", "change=lost&amp;seed=3\">1</a>, 7:"] {
        assert!(page.contains(told), "{told}");
    }
    // The unprotected arm lost 5, 6 and 5 of the 10; prompt 0 in one of three seeds.
    assert!(page.contains("<small>14 of 30 kept</small>") && page.contains("change=lost\">16</a></b>"), "{page}");
    assert!(page.contains("refused in 2 of 3 seeds"), "side by side");
    let summary = markdown::plain(&three_seeds());
    assert!(summary.contains("of the 16 that unprotected lost on harmful, 16 read as compliance"), "{summary}");
    assert!(summary.contains("| unprotected | 16 of 30 | 16 | 0 | 0 | 0 |"), "{summary}");
}

#[test]
fn drawn_replies_stand_beside_each_other() {
    let mut record = large(6, |i, a| format!("Take a cup of {i}, and wait for {a} of them."));
    for said in record.arms.iter_mut().flat_map(|arm| &mut arm.cells).filter_map(|cell| cell.completions.get_mut("harmful")).flatten() {
        let mut second = said.clone();
        second.verdicts.insert("phrases".into(), crate::record::Verdict::Complied);
        said.more = vec![second, said.clone()];
    }
    let page = page(&record, Samples::All);
    let data = data(&page);
    assert_eq!((&data["takes"], &data["units"]), (&json!(["reply 1", "reply 2", "reply 3"]), &json!("replies")));
    assert_eq!(data["suites"][0]["items"][0][5][0], json!("rrrrrrccccccrrrrrr"));
    // The aligned model's second replies are no refusals: the arm lost half of the other twelve.
    assert!(page.contains("all 3 drawn replies together") && page.contains("<small>6 of 12 kept</small>"), "{page}");
    assert!(page.contains("refused in 0 of 3 replies") && page.contains("<label>reply <select"), "{page}");
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
    assert_eq!(tables.len(), 6, "scorecard, race, audit, rules, training, edits: {summary}");
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

#[test]
fn runs_stand_beside_each_other() {
    let (first, mut second) = (large(9, |i, a| format!("{i} {a}")), large(12, |i, a| format!("secret {i} {a}")));
    second.suites.values_mut().for_each(|suite| suite.quantization = Some(crate::record::Quantization::Q8_0));
    let page = html::render_comparison(&[first, hostile(), second]).unwrap_or_else(|error| panic!("{error}"));
    assert!(!page.contains("<script") && !page.contains("secret") && invisible(&page).is_none(), "{page}");
    assert!(page.contains("<th scope=\"rowgroup\" rowspan=\"2\">unprotected</th>"), "one row a run");
    assert!(page.contains(">1</text>") && page.contains(">2</text>") && !page.contains(">1.5</text>"), "no half runs");
    assert!(page.contains("harmful: refused (trained), from run to run."), "{page}");
    assert_eq!(page.matches("(replies by weights rounded to q8_0)").count(), 1, "of the last run alone");
    assert!(page.contains(&format!("style-src '{}'", source(between(&page, "<style>", "</style>")))));
}

#[test]
fn sarif_has_a_result_for_every_rule_that_does_not_hold() {
    let parsed = |record: &Record| -> serde_json::Value {
        let text = sarif::render(record);
        assert_eq!(invisible(&text), None);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    };
    let mut record = hostile();
    let results = |log: &serde_json::Value| log["runs"][0]["results"].as_array().map_or(0, Vec::len);
    // The one rule passed, but the run could not be carried out: the verdict is the result.
    let log = parsed(&record);
    assert_eq!((results(&log), log["runs"][0]["results"][0]["level"].as_str()), (1, Some("error")), "{log}");
    let gate = record.gate.as_mut().unwrap_or_else(|| panic!("no gate"));
    gate.decision = Decision::Pass;
    assert_eq!(results(&parsed(&record)), 0);
    let gate = record.gate.as_mut().unwrap_or_else(|| panic!("no gate"));
    gate.rules[0].decision = Decision::Inconclusive;
    gate.rules[0].reason = "x".repeat(1_000_000);
    let log = parsed(&record);
    let result = &log["runs"][0]["results"][0];
    assert_eq!((results(&log), result["level"].as_str()), (1, Some("warning")), "{log}");
    assert!(result["message"]["text"].as_str().is_some_and(|text| text.chars().count() == 1000));
    let rule = result["ruleIndex"].as_u64().and_then(|at| log["runs"][0]["tool"]["driver"]["rules"].get(at as usize));
    assert_eq!(rule.map(|rule| &rule["id"]), Some(&result["ruleId"]));
    // A rule that cannot be decided does not hide that an arm was not trained to its end.
    let gate = record.gate.as_mut().unwrap_or_else(|| panic!("no gate"));
    gate.decision = Decision::Error;
    let log = parsed(&record);
    assert_eq!((results(&log), log["runs"][0]["results"][1]["level"].as_str()), (2, Some("error")), "{log}");
}
