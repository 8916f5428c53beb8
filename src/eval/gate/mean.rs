//! Rules on means: of scores (ROUGE, StrongREJECT, wins), of losses and of distances.

use super::case::{Before, Case, holds, within};
use super::retain::retained;
use crate::eval::beside::beside;
use crate::eval::bootstrap::bootstrap;
use crate::eval::rule::{Among, Bound, Condition};
use crate::eval::scores::{Mean, Scores, paired};
use crate::record::{Decision, RuleOutcome};

/// A drop or rise is that of the mean on the same prompts, in [`Metric::unit`]; a gain is a rise where more is better, else a fall.
pub(super) fn decide_mean(case: &Case<'_>) -> RuleOutcome {
    let error = |reason: String| case.outcome(Decision::Error, reason);
    let Some(mine) = case.scores(case.measured) else { return error(case.incomplete()) };
    let (metric, prompts) = (case.metric, mine.prompts);
    let Some(Mean { value, low, high, prompts: units, .. }) = mine.mean() else {
        let pieces = if metric.is_of_texts() { "; a text of several windows has one: expect: {perplexity: {max_length: 512}}" } else { "" };
        // Of a category too few prompts is a finding, of a whole suite a mistake.
        let decision = if case.group.places.is_some() { Decision::Inconclusive } else { Decision::Error };
        return case.outcome(decision, format!("{prompts} prompts of suite {}: fewer than two have no interval{pieces}", case.suite.0));
    };
    let [value, low, high] = [value, low, high].map(|mean| metric.shown_as(mean));
    let notes = beside(case.measured, case.suite.0, metric, case.judge, case.group.places.as_deref());
    let notes = if notes.is_empty() { notes } else { format!(" ({notes})") };
    let told = format!("mean {value:.3} [{low:.3}, {high:.3}] over {units} {}{notes}{}", over(units, prompts), case.errors_told());
    match &case.rule.condition {
        Condition::AtLeast(_) | Condition::AtMost(_) => {
            let compared = match case.rule.bound {
                Bound::Point => value,
                Bound::Lower => low,
                Bound::Upper => high,
            };
            let decision = holds(&case.rule.condition, compared);
            let outcome = RuleOutcome { value: Some(value), interval: Some((low, high)), ..case.outcome(decision, told) };
            let second = if case.rule.bound == Bound::Point { None } else { bootstrap(&mine.values) };
            let second = second.map(|(low, high)| (metric.shown_as(low), metric.shown_as(high)));
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
                (Some(theirs), Some(before)) => {
                    // A gain is a fall of what is better when lower.
                    let sign = if metric.lower_is_better() { -1.0 } else { 1.0 };
                    let signed =
                        |scores: Scores| scores.values.into_iter().map(|seed| seed.into_iter().map(|v| sign * v).collect()).collect();
                    retained(case, [signed(mine), signed(theirs), signed(before)], of, metric.unit().unwrap_or("of the mean"))
                }
                _ => error(format!("arm {of:?} or the aligned model has no scores of suite {}", case.suite.0)),
            }
        }
    }
}

fn changed(case: &Case<'_>, mine: &Scores, Before { name, did: before }: &Before<Scores>, told: &str) -> RuleOutcome {
    let limit = case.limit();
    let drop = matches!(case.rule.condition, Condition::DropAtMost(_));
    let (first, second) = if drop { (before, mine) } else { (mine, before) };
    let (Some(change), Some(differences)) = (first.minus(second), paired(&first.values, &second.values)) else {
        return case.unpaired(mine.values.len(), name, before.values.len());
    };
    let decision = within(change.low, change.high, limit);
    let needed = change.needed_prompts(limit).filter(|_| decision == Decision::Inconclusive);
    let mut reason = format!(
        "{told}, {name} {:.3}: {} {:.3} [{:.3}, {:.3}]{}",
        case.metric.shown_as(before.value().unwrap_or(0.0)),
        if drop { "drop" } else { "rise" },
        change.value,
        change.low,
        change.high,
        case.metric.unit().map(|unit| format!(" {unit}")).unwrap_or_default()
    );
    if let Some(needed) = needed {
        reason.push_str(&format!("; about {needed} {} would decide", over(change.prompts, mine.prompts)));
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

/// What a mean is over: prompts, or the windows of an only text.
fn over(units: usize, prompts: usize) -> &'static str {
    if units == prompts { "prompts" } else { "windows" }
}
