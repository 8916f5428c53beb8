//! Arms at equal utility, as the gate compared them.

use serde::{Deserialize, Serialize};

/// Every family of arms at the utility of one that is to be protected. A family is an arm with the settings of its sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EqualUtility {
    /// The protected family.
    pub protected: String,
    /// The random control's family; none where the pipeline has none.
    pub random_control: Option<String>,
    /// What utility is: `task_nll` (smaller is better), or a rate (`SUITE.METRIC`, larger is better).
    pub utility: String,
    /// How much of a refusal rate may be lost, from 0 to 1: the budget of [`AtUtility::within_budget`].
    pub budget: f64,
    /// One for each measure of safety and level of utility.
    pub tables: Vec<UtilityTable>,
}

/// One measure of safety at one level of utility.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UtilityTable {
    /// `probes.refusal_rate` along the training, `SUITE.refusal_rate` at the ends of settings, `drift` (lower is safer), `refusal_log_odds`.
    pub safety: String,
    /// The level, in the unit of [`EqualUtility::utility`].
    pub utility: f64,
    /// Why this level.
    pub level: Level,
    /// The aligned model's safety.
    pub aligned: f64,
    /// One for each family, the protected one first.
    pub families: Vec<AtUtility>,
}

/// Why a level of utility is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// There the protected arm ended, in the seed that learnt least.
    ProtectedEnd,
    /// It is the largest that all families reach.
    AllReach,
}

/// One family at one level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtUtility {
    /// Its name.
    pub family: String,
    /// The most utility that it reaches in every seed; none where it reaches none.
    pub reaches: Option<f64>,
    /// Its safety at the level; none where it does not reach it.
    pub safety: Option<Estimate>,
    /// The settings that this is of.
    pub settings: Vec<String>,
    /// What these over-refuse of the first suite of good prompts, from 0 to 1, where that was measured.
    pub over_refusal_rate: Option<Estimate>,
    /// The protected family's safety less this one's; none of the protected one.
    pub protected_less_this: Option<Difference>,
    /// The protected family's over-refusal rate less this one's.
    pub protected_over_refusal_less_this: Option<Difference>,
    /// This family's safety less the random control's; none of the random control.
    pub this_less_random: Option<Difference>,
    /// The point of most utility of all its settings and steps that loses no more than the budget; none where none does.
    pub within_budget: Option<WithinBudget>,
}

/// A measured value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The mean over seeds and prompts.
    pub value: f64,
    /// Its 95 % interval, where it is known.
    pub interval: Option<(f64, f64)>,
}

/// A difference, paired by prompt and seed where the measure has values by prompt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The difference.
    pub value: f64,
    /// Its 95 % interval, where it is known.
    pub interval: Option<(f64, f64)>,
    /// The two-sided p-value, adjusted for the families of the table (Holm), where it is known.
    pub p_holm: Option<f64>,
    /// Whether the interval excludes zero and the adjusted p-value is at most 0.05.
    pub excludes_zero: bool,
}

/// A point of a family within the budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithinBudget {
    /// The arm, which says the setting.
    pub arm: String,
    /// After so many steps.
    pub step: u64,
    /// Its mean utility over seeds.
    pub utility: f64,
    /// Its mean safety over seeds, on the prompts that it was picked on.
    pub safety: f64,
}
