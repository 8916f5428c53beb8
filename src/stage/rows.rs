//! Rows of data for a stage: loaded, digested, encoded, with what was cut or dropped made known.

use std::collections::BTreeMap;

use crate::artifact::digest::sha256;
use crate::data::example::encode;
use crate::data::overlap::overlaps;
use crate::data::rows::{Loaded, Row, load_from};
use crate::error::{Failure, Within};
use crate::hub::dataset_file;
use crate::model::batch::Example;
use crate::pipeline::settings::{DataSpec, Expect, Pipeline};

use super::Context;
use super::evaluate::Questions;
use super::fetch::Model;

/// Training rows of several sources.
#[derive(Default)]
pub struct TrainingRows {
    /// Examples by source, in the order of the file.
    pub sources: Vec<Vec<Example>>,
    /// Digest of each source: its file and what was chosen from it, and what the tokenizer puts before plain text.
    pub digests: Vec<String>,
    /// Rows that `max_length` cut.
    pub truncated: usize,
    /// What each source is called, and its rows' numbers in the file.
    places: Vec<(String, Vec<usize>)>,
}

impl TrainingRows {
    /// Checks that every row has something to learn within a length that is at most the one they were encoded with.
    ///
    /// # Errors
    /// Names the first row that has not.
    pub fn learnable(&self, max_length: usize) -> Result<(), Failure> {
        let taught = |row: &Example| row.supervised.iter().take(max_length).skip(1).any(|&supervised| supervised);
        for (rows, (source, numbers)) in self.sources.iter().zip(&self.places) {
            if let Some((_, number)) = rows.iter().zip(numbers).find(|(row, _)| !taught(row)) {
                let message = format!("row {number} of {source} has no token to learn within max_length {max_length}");
                return Err(Failure::new("data", message).remedy(format!("raise max_length above {max_length}, or shorten the prompts")));
            }
        }
        Ok(())
    }

    /// The rows cut to such a length; counts those that lost something.
    ///
    /// # Errors
    /// When a row has nothing to learn within it.
    pub fn cut(&self, max_length: usize) -> Result<Self, Failure> {
        self.learnable(max_length)?;
        let shorter = self.sources.iter().flatten().filter(|row| row.tokens.len() > max_length).count();
        let cut = |row: &Example| {
            let n = row.tokens.len().min(max_length);
            Example { tokens: row.tokens[..n].to_vec(), supervised: row.supervised[..n].to_vec() }
        };
        Ok(Self {
            sources: self.sources.iter().map(|rows| rows.iter().map(cut).collect()).collect(),
            digests: self.digests.clone(),
            places: self.places.clone(),
            // Rows that were cut before end at the longest length, and are among those cut again.
            truncated: if shorter > 0 { shorter } else { self.truncated },
        })
    }
}

/// Loads a source.
///
/// # Errors
/// When the file cannot be read or holds no row.
pub fn load_rows(context: &Context<'_>, what: &str, spec: &DataSpec) -> Result<Loaded, Failure> {
    let loaded = load_from(spec, &source_file(context, what, spec)?).within(|| format!("data of {what}"))?;
    for warning in loaded.warnings() {
        context.warn(format!("{what}: {warning}"));
    }
    Ok(loaded)
}

/// The file that a source is read from, downloaded where it is on the hub; or `builtin:NAME`.
///
/// # Errors
/// When it cannot be downloaded.
pub fn source_file(context: &Context<'_>, what: &str, spec: &DataSpec) -> Result<String, Failure> {
    let Some((remote, file)) = dataset_file(&spec.source) else { return Ok(spec.source.clone()) };
    if !remote.pinned() {
        context.warn(format!("{} is not pinned to a commit: what it names may change", spec.source));
    }
    let path = remote.file(&file, &context.access, context.listener).within(|| format!("data of {what}"))?;
    Ok(path.to_string_lossy().into_owned())
}

/// Loads and encodes sources for training.
///
/// # Errors
/// When a file cannot be read, or a row has nothing to learn.
pub fn training_rows(
    context: &Context<'_>,
    what: &str,
    specs: &[DataSpec],
    model: &Model,
    max_length: usize,
) -> Result<TrainingRows, Failure> {
    within_context(what, max_length, model)?;
    let mut rows = TrainingRows::default();
    for spec in specs {
        let loaded = load_rows(context, what, spec)?;
        let encoded = encode(&model.text, &loaded.rows, max_length).within(|| format!("data of {what}, {}", spec.source))?;
        let (examples, truncated) = (encoded.examples, encoded.truncated);
        if truncated > 0 {
            context.warn(format!(
                "{what}: {truncated} of {} rows of {} are longer than max_length {max_length} and were cut",
                examples.len(),
                spec.source
            ));
        }
        rows.truncated += truncated;
        rows.sources.push(examples);
        rows.places.push((spec.source.clone(), loaded.rows.iter().map(|row| row.number).collect()));
        rows.digests.push(digest(&loaded, model.text.begin_tokens()));
    }
    Ok(rows)
}

