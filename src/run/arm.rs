//! One arm, from the aligned model to its cells in the record.

use std::collections::BTreeMap;

use super::describe::describe;
use crate::error::Failure;
use crate::pipeline::settings::{self, Pipeline};
use crate::record::{Arm, Cell};
use crate::stage::Context;
use crate::stage::against::Against;
use crate::stage::evaluate::ask;
use crate::stage::finetune::{Frame, Tuned, finetune};
use crate::stage::judges::Judges;

/// One arm over all seeds: trained, saved, and measured on the saved files, with the digests of its weights.
pub(super) fn arm(
    context: &Context<'_>,
    settings: &settings::Arm,
    frame: &Frame<'_>,
    pipeline: &Pipeline,
    against: &Against<'_>,
    judges: &Judges<'_>,
) -> Result<(Arm, BTreeMap<String, String>), Failure> {
    let (mut cells, mut digests) = (Vec::new(), BTreeMap::new());
    let mut training = None;
    for &seed in &pipeline.seeds {
        let Tuned { model, summary, curve, figures } = finetune(context, settings, frame, seed)?;
        let mut completions = ask(context, &settings.name, &model, &pipeline.evaluate, against.asked, judges)?;
        against.measure(context, &settings.name, &model, &mut completions)?;
        let seeded = if seed == 0 { String::new() } else { format!(".seed-{seed}") };
        digests.insert(format!("model.{}{seeded}", settings.name), format!("sha256:{}", model.digest));
        let step = summary.steps;
        for (step, figures) in curve {
            cells.push(Cell { seed, after_task: Some("finetune".into()), step, last: false, figures, completions: BTreeMap::new() });
        }
        cells.push(Cell { seed, after_task: Some("finetune".into()), step, last: true, figures, completions });
        training.get_or_insert(summary);
    }
    let arm = Arm {
        name: settings.name.clone(),
        settings: serde_json::to_value(settings).map_err(|error| Failure::new("internal", error.to_string()))?,
        summary: describe(settings),
        training,
        cells,
    };
    Ok((arm, digests))
}
