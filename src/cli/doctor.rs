//! `steadfast doctor`: what this machine has, and what is missing.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::Machine;
use super::run::{context, memory_bytes};
use crate::artifact::write::try_folder;
use crate::error::{Exit, Explain, Failure};
use crate::event::Event;
use crate::hub::remote::{Access, reachable};
use crate::pipeline::settings::ComputeDtype;
use crate::stage::engine::Compute;
use crate::ui::Ui;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The folder for runs and their store.
    #[arg(long, value_name = "FOLDER", default_value = "runs")]
    runs: PathBuf,
}

/// One thing that was looked at.
#[derive(Serialize)]
struct Finding {
    what: &'static str,
    found: String,
    /// What to do, where something is missing.
    remedy: Option<String>,
    /// Whether nothing can be run as it is.
    blocking: bool,
}

/// Less free space than this is told: a fine-tune of a model of a billion parameters writes about so much.
const LITTLE_DISK: u64 = 20 << 30;

impl Doctor {
    pub(super) fn carry_out(&self, ui: &Ui, machine: Machine) -> Result<Exit, Failure> {
        let listener = |event: Event| ui.event(&event);
        let access = context(&self.runs, &listener, machine, ComputeDtype::Auto).access;
        let findings = vec![
            processor(machine),
            memory(),
            disk("disk of the runs", &self.runs),
            disk("disk of the cache", &access.cache),
            folder("folder of the runs", &self.runs),
            folder("folder of the cache", &access.cache),
            token(&access),
            hub(&access),
        ];
        ui.value(&findings);
        for finding in &findings {
            let mark = if finding.blocking {
                "✗"
            } else if finding.remedy.is_some() {
                "!"
            } else {
                "✓"
            };
            ui.text(&format!("{mark} {}: {}", finding.what, finding.found));
            if let Some(remedy) = &finding.remedy {
                ui.text(&format!("  help: {remedy}"));
            }
        }
        Ok(if findings.iter().any(|finding| finding.blocking) { Exit::CouldNotRun } else { Exit::Passed })
    }
}

fn fine(what: &'static str, found: String) -> Finding {
    Finding { what, found, remedy: None, blocking: false }
}

fn processor(machine: Machine) -> Finding {
    let numerics = Compute::new(machine.threads, ComputeDtype::Auto).numerics();
    fine("processor", format!("{} threads, kernels: {numerics}", machine.threads))
}

/// What Linux says is free; other systems do not tell.
fn memory() -> Finding {
    let of = |key: &str| memory_bytes(key).map(|bytes| bytes as f64 / 1e9);
    match (of("MemAvailable:"), of("MemTotal:")) {
        (Some(free), Some(all)) => fine("memory", format!("{free:.1} of {all:.1} GB are free")),
        _ => fine("memory", "this system does not say".into()),
    }
}

/// The nearest folder above that exists.
fn existing(path: &Path) -> Option<PathBuf> {
    let full = std::path::absolute(path).ok()?;
    full.ancestors().find(|folder| folder.is_dir()).map(Path::to_path_buf)
}

#[cfg(unix)]
fn free_bytes(folder: &Path) -> Option<u64> {
    rustix::fs::statvfs(folder).ok().map(|disk| disk.f_bavail * disk.f_frsize)
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}

fn disk(what: &'static str, path: &Path) -> Finding {
    let Some(free) = existing(path).and_then(|folder| free_bytes(&folder)) else { return fine(what, "this system does not say".into()) };
    let found = format!("{:.1} GB are free", free as f64 / 1e9);
    let remedy =
        (free < LITTLE_DISK).then(|| "a model of a billion parameters needs about 20 GB; small ones far less: steadfast clean".into());
    Finding { what, found, remedy, blocking: false }
}

fn folder(what: &'static str, path: &Path) -> Finding {
    let Some(above) = existing(path) else {
        return Finding {
            what,
            found: format!("{} has no folder above it", path.display()),
            remedy: Some("choose another".into()),
            blocking: true,
        };
    };
    match try_folder(&above) {
        Ok(()) => fine(what, format!("{} can be written", path.display())),
        Err(error) => Finding {
            what,
            found: error.to_string(),
            remedy: Some("choose another: --runs FOLDER for runs, export HF_HOME=FOLDER for the cache".into()),
            blocking: true,
        },
    }
}

/// Whether there is a token; never which.
fn token(access: &Access) -> Finding {
    match access.sendable_token() {
        Ok(Some(_)) => fine("token", "there is one for gated models".into()),
        Ok(None) => fine("token", "none: gated models need one (export HF_TOKEN=…), open ones do not".into()),
        Err(error) => Finding { what: "token", found: error.to_string(), remedy: error.remedy(), blocking: false },
    }
}

fn hub(access: &Access) -> Finding {
    if access.offline {
        return fine("hub", "offline: no request is made; models come from the cache, a folder, a file or builtin:".into());
    }
    match reachable(access) {
        Ok(()) => fine("hub", format!("{} answers", access.endpoint)),
        Err(problem) => Finding {
            what: "hub",
            found: format!("{} does not answer: {problem}", access.endpoint),
            remedy: Some("give a folder or a .gguf file as model, use builtin:tiny-aligned, or set HF_ENDPOINT".into()),
            blocking: false,
        },
    }
}
