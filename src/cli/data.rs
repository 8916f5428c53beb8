//! `steadfast data audit PIPELINE`: which rows of the custom data pull against the refusals.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::run::{context, tell};
use super::{Machine, parse_set, refuse_to_replace};
use crate::artifact::write::write_bytes;
use crate::data::spec::{DataFormat, DataSpec};
use crate::data::subset::subset;
use crate::error::{Exit, Failure};
use crate::event::Event;
use crate::pipeline;
use crate::pipeline::settings::{Finetune, Pipeline, safety_rows};
use crate::run::models;
use crate::stage::Context;
use crate::stage::audit::{AuditedRow, By, audit};
use crate::stage::rows::source_file;
use crate::ticket::budget::count_for;
use crate::ui::{Ui, clean};

/// Characters of a prompt or reply in the table.
const PREVIEW: usize = 40;

/// `data …`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ranks the rows of finetune.data by how much their gradient conflicts with that of refusals. A cosine below 0 means that a step
    /// on the row raises the loss of the refusals. The most conflicting rows come first.
    Audit(Audit),
}

/// Arguments of `data audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// The pipeline file.
    file: PathBuf,
    /// Refusals that the rows are compared with: builtin:NAME or a file [default: the one of finetune.audit, else the data of the pipeline's first
    /// ticket that has any].
    #[arg(long, value_name = "SOURCE")]
    safety: Option<String>,
    /// What the ranking goes by.
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    by: By,
    /// Rows of the table.
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Writes every row in the order of the ranking, one JSON object a line; an existing file is not replaced.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The share of the rows, from the top of the ranking, that --out-data leaves out.
    #[arg(long, value_name = "SHARE", requires = "out_data")]
    drop: Option<f64>,
    /// Writes the rows that remain after --drop as they stand in the data; an existing file is not replaced.
    #[arg(long, value_name = "FILE", requires = "drop")]
    out_data: Option<PathBuf>,
    /// Overrides a key. May be given again.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_set)]
    sets: Vec<(String, String)>,
    /// The folder for runs and their store.
    #[arg(long, value_name = "FOLDER", default_value = "runs")]
    runs: PathBuf,
}

impl Command {
    pub(super) fn carry_out(&self, ui: &Ui, machine: Machine) -> Result<Exit, Failure> {
        match self {
            Self::Audit(command) => command.carry_out(ui, machine),
        }
    }
}

impl Audit {
    fn carry_out(&self, ui: &Ui, machine: Machine) -> Result<Exit, Failure> {
        refuse_to_replace(self.out.as_deref())?;
        refuse_to_replace(self.out_data.as_deref())?;
        if self.out.is_some() && self.out == self.out_data {
            return Err(Failure::new("same-file", "--out and --out-data name the same file").remedy("choose two files"));
        }
        if let Some(share) = self.drop.filter(|share| !(*share > 0.0 && *share < 1.0)) {
            return Err(Failure::new("bad-share", format!("--drop {share} is no share in (0, 1)")).remedy("for example --drop 0.05"));
        }
        let loaded = pipeline::load(&self.file, &self.sets)?;
        let settings = &loaded.pipeline;
        let listener = |event: Event| ui.event(&event);
        let context = context(&self.runs, &listener, machine, settings.model.computes_in());
        tell(&context, &loaded);
        let safety = self.safety(settings)?;
        let only = self.only_source(settings)?;
        let models = models(&context, settings)?;
        let rows = audit(&context, settings, std::slice::from_ref(&safety), &models.aligned, self.by)?;
        let sources = settings.finetune.as_ref().map(Finetune::sources).unwrap_or_default();
        let sources: Vec<&str> = sources.iter().map(|spec| spec.source.as_str()).collect();
        let told: Vec<serde_json::Value> = rows.iter().enumerate().map(|(rank, row)| as_json(rank, row, &sources)).collect();
        // Nothing is written before all of it can be.
        let dropped = match (self.drop, &self.out_data, only) {
            (Some(share), Some(out), Some(spec)) => Some(cleaned(&context, &spec, &rows, share, out)?),
            _ => None,
        };
        if let Some(out) = &self.out {
            write_bytes(out, told.iter().map(|row| format!("{row}\n")).collect::<String>().as_bytes())?;
        }
        if let (Some((bytes, _)), Some(out)) = (&dropped, &self.out_data) {
            refuse_to_replace(Some(out))?;
            write_bytes(out, bytes)?;
        }
        let dropped = dropped.map(|(_, count)| count);
        let against = rows.iter().filter(|row| row.conflict.cosine < 0.0).count();
        let shown = self.top.min(rows.len());
        ui.value(&json!({
            "safety": safety.source, "rows": rows.len(), "conflicting": against, "dropped": dropped, "top": &told[..shown],
        }));
        ui.text(&format!("{:>6}  {:>7}  {:>10}  {}", "row", "cosine", "dot", "prompt → reply"));
        for row in &rows[..shown] {
            let place = if sources.len() > 1 { format!("{}  ", name(sources[row.source])) } else { String::new() };
            ui.text(&format!(
                "{:>6}  {:>+7.4}  {:>+10.3e}  {}{} → {}",
                row.number,
                row.conflict.cosine,
                row.conflict.dot,
                place,
                preview(&row.prompt),
                preview(&row.reply)
            ));
        }
        ui.text(&format!(
            "{against} of {} rows have a cosine below 0 with {}: a step on one of them raises the loss of these refusals",
            rows.len(),
            safety.source
        ));
        if let (Some(dropped), Some(out)) = (dropped, &self.out_data) {
            ui.text(&format!("{}: {} rows, without the {dropped} that conflict most", out.display(), rows.len() - dropped));
        }
        Ok(Exit::Passed)
    }

