//! The files of a run's folder.

use std::path::{Path, PathBuf};

use crate::artifact::folder::place_file;
use crate::artifact::write::write_bytes;
use crate::error::{Failure, Within};
use crate::record::Record;
use crate::report::{self, Samples};
use crate::stage::Context;

/// Writes `report.html`, `summary.md`, `junit.xml` and `report.sarif`.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_reports(record: &Record, folder: &Path, samples: Samples) -> Result<(), Failure> {
    for (name, text) in [
        ("report.html", report::html::render(record, samples)?),
        ("summary.md", report::markdown::render(record)),
        ("junit.xml", report::junit::render(record)?),
        ("report.sarif", report::sarif::render(record)),
    ] {
        write_bytes(&folder.join(name), text.as_bytes()).within(|| format!("writing {name}"))?;
    }
    Ok(())
}

/// Writes `comparison.html` of several runs, and returns where it is.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_comparison(records: &[Record], folder: &Path) -> Result<PathBuf, Failure> {
    let file = folder.join("comparison.html");
    write_bytes(&file, report::html::render_comparison(records)?.as_bytes()).within(|| "writing comparison.html".into())?;
    Ok(file)
}

/// The aligned model where the run made it, the tickets and the arms' models, linked from the store.
pub(super) fn place_artifacts(context: &Context<'_>, folder: &Path) -> Result<(), Failure> {
    for timing in context.timings.borrow().iter() {
        let entry = context.store.root().join(&timing.key);
        let (kind, name) = timing.stage.split_once(' ').unwrap_or((&timing.stage, ""));
        let target = match kind {
            "pretrain" => folder.join("base"),
            "align" => folder.join("aligned"),
            "extract" if name == "ticket" => folder.to_path_buf(),
            "extract" => folder.join("tickets").join(name),
            "finetune" | "edit" => folder.join("arms").join(name.replace(' ', "-")),
            _ => continue,
        };
        for file in crate::artifact::store::files_below(&entry)? {
            if let Some(name) = file.file_name().filter(|name| *name != "manifest.json") {
                place_file(&file, &target.join(name))?;
            }
        }
    }
    Ok(())
}
