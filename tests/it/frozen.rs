//! Frozen weights keep their bits in the saved files: told from the files' bytes alone, not by the program's own count.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::SafeTensors;

use crate::tiny::{Home, told};

/// Everything that could move a frozen weight: decay, clipping, accumulation, a schedule, and a resume in the middle.
const PIPELINE: &str = "\
name: frozen
model: {aligned: model}
ticket: {score: snip, data: safety.jsonl, density: 0.5}
finetune:
  data: task.jsonl
  max_steps: 60
  learning_rate: 3e-3
  weight_decay: 0.1
  max_grad_norm: 0.05
  lr_scheduler_type: linear
  warmup_steps: 3
  per_device_train_batch_size: 2
  gradient_accumulation_steps: 2
  save_steps: 4
  arms:
    protected: {train: complement, density: 0.10, calibration_steps: 12, calibration_learning_rate: 1e-3}
    dense: {train: complement}
evaluate:
  floor: 0.0
  suites: {harmful: {prompts: harmful.jsonl, expect: refusal, max_new_tokens: 1}}
gate: [{arm: protected, metric: harmful.refusal_rate, at_least: 0}]
";

const STEPS: u64 = 60;

/// Each tensor's stored numbers as bit patterns of f32.
fn stored(folder: &Path) -> BTreeMap<String, Vec<u32>> {
    let file = std::fs::read(folder.join("model.safetensors")).unwrap();
    let bits = |view: &safetensors::tensor::TensorView<'_>| -> Vec<u32> {
        match view.dtype() {
            safetensors::Dtype::F32 => view.data().chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect(),
            // bf16 is the upper half of an f32.
            _ => view.data().chunks(2).map(|b| u32::from(u16::from_le_bytes(b.try_into().unwrap())) << 16).collect(),
        }
    };
    SafeTensors::deserialize(&file).unwrap().iter().map(|(name, view)| (name.to_owned(), bits(&view))).collect()
}

/// The masks of a ticket file: bit i of a tensor is bit i % 8 of byte i / 8.
fn masks(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = std::fs::read(path).unwrap();
    SafeTensors::deserialize(&file).unwrap().iter().map(|(name, view)| (name.to_owned(), view.data().to_vec())).collect()
}

/// The steps that the checkpoint of the arm at work holds, once there is one.
fn checkpointed(store: &Path) -> Option<u64> {
    let entries = std::fs::read_dir(store).ok()?.flatten();
    let file = entries.filter_map(|entry| std::fs::read(entry.path().join("checkpoint.safetensors")).ok()).next()?;
    let progress = SafeTensors::deserialize(&file).unwrap().tensor("progress").unwrap().data().to_vec();
    serde_json::from_slice::<serde_json::Value>(&progress).unwrap()["steps"].as_u64()
}

/// Kills the program in the middle of its first arm, at a checkpoint, and returns the steps that this one holds.
fn killed_in_the_middle(home: &Home, arguments: &[&str], store: &Path) -> u64 {
    for _ in 0..20 {
        let mut command = home.command(arguments);
        let mut child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        while checkpointed(store).is_none() && child.try_wait().unwrap().is_none() {}
        let _ = child.kill();
        child.wait().unwrap();
        let finished = std::fs::read_dir(store).unwrap().flatten().any(|entry| {
            std::fs::read_to_string(entry.path().join("manifest.json")).is_ok_and(|manifest| manifest.contains("\"finetune "))
        });
        match checkpointed(store) {
            Some(steps) if steps < STEPS && !finished => return steps,
            // It was faster than the kill: again from the beginning.
            _ => std::fs::remove_dir_all(store).unwrap(),
        }
    }
    panic!("no run could be killed at a checkpoint");
}

