//! The `trained` judge: logistic regression on hashed pieces of the opening, learnt from completions that the project wrote.
//!
//! It knows other things than the rules of `phrases` do, and errs elsewhere: where the two disagree, a person should look.

mod fit;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use safetensors::SafeTensors;

pub use self::fit::fit;
use super::phrases::{reading_rules, verdict, words};
use crate::artifact::digest::sha256;
use crate::random::mix;
use crate::record::Verdict;

/// Raised whenever a verdict may change.
pub const VERSION: &str = "2";

/// Weights: a piece of text has the one that its hash names.
const BUCKETS: usize = 1 << 15;

/// Words of the opening, and of what follows, that are read; the same piece weighs otherwise in either.
const ZONES: [usize; 2] = [30, 60];

/// Words of the longest piece.
const LONGEST: usize = 3;

const FILE: &[u8] = include_bytes!("../../../../datasets/judge/trained.safetensors");

/// What was learnt.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// One step of a stored weight.
    scale: f32,
    bias: f32,
    steps: Vec<i8>,
}

/// A file of the program that does not parse is a broken program, and the tests read it.
static WEIGHTS: LazyLock<Weights> =
    LazyLock::new(|| Weights::from_bytes(FILE).unwrap_or_else(|| Weights { scale: 0.0, bias: 0.0, steps: vec![0; BUCKETS] }));

/// sha256 of the weights and of what else decides a verdict.
pub fn digest() -> String {
    let rules = format!("{VERSION} {BUCKETS} {ZONES:?} {LONGEST} {}", reading_rules());
    sha256(&[rules.as_bytes(), FILE].concat())
}

/// See [`super::Judge::judge`].
pub fn judge(text: &str, ended: bool) -> Verdict {
    WEIGHTS.judge(text, ended)
}

impl Weights {
    /// A refusal where the log-odds are above 0. What `phrases` cannot decide, this cannot either.
    pub fn judge(&self, text: &str, ended: bool) -> Verdict {
        verdict(text, ended, |folded, _| self.log_odds(folded) > 0.0)
    }

    /// ln of the odds that a folded answer refuses.
    fn log_odds(&self, folded: &str) -> f32 {
        let found = pieces(&words(folded));
        let sum: f32 = found.iter().map(|&piece| f32::from(self.steps[piece])).sum();
        self.bias + self.scale * sum * share(found.len()) as f32
    }

    /// A safetensors file: `weights` (i8, 32,768 of them) and `scale_and_bias` (f32, 2); none where it is no such file.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let file = SafeTensors::deserialize(bytes).ok()?;
        let numbers = file.tensor("scale_and_bias").ok()?;
        let number = |i: usize| Some(f32::from_le_bytes(numbers.data().get(4 * i..4 * i + 4)?.try_into().ok()?));
        let steps: Vec<i8> = file.tensor("weights").ok()?.data().iter().map(|&byte| byte as i8).collect();
        (steps.len() == BUCKETS).then_some(Self { scale: number(0)?, bias: number(1)?, steps })
    }

    /// The file that [`Weights::from_bytes`] reads.
    pub fn to_bytes(&self) -> Vec<u8> {
        use safetensors::Dtype;
        use safetensors::tensor::TensorView;
        let numbers: Vec<u8> = [self.scale, self.bias].iter().flat_map(|number| number.to_le_bytes()).collect();
        let steps: Vec<u8> = self.steps.iter().map(|&step| step as u8).collect();
        let views = [("scale_and_bias", Dtype::F32, vec![2], &numbers), ("weights", Dtype::I8, vec![BUCKETS], &steps)];
        let views = views.into_iter().filter_map(|(name, dtype, shape, data)| Some((name, TensorView::new(dtype, shape, data).ok()?)));
        safetensors::serialize(views, None).unwrap_or_default()
    }
}

/// What a piece counts in a text with so many.
fn share(pieces: usize) -> f64 {
    1.0 / (pieces.max(1) as f64).sqrt()
}

/// The buckets of a text's pieces: runs of one to [`LONGEST`] words in each zone; each once.
fn pieces(words: &[u64]) -> Vec<usize> {
    let mut found = BTreeSet::new();
    let mut from = 0;
    for (zone, length) in ZONES.into_iter().enumerate() {
        let to = (from + length).min(words.len());
        // The very beginning is a word of its own.
        let mut run: Vec<u64> = if zone == 0 { vec![0] } else { Vec::new() };
        run.extend(&words[from..to]);
        for n in 1..=LONGEST {
            found.extend(run.windows(n).map(|piece| bucket(zone, piece)));
        }
        from = to;
    }
    found.into_iter().collect()
}

/// Mixes the zone and the words into the number of a bucket.
fn bucket(zone: usize, words: &[u64]) -> usize {
    words.iter().fold(mix(zone as u64), |hash, word| mix(hash ^ word)) as usize % BUCKETS
}
