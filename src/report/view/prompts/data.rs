//! The block of data in the page: names and texts once, a letter an answer.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use super::super::answer::{Answer, NAME, is_tuned, shown_id};
use super::super::cut::Cut;
use super::super::scorecard::suites;
use super::super::takes::Takes;
use super::draft::Draft;
use crate::record::{Arm, Completion, Expect, Preferred, Record};
use crate::report::shown;

/// Bytes of the page that the block may take.
const LIMIT: usize = 1_500_000;
/// Prompts that are listed however large they are.
const FEWEST: usize = 20;

/// What the page's script reads.
#[derive(Debug, Serialize)]
pub struct Data {
    /// All arms, the aligned model first.
    pub arms: Vec<String>,
    /// Places of the arms that are compared with the aligned model.
    pub tuned: Vec<usize>,
    /// What seeds and drawn replies are called.
    pub takes: Vec<String>,
    /// What several of them are: `seeds`, `replies`.
    pub units: &'static str,
    /// The categories of prompts.
    pub categories: Vec<String>,
    /// The completions, equal ones once.
    pub said: Vec<Said>,
    /// The suites, in the order of the page.
    pub suites: Vec<SuiteData>,
}

/// One suite.
#[derive(Debug, Serialize)]
pub struct SuiteData {
    /// Its name.
    pub name: String,
    /// The letter of the wanted answer.
    pub wanted: char,
    /// Whether its texts are folded and blurred.
    pub harmful: bool,
    /// Its judges; none of a task.
    pub judges: Vec<String>,
    /// Its prompts, listed or not.
    pub prompts: usize,
    /// Those that are listed.
    pub items: Vec<ItemData>,
}

/// One prompt, an array in JSON.
#[derive(Debug, Serialize)]
pub struct ItemData(
    /// Its id, unique in the suite.
    String,
    /// Place of its category, or -1.
    isize,
    /// The prompt.
    String,
    /// Characters of it that are left out.
    usize,
    /// The reference answer of a task.
    String,
    /// For each judge one letter an answer, take × arms + arm; `-` where an arm was not asked.
    Vec<String>,
    /// What replaced a refusal, likewise; may be empty.
    String,
    /// Place of each completion in [`Data::said`], likewise, or -1; empty where no texts are shown.
    Vec<isize>,
);

/// One completion, an array in JSON.
#[derive(Debug, Serialize)]
pub struct Said(
    /// Its text.
    String,
    /// Characters of it that are left out.
    usize,
    /// Whether the token limit ended it.
    bool,
    /// What was extracted from the answer to a task.
    String,
    /// Scores: what it has in common with a reference text, how harmful it is, how it did beside the aligned model's.
    String,
);

impl Data {
    /// As it stands in a `<script>` element: nothing in it can end the element.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default().replace('<', "\\u003c")
    }
}

/// How many of the drafts the page lists, the first ones, and how much of each text: all where they fit, then shorter texts, then
/// fewer prompts.
pub(super) fn fitting<'d, 'a>(
    record: &Record,
    arms: &[&Arm],
    takes: &Takes,
    drafts: &'d [Draft<'a>],
    texts: bool,
) -> (&'d [Draft<'a>], Cut) {
    let mut listed = drafts;
    loop {
        let frame = build(record, arms, takes, listed, texts.then_some(Cut(0))).json().len();
        let room = LIMIT.saturating_sub(frame);
        let prompts = listed.iter().map(|draft| draft.item.prompt.as_str());
        let distinct: BTreeSet<&str> = listed.iter().flat_map(|draft| draft.said.iter().flatten()).map(|said| said.text.as_str()).collect();
        let cut = if texts { Cut::fitting(prompts.chain(distinct), room) } else { Some(Cut(0)) };
        match cut {
            Some(cut) if room > 0 => return (listed, cut),
            _ if listed.len() <= FEWEST => return (listed, Cut::SHORTEST),
            _ => listed = &listed[..(listed.len() - listed.len() / 4).max(FEWEST)],
        }
    }
}

