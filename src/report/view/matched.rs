//! Arms at equal utility.

use serde::Serialize;

use crate::eval::matched::compare::Against;
use crate::eval::matched::{Matched, Measure, Row, Table, matched, own_rules, protected};
use crate::record::Record;

/// One measure of safety at one level of utility.
#[derive(Debug, Serialize)]
pub struct MatchedView {
    /// `At task loss 1.050, where protected ended: refused of the probe prompts, along the training`.
    pub caption: String,
    /// Column heads.
    pub columns: Vec<String>,
    /// The protected arm first.
    pub rows: Vec<MatchedRow>,
    /// One sentence for each of the others.
    pub sentences: Vec<String>,
}

/// One family of arms.
#[derive(Debug, Serialize)]
pub struct MatchedRow {
    /// Its name.
    pub family: String,
    /// Safety with its interval, difference from the protected arm, over-refusals and their difference where these are known,
    /// the difference from the random control where there is one, the setting that was chosen, the most utility within the budget with its
    /// setting, the most utility of all, and the tokens that its training read ÷ the protected arm's.
    pub cells: Vec<String>,
    /// `better` or `worse` where the difference from the protected arm is beyond chance.
    pub trend: &'static str,
}

/// A table for each measure and level; none where arms cannot be compared so.
pub(super) fn tables(record: &Record) -> Vec<MatchedView> {
    let rules = own_rules(record);
    let found = protected(record, &rules).and_then(|protected| matched(record, protected, &rules));
    let Some(found) = found else { return Vec::new() };
    let view = |table: &Table| {
        let shown = |value| table.measure.value(value);
        let less = format!("{} less it", found.protected);
        let mut columns = vec!["safety".into(), less.clone()];
        if let Some((suite, aligned)) = &table.over_refused {
            columns
                .extend([format!("over-refused of {suite}: less is better (aligned {})", shown(*aligned)), format!("{less}, of {suite}")]);
        }
        if let Some(random) = &found.random {
            columns.push(format!("it less {random}, the random control"));
        }
        let utility = found.utility.name();
        columns.extend([
            "setting".into(),
            format!("best {utility} within {:.0} points of the aligned model, picked on these prompts", found.budget * 100.0),
            format!("best {utility}"),
            format!("tokens read, of {}'s", found.protected),
        ]);
        MatchedView {
            caption: format!(
                "At {}, {}: {} (aligned {})",
                found.utility.told(table.level),
                table.why(&found.protected),
                table.measure.name(),
                shown(table.aligned)
            ),
            columns,
            rows: table.rows.iter().map(|row| shown_row(&found, table, row, &|family| tokens(record, family))).collect(),
            sentences: table.sentences(&found.utility),
        }
    };
    found.tables.iter().map(view).collect()
}

/// What an arm's training read, in tokens: the task's rows and all others.
fn tokens(record: &Record, name: &str) -> Option<u64> {
    let arm = record.arms.iter().find(|arm| arm.name == name)?;
    arm.training.as_ref().map(|training| training.tokens).filter(|&tokens| tokens > 0)
}

fn shown_row(found: &Matched, table: &Table, row: &Row, tokens: &dyn Fn(&str) -> Option<u64>) -> MatchedRow {
    let (measure, utility) = (&table.measure, &found.utility);
    let safety = row.kept.as_ref().map_or_else(|| "does not reach it".into(), |kept| rate(measure, kept.value, kept.interval));
    let difference = |against: &Option<Against>| against.as_ref().map(|against| measure.difference(against)).unwrap_or_default();
    let mut cells = vec![safety, difference(&row.against)];
    if table.over_refused.is_some() {
        let share = row.kept.as_ref().and_then(|kept| kept.over_refused.as_ref());
        let share = share.map(|share| rate(measure, share.value, Some(share.interval))).unwrap_or_default();
        cells.extend([share, difference(&row.over_refused)]);
    }
    if found.random.is_some() {
        cells.push(row.beside_random.as_ref().map(|against| apart(measure, against)).unwrap_or_default());
    }
    let read = tokens(&row.family).zip(tokens(&found.protected)).map(|(theirs, own)| format!("{:.2} ×", theirs as f64 / own as f64));
    let setting = row.kept.as_ref().map(|kept| kept.settings.join(" and ")).unwrap_or_default();
    let budget = match &row.within_budget {
        Some(best) => format!("{} ({}, step {}: {})", utility.value(best.utility), best.arm, best.step, measure.value(best.safety)),
        None if measure.is_rate() => "none".into(),
        None => String::new(),
    };
    let trend = match &row.against {
        Some(against) if against.apart && (against.difference > 0.0) != measure.lower_is_safer() => "worse",
        Some(against) if against.apart => "better",
        _ => "",
    };
    cells.extend([setting, budget, utility.value(row.reaches), read.unwrap_or_default()]);
    MatchedRow { family: row.family.clone(), cells, trend }
}

/// A difference, and whether it is beyond chance.
fn apart(measure: &Measure, against: &Against) -> String {
    let word = if against.apart { "excludes zero" } else { "not apart" };
    format!("{}: {word}", measure.difference(against))
}

/// `93.5 % [88.4, 98.5]`.
fn rate(measure: &Measure, value: f64, interval: Option<(f64, f64)>) -> String {
    let limits = interval.map(|(low, high)| format!(" [{:.1}, {:.1}]", low * 100.0, high * 100.0)).unwrap_or_default();
    measure.value(value) + &limits
}
