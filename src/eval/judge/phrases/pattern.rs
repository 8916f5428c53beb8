//! A small language for word patterns.
//!
//! A pattern is a row of elements, one per token: `a|b` is one of these words, `!a|b` any word but these, `<class>` one word of
//! a class, a `?` at the end makes the element optional, a `*` lets it stand up to [`MANY`] times, `~3` is up to three tokens of any kind, a
//! leading `^` binds the pattern to the start of the sentence, and `$` is the end of a sentence that has an end.

use std::collections::HashMap;

/// How often a starred element may stand.
pub const MANY: usize = 6;

/// The number of a word that the rules know; 0 is every other word.
pub type Id = u16;

#[derive(Debug)]
enum Element {
    Word { any_of: Vec<Id>, least: usize, most: usize },
    Other { than: Vec<Id> },
    Gap(usize),
    End,
}

#[derive(Debug)]
struct Pattern<K> {
    kind: K,
    at_start: bool,
    elements: Vec<Element>,
}

/// Compiled patterns, found by the words that they can begin with.
#[derive(Debug)]
pub struct Patterns<K> {
    ids: HashMap<String, Id>,
    all: Vec<Pattern<K>>,
    by_first: Vec<Vec<usize>>,
}

/// A place where a pattern stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match<K> {
    pub kind: K,
    pub start: usize,
    /// The token after the last one.
    pub end: usize,
}

impl<K: Copy> Patterns<K> {
    /// Compiles rules; `classes` gives the words of a `<class>`.
    pub fn new(rules: &[(K, &[&str])], classes: &HashMap<&str, Vec<String>>) -> Self {
        let mut compiled = Self { ids: HashMap::new(), all: Vec::new(), by_first: Vec::new() };
        for (kind, lines) in rules {
            for line in *lines {
                compiled.add(*kind, line, classes);
            }
        }
        compiled
    }

    fn add(&mut self, kind: K, line: &str, classes: &HashMap<&str, Vec<String>>) {
        let at_start = line.starts_with('^');
        let elements: Vec<Element> = line.trim_start_matches('^').split_whitespace().map(|source| self.element(source, classes)).collect();
        let index = self.all.len();
        for element in &elements {
            let Element::Word { any_of, least, .. } = element else { break };
            for &id in any_of {
                let place = usize::from(id);
                if place >= self.by_first.len() {
                    self.by_first.resize_with(place + 1, Vec::new);
                }
                if self.by_first[place].last() != Some(&index) {
                    self.by_first[place].push(index);
                }
            }
            // Where it may be left out, the pattern can begin with the one behind it.
            if *least > 0 {
                break;
            }
        }
        self.all.push(Pattern { kind, at_start, elements });
    }

    fn element(&mut self, source: &str, classes: &HashMap<&str, Vec<String>>) -> Element {
        if source == "$" {
            return Element::End;
        }
        if let Some(count) = source.strip_prefix('~') {
            return Element::Gap(count.parse().unwrap_or(1));
        }
        let (source, least, most) = match (source.strip_suffix('?'), source.strip_suffix('*')) {
            (Some(bare), _) => (bare, 0, 1),
            (_, Some(bare)) => (bare, 0, MANY),
            _ => (source, 1, 1),
        };
        let (source, negated) = source.strip_prefix('!').map_or((source, false), |bare| (bare, true));
        let mut any_of = Vec::new();
        for part in source.split('|') {
            match part.strip_prefix('<').and_then(|name| name.strip_suffix('>')) {
                Some(name) => {
                    for word in classes.get(name).into_iter().flatten() {
                        any_of.push(self.id_for(word));
                    }
                }
                None => any_of.push(self.id_for(part)),
            }
        }
        any_of.sort_unstable();
        any_of.dedup();
        if negated { Element::Other { than: any_of } } else { Element::Word { any_of, least, most } }
    }

    fn id_for(&mut self, word: &str) -> Id {
        let next = Id::try_from(self.ids.len() + 1).unwrap_or(0);
        *self.ids.entry(word.to_owned()).or_insert(next)
    }

    /// The numbers of the words of a sentence.
    pub fn ids(&self, tokens: &[String]) -> Vec<Id> {
        tokens.iter().map(|token| self.ids.get(token.as_str()).copied().unwrap_or(0)).collect()
    }

    /// Every place where a pattern stands; `whole` says whether the sentence has an end.
    pub fn matches(&self, ids: &[Id], first: usize, whole: bool) -> Vec<Match<K>> {
        let mut found = Vec::new();
        for (start, id) in ids.iter().enumerate().filter(|(_, id)| **id != 0) {
            for pattern in self.by_first.get(usize::from(*id)).into_iter().flatten().map(|&at| &self.all[at]) {
                if (!pattern.at_start || start == first)
                    && let Some(end) = matched(&pattern.elements, ids, start, whole)
                {
                    found.push(Match { kind: pattern.kind, start, end });
                }
            }
        }
        found
    }
}

/// The end of the elements from a place on, the longest run of each first.
fn matched(elements: &[Element], ids: &[Id], at: usize, whole: bool) -> Option<usize> {
    let Some((element, rest)) = elements.split_first() else {
        return Some(at);
    };
    match element {
        Element::End => (whole && at == ids.len()).then_some(at),
        Element::Gap(most) => (0..=*most).filter(|skip| at + skip <= ids.len()).find_map(|skip| matched(rest, ids, at + skip, whole)),
        Element::Other { than } => {
            let other = ids.get(at).is_some_and(|id| than.binary_search(id).is_err());
            if other { matched(rest, ids, at + 1, whole) } else { None }
        }
        Element::Word { any_of, least, most } => {
            let run = ids[at..].iter().take(*most).take_while(|id| any_of.binary_search(id).is_ok()).count();
            (*least..=run).rev().find_map(|count| matched(rest, ids, at + count, whole))
        }
    }
}
