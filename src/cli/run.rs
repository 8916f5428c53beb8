//! `steadfast run FILE`.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use super::{Machine, parse_set};
use crate::artifact::store::Store;
use crate::error::{Exit, Failure};
use crate::event::{Event, Listener};
use crate::hub::remote::Access;
use crate::pipeline::settings::ComputeDtype;
use crate::pipeline::{self, Loaded};
use crate::report::{Samples, markdown};
use crate::run::{Setting, run};
use crate::stage::Context;
use crate::stage::engine::Compute;
use crate::ui::Ui;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The pipeline file.
    file: PathBuf,
    /// Overrides a key: finetune.max_steps=20. May be given again.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_set)]
    sets: Vec<(String, String)>,
    /// The folder for runs and their store.
    #[arg(long, value_name = "FOLDER", default_value = "runs")]
    runs: PathBuf,
    /// How much of prompts and completions report.html holds; run.json has all of it.
    #[arg(long, value_enum, default_value_t, value_name = "HOW MUCH")]
    include_samples: Samples,
}

impl Run {
    pub(super) fn carry_out(&self, ui: &Ui, machine: Machine) -> Result<Exit, Failure> {
        let loaded = pipeline::load(&self.file, &self.sets)?;
        let listener = |event: Event| ui.event(&event);
        let context = context(&self.runs, &listener, machine, loaded.pipeline.model.computes_in());
        tell(&context, &loaded);
        let setting = Setting { samples: self.include_samples, ..setting(&self.runs) };
        let outcome = run(&context, &loaded.pipeline, &setting)?;
        ui.value(&outcome.record.gate);
        ui.text(&markdown::plain(&outcome.record));
        ui.text(&format!("report: {}", outcome.folder.join("report.html").display()));
        // What was measured is told first.
        outcome.failure.map_or(Ok(outcome.exit), Err)
    }
}

/// Tells what was found while a pipeline was read; warnings are recorded too.
pub(super) fn tell(context: &Context<'_>, loaded: &Loaded) {
    for message in loaded.notes.iter().cloned() {
        (context.listener)(Event::Note { message });
    }
    loaded.warnings.iter().for_each(|warning| context.warn(warning));
}

/// What stages need, with the store inside the folder of runs.
pub(super) fn context<'a>(runs: &std::path::Path, listener: Listener<'a>, machine: Machine, compute: ComputeDtype) -> Context<'a> {
    Context {
        store: Store::new(runs.join(".store")),
        listener,
        compute: Compute::new(machine.threads, compute),
        access: Access::from_environment(machine.offline),
        warnings: RefCell::default(),
        timings: RefCell::default(),
        usage: RefCell::default(),
    }
}

/// Clock and place of this process.
pub(super) fn setting(runs: &std::path::Path) -> Setting {
    let start = Instant::now();
    let now = jiff::Timestamp::now();
    Setting {
        runs: runs.to_path_buf(),
        started: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        stamp: now.strftime("%Y%m%dT%H%M%SZ").to_string(),
        peak_memory_bytes,
        elapsed_s: Box::new(move || start.elapsed().as_secs_f64()),
        samples: Samples::default(),
    }
}

/// The largest resident memory of this process so far, in bytes; 0 where the system does not tell.
pub(super) fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) * 1024
}

/// Memory that is free for this process, in bytes; 0 where the system does not tell.
pub(super) fn free_memory_bytes() -> u64 {
    memory_bytes("MemAvailable:").unwrap_or(0)
}

/// A line of `/proc/meminfo`, in bytes; only Linux has it.
pub(super) fn memory_bytes(key: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}
