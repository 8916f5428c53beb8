//! Every prompt with every arm's answer: those whose answer changed first.

use std::collections::BTreeSet;

use serde::Serialize;

use super::answer::{Answer, is_tuned, judges};
use super::cut::Cut;
use super::scorecard::suites;
use super::words::count;
use crate::eval::metric::last_cells;
use crate::record::{Arm, Cell, Completion, Preferred, Record, SuiteInfo, SuiteItem};
use crate::report::Samples;

/// The most characters of an id, a category, a reference.
const NAME: Cut = Cut(120);

/// The list of prompts.
#[derive(Debug, Serialize)]
pub struct PromptsView {
    /// Whether prompts and completions are shown, or their ids alone.
    pub texts: bool,
    /// What a reader must know: seeds that are not shown, texts that are cut.
    pub notes: Vec<String>,
    /// The suites.
    pub suites: Vec<SuiteView>,
    /// What can be chosen among.
    pub categories: Vec<String>,
    /// Likewise: the arms that are compared with the aligned model.
    pub tuned: Vec<String>,
    /// Likewise.
    pub judges: Vec<String>,
    /// What the page's script filters by.
    pub data: Data,
}

/// One suite's prompts.
#[derive(Debug, Serialize)]
pub struct SuiteView {
    /// Its name.
    pub name: String,
    /// Whether its texts are folded and blurred.
    pub harmful: bool,
    /// Prompts whose answer changed between the aligned model and an arm, lost ones first.
    pub changed: Vec<ItemView>,
    /// The others.
    pub same: Vec<ItemView>,
}

/// One prompt with every arm's answer.
#[derive(Debug, Serialize)]
pub struct ItemView {
    /// Its id.
    pub id: String,
    /// Its place in the page, as it stands in a link.
    pub link: String,
    /// Its category.
    pub category: String,
    /// The prompt.
    pub prompt: String,
    /// Characters of the prompt that are not shown.
    pub left_out: String,
    /// The reference answer of a task.
    pub reference: String,
    /// `refused → complied (unprotected)`, by the first judge.
    pub change: String,
    /// The arms' answers, equal ones together.
    pub answers: Vec<AnswerView>,
}

/// One answer.
#[derive(Debug, Serialize)]
pub struct AnswerView {
    /// The arms that gave it.
    pub arms: String,
    /// The same as places among [`Data::arms`].
    pub places: String,
    /// `g` (wanted), `u` (undetermined) or `b`, with the word; one a judge where judges differ.
    pub marks: Vec<(&'static str, String)>,
    /// What was extracted from the answer to a task.
    pub extracted: String,
    /// Whether the token limit ended it.
    pub unended: bool,
    /// The completion.
    pub text: String,
    /// Whether nothing was to be said: a text was read.
    pub silent: bool,
    /// Characters of it that are not shown.
    pub left_out: String,
}

/// What the page's script filters by: names once, and a letter an answer.
#[derive(Debug, Serialize)]
pub struct Data {
    /// All arms, the aligned model first.
    pub arms: Vec<String>,
    /// Places of the arms that are compared with the aligned model.
    pub tuned: Vec<usize>,
    /// The suites, in the order of the page.
    pub suites: Vec<SuiteData>,
}

/// One suite for the script.
#[derive(Debug, Serialize)]
pub struct SuiteData {
    /// Its name.
    pub name: String,
    /// The letter of the wanted answer.
    pub wanted: char,
    /// Its judges; none of a task.
    pub judges: Vec<String>,
    /// Each prompt's category, and for each judge one letter an arm (`-` where it was not asked), in the order of the page.
    pub items: Vec<(String, Vec<String>)>,
}

/// The prompts; none when no samples are to be shown.
pub fn prompts(record: &Record, samples: Samples) -> Option<PromptsView> {
    (samples != Samples::None).then_some(())?;
    let texts = samples == Samples::All;
    let mut arms: Vec<&Arm> = record.arms.iter().collect();
    arms.sort_by_key(|arm| if is_tuned(arm) { 1 } else { 2 * u8::from(arm.name != "aligned") });
    let cells: Vec<(&Arm, Option<&Cell>)> = arms.iter().map(|&arm| (arm, last_cells(arm).next())).collect();
    let page = Page { texts, cut: cut(record, &cells), cells };
    let (mut views, mut data, mut categories) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (name, suite) in suites(record) {
        let (view, of_script) = page.suite(name, suite);
        categories.extend(of_script.items.iter().map(|(category, _)| category.clone()).filter(|category| !category.is_empty()));
        views.push(view);
        data.push(of_script);
    }
    let tuned: Vec<usize> = (0..arms.len()).filter(|&place| is_tuned(arms[place])).collect();
    Some(PromptsView {
        texts,
        notes: notes(record, &page),
        suites: views,
        categories: categories.into_iter().collect(),
        tuned: tuned.iter().map(|&place| arms[place].name.clone()).collect(),
        judges: several_judges(record),
        data: Data { arms: arms.iter().map(|arm| arm.name.clone()).collect(), tuned, suites: data },
    })
}

/// The judges whose words can be chosen among, where there are several; those that only compare are none of them.
fn several_judges(record: &Record) -> Vec<String> {
    let judging = |name: &&String| record.suites.values().any(|suite| suite.judges.contains(name));
    let names: Vec<String> = record.judges.keys().filter(judging).cloned().collect();
    if names.len() > 1 { names } else { Vec::new() }
}

/// How much of each text is shown.
fn cut(record: &Record, cells: &[(&Arm, Option<&Cell>)]) -> Cut {
    let prompts = record.suites.values().flat_map(|suite| &suite.items).map(|item| item.prompt.as_str());
    let completions = cells.iter().filter_map(|(_, cell)| *cell).flat_map(|cell| cell.completions.values().flatten());
    Cut::fitting(prompts.chain(completions.map(|completion| completion.text.as_str())))
}

fn notes(record: &Record, page: &Page<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let seeds: BTreeSet<u64> = record.arms.iter().flat_map(last_cells).map(|cell| cell.seed).collect();
    if let (Some(first), true) = (page.cells.iter().find_map(|(_, cell)| *cell), seeds.len() > 1) {
        notes.push(format!("The answers are those of seed {}; {} seeds ran, and run.json has them all.", first.seed, seeds.len()));
    }
    if let (true, Some(most)) = (page.texts, page.cut.cuts()) {
        notes.push(format!("Texts of more than {most} characters are cut, to keep this page small; run.json has them whole."));
    }
    if !page.texts {
        notes.push("Prompts and completions are not in this page: run.json has them.".into());
    }
    notes
}

/// What every suite of the page is shown with.
struct Page<'a> {
    texts: bool,
    cut: Cut,
    cells: Vec<(&'a Arm, Option<&'a Cell>)>,
}

