//! What several tasks did to each of them, and to refusals: in a sequence the matrix of tasks by after which task it was measured, how
//! much was forgotten, and what later tasks did for earlier ones; of tasks side by side every task alone, and what merging them lost.

use super::metric::{Metric, outcomes_in};
use super::values::scores_in;
use crate::record::{Arm, Cell, Expect, MergeSummary, Record, task_loss};

/// What is measured of a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// A suite's metric.
    Metric(Metric),
    /// Nats per token of a suite's answers.
    Loss,
}

impl Measure {
    /// Whether a smaller one is better.
    pub fn lower_is_better(self) -> bool {
        match self {
            Self::Metric(metric) => metric.lower_is_better(),
            Self::Loss => true,
        }
    }

    /// Whether it is a share of prompts.
    pub fn is_rate(self) -> bool {
        matches!(self, Self::Metric(metric) if !metric.is_mean())
    }
}

/// One suite along the tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The suite.
    pub suite: String,
    /// What is measured of it.
    pub measure: Measure,
    /// By which judge, where one decides.
    pub judge: Option<String>,
    /// The first task of which it is the suite, from 0; none of suites that belong to no task.
    pub task: Option<usize>,
    /// Of the aligned model.
    pub start: Option<f64>,
    /// After each task, averaged over seeds; none where it was not measured. Of tasks side by side: of each alone, then of their merge.
    pub after: Vec<Option<f64>>,
    /// Whether the tasks were learnt side by side and merged.
    pub merged: bool,
}

impl Row {
    /// How much of this task was forgotten at the end: f = max over l < T of a(l) − a(T), where a(l) is the metric after task l of T, or
    /// its negative where lower is better. Below 0 where the end is the best. None of a suite of no task, of the last task of a sequence, and
    /// where something was not measured. Of a merge: a(i) − a(T), what the task alone has more than the merge.
    ///
    /// Source: Chaudhry et al., *Riemannian Walk* (1801.10112), section 3, whose l also runs over every earlier task, those before this
    /// one was learnt too.
    pub fn forgotten(&self) -> Option<f64> {
        let (end, earlier) = self.ended()?;
        let best = if self.merged { earlier[self.task?] } else { earlier.iter().copied().fold(f64::NEG_INFINITY, f64::max) };
        Some(best - end)
    }

    /// What the tasks behind this one, or the merge, did for it: a(T) − a(i), where i is this task; below 0 where it was forgotten.
    ///
    /// Source: Lopez-Paz and Ranzato, *Gradient Episodic Memory* (1706.08840), section 3: the summand of backward transfer.
    pub fn transferred(&self) -> Option<f64> {
        let (end, earlier) = self.ended()?;
        Some(end - earlier[self.task?])
    }

    /// How much worse the merge is than every task alone, above 0: what no task lost by itself. None where one of them is as bad, in a
    /// sequence, of a task's own suite, and where something was not measured.
    pub fn worse_than_every_task(&self) -> Option<f64> {
        let (&merged, alone) = self.after.split_last().filter(|_| self.merged && self.task.is_none())?;
        let sign = if self.measure.lower_is_better() { 1.0 } else { -1.0 };
        let worst =
            alone.iter().map(|value| value.map(|value| sign * value)).try_fold(f64::NEG_INFINITY, |worst, one| Some(worst.max(one?)))?;
        Some(sign * merged? - worst).filter(|worse| *worse > 0.0 && worse.is_finite())
    }

    /// The metric after the last task and after each before, larger = better; none as in [`Self::forgotten`].
    fn ended(&self) -> Option<(f64, Vec<f64>)> {
        let sign = if self.measure.lower_is_better() { -1.0 } else { 1.0 };
        let all: Vec<f64> = self.after.iter().map(|value| value.map(|value| sign * value)).collect::<Option<_>>()?;
        let (&end, earlier) = all.split_last()?;
        (self.task? < earlier.len()).then(|| (end, earlier.to_vec()))
    }
}

/// The mean over all tasks but the last of a sequence, or over all that were merged, of one measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Average {
    /// Of what.
    pub measure: Measure,
    /// Average forgetting, F = 1/(T−1) Σ f over the tasks before the last, see [`Row::forgotten`]; of a merge over all tasks.
    pub forgetting: f64,
    /// Backward transfer, BWT = 1/(T−1) Σ (a(T) − a(i)), see [`Row::transferred`]; of a merge the negative of what it lost.
    pub transfer: f64,
}

