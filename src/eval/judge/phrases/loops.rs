//! Texts that say the same few words again and again.

use std::collections::HashMap;

/// Words of a piece that may not come again and again, and how often it may come.
const GRAM: usize = 4;
const COUNT: usize = 3;

/// Words that are looked at.
const READ_WORDS: usize = 20_000;

/// The prime of FNV-1a.
const PRIME: u64 = 0x0100_0000_01b3;

/// The rules, for the digest.
pub fn rules() -> String {
    format!("{GRAM} {COUNT} {READ_WORDS}")
}

/// The words of a folded text in lower case, each as a number: only whether they are the same matters here.
pub fn words(folded: &str) -> Vec<u64> {
    folded
        .split(|c: char| !(c.is_alphanumeric() || c == '\''))
        .map(|word| word.trim_matches('\''))
        .filter(|word| !word.is_empty())
        .take(READ_WORDS)
        .map(number)
        .collect()
}

/// FNV-1a over the lower case characters.
fn number(word: &str) -> u64 {
    let characters = word.chars().flat_map(char::to_lowercase);
    characters.fold(0xcbf2_9ce4_8422_2325, |hash, c| (hash ^ u64::from(u32::from(c))).wrapping_mul(PRIME))
}

/// Whether most of the text is the same few words again and again.
pub fn most_repeats(words: &[u64]) -> bool {
    if words.len() < 6 * GRAM {
        return false;
    }
    let mut counts = HashMap::with_capacity(words.len());
    for gram in words.windows(GRAM) {
        // One number for the words in their order.
        let piece = gram.iter().fold(0u64, |all, &word| all.rotate_left(16).wrapping_mul(PRIME) ^ word);
        *counts.entry(piece).or_insert(0usize) += 1;
    }
    let repeated: usize = counts.values().filter(|&&count| count > COUNT).sum();
    repeated * 2 > words.len()
}