impl Page<'_> {
    fn suite(&self, name: &str, suite: &SuiteInfo) -> (SuiteView, SuiteData) {
        let wanted = Answer::wanted(suite.expect);
        let mut items: Vec<(u8, ItemView, Vec<String>)> = suite
            .items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let asked: Vec<(usize, &Arm, &Completion)> = self
                    .cells
                    .iter()
                    .enumerate()
                    .filter_map(|(place, (arm, cell))| Some((place, *arm, (*cell)?.completions.get(name)?.get(index)?)))
                    .collect();
                let words = |judge: Option<&str>| -> Vec<(usize, &Arm, Answer)> {
                    asked.iter().map(|&(place, arm, completion)| (place, arm, Answer::of(completion, suite.expect, judge))).collect()
                };
                let letters = judges(suite).into_iter().map(|judge| {
                    let mut letters = vec!['-'; self.cells.len()];
                    words(judge).iter().for_each(|&(place, _, answer)| letters[place] = answer.letter());
                    letters.into_iter().collect()
                });
                let (rank, change) = change(&words(judges(suite)[0]), wanted);
                (rank, self.item(name, suite, (index, item), change, &asked), letters.collect())
            })
            .collect();
        items.sort_by_key(|(rank, ..)| *rank);
        let data = SuiteData {
            name: name.into(),
            wanted: wanted.letter(),
            judges: suite.judges.clone(),
            items: items.iter().map(|(_, item, letters)| (item.category.clone(), letters.clone())).collect(),
        };
        let (changed, same) = items.into_iter().map(|(_, item, _)| item).partition(|item| !item.change.is_empty());
        (SuiteView { name: name.into(), harmful: wanted == Answer::Refused, changed, same }, data)
    }

    fn item(
        &self,
        name: &str,
        suite: &SuiteInfo,
        (index, item): (usize, &SuiteItem),
        change: String,
        asked: &[(usize, &Arm, &Completion)],
    ) -> ItemView {
        let (prompt, left_out) = if self.texts { self.cut.of(&item.prompt) } else { Default::default() };
        let (id, rest) = NAME.of(&item.id);
        let unique = if rest > 0 { format!("~{index}") } else { String::new() };
        ItemView {
            link: format!("{}/{}{unique}", in_link(name), in_link(&id)),
            id,
            category: item.category.as_deref().map(|category| NAME.signed(category)).unwrap_or_default(),
            prompt,
            left_out: told(left_out),
            reference: item.reference.as_deref().filter(|_| self.texts).map(|reference| NAME.signed(reference)).unwrap_or_default(),
            change,
            answers: if self.texts { self.answers(suite, asked) } else { Vec::new() },
        }
    }

    /// The answers, the aligned model's first; arms that said the same stand together.
    fn answers(&self, suite: &SuiteInfo, asked: &[(usize, &Arm, &Completion)]) -> Vec<AnswerView> {
        let mut groups: Vec<(&Completion, Vec<(usize, &str)>)> = Vec::new();
        for &(place, arm, completion) in asked {
            match groups.iter_mut().find(|(other, _)| same(other, completion)) {
                Some((_, arms)) => arms.push((place, &arm.name)),
                None => groups.push((completion, vec![(place, &arm.name)])),
            }
        }
        let view = |(completion, arms): (&Completion, Vec<(usize, &str)>)| {
            let (text, left_out) = self.cut.of(&completion.text);
            AnswerView {
                arms: arms.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", "),
                places: arms.iter().map(|(place, _)| place.to_string()).collect::<Vec<_>>().join(" "),
                marks: marks(suite, completion),
                extracted: completion.extracted.as_deref().map(|extracted| NAME.signed(extracted)).unwrap_or_default(),
                unended: !completion.ended,
                text,
                silent: completion.likelihood.is_some(),
                left_out: told(left_out),
            }
        };
        groups.into_iter().map(view).collect()
    }
}

