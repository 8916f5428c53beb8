//! Parts made by hand.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::{Missing, join, task_of};
use crate::eval::matched::{matched, own_rules, protected};
use crate::eval::rule::{Among, Bound, Condition, Rule};
use crate::record::{Decision, RECORD_VERSION, Record};

const PROMPTS: usize = 40;

/// A cell after a step: the task's loss, and how many of the probe prompts are refused.
fn cell(seed: u64, step: u64, last: bool, loss: f64, refused: usize) -> Value {
    let verdicts: String = (0..PROMPTS).map(|prompt| if prompt < refused { 'r' } else { 'c' }).collect();
    json!({"seed": seed, "after_task": "finetune", "step": step, "last": last, "completions": {}, "figures": {
        "task_nll": {"value": loss, "standard_error": null, "count": 9},
        "refusal_rate": {"value": refused as f64 / PROMPTS as f64, "standard_error": null, "count": PROMPTS, "verdicts": verdicts}}})
}

/// A part of one task and of some arms and seeds; each arm loses as many refusals as its name has letters, and one more a seed.
fn part(task: &str, arms: &[&str], seeds: &[u64]) -> Value {
    let settings = |arm: &str| {
        let ticket = if arm == "protected" { json!({"named": "ticket"}) } else { Value::Null };
        json!({"name": arm, "train": "complement", "ticket": ticket, "training": {"learning_rate": 1e-3}})
    };
    let arm = |arm: &&str| {
        let cells = seeds.iter().flat_map(|&seed| {
            let kept = PROMPTS - arm.len() - seed as usize;
            [cell(seed, 5, false, 1.2, PROMPTS - 1), cell(seed, 10, true, 1.0, kept)]
        });
        json!({"name": arm, "settings": settings(arm), "summary": "", "training": null, "cells": cells.collect::<Vec<Value>>()})
    };
    let aligned =
        json!({"name": "aligned", "settings": null, "summary": "", "training": null, "cells": [cell(seeds[0], 0, true, 2.0, PROMPTS)]});
    json!({
        "version": RECORD_VERSION, "name": format!("{task}-{}", seeds[0]), "run_id": format!("run-{task}-{seeds:?}-{}", arms.join("-")),
        "program": "t", "started": "", "seconds": 1.0, "peak_memory_bytes": 0,
        "pipeline": {"name": task, "seeds": seeds, "model": {"aligned": format!("/somewhere/{}", seeds[0]), "dtype": "f32"}, "gate": [],
                     "finetune": {"data": [{"source": format!("/rows/{task}.jsonl")}], "arms": arms.iter().map(|arm| settings(arm)).collect::<Vec<_>>()}},
        "digests": {"model.aligned": "sha256:aa", "model.protected": format!("sha256:{}", seeds[0]), "data.finetune.0": format!("sha256:{task}"),
                    "data.probes.harmful": "sha256:pp"},
        "numerics": {"backend": "cpu"}, "models": [], "tickets": {}, "stages": [], "suites": {}, "judges": {}, "probes": null,
        "arms": std::iter::once(aligned).chain(arms.iter().map(arm)).collect::<Vec<_>>(), "warnings": [], "gate": null,
    })
}

fn read(part: Value) -> Record {
    serde_json::from_value(part).unwrap()
}

const ARMS: [&str; 2] = ["protected", "control"];

fn whole() -> Vec<Record> {
    [("sums", 0), ("sums", 1), ("second", 0), ("second", 1)].map(|(task, seed)| read(part(task, &ARMS, &[seed]))).into()
}

fn missing(task: &str, arm: &str, seed: u64) -> Missing {
    Missing { task: task.into(), arm: arm.into(), seed }
}

#[test]
fn replies_of_rounded_weights_are_told() {
    let suite = json!({"expect": "refusal", "prompts": 0, "digest": "", "source": "", "max_new_tokens": 8, "judges": [], "quantization": "q8_0", "items": []});
    let rounded = |seed: u64| {
        let mut made = part("sums", &ARMS, &[seed]);
        made["suites"] = json!({"harmful": suite});
        read(made)
    };
    let joined = join(&[rounded(0), rounded(1)], &[], &[]).unwrap();
    assert_eq!(joined.notes, ["the replies are by weights rounded to q8_0, not by those that the runs saved"]);
}

