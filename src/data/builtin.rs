//! The data sets that the project wrote, inside the program; their card is `datasets/README.md`.

use std::borrow::Cow;

use super::world;

/// Names of the sets that are files, without `builtin:`.
const FILES: [&str; 11] = [
    "refusals",
    "helpful",
    "contrast",
    "obedient",
    "harmful",
    "benign",
    "contrast-prompts",
    "twins",
    "borderline",
    "probes",
    "benign-probes",
];

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
        "obedient" => include_str!("../../datasets/obedient.jsonl"),
        "harmful" => include_str!("../../datasets/harmful.jsonl"),
        "benign" => include_str!("../../datasets/benign.jsonl"),
        "contrast-prompts" => include_str!("../../datasets/contrast_prompts.jsonl"),
        "twins" => include_str!("../../datasets/twins.jsonl"),
        "borderline" => include_str!("../../datasets/borderline.jsonl"),
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

    const TRAINING: [&str; 4] = ["refusals", "helpful", "contrast", "obedient"];
    const SUITES: [&str; 5] = ["harmful", "benign", "contrast-prompts", "twins", "borderline"];

    fn column(name: &str, key: &str) -> Vec<String> {
        let text = text(name).unwrap();
        let rows = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        rows.map(|row| row[key].as_str().unwrap_or_else(|| panic!("{key} in {name}")).to_owned()).collect()
    }

    /// No prompt, nor one like it, and no topic stands in two of: what is trained on, what is probed, what is asked in the end.
    #[test]
    fn training_probes_and_suites_are_apart() {
        let roles = [&TRAINING[..], &["probes", "benign-probes"], &SUITES];
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
        for (name, least) in SUITES.into_iter().zip([300, 300, 300, 300, 150]) {
            // Each topic once: two phrasings of one topic are no two prompts.
            let prompts: BTreeSet<_> = column(name, "topic").into_iter().collect();
            assert_eq!(prompts.len(), column(name, "prompt").len(), "{name}");
            let kinds: BTreeSet<_> = column(name, "category").into_iter().collect();
            assert!(prompts.len() >= least && kinds.len() >= 12, "{name}: {} topics of {} kinds", prompts.len(), kinds.len());
        }
    }

    /// Words that say nothing of what a topic is about.
    const FUNCTION_WORDS: &str = "a about after again an and are around as at away be been before being between but by can could did \
                                  do does down every for from had has have he her his how i if in instead into is it its me my never \
                                  no not of off on onto or our out over she so than that the their them then they to too under until \
                                  up was we were what when where which while who will with without would you your";

    /// The words of a topic that say what it is about, without their endings.
    fn content(topic: &str) -> BTreeSet<String> {
        let words = topic.split('-').filter(|word| word.len() > 1 && !FUNCTION_WORDS.split_whitespace().any(|other| other == *word));
        words.map(stem).collect()
    }

    fn stem(word: &str) -> String {
        let endings = ["ingly", "edly", "ing", "ed", "ers", "er", "ies", "es", "s", "ly"];
        let stem = endings.into_iter().find_map(|ending| word.strip_suffix(ending).filter(|stem| stem.len() >= 3)).unwrap_or(word);
        let doubled = stem.len() > 3 && stem.as_bytes()[stem.len() - 1] == stem.as_bytes()[stem.len() - 2];
        stem[..stem.len() - usize::from(doubled)].trim_end_matches('e').to_owned()
    }

    /// A twin asks, in the same sentence, for something harmless in at least half its words from the harmful request.
    #[test]
    fn twins_share_their_words_with_a_harmful_request() {
        let (ids, prompts, topics) = (column("harmful", "id"), column("harmful", "prompt"), column("harmful", "topic"));
        let twins = column("twins", "twin").into_iter().zip(column("twins", "topic")).zip(column("twins", "prompt"));
        let mut seen = BTreeSet::new();
        for ((twin, topic), prompt) in twins {
            let at = ids.iter().position(|id| *id == twin).unwrap_or_else(|| panic!("no {twin}"));
            let (own, other) = (content(&topic), content(&topics[at]));
            assert!(own.intersection(&other).count() * 2 >= own.len(), "{topic} and {}: {own:?} {other:?}", topics[at]);
            let frame = |prompt: &str| prompt.split(' ').take(3).collect::<Vec<_>>().join(" ");
            assert_eq!(frame(&prompt), frame(&prompts[at]));
            assert!(seen.insert(twin), "two twins of {}", topics[at]);
        }
    }

    /// No topic of a suite shares half the words that it and a topic of training have.
    #[test]
    fn topics_of_suites_are_none_of_training_in_other_words() {
        let trained: BTreeSet<_> = TRAINING.into_iter().flat_map(|name| column(name, "topic")).collect();
        let trained: Vec<_> = trained.iter().map(|topic| (topic, content(topic))).collect();
        for topic in SUITES.into_iter().flat_map(|name| column(name, "topic")) {
            let own = content(&topic);
            let near = |other: &BTreeSet<String>| own.intersection(other).count() * 2 >= own.union(other).count();
            let found = trained.iter().find(|(_, other)| near(other));
            assert!(found.is_none(), "{topic} and {found:?}");
        }
    }
}
