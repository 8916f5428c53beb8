//! A comparison as the record keeps it: without values by prompt.

use super::choice::{Best, Kept};
use super::compare::Against;
use super::{Matched, Measure, Reason, Row, Table, Utility};
use crate::record::{AtUtility, Difference, EqualUtility, Estimate, Level, UtilityTable, WithinBudget};

impl Matched {
    /// What is kept in the record.
    pub fn recorded(&self) -> EqualUtility {
        EqualUtility {
            protected: self.protected.clone(),
            random_control: self.random.clone(),
            utility: match &self.utility {
                Utility::TaskNll => "task_nll".into(),
                Utility::Rate { suite, metric } => format!("{suite}.{}", metric.name()),
            },
            budget: self.budget,
            tables: self.tables.iter().map(table).collect(),
        }
    }
}

fn table(table: &Table) -> UtilityTable {
    UtilityTable {
        safety: match &table.measure {
            Measure::Probes => "probes.refusal_rate".into(),
            Measure::Suite(suite) => format!("{suite}.refusal_rate"),
            Measure::Figure(name) => (*name).to_owned(),
        },
        utility: table.level,
        level: match table.reason {
            Reason::End => Level::ProtectedEnd,
            Reason::Common => Level::AllReach,
        },
        aligned: table.aligned,
        families: table.rows.iter().map(row).collect(),
    }
}

fn row(row: &Row) -> AtUtility {
    let kept = row.kept.as_ref();
    let over_refused = kept.and_then(|kept| kept.over_refused.as_ref());
    let safety = |kept: &Kept| Estimate { value: kept.value, interval: kept.interval };
    AtUtility {
        family: row.family.clone(),
        reaches: Some(row.reaches).filter(|reaches| reaches.is_finite()),
        safety: kept.map(safety),
        settings: kept.map(|kept| kept.settings.clone()).unwrap_or_default(),
        over_refusal_rate: over_refused.map(|share| Estimate { value: share.value, interval: Some(share.interval) }),
        protected_less_this: row.against.as_ref().map(difference),
        protected_over_refusal_less_this: row.over_refused.as_ref().map(difference),
        this_less_random: row.beside_random.as_ref().map(difference),
        within_budget: row.within_budget.as_ref().map(within_budget),
    }
}

fn difference(against: &Against) -> Difference {
    Difference { value: against.difference, interval: against.interval, p_holm: against.p_holm, excludes_zero: against.apart }
}

fn within_budget(best: &Best) -> WithinBudget {
    WithinBudget { arm: best.arm.clone(), step: best.step, utility: best.utility, safety: best.safety }
}
