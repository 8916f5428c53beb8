//! `steadfast judge calibrate`: how well judges agree with people. `steadfast judge train`: the weights of the `trained` judge.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::run::context;
use super::{Machine, refuse_to_replace};
use crate::artifact::write::write_bytes;
use crate::error::{Exit, Failure};
use crate::eval::calibration::{Agreement, CALIBRATION_VERSION, CalibrationFile, Label, Labelled, Partial, Share};
use crate::eval::judge::{self, trained};
use crate::event::Event;
use crate::pipeline;
use crate::pipeline::settings::{ComputeDtype, Evaluate};
use crate::record::Verdict;
use crate::report::markdown::escape;
use crate::stage::endpoint_judge::tell_usage;
use crate::stage::judges::Judges;
use crate::stage::judging::{LabelColumns, calibrated, labelled};
use crate::ui::Ui;

/// `judge …`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs judges over completions that people labelled.
    Calibrate(Calibrate),
    /// Learns the weights of the trained judge from labelled completions.
    Train(Train),
}

/// Where labelled completions are.
#[derive(Debug, Args)]
struct Rows {
    /// Labelled completions: JSONL, JSON, CSV or Parquet.
    #[arg(long, value_name = "FILE")]
    data: String,
    /// Which column is what: completion, label (complied, refused, partial) and, where there is one, model and prompt.
    #[arg(long, value_name = "NAME=COLUMN,…", value_delimiter = ',', value_parser = super::parse_set)]
    columns: Vec<(String, String)>,
    /// Only rows whose column has this value; given again for the same column, one of these values.
    #[arg(long, value_name = "COLUMN=VALUE", value_parser = super::parse_set)]
    filter: Vec<(String, String)>,
}

impl Rows {
    /// The completions, and the digest of their file.
    fn read(&self) -> Result<(Vec<Labelled>, String), Failure> {
        labelled(&self.data, &label_columns(&self.columns)?, &self.filter)
    }
}

