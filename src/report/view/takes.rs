//! The replies to one prompt that stand beside each other: one a seed and, where several were drawn, one a drawn reply.

use super::answer::is_tuned;
use crate::eval::metric::last_cells;
use crate::record::{Arm, Completion, Record};

/// The seeds of a run, and how many replies were drawn at most.
#[derive(Debug)]
pub(super) struct Takes {
    /// Those of the arm that has the most.
    pub(super) seeds: Vec<u64>,
    /// At least 1.
    pub(super) samples: usize,
}

/// One reply to each prompt: of the n-th seed, the n-th drawn one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Take {
    pub(super) seed: usize,
    pub(super) sample: usize,
}

impl Takes {
    /// Those of a record.
    pub(super) fn of(record: &Record) -> Self {
        let seeds = |arm: &Arm| last_cells(arm).map(|cell| cell.seed).collect::<Vec<u64>>();
        let longest = |most: Vec<u64>, seeds: Vec<u64>| if seeds.len() > most.len() { seeds } else { most };
        let said = record.arms.iter().flat_map(last_cells).flat_map(|cell| cell.completions.values().flatten());
        Self {
            seeds: record.arms.iter().map(seeds).fold(Vec::new(), longest),
            samples: said.map(|completion| completion.samples().count()).max().unwrap_or(1),
        }
    }

    /// All of them, by seed.
    pub(super) fn all(&self) -> impl Iterator<Item = Take> + '_ {
        (0..self.seeds.len()).flat_map(|seed| (0..self.samples).map(move |sample| Take { seed, sample }))
    }

    /// The place of a take among [`all`](Self::all).
    pub(super) fn place(&self, take: Take) -> usize {
        take.seed * self.samples + take.sample
    }

    /// What they are called: `3`, `reply 2`, `3, reply 2`; where there is one, nothing needs a name.
    pub(super) fn labels(&self) -> Vec<String> {
        let label = |take: Take| match (self.seeds.len() > 1, self.samples > 1) {
            (_, false) => self.seeds[take.seed].to_string(),
            (false, true) => format!("reply {}", take.sample + 1),
            (true, true) => format!("{}, reply {}", self.seeds[take.seed], take.sample + 1),
        };
        self.all().map(label).collect()
    }

    /// What one of them is: `seed`, or `reply` where several were drawn.
    pub(super) fn unit(&self) -> &'static str {
        if self.samples > 1 { "reply" } else { "seed" }
    }

    /// What several of them are.
    pub(super) fn units(&self) -> &'static str {
        if self.samples > 1 { "replies" } else { "seeds" }
    }

    /// How they are counted together; nothing where there is one.
    pub(super) fn pooled(&self) -> String {
        let (seeds, samples) = (self.seeds.len(), self.samples);
        match (seeds > 1, samples > 1) {
            (false, false) => String::new(),
            (true, false) => format!("all {seeds} seeds together: a prompt counts once a seed"),
            (false, true) => format!("all {samples} drawn replies together: a prompt counts once a reply"),
            (true, true) => format!("all {seeds} seeds and {samples} drawn replies together: a prompt counts once a seed and reply"),
        }
    }
}

/// What an arm said to a prompt. What stands for a take that an arm has not: the aligned model and the base, which nothing trains, said
/// the same in all seeds, and their replies come again where fewer were drawn.
pub(super) fn said<'a>(arm: &'a Arm, suite: &str, prompt: usize, take: Take) -> Option<&'a Completion> {
    let again = |place: usize, of: usize| if is_tuned(arm) { place } else { place % of.max(1) };
    let cell = last_cells(arm).nth(again(take.seed, last_cells(arm).count()))?;
    let first = cell.completions.get(suite)?.get(prompt)?;
    first.samples().nth(again(take.sample, first.samples().count()))
}
