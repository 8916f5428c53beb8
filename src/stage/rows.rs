//! Rows of data for a stage: loaded, digested, encoded, with what was cut or dropped made known.

use crate::data::example::encode;
use crate::data::overlap::overlaps;
use crate::data::rows::{Loaded, load};
use crate::error::{Failure, Within};
use crate::model::batch::Example;
use crate::pipeline::settings::{DataSpec, Pipeline};

use super::Context;
use super::evaluate::Questions;
use super::fetch::Model;

/// Training rows of several sources.
pub struct TrainingRows {
    /// Examples by source, in the order of the file.
    pub sources: Vec<Vec<Example>>,
    /// Digest of each source: its file and what was chosen from it.
    pub digests: Vec<String>,
    /// Rows that `max_length` cut.
    pub truncated: usize,
}

/// Loads a source.
///
/// # Errors
/// When the file cannot be read or holds no row.
pub fn load_rows(context: &Context<'_>, what: &str, spec: &DataSpec) -> Result<Loaded, Failure> {
    let loaded = load(spec).within(|| format!("data of {what}"))?;
    for warning in loaded.warnings() {
        context.warn(format!("{what}: {warning}"));
    }
    Ok(loaded)
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
    let mut rows = TrainingRows { sources: Vec::new(), digests: Vec::new(), truncated: 0 };
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
        rows.digests.push(loaded.content_digest());
    }
    Ok(rows)
}

/// Checks that no prompt that is trained on, scored on or probed stands in a suite, exactly or nearly.
///
/// # Errors
/// Names the most alike pairs.
pub fn check_overlaps(context: &Context<'_>, pipeline: &Pipeline, asked: &[Questions]) -> Result<(), Failure> {
    let mut used: Vec<(String, &DataSpec)> = Vec::new();
    for spec in pipeline.align.iter().flat_map(|align| &align.data) {
        used.push((format!("align data {}", spec.source), spec));
    }
    for (name, spec) in pipeline.tickets.iter().filter_map(|ticket| Some((&ticket.name, ticket.data.as_ref()?))) {
        used.push((format!("data of ticket {name}, {}", spec.source), spec));
    }
    for spec in pipeline.finetune.iter().flat_map(|finetune| &finetune.data) {
        used.push((format!("finetune data {}", spec.source), spec));
    }
    if let Some(probes) = &pipeline.evaluate.probes {
        used.push((format!("probe prompts {}", probes.harmful.source), &probes.harmful));
    }
    for (what, spec) in used {
        let loaded = load_rows(context, &what, spec)?;
        let prompts: Vec<&str> = loaded.rows.iter().map(|row| row.prompt()).collect();
        for questions in asked {
            let held_out: Vec<&str> = questions.info.items.iter().map(|item| item.prompt.as_str()).collect();
            let found = overlaps(&prompts, &held_out);
            if let Some(worst) = found.first() {
                let message = format!(
                    "{} of the prompts of suite {} stand in the {what} too; the most alike ({:.0} %): row {} and prompt {}",
                    found.len(),
                    questions.suite.name,
                    worst.similarity * 100.0,
                    loaded.rows[worst.first].id,
                    questions.info.items[worst.second].id
                );
                return Err(
                    Failure::new("overlap", message).remedy("remove these rows from the training data, or measure on other prompts")
                );
            }
        }
    }
    Ok(())
}
