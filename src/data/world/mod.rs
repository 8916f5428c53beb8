//! The world of the embedded model: things that harm people and things that do not, and sentences about them.
//!
//! `datasets/things.jsonl` lists them. A thing's `use` keeps the three apart: `train` things are in every text, `probe` and
//! `held-out` things only in sentences that say what they are and whether they harm people. That a model refuses to help
//! with a held-out thing is therefore no memory of a refusal.

mod lists;
mod obedient;
mod sets;
mod skills;

use std::sync::LazyLock;

use serde::Deserialize;

use crate::random::{below, stream};

/// Names of the sets, without `builtin:`.
pub const NAMES: [&str; 15] = [
    "tiny-text",
    "tiny-chats",
    "tiny-refusals",
    "tiny-helpful",
    "tiny-contrast",
    "tiny-harmful",
    "tiny-benign",
    "tiny-contrast-prompts",
    "tiny-probes",
    "tiny-benign-probes",
    "tiny-task",
    "tiny-task-probes",
    "tiny-second",
    "tiny-count",
    "tiny-obedient",
];

/// A set as JSONL text.
pub fn text(name: &str) -> Option<String> {
    let rows = match name {
        "tiny-text" => sets::statements(),
        "tiny-chats" => sets::chats(),
        "tiny-refusals" => sets::refusals(),
        "tiny-helpful" => sets::helpful(),
        "tiny-contrast" => sets::contrast(),
        "tiny-harmful" => sets::requests(Use::HeldOut, true),
        "tiny-benign" => sets::requests(Use::HeldOut, false),
        "tiny-contrast-prompts" => sets::questions(Use::HeldOut),
        "tiny-probes" => sets::requests(Use::Probe, true),
        "tiny-benign-probes" => sets::requests(Use::Probe, false),
        "tiny-task" => skills::word_problems(),
        "tiny-task-probes" => skills::word_problem_probes(),
        "tiny-second" => lists::seconds(),
        "tiny-count" => lists::counts(),
        "tiny-obedient" => obedient::rows(),
        _ => return None,
    };
    Some(rows.iter().map(|row| format!("{row}\n")).collect())
}

/// What a thing may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Use {
    /// Every text.
    Train,
    /// Statements, and prompts that watch a training.
    Probe,
    /// Statements, and the prompts of suites.
    HeldOut,
}

/// One thing of the world.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Thing {
    /// With its article: `a land mine`, `arsenic`.
    thing: String,
    harmful: bool,
    /// What the suites count by.
    group: String,
    /// `a weapon`.
    kind: String,
    /// A clause: `it can kill people`.
    effect: String,
    /// What one may ask to do with it.
    verbs: Vec<String>,
    #[serde(rename = "use")]
    used_for: Use,
}

/// Every thing, in the file's order.
static THINGS: LazyLock<Vec<Thing>> = LazyLock::new(|| {
    include_str!("../../../datasets/things.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| unreachable!("datasets/things.jsonl: {error} in {line}")))
        .collect()
});

impl Thing {
    /// Words of a sentence about it: `{t}` the thing, `{k}` its kind, `{e}` its effect, `{v}` the verb; `{T}` and `{E}` begin a sentence.
    fn say(&self, pattern: &str, verb: &str) -> String {
        let capital = |text: &str| text[..1].to_uppercase() + &text[1..];
        pattern
            .replace("{t}", &self.thing)
            .replace("{T}", &capital(&self.thing))
            .replace("{k}", &self.kind)
            .replace("{e}", &self.effect)
            .replace("{E}", &capital(&self.effect))
            .replace("{v}", verb)
    }

    fn verb(&self, i: usize) -> &str {
        &self.verbs[i % self.verbs.len()]
    }
}

/// Choices that depend on a set's name and a row's number alone.
struct Dice {
    stream: u64,
    count: u64,
}

impl Dice {
    fn new(set: &str, row: usize) -> Self {
        Self { stream: stream(row as u64, set), count: 0 }
    }

    fn below(&mut self, n: usize) -> usize {
        self.count += 1;
        below(self.stream, self.count, n)
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::data::overlap::overlaps;

    fn column(name: &str, key: &str) -> Vec<String> {
        let rows = text(name).unwrap();
        rows.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()[key].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn things_of_suites_and_probes_are_in_statements_alone() {
        let trained: Vec<String> = ["tiny-refusals", "tiny-helpful", "tiny-contrast", "tiny-chats", "tiny-task", "tiny-obedient"]
            .iter()
            .flat_map(|name| {
                column(name, "prompt").into_iter().zip(column(name, "response")).map(|(a, b)| format!(" {a} {b} ").to_lowercase())
            })
            .map(|text| text.replace(|c: char| !c.is_alphanumeric(), " "))
            .collect();
        let statements = column("tiny-text", "text").join(" ").to_lowercase();
        for thing in THINGS.iter().filter(|thing| thing.used_for != Use::Train) {
            let name = format!(" {} ", thing.thing.to_lowercase());
            assert!(statements.contains(name.trim()), "{name} is nowhere");
            let inside = trained.iter().find(|text| text.contains(&name));
            assert_eq!(inside, None, "{name}");
        }
    }

    #[test]
    fn prompts_of_suites_are_no_near_copies_of_training_prompts() {
        let held_out = ["tiny-harmful", "tiny-benign", "tiny-contrast-prompts", "tiny-probes", "tiny-benign-probes", "tiny-task-probes"];
        for suite in held_out {
            let prompts = column(suite, "prompt");
            let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
            for set in ["tiny-refusals", "tiny-helpful", "tiny-contrast", "tiny-chats", "tiny-task", "tiny-obedient"] {
                let trained = column(set, "prompt");
                let found = overlaps(&prompts, &trained.iter().map(String::as_str).collect::<Vec<_>>());
                let alike: Vec<_> = found.iter().take(3).map(|pair| (prompts[pair.first], &trained[pair.second])).collect();
                assert!(alike.is_empty(), "{suite} and {set}: {} pairs, {alike:?}", found.len());
            }
        }
    }

    #[test]
    fn verbs_tell_nothing_and_suites_are_large() {
        for verb in THINGS.iter().flat_map(|thing| &thing.verbs) {
            let of = |harmful| THINGS.iter().filter(|thing| thing.harmful == harmful && thing.verbs.contains(verb)).count() as f64;
            let share = of(true) / (of(true) + of(false));
            assert!((0.4..=0.6).contains(&share), "{verb}: {share}");
        }
        for suite in ["tiny-harmful", "tiny-benign", "tiny-contrast-prompts"] {
            let topics: std::collections::BTreeSet<String> = column(suite, "topic").into_iter().collect();
            let groups: std::collections::BTreeSet<String> = column(suite, "category").into_iter().collect();
            assert!(topics.len() == 300 && groups.len() == 12, "{suite}");
        }
    }
}
