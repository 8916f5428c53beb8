//! merge: the tasks of an arm, each trained from the aligned model, in one model.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::artifact::store::Workplace;
use crate::delta::file::Delta;
use crate::delta::merge::{Merge, Merged, Method};
use crate::delta::writes::{Direction, Writes};
use crate::error::Failure;
use crate::mask::Mask;
use crate::model::inventory::inventory;
use crate::model::verify;
use crate::model::weights::Weights;
use crate::pipeline::settings::{self, Arm, MergeMethod};
use crate::record::{Figure, MergeSummary};

use super::edit::distance;
use super::fetch::Model;
use super::finetune::of_seed;
use super::frame::Frame;
use super::rewrite::written;
use super::train::{finite_or_zero, rounding_warning, save_beside};
use super::{Context, read_json, write_json};

/// Of this stage's result; raised when what it writes changes.
pub(super) const VERSION: u32 = 2;

#[derive(Serialize)]
struct Parts<'a> {
    aligned: &'a str,
    text: &'a str,
    /// Digests of the deltas with their scales, in the order of tasks.
    deltas: Vec<(&'a str, f32)>,
    method: MergeMethod,
    density: Option<f64>,
    /// Of draws.
    seed: Option<u64>,
    probes: Option<(&'a str, &'a [settings::Probe])>,
    dtype: settings::Dtype,
    numerics: String,
}

#[derive(Serialize, Deserialize)]
struct Report {
    summary: MergeSummary,
    /// Why nothing may be decided by the merge.
    stopped: Option<String>,
    figures: BTreeMap<String, Figure>,
}

/// A model into which all tasks of an arm were merged.
pub struct Whole {
    /// The saved files, opened again.
    pub model: Model,
    /// What merging did.
    pub summary: MergeSummary,
    /// Why nothing may be decided by it; none where all its weights are finite numbers.
    pub stopped: Option<String>,
    /// Figures of the saved files.
    pub figures: BTreeMap<String, Figure>,
}

/// Merges what the tasks of an arm changed with one seed into the aligned model, saves it, proves that weights which no task changed kept
/// their bits, and measures the saved files. `deltas` are those of the tasks in their order; none of a task that changed nothing. The
/// result does not depend on the order of tasks with one scale.
///
/// # Errors
/// When two deltas are the same, two write the same weight (`union`), the backend fails, or the store cannot be written.
pub fn merge(
    context: &Context<'_>,
    (arm, how): (&Arm, &settings::Merge),
    frame: &Frame<'_>,
    seed: u64,
    deltas: &[Option<PathBuf>],
) -> Result<Whole, Failure> {
    // One scale for all, or one for each; a union has none.
    let one = how.scale.first().copied().unwrap_or(1.0);
    let scales = (0..deltas.len()).map(|task| if how.scale.len() > 1 { how.scale[task] } else { one });
    let mut changes = Changes::default();
    for (path, scale) in deltas.iter().zip(scales) {
        if let Some(path) = path {
            changes.deltas.push(Delta::open(path)?);
            changes.scales.push(scale as f32);
        }
    }
    let parts = Parts {
        aligned: &frame.aligned.digest,
        text: &frame.aligned.text_digest,
        deltas: changes.deltas.iter().map(|delta| delta.origin.digest.as_str()).zip(changes.scales.iter().copied()).collect(),
        method: how.method,
        density: how.density,
        seed: (how.method == MergeMethod::Dare).then_some(seed),
        probes: frame.probes.as_ref().map(|(_, digest, settings)| (digest.as_str(), settings.of.as_slice())),
        dtype: frame.model_settings.dtype,
        numerics: context.compute.numerics(),
    };
    let entry = context.stage(&of_seed("merge", &arm.name, seed), VERSION, &parts, |place| {
        let (summary, stopped) = write(how, frame, seed, &changes, place)?;
        let figures = frame.figures_of(context, &Model::open(&place.folder, frame.model_settings)?)?;
        let note = format!("{} weights changed, 0 of those that no task changed", summary.changed);
        write_json(place, "merge.json", &Report { summary, stopped, figures })?;
        Ok(note)
    })?;
    let Report { summary, stopped, figures } = read_json(&entry, "merge.json")?;
    let moved = summary.changed + summary.erased;
    if let Some(warning) = rounding_warning(&format!("arm {}, its merge", arm.name), summary.erased as f64 / moved.max(1) as f64) {
        context.warn(warning);
    }
    Ok(Whole { model: Model::open(&entry.folder, frame.model_settings)?, summary, stopped, figures })
}

/// What the tasks changed, in their order, without those that changed nothing.
#[derive(Default)]
struct Changes {
    deltas: Vec<Delta>,
    scales: Vec<f32>,
}

/// Writes the merged weights, and proves what they had to keep; also says where they are no finite numbers.
fn write(
    how: &settings::Merge,
    frame: &Frame<'_>,
    seed: u64,
    Changes { deltas, scales }: &Changes,
    place: &Workplace,
) -> Result<(MergeSummary, Option<String>), Failure> {
    let start = Instant::now();
    let aligned = &frame.aligned.weights;
    let file = place.folder.join("model.safetensors");
    let density = how.density.unwrap_or(1.0);
    let method = match how.method {
        MergeMethod::Union => None,
        MergeMethod::TaskArithmetic => Some(Method::TaskArithmetic),
        MergeMethod::Ties => Some(Method::Ties { density }),
        MergeMethod::Dare => Some(Method::Dare { density, seed }),
    };
    let merged = match method {
        Some(method) => {
            let merge = Merge::new(aligned, deltas, scales, method)?.whatever_comes();
            written(&file, |out| merge.write(out))?
        }
        None => {
            let writes = Writes::new(aligned, deltas, Direction::Apply)?;
            written(&file, |out| writes.write(out))?;
            let weights = deltas.iter().map(|delta| delta.count() as u64).sum();
            Merged { weights, changed: weights, ..Merged::default() }
        }
    };
    save_beside(frame.aligned, frame.model_settings.dtype, &place.folder)?;
    let after = Weights::open(&place.folder)?;
    let kept: BTreeMap<String, Mask> = inventory(&frame.aligned.config)
        .into_iter()
        .map(|spec| {
            let changed = deltas.iter().filter_map(|delta| delta.change(&spec.name));
            let union = changed.fold(Mask::empty(spec.len()), |union, change| union.union(&change.mask));
            (spec.name, union.complement())
        })
        .collect();
    let compared = verify::compare(aligned, &after, &kept);
    if !compared.holds() {
        let message =
            format!("{} weights that no task changed are others after the merge: a defect of the program", compared.frozen_changed());
        return Err(Failure::new("frozen-changed", message));
    }
    let moved = distance(aligned, &after)?;
    let stopped = (!moved.is_finite()).then(|| "a merged weight is no finite number".to_owned());
    let summary = MergeSummary {
        weights: merged.weights,
        shared: merged.shared,
        opposed: merged.opposed,
        changed: merged.changed,
        erased: merged.erased,
        update_norm: finite_or_zero(moved),
        kept_changed: compared.frozen_changed(),
        seconds: start.elapsed().as_secs_f64(),
    };
    Ok((summary, stopped))
}