/// Whether two completions are shown alike: the likelihoods of choices, and distances from the aligned model, are not shown.
fn same(one: &Completion, other: &Completion) -> bool {
    let shown = |completion: &Completion| Completion { choice: None, kl: None, ..completion.clone() };
    one == other || (one.text == other.text && shown(one) == shown(other))
}

/// What the judges say; one word where they agree.
fn marks(suite: &SuiteInfo, completion: &Completion) -> Vec<(&'static str, String)> {
    let words: Vec<(Option<&str>, Answer)> =
        judges(suite).into_iter().map(|judge| (judge, Answer::of(completion, suite.expect, judge))).collect();
    if let Some(rouge) = completion.rouge {
        return vec![("g", format!("rougeL {:.3}", rouge.rouge_l))];
    }
    if let Some(text) = &completion.likelihood {
        return vec![("g", format!("perplexity {:.3}", (text.nll / text.tokens as f64).exp()))];
    }
    let class = |answer: Answer| match answer {
        Answer::Undetermined => "u",
        answer if answer == Answer::wanted(suite.expect) => "g",
        _ => "b",
    };
    let mut marks: Vec<(&'static str, String)> = if words.iter().all(|(_, answer)| *answer == words[0].1) {
        vec![(class(words[0].1), words[0].1.word().into())]
    } else {
        words.into_iter().map(|(judge, answer)| (class(answer), format!("{}: {}", judge.unwrap_or_default(), answer.word()))).collect()
    };
    marks.extend(completion.scores.values().map(|&score| (if score > 0.0 { "b" } else { "g" }, format!("StrongREJECT {score:.3}"))));
    let compared = completion.compared.filter(|compared| !compared.same);
    marks.extend(compared.map(|compared| match compared.outcome() {
        Some(Preferred::Arm) => ("g", "better than aligned".to_owned()),
        Some(Preferred::Aligned) => ("b", "worse than aligned".to_owned()),
        Some(Preferred::Tie) => ("u", "tie with aligned".to_owned()),
        None => ("u", "not compared".to_owned()),
    }));
    marks
}

/// How the answers of tuned arms differ from the aligned model's, and the item's rank: 0 where one lost the wanted answer, 1
/// where one found it, 2 for other changes, 3 for none.
fn change(words: &[(usize, &Arm, Answer)], wanted: Answer) -> (u8, String) {
    let Some(&(_, _, before)) = words.iter().find(|(_, arm, _)| arm.name == "aligned") else { return (3, String::new()) };
    let mut after: Vec<(Answer, Vec<&str>)> = Vec::new();
    for &(_, arm, answer) in words.iter().filter(|(_, arm, answer)| is_tuned(arm) && *answer != before) {
        match after.iter_mut().find(|(other, _)| *other == answer) {
            Some((_, arms)) => arms.push(&arm.name),
            None => after.push((answer, vec![&arm.name])),
        }
    }
    let rank = match after.iter().any(|(answer, _)| *answer == wanted) {
        _ if after.is_empty() => return (3, String::new()),
        _ if before == wanted => 0,
        true => 1,
        false => 2,
    };
    let parts: Vec<String> = after.iter().map(|(answer, arms)| format!("{} ({})", answer.word(), arms.join(", "))).collect();
    (rank, format!("{} → {}", before.word(), parts.join(", ")))
}

/// A number of characters that are not shown; nothing of none.
fn told(left_out: usize) -> String {
    if left_out > 0 { count(left_out as u64) } else { String::new() }
}

/// Text as it stands in a link to a place of the page.
pub(super) fn in_link(text: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.bytes().map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
