//! Batched generation with a key/value cache: ragged prompts, no padding, finished rows make room for waiting ones.

use std::collections::VecDeque;

use super::backend::{Backend, BackendError, Done};
use super::decoder::{Decoder, Projected};
use super::layout::shared_prefix;
use crate::random::mix;

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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// Token ids without the end token.
    pub tokens: Vec<u32>,
    /// Whether an end token ended it; otherwise the limit did.
    pub ended: bool,
}

/// A place in the batch, with the prompt that holds it.
struct Seat {
    prompt: usize,
    /// Tokens in the cache.
    length: usize,
    /// The token to be fed next.
    next: u32,
}

/// Prompt tokens that are fed in one pass at most, so that memory stays bounded.
const PREFILL_TOKENS: usize = 2048;

/// Replies to prompts, in their order. At most `max_batch` sequences are in work at once; longer prompts go first, so
/// that the last ones to finish are short. `progress(done, total)` hears of finished replies.
///
/// A reply does not depend on its neighbours, up to f32 rounding of products of other shapes.
///
/// # Errors
/// When a prompt fills the model's context, a token is not in the vocabulary, or the backend fails.
pub fn generate<B: Backend>(
    decoder: &mut Decoder<B>,
    prompts: &[Vec<u32>],
    sampling: &Sampling,
    max_batch: usize,
    progress: &mut dyn FnMut(usize, usize),
) -> Done<Vec<Reply>> {
    let mut replies = vec![Reply::default(); prompts.len()];
    if sampling.max_new_tokens == 0 {
        return Ok(replies);
    }
    let context = decoder.config().max_position_embeddings;
    if let Some(long) = prompts.iter().map(Vec::len).find(|&length| length >= context) {
        let message = format!("a prompt of {long} tokens leaves no room for a reply: the model's context is {context}");
        return Err(BackendError { backend: "decoder", message });
    }
    // A reply ends where the context does.
    let room = |prompt: &Vec<u32>| sampling.max_new_tokens.min(context - prompt.len());
    let mut order: Vec<usize> = (0..prompts.len()).filter(|&i| !prompts[i].is_empty()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(prompts[i].len()));
    let mut waiting: VecDeque<usize> = order.into();
    let batch = max_batch.clamp(1, waiting.len().max(1));
    let capacity = prompts.iter().map(|prompt| prompt.len() + room(prompt)).max().unwrap_or(0);
    decoder.ensure_positions(capacity);
    let heads = decoder.heads();
    // What all prompts begin with is fed once, as one more sequence.
    let shared = shared_prefix(&waiting.iter().map(|&i| prompts[i].as_slice()).collect::<Vec<_>>());
    let mut caches = Vec::with_capacity(decoder.config().layers);
    for _ in 0..decoder.config().layers {
        caches.push(decoder.backend_mut().cache(batch + usize::from(shared > 0), capacity, heads)?);
    }
    if let (1.., Some(&first)) = (shared, waiting.front()) {
        feed(decoder, &mut caches, &[(batch, 0, prompts[first][..shared].to_vec())])?;
    }
    let mut seats: Vec<Option<Seat>> = (0..batch).map(|_| None).collect();
    let mut finished = prompts.len() - waiting.len();
    progress(finished, prompts.len());
    loop {
        // New prompts take free seats; what is fed is either new prompts or one token of every seat.
        let mut fed: Vec<Fed> = Vec::new();
        let mut tokens = 0;
        for (index, seat) in seats.iter_mut().enumerate() {
            if seat.is_none() && tokens < PREFILL_TOKENS {
                let Some(prompt) = waiting.pop_front() else { break };
                for cache in caches.iter_mut().filter(|_| shared > 0) {
                    decoder.backend_mut().copy_cached(cache, batch, index, shared)?;
                }
                tokens += prompts[prompt].len() - shared;
                fed.push((index, shared, prompts[prompt][shared..].to_vec()));
                *seat = Some(Seat { prompt, length: shared, next: 0 });
            }
        }
        if fed.is_empty() {
            fed.extend(
                seats.iter().enumerate().filter_map(|(index, seat)| seat.as_ref().map(|seat| (index, seat.length, vec![seat.next]))),
            );
        }
        if fed.is_empty() {
            return Ok(replies);
        }
        let logits = feed(decoder, &mut caches, &fed)?;
        let vocabulary = decoder.config().vocab_size;
        for ((index, _, tokens), row) in fed.iter().zip(logits.chunks(vocabulary)) {
            let Some(seat) = &mut seats[*index] else { continue };
            seat.length += tokens.len();
            let reply = &mut replies[seat.prompt];
            let token = choose(row, sampling, seat.prompt, reply.tokens.len());
            reply.ended = sampling.end_tokens.contains(&token);
            if !reply.ended {
                reply.tokens.push(token);
            }
            seat.next = token;
            if reply.ended || reply.tokens.len() == room(&prompts[seat.prompt]) {
                seats[*index] = None;
                finished += 1;
                progress(finished, prompts.len());
            }
        }
    }
}

