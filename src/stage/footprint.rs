//! What a training keeps beside the model, as far as it is known before: in memory where it is held back, on disk to go on from.

use crate::model::inventory::{Role, TensorSpec};
use crate::pipeline::settings::{Arm, ArmTicket, Finetune, Pipeline, Train, Training};
use crate::ticket::mask_set::kind;

use super::selection::in_layers;

/// Bytes of a number.
const F32: usize = 4;

/// Gradient and two moments: what AdamW holds of a trained weight beside its master.
const ADAMW: usize = 3;

/// Bytes of two checkpoints by the trained number: masters and two moments.
const CHECKPOINTS: usize = 2 * 3 * F32;

/// Bytes of the largest resume checkpoint of a pipeline, twice: the earlier one goes when the next is whole.
pub(super) fn checkpoints(pipeline: &Pipeline, specs: &[TensorSpec]) -> usize {
    let mut largest = 0;
    let mut keeps = |training: &Training, trained: usize| {
        if (1..training.max_steps).contains(&training.save_steps) {
            largest = largest.max(trained);
        }
    };
    if let Some(pretrain) = &pipeline.pretrain {
        keeps(&pretrain.training, weights(specs.iter()));
    }
    if let Some(align) = &pipeline.align {
        let trained = match align.train {
            Train::All => weights(specs.iter()),
            _ => share(align.density.unwrap_or(1.0), specs),
        };
        keeps(&align.training, trained);
    }
    for arm in pipeline.finetune.iter().flat_map(Finetune::recipes) {
        let trained = trained(pipeline, arm, specs);
        (0..arm.tasks.len().max(1)).for_each(|task| keeps(arm.training_of(task), trained));
    }
    CHECKPOINTS * largest
}

/// Bytes of a race's checkpoints until its first heat is over: where each candidate is, and where it was best.
pub(super) fn race(pipeline: &Pipeline, candidates: &[Arm], specs: &[TensorSpec]) -> usize {
    CHECKPOINTS * candidates.iter().map(|candidate| trained(pipeline, candidate, specs)).sum::<usize>()
}

/// The numbers that an arm's optimizer moves.
fn trained(pipeline: &Pipeline, arm: &Arm, specs: &[TensorSpec]) -> usize {
    factors(arm, specs).unwrap_or_else(|| moved(pipeline, arm, specs))
}

/// Bytes that an arm's training holds beyond a plain training of the weights `plain`; `anchored` is how many tokens an anchor looks at.
pub(super) fn held(pipeline: &Pipeline, arm: &Arm, specs: &[TensorSpec], plain: u64, anchored: usize) -> u64 {
    let moved = moved(pipeline, arm, specs);
    let mut numbers = match factors(arm, specs) {
        // The whole gradient and W0; AdamW moves the factors instead.
        Some(factors) => 2 * moved + (1 + ADAMW) * factors,
        None => ADAMW * moved,
    };
    if arm.elastic.as_ref().is_some_and(|elastic| elastic.strength > 0.0) {
        // How stiff, and where at rest.
        numbers += 2 * moved;
    }
    if arm.project.is_some() {
        // The gradient of the rows that must not be forgotten.
        numbers += moved;
    }
    if arm.anchor.is_some() {
        // The aligned model's head, and its states.
        let head = specs.iter().rfind(|spec| matches!(spec.role, Role::Embedding | Role::Head));
        numbers += head.map_or(0, |head| head.len() + anchored * head.columns);
    }
    ((numbers * F32) as u64).saturating_sub(plain * (ADAMW * F32) as u64)
}

/// Bytes of a task's delta: what it moves before and after, in so many bytes a weight, and which of all weights these are.
pub(super) fn delta(pipeline: &Pipeline, arm: &Arm, specs: &[TensorSpec], bytes: usize) -> usize {
    2 * bytes * moved(pipeline, arm, specs) + weights(specs.iter()).div_ceil(8)
}

/// The weights that an arm moves, or as many as they can be.
fn moved(pipeline: &Pipeline, arm: &Arm, specs: &[TensorSpec]) -> usize {
    let mine = || specs.iter().filter(|spec| in_layers(arm, spec));
    let inside = weights(mine().filter(|spec| spec.maskable()));
    let most = match (arm.train, arm.density) {
        (Train::None, _) => 0,
        (Train::All, _) => return weights(mine()),
        (Train::Lora, _) => weights(mine().filter(|spec| has_factors(arm, spec))),
        (Train::Random | Train::Complement, Some(density)) => share(density, specs),
        (Train::Complement, None) => share(1.0 - ticket_density(pipeline, arm).unwrap_or(0.0), specs),
        (Train::Ticket, _) => share(ticket_density(pipeline, arm).unwrap_or(1.0), specs),
        (Train::Maskable | Train::Random, _) => inside,
    };
    most.min(inside)
}

/// The numbers of a LoRA arm's factors; none for every other.
fn factors(arm: &Arm, specs: &[TensorSpec]) -> Option<usize> {
    let lora = arm.lora.as_ref().filter(|_| arm.train == Train::Lora)?;
    let matrices = specs.iter().filter(|spec| in_layers(arm, spec) && has_factors(arm, spec));
    Some(matrices.map(|spec| lora.rank * (spec.rows + spec.columns)).sum())
}

