//! Workflow commands.

use super::super::annotations;
use super::{HOSTILE, invisible};
use crate::record::{Decision, GateOutcome, RuleOutcome};

#[test]
fn annotations_are_commands_that_nothing_gets_out_of() {
    let rule = |rule: &str, decision: Decision, reason: &str| RuleOutcome {
        rule: rule.into(),
        arm: "protected".into(),
        metric: "harmful.refusal_rate".into(),
        judge: Some("phrases".into()),
        decision,
        value: None,
        interval: None,
        limit: 0.05,
        p: None,
        p_holm: None,
        corrected: None,
        reason: reason.into(),
        category: None,
        bootstrap: None,
        p_margin: None,
        needed_prompts: None,
    };
    let gate = |decision: Decision, rules: Vec<RuleOutcome>| GateOutcome {
        decision,
        headline: "why: 50 %".into(),
        findings: Vec::new(),
        rules,
        at_equal_utility: Vec::new(),
    };
    let rules = vec![
        rule("undecided", Decision::Inconclusive, "too few"),
        rule("holds", Decision::Pass, "fine"),
        rule("a: b, c", Decision::Fail, "50 %\n::error::x"),
    ];
    assert_eq!(
        annotations::render(&gate(Decision::Fail, rules)),
        "::error title=a%3A b%2C c (judge phrases)::50 %25%0A::error::x\n::warning title=undecided (judge phrases)::too few\n"
    );
    assert_eq!(annotations::render(&gate(Decision::Pass, vec![rule("holds", Decision::Pass, "")])), "");
    // A run that stopped before its rules.
    assert_eq!(annotations::render(&gate(Decision::Error, Vec::new())), "::error title=verdict::why: 50 %25\n");
    let both = annotations::render(&gate(Decision::Error, vec![rule("open", Decision::Inconclusive, "few")]));
    assert_eq!(both, "::error title=verdict::why: 50 %25\n::warning title=open (judge phrases)::few\n");
    let many: Vec<RuleOutcome> = (0..14).map(|i| rule(&format!("rule {i}"), Decision::Fail, &"x".repeat(100_000))).collect();
    let written = annotations::render(&gate(Decision::Fail, many));
    let last = "::error title=more rules::5 more rules do not hold; the summary and the report have all of them";
    assert_eq!((written.lines().count(), written.lines().last()), (10, Some(last)));
    assert!(written.len() < 10_000 && written.lines().all(|line| line.starts_with("::error title=")));
    let hostile = annotations::render(&gate(Decision::Fail, vec![rule(HOSTILE, Decision::Fail, HOSTILE)]));
    assert!(hostile.lines().count() == 1 && invisible(&hostile).is_none(), "{hostile}");
}
