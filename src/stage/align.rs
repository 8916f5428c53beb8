//! align: the base becomes the aligned model.

use serde::Serialize;

use crate::artifact::digest::sha256_file;
use crate::error::Failure;
use crate::model::inventory::inventory;
use crate::pipeline::settings::{self, Align, Train, Training};
use crate::ticket::mask_set::MaskSet;
use crate::train::TrainError;
use crate::train::fit::{Fitted, fit};
use crate::train::may_move;

use super::fetch::Model;
use super::rows::training_rows;
use super::train::{plan, save};
use super::{Context, write_json};

const VERSION: u32 = 1;

#[derive(Serialize)]
struct Parts<'a> {
    base: &'a str,
    text: &'a str,
    data: &'a [String],
    training: &'a Training,
    train: Train,
    seed: u64,
    numerics: String,
}

/// Aligns the base on safety pairs, benign pairs and benign pairs that sound harmful: rows from every source in equal number.
/// Returns the model and the digest of its weights' file.
///
/// # Errors
/// When the data cannot be used, training fails, or the store cannot be written.
pub fn align(
    context: &Context<'_>,
    base: &Model,
    settings: &Align,
    seed: u64,
    model: &settings::Model,
) -> Result<(Model, String), Failure> {
    let rows = training_rows(context, "align", &settings.data, base, settings.training.max_length)?;
    let parts = Parts {
        base: &base.digest,
        text: &base.text_digest,
        data: &rows.digests,
        training: &settings.training,
        train: settings.train,
        seed,
        numerics: context.compute.numerics(),
    };
    let entry = context.stage("align", VERSION, &parts, |place| {
        let specs = inventory(&base.config);
        let trained = if settings.train == Train::Maskable { may_move::only(&MaskSet::full(&specs)) } else { may_move::all(&specs) };
        let mut decoder = context.compute.load(base)?;
        let plan = plan(&settings.training, seed);
        let checkpoint = place.folder.join("checkpoint.safetensors");
        let Fitted { progress, stopped } =
            fit::<_, TrainError>(&mut decoder, &rows.sources, &trained, &plan, Some(&checkpoint), &mut |step, _| {
                context.progress("align", step.number as usize, plan.steps as usize, format!("loss {:.3}", step.loss));
                Ok(())
            })?;
        if let Some(error) = stopped {
            return Err(error.into());
        }
        save(base, &decoder, &trained, &place.folder)?;
        write_json(place, "training.json", &progress)?;
        Ok(format!("loss {:.3}", progress.losses.last().copied().unwrap_or(f64::NAN)))
    })?;
    let digest = sha256_file(&entry.folder.join("model.safetensors"))?;
    Ok((Model::open(&entry.folder, model)?, format!("sha256:{digest}")))
}