fn has_factors(arm: &Arm, spec: &TensorSpec) -> bool {
    spec.maskable() && arm.lora.as_ref().is_some_and(|lora| lora.targets.contains(&kind(&spec.name)))
}

/// The density of an arm's ticket; none where it is known by its file alone.
fn ticket_density(pipeline: &Pipeline, arm: &Arm) -> Option<f64> {
    let name = match arm.ticket.as_ref()? {
        ArmTicket::Named(name) => name,
        ArmTicket::Random { like, .. } => like,
    };
    pipeline.tickets.iter().find(|ticket| ticket.name == *name && ticket.file.is_none()).map(|ticket| ticket.density)
}

fn weights<'a>(specs: impl Iterator<Item = &'a TensorSpec>) -> usize {
    specs.map(TensorSpec::len).sum()
}

/// A share of the maskable weights.
fn share(density: f64, specs: &[TensorSpec]) -> usize {
    (density * weights(specs.iter().filter(|spec| spec.maskable())) as f64).round() as usize
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::config::ModelConfig;
    use crate::model::inventory::inventory;

    /// Weights of the tests' model, and its maskable ones.
    const ALL: usize = 26848;
    const MASKABLE: usize = 18432;

    /// A pipeline with these arms, and its model's tensors.
    fn read(arms: &str) -> (Pipeline, Vec<TensorSpec>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.yaml");
        let text = format!(
            "model: {{aligned: builtin:tiny-aligned}}
ticket: {{score: random, density: 0.25}}
finetune: {{data: builtin:tiny-task, max_steps: 6, save_steps: 2, arms: {{{arms}}}}}
evaluate: {{suites: {{harmful: {{prompts: builtin:tiny-harmful, expect: refusal}}}}}}
"
        );
        std::fs::write(&file, text).unwrap();
        let pipeline = crate::pipeline::load(&file, &[]).unwrap().pipeline;
        let config = serde_json::json!({
            "architectures": ["LlamaForCausalLM"], "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 258, "max_position_embeddings": 512,
            "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true, "bos_token_id": 256, "eos_token_id": 257,
        });
        let specs = inventory(&ModelConfig::from_json(&config.to_string(), None).unwrap());
        assert_eq!((weights(specs.iter()), share(1.0, &specs)), (ALL, MASKABLE));
        (pipeline, specs)
    }

    /// Bytes of checkpoints with this arm alone, and what it holds beyond a plain training of everything.
    fn of(arm: &str) -> (usize, u64) {
        let (pipeline, specs) = read(&format!("a: {arm}"));
        let arm = &pipeline.finetune.as_ref().unwrap().arms[0];
        (checkpoints(&pipeline, &specs), held(&pipeline, arm, &specs, ALL as u64, 10))
    }

    #[test]
    fn checkpoints_hold_what_is_trained() {
        for (arm, trained) in [
            ("{train: all}", ALL),
            ("{train: all, layers: [1]}", (MASKABLE + 128) / 2),
            ("{train: maskable}", MASKABLE),
            ("{train: complement}", MASKABLE / 4 * 3),
            ("{train: ticket}", MASKABLE / 4),
            ("{train: random, density: 0.5}", MASKABLE / 2),
            ("{train: random, density: 0.5, layers: [0]}", MASKABLE / 2),
            ("{train: lora, lora: {rank: 2, targets: [q_proj, v_proj]}}", 2 * 2 * (64 + 48)),
            ("{train: none}", 0),
            ("{train: all, save_steps: 6}", 0),
            ("{train: all, save_steps: 0}", 0),
        ] {
            assert_eq!(of(arm).0, 24 * trained, "{arm}");
        }
    }

    #[test]
    fn a_race_keeps_what_each_candidate_trains() {
        let (pipeline, specs) = read("all: {train: all}, half: {train: random, density: 0.5}");
        let candidates = &pipeline.finetune.as_ref().unwrap().arms;
        assert_eq!(race(&pipeline, candidates, &specs), 24 * (ALL + MASKABLE / 2));
    }

    #[test]
    fn what_holds_an_arm_back_is_held_too() {
        let all = ALL as u64;
        for (arm, bytes) in [
            ("{train: all}", 0),
            ("{train: all, elastic: {data: builtin:tiny-refusals}}", 8 * all),
            ("{train: all, elastic: {data: builtin:tiny-refusals, strength: 0}}", 0),
            ("{train: all, project: {data: builtin:tiny-refusals}}", 4 * all),
            ("{train: all, anchor: {data: builtin:tiny-refusals}}", 4 * (258 * 32 + 10 * 32)),
            ("{train: maskable, elastic: {data: builtin:tiny-refusals}}", 20 * MASKABLE as u64 - 12 * all),
            // Less than a plain training holds, unless the factors are as large as the matrices.
            ("{train: lora, lora: {rank: 2}}", 0),
            ("{train: complement, density: 0.1, elastic: {data: builtin:tiny-refusals}}", 0),
        ] {
            assert_eq!(of(arm).1, bytes, "{arm}");
        }
    }
}
