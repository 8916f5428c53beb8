//! The rows of one forward pass, packed without padding.

use super::constraint::Constraint;

/// Rows packed one behind another. Positions restart at 0 in each row and attention never crosses rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Packed {
    /// Token ids of all rows, (T).
    pub tokens: Vec<u32>,
    /// Where each row begins, ascending from 0, with T as the last entry: row `r` is `row_starts[r]..row_starts[r + 1]`.
    pub row_starts: Vec<usize>,
    /// Supervised predictions, ascending: the hidden state at `Target::position` predicts `Target::token`.
    pub targets: Vec<Target>,
    /// What the targets' gradients are held back by: one a target, or none at all.
    pub constraints: Vec<Constraint>,
}

/// One supervised prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Index into [`Packed::tokens`] of the token that predicts.
    pub position: usize,
    /// The token that must come next.
    pub token: u32,
}

/// One tokenised training row.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Example {
    /// Token ids, (T).
    pub tokens: Vec<u32>,
    /// Whether token `i` is to be learnt (predicted from the tokens before it), (T). `supervised[0]` never counts.
    pub supervised: Vec<bool>,
}

impl Example {
    /// The number of tokens that are learnt.
    pub fn supervised_tokens(&self) -> usize {
        self.supervised.iter().skip(1).filter(|&&s| s).count()
    }
}

impl Packed {
    /// Packs rows in the given order. Rows without a token are left out.
    pub fn from_examples<'a>(rows: impl IntoIterator<Item = &'a Example>) -> Self {
        let mut packed = Self { row_starts: vec![0], ..Self::default() };
        for row in rows {
            if row.tokens.is_empty() {
                continue;
            }
            let start = packed.tokens.len();
            packed.tokens.extend_from_slice(&row.tokens);
            packed.row_starts.push(packed.tokens.len());
            for i in 1..row.tokens.len() {
                if row.supervised[i] {
                    packed.targets.push(Target { position: start + i - 1, token: row.tokens[i] });
                }
            }
        }
        packed
    }

    /// Packs rows in the given order into as few as hold at most so many tokens each; a longer row has one of its own.
    pub fn within<'a>(rows: impl IntoIterator<Item = &'a Example>, most_tokens: usize) -> Vec<Self> {
        let (mut packs, mut chosen, mut tokens) = (Vec::new(), Vec::new(), 0);
        for row in rows {
            if tokens + row.tokens.len() > most_tokens && !chosen.is_empty() {
                packs.push(Self::from_examples(std::mem::take(&mut chosen)));
                tokens = 0;
            }
            tokens += row.tokens.len();
            chosen.push(row);
        }
        packs.extend((!chosen.is_empty()).then(|| Self::from_examples(chosen)));
        packs
    }

    /// The supervised tokens, (N).
    pub fn target_tokens(&self) -> Vec<u32> {
        self.targets.iter().map(|target| target.token).collect()
    }
}
