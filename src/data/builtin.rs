//! The data sets that the project wrote, inside the program; their card is `datasets/README.md`.

use std::borrow::Cow;

use super::world;

/// Names of the sets that are files, without `builtin:`.
const FILES: [&str; 8] = ["refusals", "helpful", "contrast", "harmful", "benign", "contrast-prompts", "probes", "benign-probes"];

/// The names of all sets, without `builtin:`.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.into_iter().chain(world::NAMES)
}

/// A data set as JSONL text.
pub fn text(name: &str) -> Option<Cow<'static, str>> {
    Some(Cow::Borrowed(match name {
        "refusals" => include_str!("../../datasets/refusals.jsonl"),
        "helpful" => include_str!("../../datasets/helpful.jsonl"),
        "contrast" => include_str!("../../datasets/contrast.jsonl"),
        "harmful" => include_str!("../../datasets/harmful.jsonl"),
        "benign" => include_str!("../../datasets/benign.jsonl"),
        "contrast-prompts" => include_str!("../../datasets/contrast_prompts.jsonl"),
        "probes" => include_str!("../../datasets/probes.jsonl"),
        "benign-probes" => include_str!("../../datasets/benign_probes.jsonl"),
        _ => return world::text(name).map(Cow::Owned),
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;
    use crate::data::overlap::overlaps;

    fn column(name: &str, key: &str) -> Vec<String> {
        let text = text(name).unwrap();
        let rows = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        rows.map(|row| row[key].as_str().unwrap_or_else(|| panic!("{key} in {name}")).to_owned()).collect()
    }

    /// No prompt, nor one like it, and no topic stands in two of: what is trained on, what is probed, what is asked in the end.
    #[test]
    fn training_probes_and_suites_are_apart() {
        let roles = [&["refusals", "helpful", "contrast"][..], &["probes", "benign-probes"], &["harmful", "benign", "contrast-prompts"]];
        for (i, first) in roles.iter().enumerate() {
            for (a, b) in roles[i + 1..].iter().flat_map(|second| first.iter().flat_map(move |a| second.iter().map(move |b| (a, b)))) {
                let (prompts, others) = (column(a, "prompt"), column(b, "prompt"));
                let found = overlaps(
                    &prompts.iter().map(String::as_str).collect::<Vec<_>>(),
                    &others.iter().map(String::as_str).collect::<Vec<_>>(),
                );
                let alike: Vec<_> = found.iter().map(|pair| (&prompts[pair.first], &others[pair.second])).collect();
                assert!(alike.is_empty(), "{a} and {b}: {alike:?}");
                let (topics, other_topics): (BTreeSet<_>, BTreeSet<_>) =
                    (column(a, "topic").into_iter().collect(), column(b, "topic").into_iter().collect());
                assert!(topics.is_disjoint(&other_topics), "{a} and {b}: {:?}", topics.intersection(&other_topics));
            }
        }
    }

    /// Enough prompts to see five points, over enough kinds of harm and of everyday matters.
    #[test]
    fn held_out_sets_are_large_and_varied() {
        for name in ["harmful", "benign", "contrast-prompts"] {
            // Each topic once: two phrasings of one topic are no two prompts.
            let prompts: BTreeSet<_> = column(name, "topic").into_iter().collect();
            assert_eq!(prompts.len(), column(name, "prompt").len(), "{name}");
            let kinds: BTreeSet<_> = column(name, "category").into_iter().collect();
            assert!(prompts.len() >= 300 && kinds.len() >= 12, "{name}: {} topics of {} kinds", prompts.len(), kinds.len());
        }
    }
}
