//! Which prompts of a suite a rule is decided for.

use std::collections::BTreeMap;

use crate::eval::rule::{Among, shown};
use crate::record::SuiteInfo;

/// Most categories of a suite that a rule is decided for one by one: a column with another word in every row is no category.
const MOST: usize = 500;
/// Most categories that a message lists.
const LISTED: usize = 30;

/// Some prompts of a suite.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    /// The category; none: every prompt.
    pub(super) category: Option<String>,
    /// Their places in the suite; none: every prompt.
    pub(super) places: Option<Vec<usize>>,
}

/// What a rule about a suite is decided for: every prompt, those of one category, or each category in the order of their names.
///
/// # Errors
/// A sentence, when the suite does not have the category, when a prompt has none, or when there are too many.
pub(super) fn groups(name: &str, suite: &SuiteInfo, among: &Among) -> Result<Vec<Group>, String> {
    if among.is_all() {
        return Ok(vec![Group { category: None, places: None }]);
    }
    let mut have: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, item) in suite.items.iter().enumerate() {
        let category = item.category.as_deref().map(str::trim).filter(|category| !category.is_empty());
        if let Some(category) = category {
            have.entry(category).or_default().push(place);
        }
    }
    let group = |(category, places): (&str, Vec<usize>)| Group { category: Some(category.to_owned()), places: Some(places) };
    if have.is_empty() {
        return Err(format!("the prompts of suite {name} have no categories"));
    }
    if let Among::Category(wanted) = among {
        return match have.remove_entry(wanted.as_str()) {
            Some(found) => Ok(vec![group(found)]),
            None => Err(format!("suite {name} has no category {:?}; it has {}", shown(wanted), listed(have.keys()))),
        };
    }
    let (with, all) = (have.values().map(Vec::len).sum::<usize>(), suite.items.len());
    if with < all {
        let without = all - with;
        return Err(format!("{without} of the {all} prompts of suite {name} have no category: no rule for each category would see them"));
    }
    if have.len() > MOST {
        return Err(format!("suite {name} has {} categories for {all} prompts, at most {MOST} can be decided one by one", have.len()));
    }
    Ok(have.into_iter().map(group).collect())
}

fn listed<'a>(categories: impl ExactSizeIterator<Item = &'a &'a str>) -> String {
    let more = categories.len().saturating_sub(LISTED);
    let mut names: Vec<String> = categories.take(LISTED).map(|name| shown(name)).collect();
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}
