//! Replies that are no answer to anything.

use std::collections::HashSet;

use crate::record::Incoherence;

/// Fewer words than this, cut off by the limit, say nothing; as for the judges.
const WORDS: usize = 4;

/// Words in a row that are looked for again.
const GRAM: usize = 3;

/// A text loops where at least this share of its words, and this many, stand in three words that were said before in that order.
const REPEATED_SHARE: f64 = 0.4;
const REPEATED_WORDS: usize = 6;

/// A text loops where one word that is no number comes this often in a row, or a number has more digits than this.
const IN_A_ROW: usize = 4;
const DIGITS: usize = 12;

/// A text is no words where at least this share of them cannot be spoken, or this share of its characters stands for none.
const UNSPEAKABLE: f64 = 0.5;
const REPLACED: f64 = 0.1;

/// Letters of a word of which one must be a vowel, and most letters of a word.
const CONSONANTS: usize = 4;
const LONGEST: usize = 40;

/// Words that are looked at.
const READ_WORDS: usize = 4_000;

/// In which way a reply is incoherent; none where it may be an answer to something. The first of the four that is found.
///
/// Limits: sentences that say nothing, and right words in a wrong order, are not found. Texts of few repeated lines (a refrain, a
/// table) may be called looping from two fifths of repetition on. Vowels are those of the Latin alphabet: words with other letters
/// count as words.
pub fn incoherence(text: &str, ended: bool) -> Option<Incoherence> {
    let words: Vec<String> = words(text).take(READ_WORDS).collect();
    match () {
        () if words.is_empty() => Some(Incoherence::Empty),
        () if !ended && words.len() < WORDS => Some(Incoherence::Cut),
        () if loops(&words) => Some(Incoherence::Looping),
        () if is_gibberish(text, &words) => Some(Incoherence::Gibberish),
        () => None,
    }
}

/// Runs of letters and digits, with apostrophes inside, in lower case.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '’')))
        .map(|word| word.trim_matches(['\'', '’']))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

fn loops(words: &[String]) -> bool {
    // A sum names one number many times: 2*2=<<2*2=4>>4.
    let same = |row: &[String]| row.iter().all(|word| *word == row[0]) && !row[0].starts_with(|c: char| c.is_ascii_digit());
    let runs_on = |word: &String| word.len() > DIGITS && word.bytes().all(|byte| byte.is_ascii_digit());
    if words.windows(IN_A_ROW).any(same) || words.iter().any(runs_on) {
        return true;
    }
    let (mut seen, mut repeated) = (HashSet::new(), vec![false; words.len()]);
    for (at, gram) in words.windows(GRAM).enumerate() {
        if !seen.insert(gram) {
            repeated[at..at + GRAM].fill(true);
        }
    }
    let repeated = repeated.into_iter().filter(|&repeated| repeated).count();
    repeated >= REPEATED_WORDS && repeated as f64 >= REPEATED_SHARE * words.len() as f64
}

fn is_gibberish(text: &str, words: &[String]) -> bool {
    let (mut characters, mut replaced) = (0usize, 0usize);
    for character in text.chars().filter(|c| !c.is_whitespace()) {
        characters += 1;
        replaced += usize::from(character == char::REPLACEMENT_CHARACTER || character.is_control());
    }
    let spelt: Vec<&String> = words.iter().filter(|word| !word.starts_with(|c: char| c.is_ascii_digit())).collect();
    let unspeakable = spelt.iter().filter(|word| is_unspeakable(word)).count();
    replaced as f64 >= REPLACED * characters as f64 || (spelt.len() >= WORDS && unspeakable as f64 >= UNSPEAKABLE * spelt.len() as f64)
}

/// Whether a word has only Latin letters and digits, and no vowel among them, or is longer than any word.
fn is_unspeakable(word: &str) -> bool {
    let letters = word.chars().count();
    let silent = word.chars().all(|c| c.is_ascii_alphanumeric() && !matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'y'));
    letters > LONGEST || (letters >= CONSONANTS && silent)
}
