//! The files of a run's folder.

use std::path::{Path, PathBuf};

use crate::artifact::folder::place_file;
use crate::artifact::write::{create_folder, write_bytes, write_new};
use crate::error::{Failure, Within};
use crate::eval::join::Joined;
use crate::eval::without_text::{compact, without_text};
use crate::record::{Record, StageTiming};
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

/// Writes `joined.html` of a benchmark and, where there is a sweep to draw, `joined.svg`; returns where the page is.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_joined(joined: &Joined, folder: &Path) -> Result<PathBuf, Failure> {
    let file = folder.join("joined.html");
    write_bytes(&file, report::html::render_joined(joined)?.as_bytes()).within(|| "writing joined.html".into())?;
    if let Some(picture) = report::picture::render(joined) {
        write_bytes(&folder.join("joined.svg"), picture.as_bytes()).within(|| "writing joined.svg".into())?;
    }
    Ok(file)
}

/// Writes a record without texts, and its reports, into a folder that holds no record yet.
///
/// # Errors
/// When it does, or cannot be written.
pub fn write_without_text(record: &Record, folder: &Path) -> Result<(), Failure> {
    let bare = without_text(record);
    let json = compact(&bare).map_err(|error| Failure::new("internal", error.to_string()))?;
    create_folder(folder)?;
    write_new(&folder.join("run.json"), |file| file.write_all(json.as_bytes()))?;
    write_reports(&bare, folder, Samples::Ids)
}

/// Where a file of a task's stage (`finetune ARM/TASK`) goes. The arm's folder holds the model after the last task of a sequence, or all
/// merged, and in `tasks` the ticket and the delta of each.
fn of_task(folder: &Path, arm: &str, task: &str, file: &str, is_last: bool) -> Option<PathBuf> {
    let arm = folder.join("arms").join(arm.replace(' ', "-"));
    match file {
        "delta.safetensors" | "ticket.safetensors" => Some(arm.join("tasks").join(format!("{task}.{file}"))),
        _ => is_last.then(|| arm.join(file)),
    }
}

/// The aligned model where the run made it, the tickets and the arms' models, linked from the store.
pub(super) fn place_artifacts(context: &Context<'_>, folder: &Path) -> Result<(), Failure> {
    let timings = context.timings.borrow();
    for (i, timing) in timings.iter().enumerate() {
        let entry = context.store.root().join(&timing.key);
        let (kind, name) = timing.stage.split_once(' ').unwrap_or((&timing.stage, ""));
        let target = match kind {
            "pretrain" => folder.join("base"),
            "align" => folder.join("aligned"),
            "extract" if name == "ticket" => folder.to_path_buf(),
            "extract" => folder.join("tickets").join(name),
            "finetune" | "delta" if name.contains('/') => {
                let Some((arm, task)) = name.split_once('/') else { continue };
                let same =
                    |later: &StageTiming| later.stage.strip_prefix("finetune ").is_some_and(|name| name.split('/').next() == Some(arm));
                let merged = |later: &StageTiming| later.stage.strip_prefix("merge ") == Some(arm);
                let is_last = kind == "finetune" && !timings[i + 1..].iter().any(|later| same(later) || merged(later));
                for file in crate::artifact::store::files_below(&entry)? {
                    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                    let target = of_task(folder, arm, task, &name, is_last).filter(|_| name != "manifest.json");
                    if let Some(target) = target {
                        place_file(&file, &target)?;
                    }
                }
                continue;
            }
            "finetune" | "edit" | "merge" => folder.join("arms").join(name.replace(' ', "-")),
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