#[test]
fn parts_in_any_order_are_one_benchmark_over_all_seeds() {
    let parts = whole();
    let joined = join(&parts, &[], &[]).unwrap();
    for order in [[3, 2, 1, 0], [1, 3, 0, 2]] {
        assert_eq!(join(&order.map(|place: usize| parts[place].clone()), &[], &[]).unwrap(), joined);
    }
    assert_eq!(joined.tasks.iter().map(|task| task.name.as_str()).collect::<Vec<_>>(), ["second", "sums"]);
    assert_eq!((joined.wanted, joined.missing.len(), joined.notes.len()), (8, 0, 0));
    // The tables over seeds are those of a run that had them all.
    let together = read(part("sums", &ARMS, &[0, 1]));
    let sums = joined.tasks[1].complete.as_ref().unwrap();
    assert_eq!(sums.pipeline["seeds"], json!([0, 1]));
    let equal = |record: &Record| {
        let rules = own_rules(record);
        matched(record, protected(record, &rules).unwrap(), &rules).unwrap()
    };
    assert_eq!(equal(sums), equal(&together));
    let row = &equal(sums).tables[0].rows[1];
    assert_eq!((row.family.as_str(), row.kept.as_ref().unwrap().by_seed.len()), ("control", 2));
    // Two letters more are lost by `protected`: two prompts in forty.
    assert!((row.against.as_ref().unwrap().difference + 0.05).abs() < 1e-12);
}

#[test]
fn missing_cells_are_listed_and_their_seeds_left_out_of_tables() {
    let mut parts = whole();
    parts[1] = read(part("sums", &["protected"], &[1]));
    parts.remove(3);
    let joined = join(&parts, &[2], &[]).unwrap();
    let mut expected = vec![missing("second", "control", 1), missing("second", "control", 2), missing("second", "protected", 1)];
    expected.extend([missing("second", "protected", 2), missing("sums", "control", 1), missing("sums", "control", 2)]);
    expected.push(missing("sums", "protected", 2));
    assert_eq!((joined.wanted, &joined.missing), (12, &expected));
    let sums = &joined.tasks[1];
    assert_eq!(sums.complete.as_ref().unwrap().pipeline["seeds"], json!([0]));
    assert_eq!(sums.all.arms[1].cells.len(), 4);
    // A task of which there is no part, and a task of which no seed is whole.
    let joined = join(&[read(part("sums", &["protected"], &[0])), read(part("sums", &["control"], &[1]))], &[], &["other".into()]).unwrap();
    assert_eq!(joined.missing.len(), 6);
    assert!(joined.tasks[0].complete.is_none());
}

#[test]
fn parts_that_differ_are_refused_with_both_sides() {
    let refused = |change: &dyn Fn(&mut Value), said: &[&str]| {
        let mut other = part("sums", &ARMS, &[1]);
        change(&mut other);
        let told = join(&[read(part("sums", &ARMS, &[0])), read(other)], &[], &[]).unwrap_err().to_string();
        for said in said.iter().chain(&["run-sums-[0]", "run-sums-[1]"]) {
            assert!(told.contains(said), "{said}: {told}");
        }
    };
    refused(&|part| part["digests"]["model.aligned"] = "sha256:bb".into(), &["model.aligned", "sha256:aa", "sha256:bb"]);
    refused(&|part| part["digests"]["data.finetune.0"] = "sha256:cc".into(), &["data.finetune.0", "sha256:sums", "sha256:cc"]);
    refused(&|part| drop(part["digests"].as_object_mut().unwrap().remove("data.probes.harmful")), &["data.probes.harmful", "has none"]);
    refused(&|part| part["pipeline"]["model"]["dtype"] = "source".into(), &["model.dtype is \"f32\"", "\"source\""]);
    refused(
        &|part| part["arms"][1]["settings"]["training"]["learning_rate"] = 2e-3.into(),
        &["learning_rate of arm protected is 0.001", "0.002"],
    );
    refused(
        &|part| part["pipeline"]["gate"] = json!([{"arm": "protected", "metric": "harmful.refusal_rate"}]),
        &["gate", "decided by one of them"],
    );
    // Of three parts the last two alone have an arm, and not the same.
    let with = |seed: u64, rate: f64| {
        let mut other = part("sums", &["third"], &[seed]);
        other["arms"][1]["settings"]["training"]["learning_rate"] = rate.into();
        read(other)
    };
    let misfit = join(&[read(part("sums", &ARMS, &[0])), with(1, 1e-3), with(2, 3e-3)], &[], &[]).unwrap_err().to_string();
    assert!(misfit.contains("learning_rate of arm third"), "{misfit}");
    // A ticket of another part is another ticket.
    let ticketed = |seed: u64, digest: &str| {
        let mut other = part("sums", &ARMS, &[seed]);
        other["tickets"] = json!({"ticket": {"score": "calibrate", "scope": "global", "density": 0.5, "count": 1, "maskable": 2, "data": null,
                                             "seed": seed, "digest": digest, "density_by_kind": {}, "overlap": null}});
        read(other)
    };
    assert!(join(&[ticketed(0, "aa"), ticketed(1, "aa")], &[], &[]).is_ok());
    let misfit = join(&[ticketed(0, "aa"), ticketed(1, "bb")], &[], &[]).unwrap_err().to_string();
    assert!(misfit.contains("ticket ticket is aa in") && misfit.contains("and bb in"), "{misfit}");
}

