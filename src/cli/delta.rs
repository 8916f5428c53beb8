//! `steadfast delta make|show|apply|remove|merge`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use super::Machine;
use super::run::context;
use crate::artifact::write::{must_be_new, write_new};
use crate::delta::file::Delta;
use crate::delta::make::make;
use crate::delta::merge::{Merge, Merged, Method};
use crate::delta::writes::{Direction, Writes};
use crate::error::{Exit, Failure, Within};
use crate::event::Event;
use crate::model::weights::Weights;
use crate::pipeline::settings::ComputeDtype;
use crate::stage::Context;
use crate::stage::fetch::weights;
use crate::stage::rewrite::rewrite;
use crate::ticket::mask_set::kind;
use crate::ui::Ui;

/// What is done with deltas.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keeps what a fine-tuning changed, from the two checkpoints, whoever trained.
    Make {
        /// The model before: a folder, hf://OWNER/NAME@COMMIT or builtin:NAME.
        aligned: String,
        /// The model after, with the same tensors.
        tuned: String,
        /// Where the delta is written; an existing file is not replaced.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Says where a delta came from and what it holds.
    Show {
        /// The delta.
        file: PathBuf,
    },
    /// Writes a model with disjoint deltas in it, bit for bit.
    Apply(Rewritten),
    /// Writes a model without the deltas in it, bit for bit.
    Remove(Rewritten),
    /// Writes a model with several deltas merged into it.
    Merge {
        #[command(flatten)]
        model: Rewritten,
        /// How they become one.
        #[arg(long, value_enum)]
        method: MethodName,
        /// What task vectors are multiplied with: one for all, or one for each delta in their order [default: 1].
        #[arg(long, value_name = "S", value_delimiter = ',', allow_hyphen_values = true, value_parser = finite)]
        scale: Vec<f32>,
        /// The share of weights that stays: of each tensor's (ties), of those that changed (dare).
        #[arg(long, value_name = "D")]
        density: Option<f64>,
        /// Of dare's draws [default: 0].
        #[arg(long, value_name = "N")]
        seed: Option<u64>,
    },
}

/// A model that is written again.
#[derive(Debug, Args)]
pub struct Rewritten {
    /// The model: a folder, hf://OWNER/NAME@COMMIT or builtin:NAME.
    model: String,
    /// The deltas; apply and union take them in any order.
    #[arg(required = true, value_name = "DELTA")]
    deltas: Vec<PathBuf>,
    /// The folder that is made; nothing may be there.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// Where models that are no folders are kept.
#[derive(Debug, Args)]
pub struct Place {
    /// The folder whose store keeps models that are no folders.
    #[arg(long, value_name = "FOLDER", default_value = "runs")]
    runs: PathBuf,
}

/// How deltas become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MethodName {
    /// Disjoint deltas side by side, bit for bit.
    Union,
    /// The sum of the task vectors.
    TaskArithmetic,
    /// The largest of each, and the mean of those that agree in sign.
    Ties,
    /// The sum of the task vectors, of which a random share stays, rescaled.
    Dare,
}

impl Command {
    pub(super) fn carry_out(&self, ui: &Ui, machine: Machine) -> Result<Exit, Failure> {
        let listener = |event: Event| ui.event(&event);
        let context = |place: &Place| context(&place.runs, &listener, machine, ComputeDtype::Auto);
        match self {
            Self::Make { aligned, tuned, out, place } => {
                must_be_new(out)?;
                let context = context(place);
                let ((_, before), (_, after)) = (weights(&context, aligned)?, weights(&context, tuned)?);
                let made = make(&before, &after, (aligned.clone(), tuned.clone())).within(|| format!("{aligned} and {tuned}"))?;
                write_new(out, |file| made.write(file))?;
                show(ui, &Delta::open(out)?);
            }
            Self::Show { file } => show(ui, &Delta::open(file)?),
            Self::Apply(model) => model.write(ui, &context(&model.place), Direction::Apply)?,
            Self::Remove(model) => model.write(ui, &context(&model.place), Direction::Remove)?,
            Self::Merge { model, method, scale, density, seed } => {
                let unused = [("--scale", !scale.is_empty()), ("--density", density.is_some()), ("--seed", seed.is_some())];
                let taken: &[&str] = match method {
                    MethodName::Union => &[],
                    MethodName::TaskArithmetic => &["--scale"],
                    MethodName::Ties => &["--scale", "--density"],
                    MethodName::Dare => &["--scale", "--density", "--seed"],
                };
                if let Some((option, _)) = unused.iter().find(|(option, given)| *given && !taken.contains(option)) {
                    let name = method.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
                    return Err(Failure::new("usage", format!("--method {name} has no {option}"))
                        .remedy(format!("leave {option} out, or choose a method that has it: steadfast delta merge --help")));
                }
                let method = match method {
                    MethodName::Union => return model.write(ui, &context(&model.place), Direction::Apply).map(|()| Exit::Passed),
                    MethodName::TaskArithmetic => Method::TaskArithmetic,
                    MethodName::Ties => Method::Ties { density: needed(*density)? },
                    MethodName::Dare => Method::Dare { density: needed(*density)?, seed: seed.unwrap_or(0) },
                };
                let scales = if scale.is_empty() { &[1.0][..] } else { scale };
                model.merge(ui, &context(&model.place), scales, method)?;
            }
        }
        Ok(Exit::Passed)
    }
}