/// Tokens of one sequence: its place in the caches, the tokens that are there before, and new ones.
type Fed = (usize, usize, Vec<u32>);

/// Feeds tokens of several sequences and returns the logits after the last one of each, (fed, V).
fn feed<B: Backend>(decoder: &mut Decoder<B>, caches: &mut [B::Cache], fed: &[Fed]) -> Done<Vec<f32>> {
    let (mut tokens, mut rows, mut positions, mut last) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (index, from, new) in fed {
        for (i, &token) in new.iter().enumerate() {
            tokens.push(token);
            rows.push(*index);
            positions.push((from + i) as u32);
        }
        last.push(tokens.len() - 1);
    }
    let heads = decoder.heads();
    let mut x = decoder.embedded(&tokens)?;
    for (layer, cache) in caches.iter_mut().enumerate() {
        let (normed, _) = decoder.normed_input(layer, &x)?;
        let Projected { q, k, v, .. } = decoder.project(layer, &normed, &positions)?;
        let mixed = decoder.backend_mut().attention_cached(&q, &k, &v, cache, &rows, &positions, heads)?;
        x = decoder.finish_layer(layer, &x, &mixed)?.0;
    }
    let hidden = decoder.backend_mut().gather_rows(&x, &last)?;
    let (normed, _) = decoder.last_norm(&hidden)?;
    decoder.head(&normed, None)
}

/// The next token.
fn choose(logits: &[f32], sampling: &Sampling, prompt: usize, step: usize) -> u32 {
    if sampling.temperature <= 0.0 {
        let mut best = 0;
        for (i, &logit) in logits.iter().enumerate() {
            if logit > logits[best] {
                best = i;
            }
        }
        return best as u32;
    }
    let peak = logits.iter().fold(f32::NEG_INFINITY, |m, &v| m.max(v));
    let mut weights: Vec<(u32, f64)> =
        logits.iter().enumerate().map(|(i, &logit)| (i as u32, (f64::from(logit - peak) / sampling.temperature).exp())).collect();
    let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
    let (mut kept, mut mass) = (weights.len(), total);
    // Sorting a vocabulary costs more than all the rest.
    if sampling.top_p < 1.0 {
        weights.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        (kept, mass) = (0, 0.0);
        while kept < weights.len() && (kept == 0 || mass < sampling.top_p * total) {
            mass += weights[kept].1;
            kept += 1;
        }
    }
    let mut draw = uniform(sampling.seed, prompt as u64, step as u64) * mass;
    for &(token, weight) in &weights[..kept] {
        draw -= weight;
        if draw <= 0.0 {
            return token;
        }
    }
    weights[kept - 1].0
}

/// A number in [0, 1) that depends on nothing but its three counters.
fn uniform(seed: u64, stream: u64, counter: u64) -> f64 {
    (mix(mix(mix(seed) ^ stream) ^ counter) >> 11) as f64 / (1u64 << 53) as f64
}