/// One arm along the tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct Sequence {
    /// The arm.
    pub arm: String,
    /// The tasks' suites in the tasks' order, then suites of harmful, then of good prompts.
    pub rows: Vec<Row>,
    /// By measure, of those that every task before the last has, or every one that was merged.
    pub averages: Vec<Average>,
    /// What merging did, of tasks that were learnt side by side; none of a sequence.
    pub merge: Option<MergeSummary>,
}

/// The tasks of a record's pipeline with their suites, in order; empty where it has no sequence.
pub fn tasks(record: &Record) -> Vec<(String, Option<String>)> {
    let tasks = record.pipeline.pointer("/finetune/tasks").and_then(serde_json::Value::as_array);
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    tasks.into_iter().flatten().filter_map(|task| Some((text(&task["name"])?, text(&task["suite"])))).collect()
}

/// What every arm that learnt the tasks, one after another or side by side, did; arms that are made of another one's end are none of
/// them. Empty where there are no tasks.
pub fn sequences(record: &Record) -> Vec<Sequence> {
    let tasks = tasks(record);
    let aligned = record.arms.iter().find(|arm| arm.name == "aligned");
    let learnt = record.arms.iter().filter(|arm| !tasks.is_empty() && !arm.tasks.is_empty());
    learnt.map(|arm| Sequence::of(record, arm, aligned, &tasks)).collect()
}

impl Sequence {
    fn of(record: &Record, arm: &Arm, aligned: Option<&Arm>, tasks: &[(String, Option<String>)]) -> Self {
        let mut wanted: Vec<(&str, Measure, Option<&str>, Option<usize>)> = Vec::new();
        for (i, (_, suite)) in tasks.iter().enumerate() {
            let Some((name, info)) = suite.as_ref().and_then(|suite| record.suites.get_key_value(suite)) else { continue };
            if wanted.iter().any(|(other, ..)| other == name) {
                continue;
            }
            let metrics = Metric::shown(info).into_iter().take(1);
            wanted.extend(metrics.map(|metric| (name.as_str(), Measure::Metric(metric), info.judges.first().map(String::as_str), Some(i))));
            wanted.push((name, Measure::Loss, None, Some(i)));
        }
        wanted.sort_by_key(|(_, measure, ..)| *measure == Measure::Loss);
        for (expect, metric) in [(Expect::Refusal, Metric::RefusalRate), (Expect::Answer, Metric::OverRefusalRate)] {
            for (name, info) in record.suites.iter().filter(|(_, info)| info.expect == expect) {
                wanted.push((name, Measure::Metric(metric), info.judges.first().map(String::as_str), None));
            }
        }
        let start: Vec<&Cell> = aligned.into_iter().flat_map(|arm| &arm.cells).filter(|cell| cell.last).collect();
        let mut states: Vec<Vec<&Cell>> = tasks.iter().map(|(task, _)| evaluated(arm, task)).collect();
        if arm.merge.is_some() {
            states.push(arm.cells.iter().filter(|cell| cell.last).collect());
        }
        let rows = wanted.into_iter().map(|(suite, measure, judge, task)| Row {
            suite: suite.to_owned(),
            measure,
            judge: judge.filter(|_| matches!(measure, Measure::Metric(metric) if metric.is_judged())).map(str::to_owned),
            task,
            start: value(&start, suite, measure, judge),
            after: states.iter().map(|cells| value(cells, suite, measure, judge)).collect(),
            merged: arm.merge.is_some(),
        });
        let rows: Vec<Row> = rows.filter(|row| row.after.iter().any(Option::is_some)).collect();
        let averages = averages(&rows, states.len());
        Self { arm: arm.name.clone(), rows, averages, merge: arm.merge.clone() }
    }
}

/// The cells of an arm that were asked every suite after a task, one a seed.
fn evaluated<'a>(arm: &'a Arm, task: &str) -> Vec<&'a Cell> {
    arm.cells.iter().filter(|cell| cell.after_task.as_deref() == Some(task) && !cell.completions.is_empty()).collect()
}

/// A measure over the cells of all seeds.
fn value(cells: &[&Cell], suite: &str, measure: Measure, judge: Option<&str>) -> Option<f64> {
    match measure {
        Measure::Metric(metric) if metric.is_mean() => {
            scores_in(cells.iter().copied(), suite, metric, judge, None).value().map(|mean| metric.shown_as(mean))
        }
        Measure::Metric(metric) => outcomes_in(cells.iter().copied(), suite, metric, judge).rate(),
        Measure::Loss => {
            let values: Vec<f64> = cells.iter().filter_map(|cell| cell.figures.get(&task_loss(suite))).map(|one| one.value).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        }
    }
}

