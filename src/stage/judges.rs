//! The judges of a pipeline, of every kind, ready to judge.

use std::collections::BTreeMap;

use crate::error::Failure;
use crate::eval::calibration::CalibrationFile;
use crate::eval::judge::{self, Judge};
use crate::pipeline::settings::{Comparer, EndpointJudge, Evaluate};
use crate::record::{Completion, JudgeError, JudgeInfo, Measured, ModelOrigin, Verdict};

use super::classifier::{self, Classifier};
use super::evaluate::Questions;
use super::{Context, endpoint_judge};

/// What a judge says of one completion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// The verdict; `undetermined` where the judge failed.
    pub verdict: Verdict,
    /// How it failed.
    pub error: Option<JudgeError>,
    /// How harmful it is, from 0 to 1, where the judge says.
    pub score: Option<f64>,
}

impl From<Verdict> for Judgement {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, error: None, score: None }
    }
}

/// What a judge, by its name, says of a list of completions.
pub type Judged = (String, Vec<Judgement>);

/// Whoever says what completions are.
pub struct Judges<'a> {
    /// Those that come with the program; they see the completion alone.
    pub rules: Vec<Judge>,
    classifiers: Vec<Classifier<'a>>,
    endpoints: &'a [EndpointJudge],
    comparers: &'a [Comparer],
}

impl<'a> Judges<'a> {
    /// The judges of a pipeline; classifiers are brought here and opened.
    ///
    /// # Errors
    /// When there is no judge of a name, or a classifier cannot be had or used.
    pub fn open(context: &Context<'_>, evaluate: &'a Evaluate) -> Result<Self, Failure> {
        Ok(Self {
            rules: evaluate.rule_judges().map(judge::by_name).collect::<Result<_, _>>()?,
            classifiers: evaluate.classifiers.iter().map(|judge| classifier::fetch(context, judge)).collect::<Result<_, _>>()?,
            endpoints: &evaluate.endpoints,
            comparers: &evaluate.comparers,
        })
    }

    /// What the record tells of each, by name, with what was measured of it.
    pub fn told(&self, calibration: Option<&CalibrationFile>) -> BTreeMap<String, JudgeInfo> {
        let rules = self.rules.iter().map(|&judge| (judge.name().to_owned(), of_rules(judge)));
        let classifiers = self.classifiers.iter().map(|judge| (judge.settings.name.clone(), judge.told()));
        let endpoints = self.endpoints.iter().map(|judge| (judge.name.clone(), judge.told()));
        let known = |info: JudgeInfo| {
            let measured = calibration.and_then(|file| file.of(&info.digest)).or_else(|| CalibrationFile::builtin().of(&info.digest));
            let calibration = measured.as_ref().map_or_else(|| "not calibrated".to_owned(), Measured::told);
            JudgeInfo { calibration, measured, ..info }
        };
        let comparers = self.comparers.iter().map(|comparer| (comparer.name.clone(), comparer.told()));
        rules.chain(classifiers).chain(endpoints).chain(comparers).map(|(name, info)| (name, known(info))).collect()
    }

    /// Where the weights of classifiers come from.
    pub fn origins(&self) -> Vec<ModelOrigin> {
        self.classifiers.iter().map(Classifier::origin).collect()
    }

    /// The names of those that see the prompt, too.
    pub fn who_sees_prompts(&self) -> Vec<&str> {
        let classifiers = self.classifiers.iter().filter(|judge| judge.settings.sees_prompt()).map(|judge| judge.settings.name.as_str());
        classifiers.chain(self.endpoints.iter().map(|judge| judge.name.as_str())).collect()
    }

    /// Adds the verdicts of those judges that are no rules to the replies to a suite, in the order of [`Questions::asked_items`]; those have
    /// judged when the replies were read.
    ///
    /// # Errors
    /// When a classifier or an endpoint fails, or the store cannot be written.
    pub(super) fn judge(&self, context: &Context<'_>, who: &str, asked: &Questions, completions: &mut [Completion]) -> Result<(), Failure> {
        if asked.info.judges.is_empty() {
            return Ok(());
        }
        let who = format!("{who} {}", asked.suite.name);
        let said: Vec<(String, String)> =
            asked.asked_items().zip(completions.iter()).map(|(item, one)| (item.prompt.clone(), one.text.clone())).collect();
        let said: Vec<(&str, &str)> = said.iter().map(|(prompt, text)| (prompt.as_str(), text.as_str())).collect();
        for (name, judgements) in self.others(context, &who, &said)? {
            for (completion, judgement) in completions.iter_mut().zip(judgements) {
                completion.verdicts.insert(name.clone(), judgement.verdict);
                completion.judge_errors.extend(judgement.error.map(|error| (name.clone(), error)));
                completion.scores.extend(judgement.score.map(|score| (name.clone(), score)));
            }
        }
        Ok(())
    }

    /// What every judge says of prompts with their completions. `who` is whose they are, for people.
    ///
    /// # Errors
    /// When a classifier or an endpoint fails, or the store cannot be written.
    pub fn judgements(&self, context: &Context<'_>, who: &str, said: &[(&str, &str)]) -> Result<Vec<Judged>, Failure> {
        let rules =
            self.rules.iter().map(|judge| (judge.name().to_owned(), said.iter().map(|(_, text)| judge.judge(text, true).into()).collect()));
        Ok(rules.chain(self.others(context, who, said)?).collect())
    }

    fn others(&self, context: &Context<'_>, who: &str, said: &[(&str, &str)]) -> Result<Vec<Judged>, Failure> {
        let mut all = Vec::new();
        for judge in &self.classifiers {
            all.push((judge.settings.name.clone(), judge.judgements(context, who, said)?));
        }
        for judge in self.endpoints {
            all.push((judge.name.clone(), endpoint_judge::judgements(context, who, judge, said)?));
        }
        Ok(all)
    }
}

fn of_rules(judge: Judge) -> JudgeInfo {
    JudgeInfo {
        kind: judge.kind().to_owned(),
        version: judge.version().to_owned(),
        digest: format!("sha256:{}", judge.digest()),
        calibration: String::new(),
        measured: None,
        template: None,
        usage: None,
    }
}
