//! teach (the stages pretrain and align): a model that learnt nothing becomes the base, the base the aligned model.

use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::model::inventory::inventory;
use crate::pipeline::settings::{self, Align, Calibration, Train, Training};
use crate::ticket::mask_set::MaskSet;
use crate::train::TrainError;
use crate::train::checkpoint::Progress;
use crate::train::fit::{Fitted, Next, Plan, fit};
use crate::train::may_move;
use crate::train::restraint::Restraints;
use crate::train::tokens::within;

use super::calibrate::{Choice, calibrate};
use super::engine::Engine;
use super::fetch::Model;
use super::rows::training_rows;
use super::train::{budget_warning, erased_share, plan, rounding_warning, save};
use super::{Context, read_json, write_json};

/// Of this stage's result; raised when what it writes changes.
pub(super) const VERSION: u32 = 6;

#[derive(Serialize)]
struct Parts<'a> {
    base: &'a str,
    text: &'a str,
    data: &'a [String],
    training: &'a Training,
    train: Train,
    ticket: Option<(f64, Calibration)>,
    seed: u64,
    dtype: settings::Dtype,
    numerics: String,
}

#[derive(Serialize, Deserialize)]
struct Report {
    progress: Progress,
    erased_by_rounding: f64,
}

/// Trains a model on its data: rows from every source in equal number. For `align` these are safety pairs, benign pairs and
/// benign pairs that sound harmful. `what` is the stage's name.
///
/// # Errors
/// When the data cannot be used, training fails, or the store cannot be written.
pub fn teach(
    context: &Context<'_>,
    what: &str,
    base: &Model,
    settings: &Align,
    seed: u64,
    model: &settings::Model,
) -> Result<Model, Failure> {
    let rows = training_rows(context, what, &settings.data, base, settings.training.max_length)?;
    let parts = Parts {
        base: &base.digest,
        text: &base.text_digest,
        data: &rows.digests,
        training: &settings.training,
        train: settings.train,
        ticket: settings.density.map(|density| (density, settings.calibration)),
        seed,
        dtype: model.dtype,
        numerics: context.compute.numerics(),
    };
    let entry = context.stage(what, VERSION, &parts, |place| {
        let specs = inventory(&base.config);
        let mut decoder = context.compute.load(base)?;
        let plan = plan(&settings.training, seed);
        let full = MaskSet::full(&specs);
        let trained = match (settings.train, settings.density) {
            (Train::Ticket, Some(density)) => {
                let Calibration { steps, learning_rate } = settings.calibration;
                let short = Plan { steps, learning_rate, warmup_steps: 0, save_every: 0, ..plan };
                let what = format!("calibrate {what}");
                match calibrate(context, &what, &mut decoder, &rows.sources, &full, &short, (&specs, density))? {
                    Choice::Chosen(masks) => may_move::only(&masks),
                    Choice::CannotTell(why) => {
                        return Err(
                            Failure::new("calibration", why).remedy("train longer before weights are compared: calibration_steps: 12")
                        );
                    }
                }
            }
            (Train::Maskable, _) => may_move::only(&full),
            _ => may_move::all(&specs),
        };
        let free = &mut Restraints::<Engine>::default();
        let plan = settings.training.max_tokens.map_or(Ok(plan), |most| within(plan, &rows.sources, free, most))?;
        let checkpoint = place.folder.join("checkpoint.safetensors");
        let Fitted { progress, stopped } =
            fit::<_, TrainError>(&mut decoder, &rows.sources, &trained, &plan, Some(&checkpoint), &mut |step, _| {
                context.progress(what, step.number as usize, plan.steps as usize, format!("loss {:.3}", step.loss));
                Ok(Next::default())
            })?;
        if let Some(error) = stopped {
            return Err(error.into());
        }
        let rounding = save(base, &decoder, &trained, model.dtype, &place.folder)?;
        let last = progress.losses.last().copied().unwrap_or(f64::NAN);
        write_json(place, "training.json", &Report { progress, erased_by_rounding: erased_share(&rounding) })?;
        Ok(format!("loss {last:.3}"))
    })?;
    let report: Report = read_json(&entry, "training.json")?;
    if let Some(warning) = rounding_warning(what, report.erased_by_rounding) {
        context.warn(warning);
    }
    let Progress { steps, tokens, .. } = report.progress;
    if let Some(warning) = budget_warning(what, &settings.training, steps, tokens) {
        context.warn(warning);
    }
    Model::open(&entry.folder, model)
}
