//! What one arm of a run did, kept to compare later runs with: verdicts by prompt, without prompts or completions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Arm, Comparison, Completion, Expect, JudgeError, Likelihood, Manner, Quantization, Record, Rouge, Verdict};

/// The version of the format of `baseline.json`; a reader refuses any other.
pub const BASELINE_VERSION: u32 = 1;

/// A baseline, small enough to be committed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// [`BASELINE_VERSION`].
    pub version: u32,
    /// The program that measured it.
    pub program: String,
    /// The run that it comes from.
    pub run: String,
    /// The arm.
    pub arm: String,
    /// Digest of the weights that were measured.
    pub model: Option<String>,
    /// Digest of the aligned model's weights, beside which `kl` and `win_rate` were measured; none in a baseline that does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aligned: Option<String>,
    /// Digest of tokenizer, chat template and system message.
    pub template: Option<String>,
    /// Digests of the judges' rules, by name.
    pub judges: BTreeMap<String, String>,
    /// The suites, by name.
    pub suites: BTreeMap<String, BaselineSuite>,
}

/// What was said to one suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaselineSuite {
    /// What a good answer is.
    pub expect: Expect,
    /// Digest of the prompts, in order.
    pub digest: String,
    /// Most tokens of a reply.
    pub max_new_tokens: usize,
    /// How the prompts were put.
    #[serde(default, skip_serializing_if = "Manner::is_plain")]
    pub manner: Manner,
    /// What the weights were rounded to before they replied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<Quantization>,
    /// Tokens along which distances from the aligned model were measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence: Option<usize>,
    /// How an answer is taken from a reply and what it is compared with, for task suites; none in a baseline that does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scoring: Option<String>,
    /// By seed: one entry a prompt, in the suite's order.
    pub seeds: Vec<Vec<Kept>>,
}

/// What is kept of one completion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The prompt's id; empty of further replies to it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// By judge.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub verdicts: BTreeMap<String, Verdict>,
    /// Judges that failed, and how.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub judge_errors: BTreeMap<String, JudgeError>,
    /// Whether the model's endpoint gave no reply.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unanswered: bool,
    /// For task suites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correct: Option<bool>,
    /// For questions with choices, by log-likelihood a character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correct_norm: Option<bool>,
    /// For suites with reference texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rouge: Option<Rouge>,
    /// By judge, of judges that give a score.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, f64>,
    /// From the aligned model of that run, in nats per token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl: Option<f64>,
    /// With the aligned model of that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared: Option<Comparison>,
    /// For texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likelihood: Option<Likelihood>,
    /// Where several replies were drawn: the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<Kept>,
}

impl Kept {
    /// All that is kept of the replies to one prompt, the first first.
    pub fn samples(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.more)
    }

    fn of(completion: &Completion, id: &str) -> Self {
        Self {
            id: id.to_owned(),
            verdicts: completion.verdicts.clone(),
            judge_errors: completion.judge_errors.clone(),
            unanswered: completion.unanswered,
            correct: completion.correct,
            correct_norm: completion.choice.as_ref().map(|choice| choice.correct_norm),
            rouge: completion.rouge,
            scores: completion.scores.clone(),
            kl: completion.kl,
            compared: completion.compared,
            likelihood: completion.likelihood.clone(),
            more: completion.more.iter().map(|sample| Self::of(sample, "")).collect(),
        }
    }
}

impl Baseline {
    /// Of an arm's saved models.
    pub fn of(record: &Record, arm: &Arm) -> Self {
        let suites = record.suites.iter().map(|(name, info)| {
            let seeds = arm
                .cells
                .iter()
                .filter(|cell| cell.last)
                .filter_map(|cell| cell.completions.get(name))
                .map(|said| said.iter().zip(&info.items).map(|(completion, item)| Kept::of(completion, &item.id)).collect());
            let suite = BaselineSuite {
                expect: info.expect,
                digest: info.digest.clone(),
                max_new_tokens: info.max_new_tokens,
                manner: info.manner.clone(),
                quantization: info.quantization,
                divergence: info.divergence,
                scoring: scoring(record, name),
                seeds: seeds.collect(),
            };
            (name.clone(), suite)
        });
        Self {
            version: BASELINE_VERSION,
            program: record.program.clone(),
            run: record.run_id.clone(),
            arm: arm.name.clone(),
            model: record.digests.get(&format!("model.{}", arm.name)).cloned(),
            aligned: record.digests.get("model.aligned").cloned(),
            template: record.digests.get("template.aligned").cloned(),
            judges: record.judges.iter().map(|(name, judge)| (name.clone(), judge.digest.clone())).collect(),
            suites: suites.collect(),
        }
    }

