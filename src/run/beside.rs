//! Models beside the aligned one, on a pipeline's suites: no training, no gate.

use crate::error::{Exit, Failure};
use crate::eval::calibration::CalibrationFile;
use crate::pipeline::settings::Pipeline;
use crate::record::Arm;
use crate::stage::Context;
use crate::stage::against::Against;
use crate::stage::evaluate::{ask, questions};
use crate::stage::fetch::{Model, fetch};
use crate::stage::judges::Judges;
use crate::stage::judging::read_calibration;

use super::{Outcome, Setting, begin, conclude, untrained};

/// A model that is asked, under the name of an arm.
pub struct Asked<'a> {
    /// The arm's name in the record.
    pub name: &'a str,
    /// One sentence on it.
    pub summary: &'a str,
    /// The model, as in a pipeline.
    pub source: &'a str,
}

/// Leaves of a pipeline only what asks models: its suites and judges. The model to compare with is `aligned`.
pub fn without_training(pipeline: &mut Pipeline, aligned: &str) {
    (pipeline.model.base, pipeline.model.endpoint) = (None, None);
    pipeline.model.aligned = Some(aligned.into());
    (pipeline.pretrain, pipeline.align, pipeline.finetune) = (None, None, None);
    pipeline.tickets.clear();
    pipeline.gate.clear();
    pipeline.evaluate.floor = 0.0;
}

/// Asks the aligned model and others every prompt of a pipeline that is [`without_training`], and writes the record and its reports.
///
/// # Errors
/// When a model cannot be fetched or asked, or a file cannot be read or written.
pub fn beside(context: &Context<'_>, pipeline: &Pipeline, setting: &Setting, others: &[Asked<'_>]) -> Result<Outcome, Failure> {
    let evaluate = &pipeline.evaluate;
    let calibration: Option<CalibrationFile> = evaluate.calibration.as_deref().map(read_calibration).transpose()?;
    let asked = questions(context, evaluate)?;
    let judges = Judges::open(context, evaluate)?;
    let mut record = begin(pipeline, setting, &asked, &judges, calibration.as_ref(), std::collections::BTreeMap::new())?;
    let mut fetched = |role: &str, source: &str| -> Result<Model, Failure> {
        let (model, origin) = fetch(context, role, source, &pipeline.model)?;
        record.digests.insert(format!("model.{role}"), origin.weights.clone());
        record.models.push(origin);
        Ok(model)
    };
    let aligned = fetched("aligned", pipeline.model.aligned.as_deref().unwrap_or_default())?;
    let said = ask(context, "aligned", &aligned, evaluate, &asked, &judges)?;
    let against = Against::new(evaluate, &asked, &aligned, said.clone());
    let mut arms: Vec<Arm> = Vec::new();
    let mut measured = |name: &str, summary: Option<&str>, model: &Model, mut said| -> Result<(), Failure> {
        against.measure(context, name, model, &mut said)?;
        let arm = untrained(name, pipeline, said);
        arms.push(Arm { summary: summary.map_or(arm.summary, str::to_owned), ..arm });
        Ok(())
    };
    measured("aligned", None, &aligned, said)?;
    for other in others {
        let model = fetched(other.name, other.source)?;
        let said = ask(context, other.name, &model, evaluate, &asked, &judges)?;
        measured(other.name, Some(other.summary), &model, said)?;
    }
    record.arms = arms;
    record.digests.insert("text.aligned".into(), format!("sha256:{}", aligned.text_digest));
    record.digests.insert("template.aligned".into(), format!("sha256:{}", aligned.text.digest()));
    record.gate = Some(crate::eval::gate::decide(&record, &[], None));
    // Nothing was to be decided: that models were asked is all that was wanted.
    Ok(Outcome { exit: Exit::Passed, ..conclude(context, pipeline, setting, record)? })
}
