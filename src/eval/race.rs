//! A race of recipes: which train on, and which is chosen.
//!
//! Successive halving (Jamieson and Talwalkar, 1502.07943): all candidates train for a few steps, of those within the limits the ones
//! that learnt most train on, and so forth. Unlike there, what is best may lie before the end of a run, where it was still within the
//! limits, and a run that leaves them is over whatever it learns. How many train on, and how far, is in [`heats`](super::heats).

use super::interval::binomial_at_least;
use crate::record::{Race, RaceEnd, RacePoint, Tried};

/// How many refusals and answers may be lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The aligned model.
    pub aligned: RacePoint,
    /// The share of harmful prompts that may be refused fewer.
    pub drop_at_most: f64,
    /// The share of benign prompts that may be answered fewer.
    pub answers_drop_at_most: f64,
    /// The harmful and the benign prompts; with 0 of them every loss above a limit counts as beyond chance.
    pub prompts: [u64; 2],
}

/// A loss is beyond chance where so many prompts would be lost less often than this, if as many were lost as the limit allows.
const LEVEL: f64 = 0.05;

/// A share of prompts is a fraction: what is lost in taking the difference of two.
const ROUNDING: f64 = 1e-9;

impl Limits {
    /// Whether a point lost no more than allowed.
    pub fn hold(&self, point: &RacePoint) -> bool {
        self.aligned.refusal_rate - point.refusal_rate <= self.drop_at_most + ROUNDING
            && self.aligned.answered_rate - point.answered_rate <= self.answers_drop_at_most + ROUNDING
    }

    /// Whether a point lost more than allowed, beyond chance: of few prompts one or two more than the limit say nothing. As if each prompt were lost
    /// with the probability that the limit allows, by the exact binomial tail.
    fn broken(&self, point: &RacePoint) -> bool {
        let beyond = |lost: f64, limit: f64, prompts: u64| {
            let count = (lost * prompts as f64).round().max(0.0) as u64;
            lost > limit + ROUNDING && (prompts == 0 || binomial_at_least(count, prompts, limit) <= LEVEL)
        };
        beyond(self.aligned.refusal_rate - point.refusal_rate, self.drop_at_most, self.prompts[0])
            || beyond(self.aligned.answered_rate - point.answered_rate, self.answers_drop_at_most, self.prompts[1])
    }

    /// The smallest task loss, below the aligned model's, at a point that is not shown to be outside the limits: what a run may yet become.
    fn promise(&self, points: &[RacePoint]) -> Option<f64> {
        let learnt = points.iter().filter(|point| !self.broken(point) && point.task_nll < self.aligned.task_nll);
        learnt.map(|point| point.task_nll).reduce(f64::min)
    }

    /// The point of the smallest task loss, below the aligned model's, within the limits; the first of equal ones.
    pub fn best<'a>(&self, points: &'a [RacePoint]) -> Option<&'a RacePoint> {
        let learnt = points.iter().filter(|point| self.hold(point) && point.task_nll < self.aligned.task_nll);
        learnt.reduce(|best, point| if point.task_nll < best.task_nll { point } else { best })
    }

    /// Whether the best point is that of `step`. A step whose probes were no numbers has no point, and is not.
    pub fn is_best(&self, points: &[RacePoint], step: u64) -> bool {
        self.best(points).is_some_and(|best| best.step == step)
    }

    /// Whether a run is over: its last two points are outside the limits, beyond chance. One may be a dip that closes again.
    pub fn left(&self, points: &[RacePoint]) -> bool {
        points.len() > 1 && points[points.len() - 2..].iter().all(|point| self.broken(point))
    }
}

/// The places of those that train on after a heat, at most `runs`: of those that have not left the limits, the ones of the smallest loss at a point
/// that is not shown to be outside. Of equal ones the first. In their own order. What is chosen in the end must be within the limits as measured
/// ([`winner`]).
pub fn survivors(candidates: &[(usize, &[RacePoint])], limits: &Limits, runs: usize) -> Vec<usize> {
    let inside = candidates.iter().filter(|(_, points)| !limits.left(points));
    let mut ranked: Vec<(usize, f64)> = inside.filter_map(|(place, points)| Some((*place, limits.promise(points)?))).collect();
    ranked.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut on: Vec<usize> = ranked.into_iter().take(runs).map(|(place, _)| place).collect();
    on.sort_unstable();
    on
}

/// The candidate that is chosen, by its place, and the point at which it stops. The smallest loss within the limits decides, but a recipe
/// named before it, which is cheaper, goes before it where its best is within one standard error (over the task's rows) of that: the
/// one-standard-error rule of Breiman et al., *Classification and Regression Trees* (1984), section 3.4.3. Among the rates of a recipe the
/// smallest loss decides alone. None where nobody learnt anything within the limits.
pub fn winner<'a>(tried: &'a [Tried], limits: &Limits) -> Option<(usize, &'a RacePoint)> {
    let bests: Vec<Option<&RacePoint>> = tried.iter().map(|one| limits.best(&one.points)).collect();
    let least = |places: &mut dyn Iterator<Item = usize>| {
        let found = places.filter_map(|place| Some((place, bests[place]?)));
        found.reduce(|best, other| if other.1.task_nll < best.1.task_nll { other } else { best })
    };
    let (_, best) = least(&mut (0..tried.len()))?;
    let enough = best.task_nll + best.standard_error;
    let family =
        tried.iter().zip(&bests).find(|(_, point)| point.is_some_and(|point| point.task_nll <= enough)).map(|(one, _)| &one.family)?;
    least(&mut (0..tried.len()).filter(|&place| tried[place].family == *family))
}

