//! How well a judge agrees with people: its verdicts beside labelled completions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::interval::{newcombe_paired, wilson};
use crate::record::{JudgeInfo, Measured, Verdict};

/// What a person said of a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// It declines.
    Refused,
    /// It declines a part, or answers something else instead.
    Partial,
    /// It answers.
    Complied,
}

/// A completion with its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    /// Which model wrote it; empty where the file does not say.
    pub model: String,
    /// What it answers; none where the file does not say.
    pub prompt: Option<String>,
    /// The completion.
    pub text: String,
    /// What people say of it.
    pub label: Label,
}

/// How partial refusals count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Partial {
    /// As refusals: the headline.
    Refused,
    /// As answers.
    Complied,
    /// Not at all.
    Dropped,
}

/// A share with its 95 % interval; none of nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// How many.
    pub hits: u64,
    /// Of how many.
    pub of: u64,
    /// Their ratio.
    pub value: f64,
    /// Wilson's interval.
    pub interval: (f64, f64),
}

impl Share {
    fn of(hits: u64, of: u64) -> Option<Self> {
        wilson(hits, of).map(|interval| Self { hits, of, value: hits as f64 / of as f64, interval })
    }
}

/// A judge on one group of completions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Completions.
    pub completions: u64,
    /// Of which the judge could not decide; they count as not refused.
    pub undetermined: u64,
    /// Refusals among what the judge calls a refusal.
    pub precision: Option<Share>,
    /// Refusals that the judge calls one: its sensitivity.
    pub recall: Option<Share>,
    /// Answers that the judge does not call a refusal.
    pub specificity: Option<Share>,
    /// Right verdicts.
    pub accuracy: Option<Share>,
    /// Mean of recall and specificity, with the interval that joins theirs (MOVER).
    pub balanced_accuracy: Option<(f64, f64, f64)>,
    /// The rate of refusals by the labels.
    pub true_rate: Option<Share>,
    /// The rate of refusals by the judge.
    pub reported_rate: Option<Share>,
    /// Reported less true rate on the same completions, with Newcombe's paired interval.
    pub bias: Option<(f64, f64, f64)>,
}

/// A judge over all models, and by model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgeCalibration {
    /// Its name.
    pub judge: String,
    /// Version of its rules.
    pub version: String,
    /// Digest of its rules.
    pub digest: String,
    /// Over all models, for each way to count partial refusals.
    pub overall: BTreeMap<Partial, Agreement>,
    /// By model, partial refusals counted as refusals.
    pub models: BTreeMap<String, Agreement>,
}

/// A judge beside labelled completions: `verdicts` are its own on them, in order.
pub fn calibrate(name: &str, judge: &JudgeInfo, rows: &[Labelled], verdicts: &[Verdict]) -> JudgeCalibration {
    let said: Vec<(&Labelled, Verdict)> = rows.iter().zip(verdicts.iter().copied()).collect();
    let mut models: BTreeMap<String, Vec<(&Labelled, Verdict)>> = BTreeMap::new();
    for pair in said.iter().filter(|(row, _)| !row.model.is_empty()) {
        models.entry(pair.0.model.clone()).or_default().push(*pair);
    }
    JudgeCalibration {
        judge: name.to_owned(),
        version: judge.version.clone(),
        digest: judge.digest.clone(),
        overall: [Partial::Refused, Partial::Complied, Partial::Dropped].map(|partial| (partial, agreement(&said, partial))).into(),
        models: models.into_iter().map(|(model, said)| (model, agreement(&said, Partial::Refused))).collect(),
    }
}

fn agreement(said: &[(&Labelled, Verdict)], partial: Partial) -> Agreement {
    let truth = |label: Label| match (label, partial) {
        (Label::Refused, _) | (Label::Partial, Partial::Refused) => Some(true),
        (Label::Complied, _) | (Label::Partial, Partial::Complied) => Some(false),
        (Label::Partial, Partial::Dropped) => None,
    };
    // (the judge says refused, people say refused)
    let pairs: Vec<(bool, bool)> =
        said.iter().filter_map(|(row, verdict)| Some((*verdict == Verdict::Refused, truth(row.label)?))).collect();
    let count = |judge: bool, people: bool| pairs.iter().filter(|&&pair| pair == (judge, people)).count() as u64;
    let (hit, false_alarm, missed, right_answer) = (count(true, true), count(true, false), count(false, true), count(false, false));
    let total = pairs.len() as u64;
    let (recall, specificity) = (Share::of(hit, hit + missed), Share::of(right_answer, right_answer + false_alarm));
    Agreement {
        completions: total,
        undetermined: said.iter().filter(|(row, verdict)| *verdict == Verdict::Undetermined && truth(row.label).is_some()).count() as u64,
        precision: Share::of(hit, hit + false_alarm),
        balanced_accuracy: recall.zip(specificity).map(|(recall, specificity)| mean_of(&recall, &specificity)),
        recall,
        specificity,
        accuracy: Share::of(hit + right_answer, total),
        true_rate: Share::of(hit + missed, total),
        reported_rate: Share::of(hit + false_alarm, total),
        bias: newcombe_paired(&pairs),
    }
}

/// The mean of two independent shares with its interval. Source: Zou and Donner (2008), MOVER.
fn mean_of(a: &Share, b: &Share) -> (f64, f64, f64) {
    let below = ((a.value - a.interval.0).powi(2) + (b.value - b.interval.0).powi(2)).sqrt() / 2.0;
    let above = ((a.interval.1 - a.value).powi(2) + (b.interval.1 - b.value).powi(2)).sqrt() / 2.0;
    let mean = f64::midpoint(a.value, b.value);
    (mean, (mean - below).max(0.0), (mean + above).min(1.0))
}

/// What `steadfast judge calibrate --out FILE` writes, and `evaluate.calibration: FILE` reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationFile {
    /// [`CALIBRATION_VERSION`].
    pub version: u32,
    /// The file of labelled completions by its name, the rows that were taken, and who labelled them.
    pub data: String,
    /// sha256 of the file.
    pub data_digest: String,
    /// What was measured.
    pub judges: Vec<JudgeCalibration>,
}

/// The version of calibration files.
pub const CALIBRATION_VERSION: u32 = 1;

const BUILTIN: &str = include_str!("../../datasets/judge/calibration.json");

impl CalibrationFile {
    /// What was measured of the judges that come with the program (`datasets/README.md` says how).
    pub fn builtin() -> Self {
        // A file of the program that does not parse is a broken program, and the tests read it.
        serde_json::from_str(BUILTIN).unwrap_or(Self {
            version: CALIBRATION_VERSION,
            data: String::new(),
            data_digest: String::new(),
            judges: Vec::new(),
        })
    }

    /// What was measured of a judge with these very rules, whatever its name, by their digest (`sha256:…`); none where the file knows
    /// others only.
    pub fn of(&self, digest: &str) -> Option<Measured> {
        let found = self.judges.iter().find(|found| found.digest == digest)?;
        let overall = found.overall.get(&Partial::Refused)?;
        let (recall, specificity) = (overall.recall?, overall.specificity?);
        Some(Measured {
            data: self.data.clone(),
            completions: overall.completions,
            recall: (recall.hits, recall.of),
            specificity: (specificity.hits, specificity.of),
            balanced_accuracy: overall.balanced_accuracy?,
            bias: overall.bias?,
        })
    }
}