fn digest(loaded: &Loaded, begin: &[u32]) -> String {
    let content = loaded.content_digest();
    if begin.is_empty() || loaded.rows.iter().all(|row| row.plain_text().is_none()) {
        return content;
    }
    sha256(format!("{content}{begin:?}").as_bytes())
}

/// Checks that rows of this length are within the model's context.
///
/// # Errors
/// When they are longer.
pub(super) fn within_context(what: &str, max_length: usize, model: &Model) -> Result<(), Failure> {
    let context_length = model.config.max_position_embeddings;
    if max_length <= context_length {
        return Ok(());
    }
    Err(Failure::new("too-long", format!("{what}: max_length is {max_length}, the model's context is {context_length}"))
        .remedy(format!("write max_length: {context_length}, or less")))
}

/// Checks that every row that is trained or scored on has a reply, that none of their prompts stands in a suite or among the
/// probes, no text that is trained on in a suite of texts, and no probe in a suite, exactly or nearly. Returns the digest of every source by what it is for: `data.align.0`, `data.ticket`, `data.probes.harmful`.
///
/// # Errors
/// Names the row without a reply, or the most alike pair.
pub fn check_overlaps(context: &Context<'_>, pipeline: &Pipeline, asked: &[Questions]) -> Result<BTreeMap<String, String>, Failure> {
    let mut training: Vec<(String, String, &DataSpec)> = Vec::new();
    for (i, spec) in pipeline.pretrain.iter().flat_map(|pretrain| &pretrain.data).enumerate() {
        training.push((format!("data.pretrain.{i}"), format!("pretrain data {}", spec.source), spec));
    }
    for (i, spec) in pipeline.align.iter().flat_map(|align| &align.data).enumerate() {
        training.push((format!("data.align.{i}"), format!("align data {}", spec.source), spec));
    }
    for (name, spec) in pipeline.tickets.iter().filter_map(|ticket| Some((&ticket.name, ticket.data.as_ref()?))) {
        let key = if name == "ticket" { "data.ticket".to_owned() } else { format!("data.tickets.{name}") };
        training.push((key, format!("data of ticket {name}, {}", spec.source), spec));
    }
    for (name, minus) in pipeline.tickets.iter().filter_map(|ticket| Some((&ticket.name, ticket.minus.as_ref()?))) {
        let key = if name == "ticket" { "data.ticket.minus".to_owned() } else { format!("data.tickets.{name}.minus") };
        training.push((key, format!("minus data of ticket {name}, {}", minus.data.source), &minus.data));
    }
    for (name, over) in pipeline.tickets.iter().filter_map(|ticket| Some((&ticket.name, ticket.over.as_ref()?))) {
        let key = if name == "ticket" { "data.ticket.over".to_owned() } else { format!("data.tickets.{name}.over") };
        training.push((key, format!("over data of ticket {name}, {}", over.data.source), &over.data));
    }
    for (i, spec) in pipeline.finetune.iter().flat_map(|finetune| &finetune.data).enumerate() {
        training.push((format!("data.finetune.{i}"), format!("finetune data {}", spec.source), spec));
    }
    for task in pipeline.finetune.iter().flat_map(|finetune| &finetune.tasks) {
        for (i, spec) in task.data.iter().enumerate() {
            training.push((format!("data.finetune.{}.{i}", task.name), format!("data of task {}, {}", task.name, spec.source), spec));
        }
    }
    for (arm, recipe) in
        pipeline.finetune.iter().flat_map(|finetune| &finetune.arms).flat_map(|arm| arm.recipes().iter().map(move |one| (arm, one)))
    {
        let family = recipe.family.as_ref().unwrap_or(&recipe.name);
        let name = if arm.auto.is_some() { format!("{}.{family}", arm.name) } else { family.clone() };
        for (kind, data) in recipe.own_data() {
            for (i, spec) in data.iter().enumerate() {
                let key = format!("data.{kind}.{name}.{i}");
                // The settings of a family read the same.
                if training.iter().all(|(have, _, _)| *have != key) {
                    training.push((key, format!("{kind} data of {name}, {}", spec.source), spec));
                }
            }
        }
    }
    let mut digests = BTreeMap::new();
    let suites = asked.iter().map(|questions| Prompts {
        what: format!("suite {}", questions.suite.name),
        // A wrapper's own words would hide that a prompt was trained on.
        rows: match &questions.unwrapped {
            Some(prompts) => questions.info.items.iter().zip(prompts).map(|(item, prompt)| (item.id.clone(), prompt.clone())).collect(),
            None => questions.info.items.iter().map(|item| (item.id.clone(), item.prompt.clone())).collect(),
        },
        digest: questions.info.digest.clone(),
    });
    let mut held_out: Vec<Prompts> = suites.collect();
    let of_texts = asked.iter().filter(|questions| questions.suite.expect == Expect::Perplexity);
    let texts: Vec<Prompts> = of_texts
        .map(|questions| Prompts {
            what: format!("suite {}", questions.suite.name),
            rows: texts_of(&questions.rows),
            digest: questions.info.digest.clone(),
        })
        .collect();
    if let Some(probes) = &pipeline.evaluate.probes {
        for (name, spec) in [("harmful", Some(&probes.harmful)), ("benign", Some(&probes.benign)), ("task", probes.task.as_ref())] {
            let Some(spec) = spec else { continue };
            let what = format!("probe prompts {}", spec.source);
            let probe = Prompts::of(what.clone(), &load_rows(context, &what, spec)?);
            digests.insert(format!("data.probes.{name}"), format!("sha256:{}", probe.digest));
            for suite in held_out.iter().take(asked.len()) {
                probe.apart_from(suite)?;
            }
            held_out.push(probe);
        }
    }
    for (key, what, spec) in training {
        let loaded = load_rows(context, &what, spec)?;
        let blank = loaded.replies().within(|| format!("data of {what}"))?;
        if blank > 0 {
            context.warn(format!("{what}: {blank} of {} rows have an empty reply, and teach silence", loaded.rows.len()));
        }
        let read = Prompts { what: what.clone(), rows: texts_of(&loaded.rows), digest: String::new() };
        texts.iter().try_for_each(|text| read.apart_from(text))?;
        let used = Prompts::of(what, &loaded);
        held_out.iter().try_for_each(|held_out| used.apart_from(held_out))?;
        digests.insert(key, format!("sha256:{}", used.digest));
    }
    Ok(digests)
}

