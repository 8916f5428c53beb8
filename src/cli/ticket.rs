//! `steadfast ticket extract|show|compare`.

use std::path::PathBuf;

use clap::Subcommand;

use super::run::{context, tell};
use super::{Machine, parse_set};
use crate::artifact::folder::place_file;
use crate::error::{Exit, Failure};
use crate::event::Event;
use crate::pipeline;
use crate::run::models;
use crate::stage::extract;
use crate::ticket::compare::compare;
use crate::ticket::file::Ticket;
use crate::ui::Ui;

/// What is done with tickets.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Carries out a pipeline up to its tickets and writes the first that is extracted.
    Extract {
        /// The pipeline file.
        file: PathBuf,
        /// Where the ticket is written; an existing file is not replaced.
        #[arg(long, value_name = "FILE", default_value = "ticket.safetensors")]
        out: PathBuf,
        /// Overrides a key. May be given again.
        #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_set)]
        sets: Vec<(String, String)>,
        /// The folder for runs and their store.
        #[arg(long, value_name = "FOLDER", default_value = "runs")]
        runs: PathBuf,
    },
    /// Says where a ticket came from and what it holds.
    Show {
        /// The ticket.
        file: PathBuf,
    },
    /// Says how much two tickets share, beside what chance would give.
    Compare {
        /// The first ticket.
        first: PathBuf,
        /// The second ticket.
        second: PathBuf,
    },
}

impl Command {
    pub(super) fn carry_out(&self, ui: &Ui, machine: Machine) -> Result<Exit, Failure> {
        match self {
            Self::Extract { file, out, sets, runs } => {
                if out.exists() {
                    return Err(
                        Failure::new("exists", format!("{} is there already", out.display())).remedy("choose another file: --out FILE")
                    );
                }
                let loaded = pipeline::load(file, sets)?;
                let settings = &loaded.pipeline;
                let none = || Failure::new("no-ticket", "the pipeline extracts no ticket").remedy("write ticket: {score: snip, data: …}");
                let first = settings.tickets.iter().find(|ticket| ticket.file.is_none()).ok_or_else(none)?;
                let listener = |event: Event| ui.event(&event);
                let context = context(runs, &listener, machine, settings.model.computes_in());
                tell(&context, &loaded);
                let models = models(&context, settings)?;
                extract::tickets(&context, settings, models.base.as_ref(), &models.aligned)?;
                let (timings, name) = (context.timings.borrow(), format!("extract {}", first.name));
                let stage = timings.iter().find(|timing| timing.stage == name).ok_or_else(none)?;
                place_file(&context.store.root().join(&stage.key).join("ticket.safetensors"), out)?;
                show(ui, &Ticket::read(out)?);
                Ok(Exit::Passed)
            }
            Self::Show { file } => {
                show(ui, &Ticket::read(file)?);
                Ok(Exit::Passed)
            }
            Self::Compare { first, second } => {
                let (first, second) = (Ticket::read(first)?, Ticket::read(second)?);
                let (all, kinds) = compare(&first.masks, &second.masks);
                ui.value(&serde_json::json!({"all": all, "kinds": kinds}));
                for (name, overlap) in std::iter::once(("all".to_owned(), all)).chain(kinds) {
                    ui.text(&format!(
                        "{name:10} {:>10} and {:>10} of {:>10} weights, {:>10} in both: Jaccard {:.4}, by chance {:.4}",
                        overlap.first,
                        overlap.second,
                        overlap.total,
                        overlap.both,
                        overlap.jaccard(),
                        overlap.jaccard_by_chance()
                    ));
                }
                Ok(Exit::Passed)
            }
        }
    }
}

fn show(ui: &Ui, ticket: &Ticket) {
    let origin = &ticket.origin;
    ui.value(&serde_json::json!({"origin": origin, "count": ticket.masks.count(), "maskable": ticket.masks.len(), "density_by_kind": ticket.masks.density_by_kind()}));
    let data = origin.data.as_ref().map(|(source, digest)| format!(" on {source} (sha256 {digest})")).unwrap_or_default();
    ui.text(&format!("{} of {} maskable weights ({:.2} %)", ticket.masks.count(), ticket.masks.len(), ticket.masks.density() * 100.0));
    let minus = origin
        .minus
        .as_ref()
        .map(|((source, digest), density)| format!(", minus the top {density} of the same score on {source} (sha256 {digest})"));
    let over = origin
        .over
        .as_ref()
        .map(|((source, digest), epsilon)| format!(", over the same score on {source} (sha256 {digest}) + {epsilon} of its mean"));
    let structure = if origin.structure.is_weight() { String::new() } else { format!(" of whole {}s", origin.structure.name()) };
    ui.text(&format!(
        "score {}{data}{}, scope {}, density {}{structure}{}",
        origin.score,
        over.unwrap_or_default(),
        origin.scope.name(),
        origin.density,
        minus.unwrap_or_default()
    ));
    ui.text(&format!("model weights sha256 {}\nmasks sha256 {}", origin.model, origin.bits));
    for (kind, density) in ticket.masks.density_by_kind() {
        ui.text(&format!("  {kind:10} {:.2} %", density * 100.0));
    }
}
