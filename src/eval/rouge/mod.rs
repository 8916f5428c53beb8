//! ROUGE: words that a text has in common with a reference. F1, as the Python package rouge-score 0.1.2 computes it with
//! `use_stemmer=True`.
//!
//! Source: Lin (2004), "ROUGE: A package for automatic evaluation of summaries".

mod porter;

use std::collections::HashMap;

use crate::record::Rouge;

/// ROUGE-1, ROUGE-2 and ROUGE-L of a text against a reference, each from 0 to 1; 0 where either has no word.
pub fn rouge(reference: &str, text: &str) -> Rouge {
    let (wanted, found) = (words(reference), words(text));
    Rouge { rouge1: grams(&wanted, &found, 1), rouge2: grams(&wanted, &found, 2), rouge_l: longest(&wanted, &found) }
}

/// The stems of the words: runs of the letters a to z and digits in lower case; all else parts them. Words of up to three
/// characters are no further stemmed.
fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit())).filter(|word| !word.is_empty());
    words.map(|word| if word.len() > 3 { porter::stem(word) } else { word.to_owned() }).collect()
}

/// F1 of the runs of `n` words, each counted as often as both have it.
fn grams(wanted: &[String], found: &[String], n: usize) -> f64 {
    let mut counts: HashMap<&[String], usize> = HashMap::new();
    for gram in wanted.windows(n) {
        *counts.entry(gram).or_default() += 1;
    }
    let mut common = 0;
    for gram in found.windows(n) {
        if let Some(left) = counts.get_mut(gram).filter(|left| **left > 0) {
            *left -= 1;
            common += 1;
        }
    }
    f1(common, (wanted.len() + 1).saturating_sub(n), (found.len() + 1).saturating_sub(n))
}

/// F1 of the longest common subsequence.
fn longest(wanted: &[String], found: &[String]) -> f64 {
    // By the words of `found` seen so far: the longest subsequence in common with the words of `wanted` up to this one.
    let mut row = vec![0; found.len() + 1];
    for word in wanted {
        let mut diagonal = 0;
        for (i, other) in found.iter().enumerate() {
            let above = row[i + 1];
            row[i + 1] = if word == other { diagonal + 1 } else { above.max(row[i]) };
            diagonal = above;
        }
    }
    f1(row[found.len()], wanted.len(), found.len())
}

fn f1(common: usize, wanted: usize, found: usize) -> f64 {
    if common == 0 {
        return 0.0;
    }
    let (precision, recall) = (common as f64 / found as f64, common as f64 / wanted as f64);
    2.0 * precision * recall / (precision + recall)
}

#[cfg(test)]
mod tests;