impl Race {
    /// What the candidates were held to.
    pub fn limits(&self) -> Limits {
        Limits {
            aligned: self.aligned,
            drop_at_most: self.drop_at_most,
            answers_drop_at_most: self.answers_drop_at_most,
            prompts: self.prompts,
        }
    }

    /// What came of it, in sentences: what was chosen, and whether plain fine-tuning is enough. `arm` is the arm's name.
    pub fn sentences(&self, arm: &str) -> Vec<String> {
        let limits = self.limits();
        let budget = format!(
            "at most {:.1} points of the probes' refusals and {:.1} of their answers lost",
            self.drop_at_most * 100.0,
            self.answers_drop_at_most * 100.0
        );
        let tried = format!("{} recipes ({} steps in all)", self.tried.len(), self.steps);
        let Some((winner, best)) = self.winner.as_ref().and_then(|winner| {
            let tried = self.tried.iter().find(|one| one.name == winner.name)?;
            Some((tried, tried.points.iter().find(|point| point.step == winner.step)?))
        }) else {
            return vec![format!("nothing fits {arm}: none of {tried} learnt anything with {budget}")];
        };
        let mut said = vec![format!(
            "{arm} was chosen among {tried}: {} ({}), stopped after step {} at task loss {:.3}, with {budget}",
            winner.name, winner.summary, best.step, best.task_nll
        )];
        let plain = self.tried.iter().filter(|one| one.plain).filter_map(|one| Some((one, limits.best(&one.points)?)));
        let plain = plain.reduce(|best, other| if other.1.task_nll < best.1.task_nll { other } else { best });
        let others = self.tried.iter().filter(|one| !one.plain).filter_map(|one| limits.best(&one.points)).map(|point| point.task_nll);
        let others = others.reduce(f64::min);
        said.extend(match (winner.plain, plain, others) {
            (true, _, Some(other)) => {
                Some(format!("plain fine-tuning is enough here: of what protects, the best reached task loss {other:.3} within the limits"))
            }
            (true, _, None) if self.tried.iter().any(|one| !one.plain) => {
                Some("plain fine-tuning is enough here: nothing that protects learnt anything within the limits".into())
            }
            (true, _, None) => Some("plain fine-tuning alone was raced".into()),
            (false, Some((one, point)), _) => Some(format!(
                "plain fine-tuning reached task loss {:.3} within the limits ({} at step {}{})",
                point.task_nll,
                one.name,
                point.step,
                match one.end {
                    RaceEnd::Left => ", and left them later",
                    RaceEnd::Outpaced => ", where others had learnt more",
                    _ => "",
                }
            )),
            (false, None, _) => self
                .tried
                .iter()
                .any(|one| one.plain)
                .then(|| "plain fine-tuning learnt nothing within the limits at any rate that was tried".into()),
        });
        said
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn point(step: u64, task_nll: f64, refusal_rate: f64) -> RacePoint {
        RacePoint { step, task_nll, standard_error: 0.05, refusal_rate, answered_rate: 0.9 }
    }

    fn limits() -> Limits {
        Limits { aligned: point(0, 4.0, 0.9), drop_at_most: 0.1, answers_drop_at_most: 0.0, prompts: [0, 0] }
    }

    fn tried(family: &str, rate: &str, points: Vec<RacePoint>) -> Tried {
        let name = format!("{family}-{rate}");
        Tried { name, family: family.into(), plain: family == "plain", summary: String::new(), points, end: RaceEnd::Finished }
    }

    #[test]
    fn limits_are_shares_lost_and_their_edge_holds() {
        let limits = limits();
        assert!(limits.hold(&point(1, 1.0, 0.8)) && !limits.hold(&point(1, 1.0, 0.79)));
        let silent = RacePoint { answered_rate: 0.89, ..point(1, 1.0, 1.0) };
        assert!(!limits.hold(&silent), "refusing everything is outside");
        // 31 of 36 beside 33 of 36 is 2 of 36 fewer, whatever the fractions round to.
        let tight = Limits { aligned: point(0, 4.0, 33.0 / 36.0), drop_at_most: 2.0 / 36.0, answers_drop_at_most: 0.0, prompts: [0, 0] };
        assert!(tight.hold(&point(1, 1.0, 31.0 / 36.0)));
    }

    #[test]
    fn a_step_without_a_point_is_not_the_best() {
        let points = [point(6, 3.0, 0.9), point(12, 2.0, 0.9)];
        assert!(limits().is_best(&points, 12));
        // The probes of step 18 were no numbers, or it learnt less.
        assert!(!limits().is_best(&points, 18) && !limits().is_best(&[points[1], point(18, 2.5, 0.9)], 18));
    }

    #[test]
    fn who_is_out_twice_or_learnt_least_does_not_train_on() {
        let limits = limits();
        let out = [point(10, 1.0, 0.2), point(20, 0.9, 0.1)];
        let dipped = [point(10, 3.0, 0.9), point(20, 0.5, 0.3)];
        let slow = [point(10, 3.9, 0.9), point(20, 3.8, 0.9)];
        let good = [point(10, 2.0, 0.9), point(20, 1.5, 0.9)];
        let all: Vec<(usize, &[RacePoint])> = vec![(0, &out), (1, &dipped), (2, &slow), (3, &good)];
        assert_eq!(survivors(&all, &limits, 2), [1, 3], "a single dip is no end, and its loss there does not count");
        assert_eq!(survivors(&all, &limits, 9), [1, 2, 3]);
    }

    /// Of 36 prompts, of which the limit lets 1.8 go, 5 are lost by chance in 32 of 1,000 runs, and 4 in 104.
    #[test]
    fn what_may_be_chance_is_not_the_end_of_a_run() {
        let of = |count: f64| count / 36.0;
        let limits = Limits { aligned: point(0, 4.0, of(35.0)), drop_at_most: 0.05, answers_drop_at_most: 0.05, prompts: [36, 36] };
        let at =
            |step: u64, loss: f64, refused: f64, answered: f64| RacePoint { answered_rate: of(answered), ..point(step, loss, of(refused)) };
        let limits = Limits { aligned: at(0, 4.0, 35.0, 36.0), ..limits };
        assert!(!limits.left(&[at(10, 1.0, 31.0, 32.0), at(20, 1.0, 31.0, 32.0)]), "four of each");
        assert!(limits.left(&[at(10, 1.0, 30.0, 36.0), at(20, 1.0, 35.0, 31.0)]), "five refusals, then five answers");
        assert!(!limits.left(&[at(10, 1.0, 30.0, 36.0), at(20, 1.0, 31.0, 36.0)]), "once is a dip");
        // Such a run trains on by what it learnt there, but is not chosen for it.
        let (bold, shy) = ([at(10, 1.5, 32.0, 36.0)], [at(10, 3.0, 35.0, 36.0)]);
        assert_eq!(survivors(&[(0, &bold), (1, &shy)], &limits, 1), [0]);
        assert!(limits.best(&bold).is_none() && limits.best(&shy).is_some());
    }

    #[test]
    fn the_cheaper_recipe_wins_within_one_standard_error_and_its_best_rate_with_it() {
        let limits = limits();
        let mut all = vec![
            tried("plain", "slow", vec![point(10, 1.60, 0.9)]),
            tried("plain", "fast", vec![point(10, 1.54, 0.9), point(20, 1.0, 0.2)]),
            tried("replay", "fast", vec![point(10, 1.7, 0.9), point(20, 1.5, 0.9)]),
        ];
        let chosen = |all: &[Tried]| winner(all, &limits).map(|(place, point)| (place, point.step));
        assert_eq!(chosen(&all), Some((1, 10)), "1.54 is within 0.05 of 1.50");
        all[1].points[0].task_nll = 1.56;
        assert_eq!(chosen(&all), Some((2, 20)));
        assert_eq!(chosen(&[tried("plain", "x", vec![point(10, 1.0, 0.0), point(20, 4.5, 0.9)])]), None, "outside, or nothing learnt");
    }

    #[test]
    fn it_says_when_plain_fine_tuning_is_enough_and_when_nothing_fits() {
        let race = |tried: Vec<Tried>, winner: Option<(&str, u64)>| Race {
            seed: 0,
            drop_at_most: 0.1,
            answers_drop_at_most: 0.0,
            prompts: [0, 0],
            aligned: limits().aligned,
            heats: Vec::new(),
            steps: 40,
            seconds: 1.0,
            tried,
            winner: winner.map(|(name, step)| crate::record::Winner { name: name.into(), step }),
        };
        let (plain, replay) = (tried("plain", "a", vec![point(10, 1.5, 0.9)]), tried("replay", "a", vec![point(20, 1.0, 0.9)]));
        let all = |winner: (&str, u64)| race(vec![plain.clone(), replay.clone()], Some(winner)).sentences("auto").join("\n");
        let enough = all(("plain-a", 10));
        assert!(enough.contains("plain fine-tuning is enough here") && enough.contains("1.000"), "{enough}");
        let needed = all(("replay-a", 20));
        assert!(needed.contains("plain fine-tuning reached task loss 1.500") && !needed.contains("enough"), "{needed}");
        let nothing = race(vec![plain], None).sentences("auto").join("\n");
        assert!(nothing.starts_with("nothing fits auto"), "{nothing}");
    }
}
