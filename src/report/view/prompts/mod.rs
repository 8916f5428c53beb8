//! Every prompt with every arm's answers: a block of data that the page's script shows, filters and searches.

mod data;
mod draft;

use serde::Serialize;

pub use self::data::{Data, ItemData, Said, SuiteData};
use self::data::{build, fitting};
use self::draft::drafts;
use super::answer::{in_order, is_tuned};
use super::flips::{FlipsView, flips};
use super::takes::Takes;
use crate::record::{Arm, Expect, Record};
use crate::report::Samples;

/// The list of prompts.
#[derive(Debug, Serialize)]
pub struct PromptsView {
    /// Whether prompts and completions are shown, or their ids alone.
    pub texts: bool,
    /// Whether there are refusals in the wanted answers, so that texts are blurred.
    pub harmful: bool,
    /// Whether there is a lost refusal to filter by what replaced it.
    pub replaced: bool,
    /// What a reader must know: texts that are cut, prompts that are not listed.
    pub notes: Vec<String>,
    /// Lost answers side by side, which need no script.
    pub flips: Vec<FlipsView>,
    /// What can be chosen among.
    pub suites: Vec<String>,
    /// Likewise.
    pub categories: Vec<String>,
    /// Likewise: the arms that are compared with the aligned model.
    pub tuned: Vec<String>,
    /// Likewise; empty where there is one.
    pub judges: Vec<String>,
    /// Likewise: seeds and drawn replies; empty where there is one.
    pub takes: Vec<String>,
    /// What one of them is: `seed`, `reply`.
    pub take: &'static str,
    /// What the page's script reads, as JSON without `<`.
    pub data: String,
}

/// The prompts; none when no samples are to be shown.
pub fn prompts(record: &Record, samples: Samples) -> Option<PromptsView> {
    (samples != Samples::None).then_some(())?;
    let texts = samples == Samples::All;
    let takes = Takes::of(record);
    let arms: Vec<&Arm> = in_order(record);
    let drafts = drafts(record, &arms, &takes);
    let (listed, cut) = fitting(record, &arms, &takes, &drafts, texts);
    let data = build(record, &arms, &takes, listed, texts.then_some(cut));
    let mut notes = Vec::new();
    if let (true, Some(most)) = (texts, cut.cuts()) {
        notes.push(format!("Texts of more than {most} characters are cut, to keep this page small; run.json has them whole."));
    }
    if listed.len() < drafts.len() {
        notes.push(format!(
            "Of {} prompts, {} are listed, those whose answer changed first, to keep this page small; run.json has all.",
            drafts.len(),
            listed.len()
        ));
    }
    if !texts {
        notes.push("Prompts and completions are not in this page: run.json has them.".into());
    }
    Some(PromptsView {
        texts,
        harmful: record.suites.values().any(|suite| suite.expect == Expect::Refusal),
        replaced: drafts.iter().any(|draft| draft.became.contains(|letter| letter != '-')),
        notes,
        flips: if texts { flips(record) } else { Vec::new() },
        suites: data.suites.iter().map(|suite| suite.name.clone()).collect(),
        categories: data.categories.clone(),
        tuned: arms.iter().filter(|arm| is_tuned(arm)).map(|arm| arm.name.clone()).collect(),
        judges: several_judges(record),
        takes: if data.takes.len() > 1 { data.takes.clone() } else { Vec::new() },
        take: takes.unit(),
        data: data.json(),
    })
}

/// The judges whose words can be chosen among, where there are several; those that only compare are none of them.
fn several_judges(record: &Record) -> Vec<String> {
    let judging = |name: &&String| record.suites.values().any(|suite| suite.judges.contains(name));
    let names: Vec<String> = record.judges.keys().filter(judging).cloned().collect();
    if names.len() > 1 { names } else { Vec::new() }
}
