//! The heats of a race: how many candidates train on to which step, within a budget.

use crate::record::Heat;

/// Of how many candidates one trains on, where no budget says otherwise.
const KEPT: usize = 3;

/// What all trainings of a race may take together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget<'a> {
    /// Optimizer steps, of whichever candidates.
    Steps(u64),
    /// Time.
    Minutes {
        /// At most so many.
        most: f64,
        /// The seconds that a step of each candidate takes, its share of a probe included.
        paces: &'a [f64],
    },
}

impl Budget<'_> {
    /// What heats take, in steps or minutes, where none leaves before and the dearest candidates train on.
    fn cost(&self, heats: &[Heat]) -> f64 {
        let Self::Minutes { paces, .. } = self else { return steps_of(heats) as f64 };
        let mut dearest = paces.to_vec();
        dearest.sort_by(|a, b| b.total_cmp(a));
        let mut before = 0;
        let mut seconds = 0.0;
        for heat in heats {
            seconds += dearest.iter().take(heat.runs).sum::<f64>() * (heat.until - before) as f64;
            before = heat.until;
        }
        seconds / 60.0
    }

    fn most(&self) -> f64 {
        match self {
            Self::Steps(steps) => *steps as f64,
            Self::Minutes { most, .. } => *most,
        }
    }

    fn told(&self, cost: f64) -> String {
        match self {
            Self::Steps(_) => format!("{cost} steps"),
            Self::Minutes { .. } => format!("{cost:.2} minutes"),
        }
    }
}

/// Why a race cannot be had within a budget.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{candidates} candidates take at least {least} together (all to the first probe, one to its end), and the budget is {budget}")]
pub struct TooSmall {
    /// How many race.
    pub candidates: usize,
    /// The least that they take, with its unit.
    pub least: String,
    /// What they may take, with its unit.
    pub budget: String,
    /// What to write: `max_steps: 102`, `minutes: 2.5`.
    pub remedy: String,
}

/// The heats of so many candidates, probed every so many steps, of which the last ends after `steps`. One of `kept` trains on after each
/// heat, until two or one are left.
fn heats_of(candidates: usize, steps: u64, every: u64, kept: usize) -> Vec<Heat> {
    let mut runs = vec![candidates];
    while let Some(&last) = runs.last().filter(|&&last| last > 2) {
        runs.push(last.div_ceil(kept));
    }
    let share = |heat: usize| (kept as f64).powi((runs.len() - 1 - heat) as i32);
    let until = |heat: usize| ((steps as f64 / share(heat) / every as f64).ceil() as u64 * every).min(steps);
    runs.iter().enumerate().map(|(heat, &runs)| Heat { until: until(heat), runs }).collect()
}

/// The steps that heats take, over all candidates, where none leaves before.
pub fn steps_of(heats: &[Heat]) -> u64 {
    let mut before = 0;
    let mut all = 0;
    for heat in heats {
        all += heat.runs as u64 * (heat.until - before);
        before = heat.until;
    }
    all
}

/// The heats of a race: as many train on as the budget pays for, one of three where there is none.
///
/// # Errors
/// When the budget is below the least that a race takes.
pub fn heats(candidates: usize, steps: u64, every: u64, budget: Option<Budget<'_>>) -> Result<Vec<Heat>, TooSmall> {
    let Some(budget) = budget else { return Ok(heats_of(candidates, steps, every, KEPT)) };
    let mut all: Vec<Vec<Heat>> = (2..=candidates.max(2)).map(|kept| heats_of(candidates, steps, every, kept)).collect();
    // The least: all to the first probe, and one of them to its end.
    all.push(vec![Heat { until: every.min(steps), runs: candidates }, Heat { until: steps, runs: 1 }]);
    let least = all.iter().map(|heats| budget.cost(heats)).fold(f64::INFINITY, f64::min);
    let too_small = || TooSmall {
        candidates,
        least: budget.told(least),
        budget: budget.told(budget.most()),
        remedy: match budget {
            Budget::Steps(_) => format!("max_steps: {least}"),
            Budget::Minutes { .. } => format!("minutes: {:.1}", (least * 10.0).ceil().max(1.0) / 10.0),
        },
    };
    all.into_iter().find(|heats| budget.cost(heats) <= budget.most()).ok_or_else(too_small)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn heats_keep_a_third_and_end_with_all_steps() {
        let heats = heats(12, 100, 10, None).unwrap();
        assert_eq!(heats, [(20, 12), (40, 4), (100, 2)].map(|(until, runs)| Heat { until, runs }));
        assert_eq!(steps_of(&heats), 12 * 20 + 4 * 20 + 2 * 60);
        assert_eq!(super::heats(2, 100, 10, None).unwrap(), [Heat { until: 100, runs: 2 }], "two are no race");
        // A step count that no probe divides: the last heat ends with it.
        assert_eq!(super::heats(4, 25, 10, None).unwrap(), [(10, 4), (25, 2)].map(|(until, runs)| Heat { until, runs }));
    }

    #[test]
    fn a_budget_keeps_fewer_and_a_smaller_one_is_refused() {
        let steps = |steps| Some(Budget::Steps(steps));
        let wide = heats(12, 100, 10, steps(10_000)).unwrap();
        assert_eq!(wide[1].runs, 6, "half of them where that is paid for");
        let tight = heats(12, 100, 10, steps(250)).unwrap();
        assert!(steps_of(&tight) <= 250 && tight.last().unwrap().until == 100, "{tight:?}");
        let least = 12 * 10 + 90;
        let small = heats(12, 100, 10, steps(50)).unwrap_err();
        assert_eq!((small.least, small.budget, small.remedy), ("210 steps".into(), "50 steps".into(), "max_steps: 210".into()));
        assert_eq!(heats(2, 100, 10, steps(150)).unwrap()[1], Heat { until: 100, runs: 1 });
        assert!(heats(12, 100, 10, steps(least)).is_ok() && heats(12, 100, 10, steps(least - 1)).is_err());
    }

    #[test]
    fn minutes_are_paid_as_if_the_dearest_trained_on() {
        // Two candidates of a second a step and one of four: all to step 10, and the dear one to its end at 100.
        let paces = [1.0, 4.0, 1.0];
        let minutes = |most| Some(Budget::Minutes { most, paces: &paces });
        let least = (6.0 * 10.0 + 4.0 * 90.0) / 60.0;
        assert_eq!(heats(3, 100, 10, minutes(least)).unwrap(), [(10, 3), (100, 1)].map(|(until, runs)| Heat { until, runs }));
        let small = heats(3, 100, 10, minutes(least - 0.01)).unwrap_err();
        assert_eq!((small.least, small.budget, small.remedy), ("7.00 minutes".into(), "6.99 minutes".into(), "minutes: 7.0".into()));
        // As many steps of the cheap ones alone would have fitted.
        let cheap = [1.0; 3];
        let wide = heats(3, 100, 10, Some(Budget::Minutes { most: least, paces: &cheap })).unwrap();
        assert_eq!(wide, [(50, 3), (100, 2)].map(|(until, runs)| Heat { until, runs }), "{wide:?}");
    }
}