    /// What the rows are held against.
    fn safety(&self, settings: &Pipeline) -> Result<DataSpec, Failure> {
        match &self.safety {
            Some(source) => Ok(DataSpec::new(source)),
            None => named_in(settings).ok_or_else(|| {
                Failure::new("no-safety-data", "no ticket of the pipeline has data to hold the rows against")
                    .remedy("name refusals: --safety builtin:refusals")
            }),
        }
    }

    /// The one source of which a cleaned file can be written, where one is asked for.
    fn only_source(&self, settings: &Pipeline) -> Result<Option<DataSpec>, Failure> {
        let sources = settings.finetune.as_ref().map(Finetune::sources).unwrap_or_default();
        match (sources.as_slice(), &self.out_data) {
            (_, None) => Ok(None),
            ([source], Some(_)) => Ok(Some(source.clone())),
            (_, Some(_)) => {
                let message = format!("the custom data has {} sources, and one file is to be written", sources.len());
                Err(Failure::new("several-sources", message)
                    .remedy("clean one at a time, with a pipeline that names one: finetune: {data: FILE}"))
            }
        }
    }
}

/// The refusals that a pipeline names.
fn named_in(settings: &Pipeline) -> Option<DataSpec> {
    let audited = settings.finetune.as_ref().and_then(|finetune| finetune.audit.first());
    audited.or_else(|| safety_rows(&settings.tickets)).cloned()
}

/// The source without its most conflicting rows, a share in (0, 1), and how many these are. Rows that the pipeline leaves out (filter,
/// split, limit, empty prompts) are left out too: nobody looked at them.
fn cleaned(context: &Context<'_>, spec: &DataSpec, rows: &[AuditedRow], share: f64, out: &Path) -> Result<(Vec<u8>, usize), Failure> {
    let count = count_for(share, rows.len())?;
    if count == 0 || count == rows.len() {
        return Err(Failure::new("bad-share", format!("--drop {share} of {} rows leaves out {count}", rows.len()))
            .remedy("give a share between 0 and 1 that leaves some rows and takes some, for example --drop 0.05"));
    }
    let kept: BTreeSet<usize> = rows[count..].iter().map(|row| row.number).collect();
    let found = subset(spec, &source_file(context, "finetune", spec)?, &kept)?;
    let ending = match found.format {
        DataFormat::Csv => "csv",
        DataFormat::Json => "json",
        _ => "jsonl",
    };
    if out.extension().is_none_or(|given| given != ending) {
        return Err(Failure::new(
            "other-format",
            format!("the rows of {} are written as .{ending}, not as {}", spec.source, out.display()),
        )
        .remedy(format!("write --out-data {}", out.with_extension(ending).display())));
    }
    Ok((found.bytes, count))
}

fn as_json(rank: usize, row: &AuditedRow, sources: &[&str]) -> serde_json::Value {
    json!({
        "rank": rank + 1, "source": sources[row.source], "row": row.number, "id": row.id, "cosine": row.conflict.cosine,
        "dot": row.conflict.dot, "gradient_norm": row.conflict.norm, "prompt": row.prompt, "reply": row.reply,
    })
}

/// The last part of a path.
fn name(source: &str) -> String {
    clean(source.rsplit('/').next().unwrap_or(source))
}

/// The beginning of a text on one line, with what could steer a terminal left out or shown as an escape.
fn preview(text: &str) -> String {
    let text = clean(text);
    let mut shown: String = text.chars().take(PREVIEW).collect::<String>().replace('\n', "\\n").replace('\t', "\\t");
    if text.chars().count() > PREVIEW {
        shown.push('…');
    }
    shown
}