/// The whole texts of rows that are no conversations.
fn texts_of(rows: &[Row]) -> Vec<(String, String)> {
    rows.iter().filter_map(|row| Some((row.id.clone(), row.plain_text()?.to_owned()))).collect()
}

/// Prompts under the name of where they stand.
struct Prompts {
    what: String,
    /// (id, prompt)
    rows: Vec<(String, String)>,
    /// Digest of the whole rows.
    digest: String,
}

impl Prompts {
    fn of(what: String, loaded: &Loaded) -> Self {
        let rows = loaded.rows.iter().flat_map(|row| row.prompts().map(|prompt| (row.id.clone(), prompt.to_owned()))).collect();
        Self { what, rows, digest: loaded.content_digest() }
    }

    fn apart_from(&self, held_out: &Self) -> Result<(), Failure> {
        let prompts = |of: &Self| of.rows.iter().map(|(_, prompt)| prompt.clone()).collect::<Vec<_>>();
        let (mine, theirs) = (prompts(self), prompts(held_out));
        let found = overlaps(&mine.iter().map(String::as_str).collect::<Vec<_>>(), &theirs.iter().map(String::as_str).collect::<Vec<_>>());
        let Some(worst) = found.first() else { return Ok(()) };
        let message = format!(
            "{} of the prompts of {} stand in the {} too; the most alike ({:.0} %): row {} and prompt {}",
            found.len(),
            held_out.what,
            self.what,
            worst.similarity * 100.0,
            self.rows[worst.first].0,
            held_out.rows[worst.second].0
        );
        Err(Failure::new("overlap", message).remedy("remove these rows from one of the two, or measure on other prompts"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::rows::Message;

    #[test]
    fn what_stands_before_plain_text_is_part_of_its_digest() {
        let of = |role: &str| {
            let messages = vec![Message { role: role.into(), content: "a".into() }];
            let row = Row { id: "1".into(), number: 1, messages, fields: BTreeMap::new(), lists: BTreeMap::new() };
            Loaded { rows: vec![row], total: 1, empty: 0, file: "a.jsonl".into() }
        };
        let (text, conversation) = (of("text"), of("user"));
        assert_eq!(digest(&text, &[]), text.content_digest());
        assert_ne!(digest(&text, &[1]), digest(&text, &[]));
        assert_ne!(digest(&text, &[1]), digest(&text, &[2]));
        assert_eq!(digest(&conversation, &[1]), conversation.content_digest());
    }
}