#[test]
fn no_frozen_weight_differs_in_the_saved_files() {
    for dtype in ["source", "f32"] {
        let home = Home::new();
        home.write("p.yaml", PIPELINE);
        let set = format!("model.dtype={dtype}");
        let arguments = ["run", "p.yaml", "--set", &set, "--format", "json"];
        let store = home.path("runs/.store");
        let before = killed_in_the_middle(&home, &arguments, &store);
        let (text, code) = told(&home.run(&arguments));
        assert_ne!(code, 2, "{text}");
        let steps: Vec<u64> = text
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter(|event| event["event"] == "progress" && event["what"] == "finetune protected")
            .map(|event| event["done"].as_u64().unwrap())
            .collect();
        assert_eq!(steps, ((before + 1)..=STEPS).collect::<Vec<_>>(), "it goes on after the checkpoint");

        let run = home.path("runs/frozen/latest");
        let aligned = stored(&home.path("model"));
        let ticket = masks(&run.join("ticket.safetensors"));
        let maskable: usize = ticket.keys().map(|name| aligned[name].len()).sum();
        let bit = |name: &str, i: usize| ticket.get(name).map(|mask| mask[i / 8] >> (i % 8) & 1);
        let held: usize = ticket.keys().map(|name| (0..aligned[name].len()).filter(|&i| bit(name, i) == Some(1)).count()).sum();
        assert_eq!(held, maskable.div_ceil(2), "half of the maskable weights are in the ticket");
        for (arm, most) in [("protected", (0.10 * maskable as f64 + 0.5) as usize), ("dense", maskable - held)] {
            let tuned = stored(&run.join("arms").join(arm));
            assert_eq!(tuned.keys().collect::<Vec<_>>(), aligned.keys().collect::<Vec<_>>());
            let (mut frozen_changed, mut moved) = (0, 0);
            for (name, before) in &aligned {
                assert_eq!(before.len(), tuned[name].len(), "{name}");
                for (i, (before, after)) in before.iter().zip(&tuned[name]).enumerate() {
                    // What is in no mask (embeddings, norms) is frozen as a whole.
                    let frozen = bit(name, i) != Some(0);
                    frozen_changed += usize::from(frozen && before != after);
                    moved += usize::from(before != after);
                }
            }
            assert_eq!(frozen_changed, 0, "frozen weights of {arm} in {dtype}");
            assert!(moved <= most && moved * 10 > most * 9, "{arm} in {dtype}: {moved} of at most {most} weights moved");
        }
    }
}

/// The alignment of [`Home`]'s pipeline by a ticket: these lines of its section in place of its steps alone.
const LOTA: &str = "  train: ticket\n  density: 0.10\n  calibration_learning_rate: 1e-3\n  max_steps: 6\n";

/// LoTA: the alignment trains the tenth of the maskable weights that a calibration moves most, and nothing else.
#[test]
fn an_alignment_by_ticket_changes_its_share_of_the_maskable_weights_alone() {
    let home = Home::new();
    home.pipeline("  max_steps: 6\n", LOTA);
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert_ne!(code, 2, "{text}");
    let (base, aligned) = (stored(&home.path("model")), stored(&home.path("runs/tiny/latest/aligned")));
    let maskable = masks(&home.path("runs/tiny/latest/ticket.safetensors"));
    let differing = |name: &String| base[name].iter().zip(&aligned[name]).filter(|(a, b)| a != b).count();
    let inside: usize = maskable.keys().map(differing).sum();
    let all: usize = base.keys().map(differing).sum();
    let most = (0.10 * maskable.keys().map(|name| base[name].len()).sum::<usize>() as f64 + 0.5) as usize;
    assert!(all == inside && inside <= most && inside * 2 > most, "{all} differ, {inside} of them maskable, at most {most} may");
}

/// In f32, where rounding leaves no weight as it was: every weight of that tenth moves, and the task vector against the base, at the same
/// density, is exactly this tenth.
#[test]
fn the_task_vector_of_an_alignment_by_ticket_is_its_ticket() {
    let home = Home::new();
    let (snip, vector) = ("ticket: {score: snip, data: safety.jsonl, density: 0.5}", "ticket: {score: task-vector, density: 0.10}");
    assert!(crate::tiny::PIPELINE.contains(snip));
    home.write("p.yaml", crate::tiny::PIPELINE.replacen("  max_steps: 6\n", LOTA, 1).replacen(snip, vector, 1));
    let (text, code) = told(&home.run(&["ticket", "extract", "p.yaml", "--out", "vector.safetensors", "--set", "model.dtype=f32"]));
    assert_eq!(code, 0, "{text}");
    // The only model that was made.
    let mut stages = std::fs::read_dir(home.path("runs/.store")).unwrap().map(|entry| entry.unwrap().path());
    let aligned = stored(&stages.find(|stage| stage.join("model.safetensors").is_file()).unwrap());
    let (base, ticket) = (stored(&home.path("model")), masks(&home.path("vector.safetensors")));
    let mut moved = 0;
    for (name, before) in &base {
        for (i, (before, after)) in before.iter().zip(&aligned[name]).enumerate() {
            let inside = ticket.get(name).is_some_and(|mask| mask[i / 8] >> (i % 8) & 1 == 1);
            assert_eq!(before != after, inside, "{name}[{i}]");
            moved += usize::from(inside);
        }
    }
    let maskable: usize = ticket.keys().map(|name| base[name].len()).sum();
    assert_eq!(moved, (0.10 * maskable as f64 + 0.5) as usize, "as many as the alignment trained");
}