impl Rewritten {
    fn open(&self, context: &Context<'_>) -> Result<(PathBuf, Weights, Vec<Delta>), Failure> {
        must_be_new(&self.out)?;
        let deltas = self.deltas.iter().map(|path| Delta::open(path)).collect::<Result<Vec<_>, _>>()?;
        let (folder, source) = weights(context, &self.model)?;
        Ok((folder, source, deltas))
    }

    /// Applies or removes the deltas.
    fn write(&self, ui: &Ui, context: &Context<'_>, direction: Direction) -> Result<(), Failure> {
        let (folder, source, deltas) = self.open(context)?;
        let writes = Writes::new(&source, &deltas, direction)?;
        rewrite(&folder, &source, &self.out, |out| writes.write(out))?;
        let count: usize = deltas.iter().map(Delta::count).sum();
        let digest = Weights::open(&self.out)?.digest();
        let (verb, whose) = if direction == Direction::Apply { ("written into", "tuned") } else { ("taken out of", "aligned") };
        // One delta alone says which weights it ends at.
        let known = deltas.first().filter(|_| deltas.len() == 1).map(|delta| match direction {
            Direction::Apply => delta.origin.tuned == digest,
            Direction::Remove => delta.origin.aligned == digest,
        });
        ui.value(&serde_json::json!({"out": self.out, "weights": count, "digest": digest, "is_the_deltas_own": known}));
        ui.text(&format!("{count} weights of {} {verb} {}: {}", told(&deltas), self.model, self.out.display()));
        let end = match known {
            Some(true) => format!(", the {whose} model's of the delta"),
            Some(false) => format!("; the {whose} model's of the delta are others: {} differs from it elsewhere", self.model),
            None => String::new(),
        };
        ui.text(&format!("weights sha256 {digest}{end}"));
        Ok(())
    }

    /// Merges the deltas by arithmetic.
    fn merge(&self, ui: &Ui, context: &Context<'_>, scales: &[f32], method: Method) -> Result<(), Failure> {
        let (folder, source, deltas) = self.open(context)?;
        let merge = Merge::new(&source, &deltas, scales, method)?;
        let done: Merged = rewrite(&folder, &source, &self.out, |out| merge.write(out))?;
        let digest = Weights::open(&self.out)?.digest();
        ui.value(&serde_json::json!({"out": self.out, "digest": digest, "merged": done}));
        let Merged { weights, shared, opposed, changed, erased } = done;
        ui.text(&format!("{} merged into {}: {}", told(&deltas), self.model, self.out.display()));
        ui.text(&format!("{weights} weights are in a delta, {shared} of them in several, {opposed} of them with opposite signs"));
        ui.text(&format!("{changed} weights changed; rounding to the stored type left {erased} more as they were"));
        ui.text(&format!("weights sha256 {digest}"));
        Ok(())
    }
}

fn told(deltas: &[Delta]) -> String {
    if deltas.len() == 1 { "one delta".into() } else { format!("{} deltas", deltas.len()) }
}

fn needed(density: Option<f64>) -> Result<f64, Failure> {
    density.ok_or_else(|| {
        Failure::new("usage", "--method ties and --method dare need a density")
            .remedy("write the share that stays, for example --density 0.2 (which the authors of TIES take)")
    })
}

fn finite(text: &str) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|_| "a scale is a number".to_owned())?;
    if value.is_finite() { Ok(value) } else { Err(format!("a scale is a finite number, not {text}")) }
}

fn show(ui: &Ui, delta: &Delta) {
    let (origin, count) = (&delta.origin, delta.count());
    let mut kinds: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (name, facts) in &origin.tensors {
        let entry = kinds.entry(kind(name)).or_default();
        entry.0 += facts.changed;
        entry.1 += facts.weights().unwrap_or(0);
    }
    let changed_by_kind: BTreeMap<&str, usize> = kinds.iter().map(|(kind, (changed, _))| (*kind, *changed)).collect();
    ui.value(&serde_json::json!({"origin": origin, "changed": count, "changed_by_kind": changed_by_kind, "bytes": size(&delta.path)}));
    let share = count as f64 / origin.weights.max(1) as f64;
    let moved = origin.tensors.values().filter(|facts| facts.changed > 0).count();
    ui.text(&format!("{count} of {} weights changed ({:.2} %), in {moved} tensors", origin.weights, share * 100.0));
    let mut types: Vec<String> =
        origin.tensors.values().filter(|facts| facts.old != facts.new).map(|facts| format!("{} to {}", facts.old, facts.new)).collect();
    types.sort();
    types.dedup();
    if !types.is_empty() {
        ui.text(&format!("the stored type changes: {}", types.join(", ")));
    }
    ui.text(&format!("aligned {}: weights sha256 {}", origin.sources.0, origin.aligned));
    ui.text(&format!("tuned   {}: weights sha256 {}", origin.sources.1, origin.tuned));
    ui.text(&format!("delta sha256 {}, {:.1} MB", origin.digest, size(&delta.path) as f64 / 1e6));
    for (kind, (changed, len)) in kinds.into_iter().filter(|(_, (changed, _))| *changed > 0) {
        ui.text(&format!("  {kind:24} {changed:>10} of {len:>10}"));
    }
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}
