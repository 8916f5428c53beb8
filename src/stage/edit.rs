//! edit: an arm that is made of another arm's saved weights.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::artifact::store::Workplace;
use crate::edit::{Edit, EditError, Tensor};
use crate::error::Failure;
use crate::mask::Mask;
use crate::model::backend::Selection;
use crate::model::inventory::{TensorSpec, inventory};
use crate::model::verify;
use crate::model::weights::{ChangedTensor, Weights, WeightsError};
use crate::pipeline::settings::{self, Arm, Edited};
use crate::record::{EditSummary, Figure};
use crate::ticket::mask_set::MaskSet;

use super::demands::comparable;
use super::fetch::Model;
use super::finetune::{Tuned, of_seed};
use super::frame::Frame;
use super::train::{erased_share, finite_or_zero, rounding_warning, save_changed};
use super::{Context, read_json, write_json};

/// Of this stage's result; raised when what it writes changes.
pub(super) const VERSION: u32 = 2;

#[derive(Serialize)]
struct Parts<'a> {
    aligned: &'a str,
    text: &'a str,
    from: &'a str,
    base: Option<&'a str>,
    edit: Edit,
    ticket: Option<&'a str>,
    probes: Option<(&'a str, &'a [settings::Probe])>,
    seed: Option<u64>,
    dtype: settings::Dtype,
    numerics: String,
}

#[derive(Serialize, Deserialize)]
struct Report {
    summary: EditSummary,
    figures: BTreeMap<String, Figure>,
}

/// The models of one edit.
struct Job<'a> {
    edited: &'a Edited,
    aligned: &'a Model,
    from: &'a Model,
    base: Option<&'a Model>,
    ticket: Option<&'a MaskSet>,
    seed: u64,
}

/// Edits what an arm's training with the same seed saved, of several tasks after the last or of their merge, saves it likewise, proves
/// that the edit left the other weights their bits, and measures the saved files. The arm must have [`Arm::edit`].
///
/// # Errors
/// When the models cannot be compared, the backend fails, or the store cannot be written.
pub fn edit(context: &Context<'_>, arm: &Arm, edited: &Edited, frame: &Frame<'_>, source: &Tuned, seed: u64) -> Result<Tuned, Failure> {
    let specs = inventory(&frame.aligned.config);
    let ticket = frame.ticket_of(arm, &specs, seed)?;
    let needed = edited.edit.needs_base();
    let base = needed.then(|| comparable(&format!("arm {}", arm.name), frame.base, frame.aligned)).transpose()?;
    let parts = Parts {
        aligned: &frame.aligned.digest,
        text: &frame.aligned.text_digest,
        from: &source.model.digest,
        base: base.map(|base| base.digest.as_str()),
        edit: edited.edit,
        ticket: ticket.as_ref().map(|(_, digest)| digest.as_str()),
        probes: frame.probes.as_ref().map(|(_, digest, settings)| (digest.as_str(), settings.of.as_slice())),
        seed: edited.edit.is_seeded().then_some(seed),
        dtype: frame.model_settings.dtype,
        numerics: context.compute.numerics(),
    };
    let entry = context.stage(&of_seed("edit", &arm.name, seed), VERSION, &parts, |place| {
        let ticket = ticket.as_ref().map(|(masks, _)| masks);
        let job = Job { edited, aligned: frame.aligned, from: &source.model, base, ticket, seed };
        let summary = write(&job, frame.model_settings.dtype, place)?;
        let figures = frame.figures_of(context, &Model::open(&place.folder, frame.model_settings)?)?;
        let note = format!("{} weights of {} changed, 0 of those that had to stay", summary.changed, edited.from);
        write_json(place, "edit.json", &Report { summary, figures })?;
        Ok(note)
    })?;
    let Report { mut summary, figures } = read_json(&entry, "edit.json")?;
    // Another arm with the same weights is another one by name alone.
    summary.from.clone_from(&edited.from);
    if let Some(warning) = rounding_warning(&format!("arm {}", arm.name), summary.erased_by_rounding) {
        context.warn(warning);
    }
    let model = Model::open(&entry.folder, frame.model_settings)?;
    Ok(Tuned { model, steps: source.steps, training: None, edit: Some(summary), curve: Vec::new(), figures, taken: None })
}

