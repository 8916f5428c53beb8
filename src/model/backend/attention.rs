//! What attention is over, and what it leaves behind.

/// The shape of attention: H query heads share KV key/value heads of D numbers each (H is a multiple of KV).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heads {
    /// Query heads, H.
    pub query: usize,
    /// Key/value heads, KV.
    pub key_value: usize,
    /// Head size, D.
    pub size: usize,
}

/// Tokens of a pass in pieces, one behind another: those that all rows begin with, where there are such, then what is each row's own.
#[derive(Debug, Clone, Copy)]
pub struct Pieces<'a> {
    /// Where each piece begins, ascending from 0, with T as the last entry.
    pub starts: &'a [usize],
    /// The length of the first piece where every later one continues it; 0 where each piece is a row by itself.
    pub prefix: usize,
}

impl Pieces<'_> {
    /// How many tokens a piece sees before its own, all of them at the beginning of the pass: `from` is where it begins.
    pub fn before(&self, from: usize) -> usize {
        if from == 0 { 0 } else { self.prefix }
    }
}

/// What the forward pass of attention leaves for the backward pass.
pub struct AttentionOut<B> {
    /// The mixed values, (T, H·D).
    pub mixed: B,
    /// The log-sum-exp of each query's scaled scores, (T, H).
    pub log_sum_exp: B,
}
