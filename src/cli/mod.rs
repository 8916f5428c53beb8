//! The command line: one file a command.

mod baseline;
mod chat;
mod check;
mod clean;
mod completions;
mod data;
mod delta;
mod doctor;
mod evaluate;
mod gate;
mod init;
mod judge;
mod man;
mod report;
mod restore;
mod run;
mod schema;
mod suites;
mod ticket;
mod verify;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::error::{Exit, Failure};
use crate::model::backend::cpu::with_threads;
use crate::record::{RECORD_VERSION, Record};
use crate::ui::{Format, Ui};

/// Fine-tunes an aligned language model on your own data, keeps its refusals, and proves whether it worked.
#[derive(Debug, Parser)]
#[command(
    name = "steadfast",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 passed, 1 a gate rule failed, 2 could not run, 3 inconclusive."
)]
struct Arguments {
    /// What results and progress are written as.
    #[arg(long, global = true, value_enum, default_value_t)]
    format: Format,
    /// Only results, warnings and errors.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Threads; results do not depend on it [default: all processors].
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    threads: Option<u16>,
    /// Makes no request: models come from the cache, a folder or a file.
    #[arg(long, global = true)]
    offline: bool,
    #[command(subcommand)]
    command: Command,
}

/// What the user says about the machine.
#[derive(Debug, Clone, Copy)]
struct Machine {
    threads: usize,
    offline: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Carries out a pipeline, from the model to the verdict.
    Run(run::Run),
    /// Checks a pipeline, and prints it as it was understood with a forecast.
    Check(check::Check),
    /// Extracts, shows and compares tickets.
    #[command(subcommand)]
    Ticket(ticket::Command),
    /// Proves that a checkpoint kept the weights of a ticket, bit for bit.
    Verify(verify::Verify),
    /// Keeps what a fine-tuning changed as a file; applies, removes and merges such files.
    #[command(subcommand)]
    Delta(delta::Command),
    /// Puts a ticket's weights back into a tuned checkpoint, bit for bit.
    Restore(restore::Restore),
    /// Evaluates one model, without training.
    Evaluate(evaluate::Evaluate),
    /// Writes the reports of a run again from its run.json; of several runs, a comparison.
    Report(report::Report),
    /// Decides the gate of a run again from its run.json.
    Gate(gate::Gate),
    /// Keeps what an arm did, for later gates to compare with.
    #[command(subcommand)]
    Baseline(baseline::Command),
    /// Measures judges against people, and trains one.
    #[command(subcommand)]
    Judge(judge::Command),
    /// Looks into the custom data: which rows pull against the refusals.
    #[command(subcommand)]
    Data(data::Command),
    /// Talks with one model, or with two side by side: one message a line.
    Chat(chat::Chat),
    /// Writes a pipeline for a model and a file of rows.
    Init(init::Init),
    /// Says what this machine has, and what is missing.
    Doctor(doctor::Doctor),
    /// Frees the store of everything that no run uses.
    Clean(clean::Clean),
    /// Prints a script that completes commands in a shell.
    Completions(completions::Completions),
    /// Prints the manual page.
    Man(man::Man),
    /// Lists the published suites that a pipeline can name.
    Suites(suites::Suites),
    /// Prints the JSON schema of pipeline files.
    Schema(schema::Schema),
}

/// Runs the program.
pub fn main() -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::CouldNotRun } else { Exit::Passed };
        }
    };
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let threads = arguments.threads.map_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get), usize::from);
    let Arguments { format, quiet, offline, command, .. } = arguments;
    let machine = Machine { threads, offline };
    let done = with_threads(threads, move || {
        let ui = Ui::new(format, quiet, no_color);
        let done = match &command {
            Command::Run(command) => command.carry_out(&ui, machine),
            Command::Check(command) => command.carry_out(&ui, machine),
            Command::Ticket(command) => command.carry_out(&ui, machine),
            Command::Verify(command) => command.carry_out(&ui, machine),
            Command::Delta(command) => command.carry_out(&ui, machine),
            Command::Restore(command) => command.carry_out(&ui, machine),
            Command::Evaluate(command) => command.carry_out(&ui, machine),
            Command::Report(command) => command.carry_out(&ui),
            Command::Gate(command) => command.carry_out(&ui),
            Command::Baseline(command) => command.carry_out(&ui),
            Command::Judge(command) => command.carry_out(&ui, machine),
            Command::Data(command) => command.carry_out(&ui, machine),
            Command::Chat(command) => command.carry_out(&ui, machine),
            Command::Init(command) => command.carry_out(&ui, machine),
            Command::Doctor(command) => command.carry_out(&ui, machine),
            Command::Clean(command) => command.carry_out(&ui),
            Command::Completions(command) => command.carry_out(&ui),
            Command::Man(command) => command.carry_out(&ui),
            Command::Suites(command) => command.carry_out(&ui),
            Command::Schema(command) => command.carry_out(&ui),
        };
        done.unwrap_or_else(|failure| {
            ui.failure(&failure);
            failure.exit
        })
    });
    done.unwrap_or_else(|error| {
        Ui::new(format, quiet, no_color).failure(&Failure::new("threads", error.to_string()).remedy("ask for fewer: --threads 1"));
        Exit::CouldNotRun
    })
}

/// Nothing is overwritten.
fn refuse_to_replace(out: Option<&std::path::Path>) -> Result<(), Failure> {
    match out.filter(|out| out.exists()) {
        Some(out) => Err(Failure::new("exists", format!("{} is there already", out.display())).remedy("choose another file: --out FILE")),
        None => Ok(()),
    }
}

/// `--set a.b=c`.
fn parse_set(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is no KEY=VALUE, for example finetune.max_steps=20")),
    }
}

/// A record on disk: `run.json`, or a folder that has one.
fn read_record(path: &std::path::Path) -> Result<(Record, PathBuf), Failure> {
    let file = if path.is_dir() { path.join("run.json") } else { path.to_path_buf() };
    let text = std::fs::read_to_string(&file).map_err(|error| {
        Failure::new("file", format!("cannot read {}: {error}", file.display())).remedy("give the folder of a run: runs/NAME/latest")
    })?;
    let damaged = |what: String| {
        Failure::new("damaged-record", format!("{} is no record of a run: {what}", file.display()))
            .remedy("run the pipeline again: its finished stages are reused")
    };
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    let version = json["version"].as_u64().ok_or_else(|| damaged("it has no version".into()))?;
    if version != u64::from(RECORD_VERSION) {
        let message = format!("{} is a record of version {version}, this program reads version {RECORD_VERSION}", file.display());
        return Err(Failure::new("record-version", message).remedy("run the pipeline again with this program, or read it with the other"));
    }
    let record = serde_json::from_value(json).map_err(|error| damaged(error.to_string()))?;
    Ok((record, file.parent().unwrap_or(std::path::Path::new(".")).to_path_buf()))
}