/// Writes the edited weights, and proves what they had to keep.
fn write(job: &Job<'_>, dtype: settings::Dtype, place: &Workplace) -> Result<EditSummary, Failure> {
    let start = Instant::now();
    let edit = job.edited.edit;
    let mut kept: BTreeMap<String, Mask> = BTreeMap::new();
    let (mut projected, mut looked_at) = (0, 0);
    let mut failed: Option<EditError> = None;
    let saved = save_changed(job.from, dtype, &place.folder, |spec| {
        let values = job.read(spec)?;
        let tensor = job.tensor(spec, &values);
        let keeps = edit.keeps(&tensor);
        let free = keeps.complement();
        kept.insert(spec.name.clone(), keeps);
        if free.count() == 0 {
            return Ok(None);
        }
        let made = edit.apply(&tensor).map_err(|error| {
            let text = error.to_string();
            failed = Some(error);
            WeightsError::Mismatch { problems: vec![text] }
        })?;
        if let Some(projection) = made.projection {
            looked_at += 1;
            projected += u64::from(projection.projected);
        }
        Ok(Some(ChangedTensor { values: made.values, selection: Selection::Subset(free) }))
    });
    let rounding = match (saved, failed) {
        (_, Some(error)) => return Err(error.into()),
        (saved, None) => saved?,
    };
    let after = Weights::open(&place.folder)?;
    let compared = verify::compare(&job.from.weights, &after, &kept);
    // What a restored ticket holds must be the aligned model's, too.
    let restored = match (edit, job.ticket) {
        (Edit::Restore, Some(ticket)) => verify::compare(&job.aligned.weights, &after, &ticket.0).frozen_changed(),
        _ => 0,
    };
    let kept_changed = compared.frozen_changed() + restored;
    if kept_changed > 0 || !compared.holds() {
        let message = format!("{kept_changed} weights that the edit had to keep or restore changed: a defect of the program");
        return Err(Failure::new("frozen-changed", message));
    }
    let all = compared.frozen() + compared.tensors.iter().map(|tensor| tensor.free).sum::<u64>();
    Ok(EditSummary {
        from: job.edited.from.clone(),
        weights: format!("sha256:{}", job.from.digest),
        changed: compared.free_changed(),
        changed_share: compared.free_changed() as f64 / all.max(1) as f64,
        projected: matches!(edit, Edit::SafeLora { .. }).then_some((projected, looked_at)),
        distance: finite_or_zero(rounding.saved_squares.sqrt()),
        update_norm: finite_or_zero(distance(&job.aligned.weights, &after)?),
        erased_by_rounding: finite_or_zero(erased_share(&rounding)),
        kept_changed,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// A tensor's numbers in the aligned model, in the tuned one, and in the base where that is read.
type Values = (Vec<f32>, Vec<f32>, Option<Vec<f32>>);

impl Job<'_> {
    fn read(&self, spec: &TensorSpec) -> Result<Values, WeightsError> {
        let base = self.base.map(|base| base.weights.widened(&spec.name)).transpose()?;
        Ok((self.aligned.weights.widened(&spec.name)?, self.from.weights.widened(&spec.name)?, base))
    }

    fn tensor<'a>(&'a self, spec: &'a TensorSpec, (aligned, tuned, base): &'a Values) -> Tensor<'a> {
        let ticket = self.ticket.and_then(|ticket| ticket.0.get(&spec.name));
        Tensor { spec, aligned, tuned, base: base.as_deref(), ticket, seed: self.seed }
    }
}

/// ‖a − b‖ over all tensors; what says nothing that another tensor does not (a copy of tied embeddings) is left out.
///
/// # Errors
/// When a tensor of `b` is not in `a`.
pub fn distance(a: &Weights, b: &Weights) -> Result<f64, WeightsError> {
    let mut sum = 0.0;
    for name in b.names().filter(|name| !b.redundant(name)) {
        let (a, b) = (a.widened(name)?, b.widened(name)?);
        sum += a.iter().zip(&b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>();
    }
    Ok(sum.sqrt())
}