    /// Why a suite of the record cannot be compared with this baseline by a judge; none where it can.
    pub fn differs(&self, record: &Record, suite: &str, judge: Option<&str>) -> Option<String> {
        let Some((mine, now)) = self.suites.get(suite).zip(record.suites.get(suite)) else {
            return Some(format!("the baseline has no suite {suite}; it has {}", names(self.suites.keys())));
        };
        let template = record.digests.get("template.aligned");
        let judged = judge.map(|judge| (judge, self.judges.get(judge), record.judges.get(judge).map(|judge| &judge.digest)));
        let scored = mine.scoring.as_ref().zip(scoring(record, suite)).filter(|(mine, now)| *mine != now);
        if let Some((mine, now)) = scored {
            Some(format!("answers to suite {suite} are taken by {now}, the baseline's by {mine}"))
        } else if mine.expect != now.expect {
            Some(format!("suite {suite} expects another kind of answer than the baseline's"))
        } else if mine.digest != now.digest {
            Some(format!("the prompts of suite {suite} are others than the baseline's: {} and {}", now.digest, mine.digest))
        } else if mine.max_new_tokens != now.max_new_tokens {
            Some(format!("replies of {} tokens at most to suite {suite}, the baseline has {}", now.max_new_tokens, mine.max_new_tokens))
        } else if mine.manner != now.manner {
            let told = |manner: &Manner| if manner.is_plain() { "plainly".to_owned() } else { format!("with {}", manner.told()) };
            Some(format!("the prompts of suite {suite} are put {}, the baseline's {}", told(&now.manner), told(&mine.manner)))
        } else if mine.quantization != now.quantization {
            let told = |found: Option<Quantization>| found.map_or("weights that were not rounded", Quantization::name);
            Some(format!("replies to suite {suite} are by {}, the baseline's by {}", told(now.quantization), told(mine.quantization)))
        } else if mine.divergence.zip(now.divergence).is_some_and(|(mine, now)| mine != now) {
            let told = |tokens: Option<usize>| tokens.map_or_else(String::new, |tokens| tokens.to_string());
            Some(format!("distances along {} tokens of a reply, the baseline has {}", told(now.divergence), told(mine.divergence)))
        } else if template != self.template.as_ref() {
            let told = |digest: Option<&String>| digest.map_or("none", String::as_str).to_owned();
            Some(format!(
                "tokenizer, chat template or system message are others than the baseline's: {} and {}",
                told(template),
                told(self.template.as_ref())
            ))
        } else {
            match judged {
                Some((judge, None, _)) => Some(format!("the baseline has no judge {judge}; it has {}", names(self.judges.keys()))),
                Some((judge, mine, now)) if mine != now => Some(format!("judge {judge} has other rules than the baseline's")),
                _ => None,
            }
        }
    }

    /// Why what was measured beside the aligned model cannot be compared with this baseline: that was another model, or is not known.
    pub fn beside_another(&self, record: &Record, metric: &str) -> Option<String> {
        let now = record.digests.get("model.aligned");
        if self.arm == "aligned" {
            return Some(format!(
                "the baseline is the aligned model's, and {metric} is measured beside that: keep an arm's (steadfast baseline update RUN --arm ARM)"
            ));
        }
        match (&self.aligned, now) {
            (Some(mine), Some(now)) if mine == now => None,
            (Some(mine), Some(now)) => {
                Some(format!("{metric} is measured beside another aligned model than the baseline's: {now} and {mine}"))
            }
            (None, _) => Some(format!(
                "the baseline does not say beside which aligned model its {metric} was measured: make it again (steadfast baseline update RUN --arm {})",
                self.arm
            )),
            (_, None) => Some(format!("the run does not say beside which aligned model its {metric} was measured")),
        }
    }
}

/// `exact_match answer, extract last_number`, or `rouge summary`, as a record's pipeline has it of a suite with reference answers.
fn scoring(record: &Record, suite: &str) -> Option<String> {
    let suites = record.pipeline["evaluate"]["suites"].as_array()?;
    let suite = suites.iter().find(|other| other["name"] == suite)?;
    let answer = suite["answer"].as_str()?;
    match suite["expect"].as_str()? {
        "exact_match" => Some(format!("exact_match {answer}, extract {}", suite["extract"].as_str()?)),
        "rouge" => Some(format!("rouge {answer}")),
        _ => None,
    }
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let all: Vec<&str> = names.map(String::as_str).collect();
    if all.is_empty() { "none".into() } else { all.join(", ") }
}
