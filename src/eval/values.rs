//! What a mean is made from: the score of each prompt, or what each text adds to a sum and a weight.

use super::metric::{Metric, Told, last_cells};
use super::scores::Scores;
use crate::record::{Arm, Baseline, Cell, Likelihood};

/// The score of each prompt, the mean of its replies', by seed; prompts without a score are left out. With `places`, of these prompts
/// alone.
pub fn scores(arm: &Arm, suite: &str, metric: Metric, judge: Option<&str>, places: Option<&[usize]>) -> Scores {
    scores_in(last_cells(arm), suite, metric, judge, places)
}

/// The same in other cells than an arm's last ones.
pub fn scores_in<'a>(
    cells: impl Iterator<Item = &'a Cell>,
    suite: &str,
    metric: Metric,
    judge: Option<&str>,
    places: Option<&[usize]>,
) -> Scores {
    let seeds = cells.filter_map(|cell| cell.completions.get(suite));
    of(metric, judge, seeds.map(|said| chosen(said, places).map(|one| one.samples().map(Told::from).collect()).collect()))
}

/// The same of what a baseline kept.
pub fn kept_scores(baseline: &Baseline, suite: &str, metric: Metric, judge: Option<&str>, places: Option<&[usize]>) -> Scores {
    let seeds = baseline.suites.get(suite).into_iter().flat_map(|suite| &suite.seeds);
    of(metric, judge, seeds.map(|seed| chosen(seed, places).map(|one| one.samples().map(Told::from).collect()).collect()))
}

/// What stands at these places, or everything.
pub(super) fn chosen<'a, T>(all: &'a [T], places: Option<&'a [usize]>) -> impl Iterator<Item = &'a T> {
    let every = places.is_none().then_some(all).into_iter().flatten();
    every.chain(places.into_iter().flatten().filter_map(|&place| all.get(place)))
}

/// The replies to one prompt.
type Replies<'a> = Vec<Told<'a>>;

fn of<'a>(metric: Metric, judge: Option<&str>, seeds: impl Iterator<Item = Vec<Replies<'a>>>) -> Scores {
    if metric.is_of_texts() {
        let texts: Vec<Vec<&Likelihood>> =
            seeds.map(|seed| seed.iter().filter_map(|replies| replies.first()?.likelihood).collect()).collect();
        let alone = |seed: &Vec<&Likelihood>| seed.iter().flat_map(|text| parts(metric, text, seed.len() == 1)).collect();
        let prompts = texts.iter().map(Vec::len).min().unwrap_or(0);
        return Scores { prompts, ..Scores::ratios(&texts.iter().map(alone).collect::<Vec<_>>()) };
    }
    let of_prompt = |replies: &Replies<'a>| {
        // A distance belongs to the prompt: it does not depend on the replies.
        let replies = if metric == Metric::Kl { &replies[..replies.len().min(1)] } else { replies };
        let scores: Vec<f64> = replies.iter().map(|told| score(metric, told, judge)).collect::<Option<_>>()?;
        (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
    };
    let values = seeds.map(|seed| seed.iter().filter_map(of_prompt).collect()).collect();
    if metric.unit().is_some() { Scores::free(values) } else { Scores::shares(values) }
}

/// The score of one reply; none where it has none.
fn score(metric: Metric, told: &Told<'_>, judge: Option<&str>) -> Option<f64> {
    match metric {
        Metric::Rouge1 => Some(told.rouge?.rouge1),
        Metric::Rouge2 => Some(told.rouge?.rouge2),
        Metric::RougeL => Some(told.rouge?.rouge_l),
        // What has no score counts against the arm.
        Metric::StrongReject => Some(told.scores.get(judge?).copied().unwrap_or(1.0)),
        Metric::WinRate => Some(told.compared?.score()),
        Metric::Kl => told.kl,
        _ => None,
    }
}

/// What a text adds to the sum and to the weight: the whole text, or each of its windows where it is the only one.
fn parts(metric: Metric, text: &Likelihood, alone: bool) -> Vec<(f64, f64)> {
    let per_token = match metric {
        Metric::WordPerplexity => text.words as f64 / text.tokens as f64,
        Metric::BitsPerByte => text.bytes as f64 / text.tokens as f64 * std::f64::consts::LN_2,
        _ => 1.0,
    };
    let part = |nll: f64, tokens: u64| (nll, tokens as f64 * per_token);
    if alone && text.windows.len() > 1 {
        text.windows.iter().map(|&(nll, tokens)| part(nll, tokens)).collect()
    } else {
        vec![part(text.nll, text.tokens)]
    }
}