/// Arguments of `judge calibrate`.
#[derive(Debug, Args)]
pub struct Calibrate {
    #[command(flatten)]
    rows: Rows,
    /// A judge; all of them where none is named. May be given again.
    #[arg(long = "judge", value_name = "NAME")]
    judges: Vec<String>,
    /// The judges of this pipeline, classifiers and endpoints too, as it names them, instead of those that come with the program.
    #[arg(long, value_name = "FILE")]
    pipeline: Option<PathBuf>,
    /// Overrides a key of the pipeline. May be given again.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = super::parse_set, requires = "pipeline")]
    sets: Vec<(String, String)>,
    /// The folder for runs, whose store keeps what classifiers and endpoints said.
    #[arg(long, value_name = "FOLDER", default_value = "runs")]
    runs: PathBuf,
    /// Who labelled them, for the record: people, or a model.
    #[arg(long, value_name = "WHO")]
    labelled_by: Option<String>,
    /// Writes what was measured, for `evaluate.calibration` of pipelines; an existing file is not replaced.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Arguments of `judge train`.
#[derive(Debug, Args)]
pub struct Train {
    #[command(flatten)]
    rows: Rows,
    /// The weights; an existing file is not replaced.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Command {
    pub(super) fn carry_out(&self, ui: &Ui, machine: Machine) -> Result<Exit, Failure> {
        match self {
            Self::Calibrate(command) => command.carry_out(ui, machine),
            Self::Train(command) => command.carry_out(ui),
        }
    }
}

impl Calibrate {
    fn carry_out(&self, ui: &Ui, machine: Machine) -> Result<Exit, Failure> {
        refuse_to_replace(self.out.as_deref())?;
        let evaluate = self.evaluate(ui)?;
        let listener = |event: Event| ui.event(&event);
        let context = context(&self.runs, &listener, machine, ComputeDtype::Auto);
        let (rows, data_digest) = self.rows.read()?;
        let judges = Judges::open(&context, &evaluate)?;
        let name = Path::new(&self.rows.data).file_name().unwrap_or_default().to_string_lossy();
        let taken: String = self.rows.filter.iter().map(|(column, value)| format!(", {column} = {value}")).collect();
        let who =
            self.labelled_by.as_deref().map_or_else(|| "who labelled them is not said".to_owned(), |who| format!("labelled by {who}"));
        let file = CalibrationFile {
            version: CALIBRATION_VERSION,
            data: format!("{name}{taken}, {who}"),
            data_digest: format!("sha256:{data_digest}"),
            judges: calibrated(&context, &judges, &name, &rows)?,
        };
        tell_usage(&context);
        if let Some(out) = &self.out {
            let text = serde_json::to_string_pretty(&file).map_err(|error| Failure::new("internal", error.to_string()))?;
            write_bytes(out, text.as_bytes())?;
        }
        ui.value(&file);
        ui.text(&table(&file));
        Ok(Exit::Passed)
    }
}

impl Calibrate {
    /// The judges that are asked for, as a pipeline names them.
    fn evaluate(&self, ui: &Ui) -> Result<Evaluate, Failure> {
        let Some(file) = &self.pipeline else {
            let judges = if self.judges.is_empty() {
                judge::all()
            } else {
                self.judges.iter().map(|name| judge::by_name(name)).collect::<Result<_, _>>()?
            };
            return Ok(Evaluate::by(judges.into_iter().map(|judge| judge.name().to_owned()).collect()));
        };
        let loaded = pipeline::load(file, &self.sets)?;
        for message in loaded.notes {
            ui.event(&Event::Note { message });
        }
        for message in loaded.warnings {
            ui.event(&Event::Warning { message });
        }
        let mut evaluate = loaded.pipeline.evaluate;
        if let Some(unknown) = self.judges.iter().find(|name| !evaluate.judges.contains(name)) {
            let message = format!("{} has no judge {unknown:?}; it has {}", file.display(), evaluate.judges.join(", "));
            return Err(Failure::new("unknown-judge", message).remedy("leave --judge out for all of them"));
        }
        if !self.judges.is_empty() {
            evaluate.judges.retain(|name| self.judges.contains(name));
            evaluate.classifiers.retain(|judge| self.judges.contains(&judge.name));
            evaluate.endpoints.retain(|judge| self.judges.contains(&judge.name));
        }
        Ok(evaluate)
    }
}

impl Train {
    fn carry_out(&self, ui: &Ui) -> Result<Exit, Failure> {
        refuse_to_replace(Some(&self.out))?;
        let (rows, _) = self.rows.read()?;
        let pairs: Vec<(&str, bool)> = rows.iter().map(|row| (row.text.as_str(), row.label != Label::Complied)).collect();
        let weights = trained::fit(&pairs);
        write_bytes(&self.out, &weights.to_bytes())?;
        let right = pairs.iter().filter(|(text, refuses)| (weights.judge(text, true) == Verdict::Refused) == *refuses).count();
        ui.value(&serde_json::json!({"weights": self.out, "completions": pairs.len(), "right": right}));
        ui.text(&format!("{}: learnt from {} completions, {right} of them right", self.out.display(), pairs.len()));
        Ok(Exit::Passed)
    }
}

fn label_columns(named: &[(String, String)]) -> Result<LabelColumns, Failure> {
    let of = |name: &str| named.iter().find(|(given, _)| given == name).map(|(_, column)| column.clone());
    if let Some((unknown, _)) = named.iter().find(|(name, _)| !["completion", "label", "model", "prompt"].contains(&name.as_str())) {
        return Err(Failure::new("usage", format!("--columns knows completion, label, model and prompt, not {unknown:?}"))
            .remedy("write --columns completion=COLUMN,label=COLUMN,model=COLUMN,prompt=COLUMN"));
    }
    Ok(LabelColumns {
        completion: of("completion").unwrap_or_else(|| "completion".into()),
        label: of("label").unwrap_or_else(|| "label".into()),
        model: of("model"),
        prompt: of("prompt"),
    })
}

/// A Markdown table: every judge over all completions, and by model.
fn table(file: &CalibrationFile) -> String {
    let mut text = String::from(
        "| judge | completions of | n | precision | recall | accuracy | balanced | reported | true | reported − true, points |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for found in &file.judges {
        let names =
            [(Partial::Refused, "all"), (Partial::Complied, "all, partial as complied"), (Partial::Dropped, "all, partial dropped")];
        // The other two ways to count differ only where there are partial refusals.
        let partial = found.overall.get(&Partial::Refused).map(|all| all.completions)
            != found.overall.get(&Partial::Dropped).map(|left| left.completions);
        for (way, name) in names.into_iter().filter(|(way, _)| partial || *way == Partial::Refused) {
            if let Some(agreement) = found.overall.get(&way) {
                text.push_str(&line(&found.judge, name, agreement));
            }
        }
        for (model, agreement) in found.models.iter().filter(|_| found.models.len() > 1) {
            text.push_str(&line(&found.judge, model, agreement));
        }
    }
    text
}

fn line(judge: &str, of: &str, agreement: &Agreement) -> String {
    let share = |share: &Option<Share>| {
        let told = |share: &Share| format!("{:.1} [{:.1}, {:.1}]", share.value * 100.0, share.interval.0 * 100.0, share.interval.1 * 100.0);
        share.as_ref().map_or_else(|| "–".to_owned(), told)
    };
    let three = |three: Option<(f64, f64, f64)>, sign: bool| {
        three.map_or_else(
            || "–".to_owned(),
            |(value, low, high)| {
                let [value, low, high] = [value, low, high].map(|number| number * 100.0);
                if sign { format!("{value:+.1} [{low:+.1}, {high:+.1}]") } else { format!("{value:.1} [{low:.1}, {high:.1}]") }
            },
        )
    };
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
        escape(judge),
        escape(of),
        agreement.completions,
        share(&agreement.precision),
        share(&agreement.recall),
        share(&agreement.accuracy),
        three(agreement.balanced_accuracy, false),
        share(&agreement.reported_rate),
        share(&agreement.true_rate),
        three(agreement.bias, true)
    )
}
