//! Rules on means of scores: ROUGE.

use super::case::{Before, Case, holds, within};
use super::retain::retained;
use crate::eval::bootstrap::bootstrap;
use crate::eval::rule::{Among, Bound, Condition};
use crate::eval::scores::{Mean, Scores, paired};
use crate::record::{Decision, RuleOutcome};

/// Higher is better; a drop is a fall of the mean on the same prompts.
pub(super) fn decide_mean(case: &Case<'_>) -> RuleOutcome {
    let error = |reason: String| case.outcome(Decision::Error, reason);
    let Some(mine) = case.scores(case.measured) else { return error(case.incomplete()) };
    let prompts = mine.0[0].len();
    let Some(Mean { value, low, high, .. }) = mine.mean() else {
        // Of a category too few prompts is a finding, of a whole suite a mistake.
        let decision = if case.group.places.is_some() { Decision::Inconclusive } else { Decision::Error };
        return case.outcome(decision, format!("{prompts} prompts of suite {}: fewer than two have no interval", case.suite.0));
    };
    let told = format!("mean {value:.3} [{low:.3}, {high:.3}] over {prompts} prompts{}", case.errors_told());
    match &case.rule.condition {
        Condition::AtLeast(_) | Condition::AtMost(_) => {
            let compared = match case.rule.bound {
                Bound::Point => value,
                Bound::Lower => low,
                Bound::Upper => high,
            };
            let decision = holds(&case.rule.condition, compared);
            let outcome = RuleOutcome { value: Some(value), interval: Some((low, high)), ..case.outcome(decision, told) };
            let second = if case.rule.bound == Bound::Point { None } else { bootstrap(&mine.0) };
            let by = |(low, high)| holds(&case.rule.condition, if case.rule.bound == Bound::Lower { low } else { high });
            case.second_opinion(outcome, second, decision, by)
        }
        Condition::DropAtMost(_) | Condition::RiseAtMost(_) => match case.scores_before() {
            Ok(before) => changed(case, &mine, &before, &told),
            Err(why) => error(why),
        },
        Condition::RetainAtLeast { of, .. } => {
            let of_arm = |name: &str| case.arm(name).and_then(|arm| case.scores(arm));
            match (of_arm(of), of_arm("aligned")) {
                (Some(theirs), Some(before)) => retained(case, [mine.0, theirs.0, before.0], of, "of the mean"),
                _ => error(format!("arm {of:?} or the aligned model has no scores of suite {}", case.suite.0)),
            }
        }
    }
}

fn changed(case: &Case<'_>, mine: &Scores, Before { name, did: before }: &Before<Scores>, told: &str) -> RuleOutcome {
    let limit = case.limit();
    let drop = matches!(case.rule.condition, Condition::DropAtMost(_));
    let (first, second) = if drop { (before, mine) } else { (mine, before) };
    let (Some(change), Some(differences)) = (first.minus(second), paired(&first.0, &second.0)) else {
        return case.outcome(Decision::Error, "there are no pairs of prompts".into());
    };
    let decision = within(change.low, change.high, limit);
    let needed = change.needed_prompts(limit).filter(|_| decision == Decision::Inconclusive);
    let mut reason = format!(
        "{told}, {name} {:.3}: {} {:.3} [{:.3}, {:.3}]",
        before.mean().map_or(0.0, |mean| mean.value),
        if drop { "drop" } else { "rise" },
        change.value,
        change.low,
        change.high
    );
    if let Some(needed) = needed {
        reason.push_str(&format!("; about {needed} prompts would decide"));
    }
    reason.push_str(case.itself());
    let outcome = RuleOutcome {
        value: Some(change.value),
        interval: Some((change.low, change.high)),
        needed_prompts: needed,
        p_margin: (case.rule.among == Among::EachCategory).then(|| change.beyond(limit)),
        ..case.outcome(decision, reason)
    };
    case.second_opinion(outcome, bootstrap(&differences), decision, |(low, high)| within(low, high, limit))
}
