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

/// A word of a folded text: where it stands, and a number for it. Only whether two are the same matters here.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    start: usize,
    pub number: u64,
}

/// The words of a folded text.
pub fn words(folded: &str) -> Vec<Word> {
    let mut start = 0;
    let mut found = Vec::new();
    for piece in folded.split(|c: char| !(c.is_alphanumeric() || c == '\'')) {
        let word = piece.trim_matches('\'');
        if !word.is_empty() {
            found.push(Word { start, number: number(word) });
        }
        // What splits is one character of any length.
        let after = start + piece.len();
        start = after + folded[after..].chars().next().map_or(0, char::len_utf8);
        if found.len() == READ_WORDS {
            break;
        }
    }
    found
}

/// FNV-1a over the lower case characters.
fn number(word: &str) -> u64 {
    let characters = word.chars().flat_map(char::to_lowercase);
    characters.fold(0xcbf2_9ce4_8422_2325, |hash, c| (hash ^ u64::from(u32::from(c))).wrapping_mul(PRIME))
}

/// Where most of a text is the same few words again and again: the byte at which their second round begins.
pub fn second_round(words: &[Word]) -> Option<usize> {
    if words.len() < 6 * GRAM {
        return None;
    }
    // One number for the words of a piece in their order.
    let piece = |gram: &[Word]| gram.iter().fold(0u64, |all, word| all.rotate_left(16).wrapping_mul(PRIME) ^ word.number);
    let pieces: Vec<u64> = words.windows(GRAM).map(piece).collect();
    let mut counts = HashMap::with_capacity(words.len());
    for &one in &pieces {
        *counts.entry(one).or_insert(0usize) += 1;
    }
    let repeated: usize = counts.values().filter(|&&count| count > COUNT).sum();
    if repeated * 2 <= words.len() {
        return None;
    }
    let begin = pieces.iter().position(|one| counts.get(one).is_some_and(|&count| count > COUNT))?;
    let again = begin + 1 + pieces[begin + 1..].iter().position(|&one| one == pieces[begin])?;
    // A single word again and again says nothing, not even once.
    let end = if again == begin + 1 { begin } else { again };
    Some(words[end].start)
}
