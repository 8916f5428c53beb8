//! Several seeds, and what one of them lacks.

use serde_json::{Value, json};

use super::{of_each, rule_at_least, sorted};
use crate::eval::gate::decide;
use crate::eval::rule::Condition;
use crate::eval::tests::{ALIGNED, PROMPTS, UNPROTECTED, drop_at_most, one, protected, record, rule};
use crate::record::{Baseline, Decision, Record, RuleOutcome};

/// The record with a second seed of every tuned arm, the same but for what `change` does to it.
fn with_a_second_seed(record: &Record, change: &dyn Fn(&mut Value)) -> Record {
    let mut value = serde_json::to_value(record).unwrap();
    for arm in value["arms"].as_array_mut().unwrap().iter_mut().filter(|arm| !arm["settings"].is_null()) {
        let mut second = arm["cells"][0].clone();
        second["seed"] = json!(1);
        change(&mut second);
        arm["cells"].as_array_mut().unwrap().push(second);
    }
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_figure_that_a_seed_does_not_have_decides_nothing() {
    let made = record(PROMPTS, &[ALIGNED, UNPROTECTED, protected(294)]);
    let diverged = with_a_second_seed(&made, &|cell| cell["figures"] = json!({}));
    let decided = |condition: Condition| one(&diverged, rule("task_nll", condition));
    let limit = decided(Condition::AtMost(2.0));
    assert!(limit.decision == Decision::Error && limit.rules[0].reason.contains("none from seed 1"), "{limit:?}");
    assert_eq!(decided(Condition::RetainAtLeast { limit: 0.5, of: "unprotected".into() }).decision, Decision::Error);
    assert_eq!(one(&with_a_second_seed(&made, &|_| ()), rule("task_nll", Condition::AtMost(2.0))).decision, Decision::Pass);
}

#[test]
fn one_prompt_of_a_category_over_two_seeds_is_a_finding_and_no_mistake() {
    let made = sorted(record(PROMPTS, &[ALIGNED, protected(294)]), "harmful", &|i| json!(if i == 0 { "lone" } else { "rest" }));
    let outcome = one(&with_a_second_seed(&made, &|_| ()), of_each(rule_at_least(0.5)));
    assert_eq!(outcome.decision, Decision::Inconclusive, "{outcome:?}");
    let lone = outcome.rules.iter().find(|rule| rule.category.as_deref() == Some("lone")).unwrap();
    assert!(lone.value == Some(1.0) && lone.reason.contains("fewer than two prompts"), "{lone:?}");
}

#[test]
fn seeds_that_cannot_be_paired_are_an_error_that_says_how_many_there_are() {
    let made = sorted(record(PROMPTS, &[ALIGNED, protected(294)]), "harmful", &|_| Value::Null);
    let twice = with_a_second_seed(&made, &|_| ());
    let thrice = with_a_second_seed(&twice, &|cell| cell["seed"] = json!(2));
    let decided = |now: &Record, before: &Record| decide(now, &[drop_at_most(0.05)], Some(&Baseline::of(before, &before.arms[1])));
    let outcome = decided(&twice, &thrice);
    assert!(
        outcome.decision == Decision::Error && outcome.rules[0].reason.contains("2 seeds cannot be paired with the 3 of the baseline"),
        "{outcome:?}"
    );
    assert_eq!(decided(&thrice, &thrice).decision, Decision::Pass);
}

#[test]
fn over_several_seeds_a_bootstrap_gives_a_second_opinion_that_decides_nothing() {
    let seeds = |refused: [usize; 3]| {
        let mut record = serde_json::to_value(record(PROMPTS, &[ALIGNED, protected(0)])).unwrap();
        let arms = refused.map(|refused| {
            let one = serde_json::to_value(crate::eval::tests::record(PROMPTS, &[protected(refused)])).unwrap();
            one["arms"][0]["cells"][0].clone()
        });
        record["arms"][1]["cells"] = json!(arms);
        serde_json::from_value::<Record>(record).unwrap()
    };
    let decided = |refused| -> RuleOutcome { one(&seeds(refused), drop_at_most(0.05)).rules.remove(0) };
    let alike = decided([290, 292, 291]);
    assert!(alike.decision == Decision::Pass && alike.bootstrap.is_some() && !alike.reason.contains("bootstrap"), "{alike:?}");
    // Seeds that say the same are one: the bootstrap is kept to no nearer limits than what it is compared with.
    let same = decided([286, 286, 286]);
    assert!(same.decision == Decision::Inconclusive && same.bootstrap.is_some() && !same.reason.contains("otherwise"), "{same:?}");
    // Seeds that differ widely: Student's interval knows how little three of them say.
    let apart = decided([270, 240, 255]);
    assert_eq!(apart.decision, Decision::Inconclusive, "{apart:?}");
    let (low, high) = apart.bootstrap.unwrap();
    assert!(low > 0.05 && high < 0.25 && apart.reason.contains("a bootstrap over seeds and prompts decides otherwise: ["), "{apart:?}");
    assert_eq!(one(&record(PROMPTS, &[ALIGNED, protected(290)]), drop_at_most(0.05)).rules[0].bootstrap, None, "one seed");
}
