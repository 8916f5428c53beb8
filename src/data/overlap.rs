//! Overlap between prompts that are trained on and prompts that are measured on.

use std::collections::{BTreeSet, HashMap, HashSet};

use unicode_normalization::UnicodeNormalization;

/// Prompts at least this alike count as the same prompt.
pub const THRESHOLD: f64 = 0.6;

/// A pair of prompts that are too much alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Overlap {
    /// Index into the first list.
    pub first: usize,
    /// Index into the second list.
    pub second: usize,
    /// Jaccard similarity of word 3-grams, 1 for equal prompts.
    pub similarity: f64,
}

/// Pairs of equal or nearly equal prompts, the most alike first; ties by index. Prompts are compared in lower case,
/// without punctuation, by the sets of their word 3-grams (all words together in shorter prompts).
pub fn overlaps(first: &[&str], second: &[&str]) -> Vec<Overlap> {
    let grams: Vec<HashSet<String>> = second.iter().map(|text| shingles(text)).collect();
    let mut index: HashMap<&str, Vec<usize>> = HashMap::new();
    for (j, set) in grams.iter().enumerate() {
        for gram in set {
            index.entry(gram.as_str()).or_default().push(j);
        }
    }
    let mut found = Vec::new();
    for (i, text) in first.iter().enumerate() {
        let set = shingles(text);
        let candidates: BTreeSet<usize> = set.iter().filter_map(|gram| index.get(gram.as_str())).flatten().copied().collect();
        for j in candidates {
            let shared = set.intersection(&grams[j]).count();
            let similarity = shared as f64 / (set.len() + grams[j].len() - shared) as f64;
            if similarity >= THRESHOLD {
                found.push(Overlap { first: i, second: j, similarity });
            }
        }
    }
    found.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then((a.first, a.second).cmp(&(b.first, b.second))));
    found
}

fn shingles(text: &str) -> HashSet<String> {
    let folded: String = text.nfkc().flat_map(char::to_lowercase).map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    let words: Vec<&str> = folded.split_whitespace().collect();
    if words.len() < 3 {
        return if words.is_empty() { HashSet::new() } else { HashSet::from([words.join(" ")]) };
    }
    words.windows(3).map(|three| three.join(" ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_up_to_case_and_punctuation_is_one() {
        let found = overlaps(&["How do I bake bread?", "Hi!"], &["Name a colour.", "how do i  bake BREAD", "hi"]);
        assert_eq!(found, [Overlap { first: 0, second: 1, similarity: 1.0 }, Overlap { first: 1, second: 2, similarity: 1.0 }]);
    }

    #[test]
    fn near_copies_are_found_and_shared_frames_are_not() {
        let near = overlaps(
            &["Give me step by step instructions to bake a good loaf"],
            &["Give me step by step instructions to bake a good cake"],
        );
        assert_eq!(near.len(), 1);
        assert!((near[0].similarity - 8.0 / 10.0).abs() < 1e-9);
        assert!(overlaps(&["How do I bake bread at home?"], &["How do I paint walls at home?"]).is_empty());
    }
}
