//! Batched generation with a key/value cache.

/// How a reply is produced.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// The most tokens that a reply may have.
    pub max_new_tokens: usize,
    /// 0 = greedy (ties: the lower token id).
    pub temperature: f64,
    /// Keep the smallest set of tokens whose probabilities reach this; 1 keeps all.
    pub top_p: f64,
    /// Seed of the sampler; each prompt has its own stream, so a reply does not depend on its neighbours.
    pub seed: u64,
    /// Tokens that end a reply; they are not part of it.
    pub end_tokens: Vec<u32>,
}

/// A produced reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Token ids without the end token.
    pub tokens: Vec<u32>,
    /// Whether an end token ended it; otherwise the limit did.
    pub ended: bool,
}
