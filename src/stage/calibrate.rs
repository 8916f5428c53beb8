//! Calibration: how far a short dense training moves each weight, after which the model is as before.

use std::collections::BTreeMap;

use crate::error::{Explain, Failure};
use crate::model::backend::Backend;
use crate::model::batch::Example;
use crate::model::decoder::{Decoder, Trained};
use crate::model::inventory::TensorSpec;
use crate::ticket::TicketError;
use crate::ticket::budget::Budget;
use crate::ticket::mask_set::{MaskSet, maskable};
use crate::ticket::score::{Scores, task_vector};
use crate::ticket::select::{Chosen, select};
use crate::train::TrainError;
use crate::train::fit::{Next, Plan, fit};
use crate::train::may_move;
use crate::train::optimizer::Settings;

use super::Context;
use super::evaluate::backend_failed;
use super::train::{rewind, snapshot};

/// A single adaptive step moves every weight alike, so that |Δ| says nothing: more ties than this are an error.
const MOST_TIED: f64 = 0.01;

/// What a calibration found, or why it cannot tell.
pub(super) enum Choice {
    /// The weights that moved most.
    Chosen(MaskSet),
    /// With a remedy.
    CannotTell(String),
}

impl From<TicketError> for Choice {
    fn from(error: TicketError) -> Self {
        Self::CannotTell(cannot_choose(&error))
    }
}

/// Why no weights can be chosen, with what to do.
pub(super) fn cannot_choose(error: &TicketError) -> String {
    let remedy = error.remedy().map(|remedy| format!(" ({remedy})")).unwrap_or_default();
    format!("its calibration cannot choose weights: {error}{remedy}")
}

/// The choice, unless too much of it was decided by place alone.
///
/// # Errors
/// When more than 1 % of it tie.
pub(super) fn told_apart(chosen: Chosen) -> Result<MaskSet, TicketError> {
    if chosen.tied > MOST_TIED { Err(TicketError::Tied { share: chosen.tied }) } else { Ok(chosen.masks) }
}

/// Trains the weights `inside` for a few steps, rewinds, and takes the `density` of all maskable weights that moved most.
///
/// # Errors
/// When the backend fails or there are no rows.
pub(super) fn calibrate<B: Backend>(
    context: &Context<'_>,
    what: &str,
    decoder: &mut Decoder<B>,
    sources: &[Vec<Example>],
    inside: &MaskSet,
    plan: &Plan,
    (specs, density): (&[TensorSpec], f64),
) -> Result<Choice, Failure> {
    let scores: BTreeMap<String, Scores> = match moved(context, what, decoder, sources, inside, plan, specs)? {
        Ok(moved) => moved.into_iter().map(|scores| (scores.tensor.clone(), scores)).collect(),
        Err(why) => return Ok(Choice::CannotTell(why)),
    };
    let chosen = select(specs, Budget::of(density), Some(inside), |spec| -> Result<Scores, TicketError> { Ok(scores[&spec.name].clone()) });
    Ok(chosen.and_then(told_apart).map_or_else(Choice::from, Choice::Chosen))
}

/// Trains the weights `inside` for a few steps, rewinds, and tells how far every maskable weight moved; or why it cannot tell. Weight
/// decay is left out: it moves what the data says nothing of.
///
/// # Errors
/// When the backend fails or there are no rows.
pub(super) fn moved<B: Backend>(
    context: &Context<'_>,
    what: &str,
    decoder: &mut Decoder<B>,
    sources: &[Vec<Example>],
    inside: &MaskSet,
    plan: &Plan,
    specs: &[TensorSpec],
) -> Result<Result<Vec<Scores>, String>, Failure> {
    let trained: Trained = may_move::only(inside);
    let before = snapshot(decoder, &trained)?;
    let plan = Plan { optimizer: Settings { weight_decay: 0.0, ..plan.optimizer }, ..*plan };
    let calibrated = fit::<_, TrainError>(decoder, sources, &trained, &plan, None, &mut |step, _| {
        context.progress(what, step.number as usize, plan.steps as usize, format!("loss {:.3}", step.loss));
        Ok(Next::default())
    })?;
    if let Some(error) = calibrated.stopped {
        rewind(decoder, &before)?;
        return Ok(Err(format!("its calibration stopped: {error}")));
    }
    let mut after = BTreeMap::new();
    for spec in maskable(specs) {
        after.insert(spec.name.as_str(), decoder.values(&spec.name).map_err(backend_failed)?);
    }
    rewind(decoder, &before)?;
    let moved = maskable(specs).map(|spec| {
        let after = &after[spec.name.as_str()];
        Scores::new(&spec.name, task_vector(before.get(&spec.name).unwrap_or(after), after))
    });
    Ok(moved.collect::<Result<Vec<_>, _>>().map_err(|error| cannot_choose(&error)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::cell::RefCell;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::artifact::store::Store;
    use crate::event::silent;
    use crate::hub::remote::Access;
    use crate::model::backend::BackendError;
    use crate::model::backend::cpu::Cpu;
    use crate::model::config::ModelConfig;
    use crate::model::fresh::fresh;
    use crate::model::inventory::inventory;
    use crate::pipeline::settings::ComputeDtype;
    use crate::stage::engine::Compute;
    use crate::train::schedule::Scheduler;

    /// A model of two layers without a way back from the MLPs: what is before their last matrix has no gradient.
    #[test]
    fn a_weight_without_a_gradient_has_no_score_whatever_the_decay() {
        let json = r#"{"architectures": ["LlamaForCausalLM"], "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 50, "max_position_embeddings": 64,
            "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true}"#;
        let config = ModelConfig::from_json(json, None).unwrap();
        let specs = inventory(&config);
        let load = |spec: &TensorSpec| -> Result<Vec<f32>, BackendError> {
            let closed = spec.name.ends_with("down_proj.weight");
            Ok(if closed { vec![0.0; spec.len()] } else { fresh(&config, spec, 1) })
        };
        let mut decoder = Decoder::new(config.clone(), Cpu::default(), load).unwrap();
        let context = Context {
            store: Store::new("unused"),
            listener: &silent,
            compute: Compute::new(1, ComputeDtype::F32),
            access: Access { endpoint: String::new(), cache: PathBuf::new(), token: None, offline: true, pause: Duration::ZERO },
            warnings: RefCell::default(),
            timings: RefCell::default(),
            usage: RefCell::default(),
        };
        let plan = Plan {
            steps: 1,
            until: None,
            learning_rate: 1e-2,
            batch_rows: 1,
            accumulation: 1,
            scheduler: Scheduler::Constant,
            warmup_steps: 0,
            optimizer: Settings { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.1, max_grad_norm: 1.0 },
            seed: 0,
            save_every: 0,
            replay_share: None,
            checkpointing: false,
        };
        let row = Example { tokens: (0..9).collect(), supervised: (0..9).map(|at| at > 3).collect() };
        let moved = moved(&context, "calibrate", &mut decoder, &[vec![row]], &MaskSet::full(&specs), &plan, &specs).unwrap().unwrap();
        for scores in moved {
            let still = ["gate_proj", "up_proj"].iter().any(|name| scores.tensor.contains(name));
            assert_eq!(scores.values.iter().all(|&score| score == 0.0), still, "{}", scores.tensor);
        }
    }
}