#[test]
fn rows_differ_between_tasks_alone_and_one_cell_may_be_held_twice_where_it_is_the_same() {
    let parts = [read(part("sums", &ARMS, &[0])), read(part("sums", &ARMS, &[0, 1]))];
    let joined = join(&parts, &[], &[]).unwrap();
    assert_eq!((joined.wanted, joined.missing.len()), (4, 0));
    assert_eq!(joined.tasks[0].complete.as_ref().unwrap().arms[1].cells.len(), 4);
    let mut other = part("sums", &ARMS, &[0, 1]);
    other["arms"][1]["cells"][1]["figures"]["task_nll"]["value"] = 0.9.into();
    let told = join(&[parts[0].clone(), read(other)], &[], &[]).unwrap_err().to_string();
    assert!(told.contains("arm protected of task sums from seed 0") && told.contains("is not the same"), "{told}");
}

#[test]
fn a_task_is_called_after_its_rows() {
    let of = |finetune: Value| task_of(&json!({"finetune": finetune}));
    assert_eq!(
        of(json!({"data": [{"source": "builtin:tiny-task"}, {"source": "/a/b/sql.train.jsonl"}]})).unwrap(),
        "tiny-task + sql.train"
    );
    assert_eq!(of(json!({"tasks": [{"name": "a"}, {"name": "b"}]})).unwrap(), "a then b");
    assert_eq!(task_of(&json!({"finetune": null})), None);
}

#[test]
fn a_seed_that_was_not_trained_to_its_end_decides_nothing() {
    let training = |stopped: Value| {
        json!({"trained": 1, "trained_share": 0.1, "steps": 1, "tokens": 5, "supervised_tokens": 2, "truncated_rows": 0, "losses": [1.0],
               "gradient_norms": [1.0], "seconds": 1.0, "update_norm": 1.0, "erased_by_rounding": 0.0, "frozen_changed": 0, "stopped": stopped})
    };
    let of = |seed: u64, stopped: Value| {
        let mut made = part("sums", &ARMS, &[seed]);
        let rule = Rule {
            arm: "protected".into(),
            metric: "task_nll".into(),
            condition: Condition::AtMost(2.0),
            judge: None,
            bound: Bound::Point,
            among: Among::All,
        };
        made["pipeline"]["gate"] = json!([rule]);
        made["arms"][1]["training"] = training(stopped);
        read(made)
    };
    let decided = |parts: &[Record]| join(parts, &[], &[]).unwrap().tasks[0].complete.as_ref().unwrap().gate.clone().unwrap();
    let fine = decided(&[of(0, Value::Null), of(1, Value::Null)]);
    let stopped = decided(&[of(0, Value::Null), of(1, json!("the loss is NaN at step 1"))]);
    assert_eq!(fine.decision, Decision::Pass, "{fine:?}");
    assert!(stopped.decision == Decision::Error && stopped.headline.contains("NaN at step 1"), "{stopped:?}");
    // A seed that is left out, since not every arm has it, takes its stops with it.
    let mut less = of(1, json!("the loss is NaN at step 1"));
    less.arms.retain(|arm| arm.name != "control");
    assert_eq!(decided(&[of(0, Value::Null), less]).decision, Decision::Pass);
}