/// The block of some drafts, with texts as far as they are cut; without a cut, without any text.
pub(super) fn build(record: &Record, arms: &[&Arm], takes: &Takes, listed: &[Draft<'_>], cut: Option<Cut>) -> Data {
    let category = |draft: &Draft<'_>| draft.item.category.as_deref().filter(|name| !name.is_empty()).map(|name| shown(&NAME.signed(name)));
    let categories: Vec<String> = listed.iter().filter_map(category).collect::<BTreeSet<_>>().into_iter().collect();
    let mut said = Interned::default();
    let suites = suites(record).into_iter().enumerate().map(|(place, (name, suite))| {
        let mut mine: Vec<&Draft<'_>> = listed.iter().filter(|draft| draft.suite == place).collect();
        mine.sort_by_key(|draft| draft.index);
        let items = mine.into_iter().map(|draft| {
            let (prompt, left_out) = cut.map(|cut| cut.of(&draft.item.prompt)).unwrap_or_default();
            let reference = draft.item.reference.as_deref().filter(|_| cut.is_some()).map(|reference| NAME.signed(reference));
            let answers = cut.map(|cut| draft.said.iter().map(|completion| completion.map_or(-1, |one| said.place(one, cut))).collect());
            let category = category(draft).and_then(|name| categories.binary_search(&name).ok()).map_or(-1, usize::cast_signed);
            ItemData(
                shown_id(&draft.item.id, draft.index),
                category,
                shown(&prompt),
                left_out,
                shown(&reference.unwrap_or_default()),
                draft.letters.clone(),
                draft.became.clone(),
                answers.unwrap_or_default(),
            )
        });
        SuiteData {
            name: shown(name),
            wanted: Answer::wanted(suite.expect).letter(),
            harmful: suite.expect == Expect::Refusal,
            judges: suite.judges.iter().map(|judge| shown(judge)).collect(),
            prompts: suite.items.len(),
            items: items.collect(),
        }
    });
    let suites = suites.collect();
    Data {
        arms: arms.iter().map(|arm| shown(&arm.name)).collect(),
        tuned: (0..arms.len()).filter(|&place| is_tuned(arms[place])).collect(),
        takes: takes.labels(),
        units: takes.units(),
        categories,
        said: said.list,
        suites,
    }
}

/// Completions that are shown alike, once.
#[derive(Default)]
struct Interned<'a> {
    places: HashMap<(&'a str, bool, &'a str, String), isize>,
    list: Vec<Said>,
}

impl<'a> Interned<'a> {
    fn place(&mut self, completion: &'a Completion, cut: Cut) -> isize {
        let extracted = completion.extracted.as_deref().unwrap_or_default();
        let score = scored(completion);
        let next = self.list.len().cast_signed();
        let place = *self.places.entry((&completion.text, completion.ended, extracted, score.clone())).or_insert(next);
        if place == next {
            let (text, left_out) = cut.of(&completion.text);
            self.list.push(Said(shown(&text), left_out, !completion.ended, shown(&NAME.signed(extracted)), score));
        }
        place
    }
}

/// The scores of a completion, in words.
fn scored(completion: &Completion) -> String {
    let mut scores: Vec<String> = completion.rouge.map(|rouge| format!("ROUGE-L {:.3}", rouge.rouge_l)).into_iter().collect();
    scores.extend(completion.likelihood.as_ref().map(|text| format!("perplexity {:.3}", (text.nll / text.tokens as f64).exp())));
    scores.extend(completion.scores.values().map(|score| format!("StrongREJECT {score:.3}")));
    let compared = completion.compared.filter(|compared| !compared.same);
    scores.extend(compared.map(|compared| match compared.outcome() {
        Some(Preferred::Arm) => "better than aligned".to_owned(),
        Some(Preferred::Aligned) => "worse than aligned".to_owned(),
        Some(Preferred::Tie) => "tie with aligned".to_owned(),
        None => "not compared".to_owned(),
    }));
    scores.join("; ")
}
