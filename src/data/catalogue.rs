//! Published evaluation suites by name: where they are, and how their columns are read. None of them is shipped.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::choices::ChoiceForm;
use super::spec::{Columns, Variant};
use crate::record::Expect;

const TEXT: &str = include_str!("../../datasets/suites.yaml");

/// A published suite (`datasets/suites.yaml` explains the keys).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What a pipeline calls it.
    pub name: String,
    /// What its authors call it.
    pub title: String,
    /// What is in it.
    pub what: String,
    /// What a good answer is.
    pub expect: Expect,
    /// Of the prompts.
    pub language: String,
    /// Of the data.
    pub licence: String,
    /// arXiv number; empty where there is no paper of its own.
    pub cite: String,
    /// Its page.
    pub homepage: String,
    /// `hf://datasets/OWNER/NAME@REVISION/FILE`.
    pub hub: String,
    /// Whether the revision is a commit.
    pub pinned: bool,
    /// Whether the hub asks for a login.
    pub gated: bool,
    /// Of the file on the hub.
    pub sha256: Option<String>,
    /// The authors' own file.
    pub download: Option<Download>,
    /// After the filter.
    pub rows: usize,
    columns: Vec<Shape>,
    #[serde(default)]
    filter: BTreeMap<String, Vec<String>>,
    /// The column with the right answer.
    pub reference: Option<String>,
    /// How an answer is taken from text.
    pub extract: Option<String>,
    /// The user's turn, with `{column}`.
    pub template: Option<String>,
    /// How a row becomes a question with choices.
    pub choice: Option<ChoiceForm>,
    rouge: Option<serde_json::Value>,
    /// Whether columns, filter and number of rows were checked against a copy of the file.
    pub verified: bool,
    #[serde(default)]
    checked: Vec<serde_json::Value>,
    /// What a reader of a result must know.
    pub caution: String,
}

/// A file outside the hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Download {
    /// At a pinned commit.
    pub url: String,
    /// Of the file.
    pub sha256: String,
}

/// One way in which the columns of a copy are named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    prompt: String,
    response: Option<String>,
    system: Option<String>,
    id: Option<String>,
    category: Option<String>,
    #[serde(default)]
    filter: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Catalogue {
    suites: Vec<Entry>,
}

/// A file of the program that does not parse is a broken program, and the tests read it.
static ENTRIES: LazyLock<Vec<Entry>> =
    LazyLock::new(|| serde_saphyr::from_str(TEXT).map(|Catalogue { suites }| suites).unwrap_or_default());

/// Every published suite that is known.
pub fn entries() -> &'static [Entry] {
    &ENTRIES
}

impl Entry {
    /// The ways in which its columns may be named; the first whose columns are all there is taken.
    pub fn variants(&self) -> Vec<Variant> {
        let variant = |shape: &Shape| Variant {
            columns: Columns {
                prompt: Some(shape.prompt.clone()),
                response: shape.response.clone(),
                system: shape.system.clone(),
                id: shape.id.clone(),
                category: shape.category.clone(),
                ..Columns::default()
            },
            filter: shape.filter.iter().chain(&self.filter).map(|(column, wanted)| (column.clone(), wanted.clone())).collect(),
        };
        self.columns.iter().map(variant).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_read_whole_and_its_addresses_are_addresses() {
        assert!(serde_saphyr::from_str::<Catalogue>(TEXT).is_ok(), "{:?}", serde_saphyr::from_str::<Catalogue>(TEXT).err());
        assert_eq!(entries().len(), 19);
        for entry in entries() {
            let revision = entry.hub.split('@').nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
            assert!(entry.hub.starts_with("hf://datasets/") && (revision.len() == 40) == entry.pinned, "{}", entry.name);
            assert!(!entry.variants().is_empty() && entry.rows > 0 && !entry.licence.is_empty(), "{}", entry.name);
            assert_eq!(entry.choice.is_some(), entry.expect == Expect::MultipleChoice, "{}", entry.name);
            assert_eq!(entry.reference.is_some(), matches!(entry.expect, Expect::ExactMatch | Expect::Rouge), "{}", entry.name);
        }
    }
}