/// The averages of every measure that the tasks of all `states` but the last have.
fn averages(rows: &[Row], states: usize) -> Vec<Average> {
    let mut measures: Vec<Measure> = rows.iter().filter(|row| row.task.is_some()).map(|row| row.measure).collect();
    measures.dedup();
    let of = |measure: Measure| {
        let mine = || rows.iter().filter(move |row| row.measure == measure);
        let (lost, moved): (Vec<f64>, Vec<f64>) = mine().filter_map(|row| Some((row.forgotten()?, row.transferred()?))).unzip();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        (states > 1 && lost.len() == states - 1).then(|| Average { measure, forgetting: mean(&lost), transfer: mean(&moved) })
    };
    measures.into_iter().filter_map(of).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn row(measure: Measure, task: Option<usize>, after: [f64; 3]) -> Row {
        Row { suite: "s".into(), measure, judge: None, task, start: None, after: after.map(Some).to_vec(), merged: false }
    }

    #[test]
    fn forgetting_is_from_the_best_and_transfer_from_when_it_was_learnt() {
        let exact = Measure::Metric(Metric::ExactMatch);
        // The second task was best before it was learnt.
        let rows = [row(exact, Some(0), [0.8, 0.9, 0.5]), row(exact, Some(1), [0.75, 0.5, 0.25]), row(exact, Some(2), [0.0, 0.0, 1.0])];
        assert_eq!(rows.each_ref().map(Row::forgotten), [Some(0.4), Some(0.5), None]);
        assert_eq!(rows.each_ref().map(|row| row.transferred().map(|value| (value * 100.0).round())), [Some(-30.0), Some(-25.0), None]);
        let average = averages(&rows, 3);
        assert_eq!((average.len(), average[0].forgetting), (1, 0.45));
        assert!((average[0].transfer + 0.275).abs() < 1e-12);
        // A loss that falls is no forgetting.
        let loss = [row(Measure::Loss, Some(0), [1.0, 0.5, 0.75]), row(Measure::Loss, Some(1), [3.0, 2.0, 1.0])];
        assert_eq!(loss.each_ref().map(Row::forgotten), [Some(0.25), Some(-1.0)]);
        assert_eq!(loss.each_ref().map(Row::transferred), [Some(0.25), Some(1.0)]);
        assert_eq!(averages(&loss[..1], 3), [], "one of two tasks says nothing of both");
        assert_eq!(row(exact, None, [1.0, 1.0, 0.0]).forgotten(), None);
    }

    /// Two tasks and their merge: the last column is no task's, so every task has lost something, from what it was alone.
    #[test]
    fn a_merge_loses_from_each_task_alone() {
        let exact = Measure::Metric(Metric::ExactMatch);
        let rows = [row(exact, Some(0), [0.75, 1.0, 0.5]), row(exact, Some(1), [0.0, 0.5, 0.75])].map(|row| Row { merged: true, ..row });
        assert_eq!(rows.each_ref().map(Row::forgotten), [Some(0.25), Some(-0.25)], "not from what another task had");
        assert_eq!(rows.each_ref().map(Row::worse_than_every_task), [None, None], "tasks' own suites tell what was lost");
        let of = |metric, after| Row { merged: true, ..row(Measure::Metric(metric), None, after) }.worse_than_every_task();
        assert_eq!(of(Metric::RefusalRate, [1.0, 0.75, 0.5]), Some(0.25));
        assert_eq!(of(Metric::RefusalRate, [1.0, 0.5, 0.5]), None);
        assert_eq!(of(Metric::OverRefusalRate, [0.25, 0.5, 0.625]), Some(0.125));
        assert_eq!(of(Metric::OverRefusalRate, [0.25, 0.5, 0.25]), None);
        assert_eq!(row(Measure::Metric(Metric::RefusalRate), None, [1.0, 1.0, 0.0]).worse_than_every_task(), None, "a sequence");
        let average = averages(&rows, 3);
        assert_eq!((average.len(), average[0].forgetting, average[0].transfer), (1, 0.0, 0.0));
        assert_eq!(averages(&rows[..1], 3), [], "one of two tasks says nothing of both");
    }
}
