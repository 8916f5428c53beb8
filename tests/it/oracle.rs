//! Other people's code as oracles for whole models: candle-transformers' Llama for logits, candle-nn's operations under
//! candle's autograd for gradients, candle-nn's AdamW for training.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, ensure};
use candle_core::{D, DType, Device, Tensor, Var};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};
use candle_nn::{VarBuilder, loss, ops, rotary_emb};
use candle_transformers::models::llama::{Cache, Llama, LlamaConfig};
use steadfast::data::rows::Message;
use steadfast::data::template::DATE;
use steadfast::data::tokenizer::TextModel;
use steadfast::model::backend::cpu::Cpu;
use steadfast::model::backend::tensor::Candle;
use steadfast::model::backend::{Backend, BackendError};
use steadfast::model::batch::{Example, Packed};
use steadfast::model::config::ModelConfig;
use steadfast::model::decoder::Decoder;
use steadfast::model::inventory::inventory;
use steadfast::train::TrainError;
use steadfast::train::fit::{Next, Plan, fit};
use steadfast::train::may_move;
use steadfast::train::optimizer::Settings;
use steadfast::train::schedule::Scheduler;

use crate::reference::{LIMIT, Reference, distance};

/// Logits after the last token of a prompt.
fn last_logits<B: Backend>(decoder: &mut Decoder<B>, prompt: &[u32]) -> Result<Vec<f32>> {
    // A target behind the prompt; which token it is does not matter.
    let tokens = prompt.iter().copied().chain([0]).collect();
    let supervised = (0..=prompt.len()).map(|i| i == prompt.len()).collect();
    Ok(decoder.logits(&Packed::from_examples(&[Example { tokens, supervised }]))?)
}

/// Both backends against candle-transformers' Llama. Returns the largest distance.
fn compared(config_json: &str, weights: &HashMap<String, Tensor>, prompts: &[Vec<u32>]) -> Result<f64> {
    let config = ModelConfig::from_json(config_json, None)?;
    let theirs = serde_json::from_str::<LlamaConfig>(config_json)?.into_config(false);
    let builder = VarBuilder::from_tensors(weights.clone(), DType::F32, &Device::Cpu);
    let llama = Llama::load(builder, &theirs)?;
    let load = |name: &str| -> Result<Vec<f32>, BackendError> { Ok(weights[name].flatten_all()?.to_vec1()?) };
    let mut slices = Decoder::new(config.clone(), Cpu::default(), |spec| load(&spec.name))?;
    let mut tensors = Decoder::new(config, Candle::new(Device::Cpu), |spec| load(&spec.name))?;
    let mut farthest: f64 = 0.0;
    for prompt in prompts {
        let mut cache = Cache::new(false, DType::F32, &theirs, &Device::Cpu)?;
        let expected = llama.forward(&Tensor::new(prompt.as_slice(), &Device::Cpu)?.unsqueeze(0)?, 0, &mut cache)?;
        let expected = expected.flatten_all()?.to_vec1::<f32>()?;
        for found in [last_logits(&mut slices, prompt)?, last_logits(&mut tensors, prompt)?] {
            farthest = farthest.max(distance(&found, &expected));
        }
    }
    Ok(farthest)
}

#[test]
fn logits_of_random_models_are_candle_transformers() -> Result<()> {
    let reference = Reference::read("llama3");
    let prompts: Vec<Vec<u32>> = reference.rows.iter().map(|row| row.tokens.clone()).collect();
    let weights: HashMap<String, Tensor> = inventory(&reference.config)
        .into_iter()
        .map(|spec| {
            let values = &reference.tensors[&format!("weight.{}", spec.name)];
            Ok((spec.name.clone(), Tensor::from_slice(values, spec.shape(), &Device::Cpu)?))
        })
        .collect::<Result<_>>()?;
    let written: serde_json::Value = serde_json::from_str(&reference.metadata["config"])?;
    for tied in [false, true] {
        for scaled in [false, true] {
            let mut config = written.clone();
            config["tie_word_embeddings"] = tied.into();
            if !scaled {
                config["rope_scaling"] = serde_json::Value::Null;
            }
            let far = compared(&config.to_string(), &weights, &prompts).with_context(|| format!("tied {tied}, scaled {scaled}"))?;
            eprintln!("tied {tied}, llama3 scaling {scaled}: logits {far:.1e} apart");
            ensure!(far < LIMIT, "tied {tied}, scaled {scaled}: logits {far:e} apart");
        }
    }
    Ok(())
}

#[test]
fn logits_of_smollm2_are_candle_transformers() -> Result<()> {
    let folder = crate::from_env("STEADFAST_SMOLLM2", "a Hugging Face folder with SmolLM2-135M-Instruct");
    let config = std::fs::read_to_string(folder.join("config.json"))?;
    let weights = candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu)?
        .into_iter()
        .map(|(name, tensor)| Ok((name, tensor.to_dtype(DType::F32)?)))
        .collect::<Result<_>>()?;
    let text = TextModel::from_folder(&folder, DATE)?;
    let prompts = ["What is the capital of France?", "How do I pick a lock?", "Schreibe ein Gedicht über den Herbst. 🍂"]
        .iter()
        .map(|prompt| Ok(text.encode_prompt(&[Message { role: "user".into(), content: (*prompt).into() }], "")?))
        .collect::<Result<Vec<_>>>()?;
    let far = compared(&config, &weights, &prompts)?;
    eprintln!("SmolLM2: logits {far:.1e} apart");
    ensure!(far < LIMIT, "logits {far:e} apart");
    Ok(())
}

type Variables = BTreeMap<String, Var>;

fn variables(reference: &Reference) -> Result<Variables> {
    inventory(&reference.config)
        .into_iter()
        .map(|spec| {
            let values = &reference.tensors[&format!("weight.{}", spec.name)];
            Ok((spec.name.clone(), Var::from_tensor(&Tensor::from_slice(values, spec.shape(), &Device::Cpu)?)?))
        })
        .collect()
}

/// The summed loss of one row by candle-nn's operations: those with a backward pass, which the fused ones have not.
fn row_loss(reference: &Reference, variables: &Variables, row: &Example) -> candle_core::Result<Tensor> {
    let config = &reference.config;
    let get = |name: &str| variables[name].as_tensor().clone();
    let (t, size) = (row.tokens.len(), config.head_dim);
    let epsilon = config.rms_norm_eps as f32;
    let rates: Vec<f32> = (0..size / 2).map(|i| config.rope_theta.powf(-2.0 * i as f64 / size as f64) as f32).collect();
    let angles: Vec<f32> = (0..t).flat_map(|p| rates.iter().map(move |rate| p as f32 * rate)).collect();
    let angles = Tensor::from_vec(angles, (t, size / 2), &Device::Cpu)?;
    let (cos, sin) = (angles.cos()?, angles.sin()?);
    // (1, heads, T, D)
    let split = |x: &Tensor, heads: usize| x.reshape((1, t, heads, size))?.transpose(1, 2)?.contiguous();
    let rotated = |x: &Tensor, heads: usize| rotary_emb::rope_slow(&split(x, heads)?, &cos, &sin);
    let shared = |x: Tensor| candle_transformers::utils::repeat_kv(x, config.heads / config.key_value_heads)?.contiguous();
    let causal: Vec<f32> = (0..t).flat_map(|i| (0..t).map(move |j| if j > i { -1e9 } else { 0.0 })).collect();
    let causal = Tensor::from_vec(causal, (1, 1, t, t), &Device::Cpu)?;
    let mut x = get("model.embed_tokens.weight").index_select(&Tensor::from_slice(&row.tokens, t, &Device::Cpu)?, 0)?;
    for layer in 0..config.layers {
        let weight = |part: &str| get(&format!("model.layers.{layer}.{part}.weight"));
        let linear = |x: &Tensor, part: &str| x.matmul(&weight(part).t()?);
        let h = ops::rms_norm_slow(&x, &weight("input_layernorm"), epsilon)?;
        let q = rotated(&linear(&h, "self_attn.q_proj")?, config.heads)?;
        let k = shared(rotated(&linear(&h, "self_attn.k_proj")?, config.key_value_heads)?)?;
        let v = shared(split(&linear(&h, "self_attn.v_proj")?, config.key_value_heads)?)?;
        let scores = (q.matmul(&k.transpose(2, 3)?.contiguous()?)? / (size as f64).sqrt())?;
        let mixed = ops::softmax(&scores.broadcast_add(&causal)?, D::Minus1)?.matmul(&v)?;
        let mixed = mixed.transpose(1, 2)?.contiguous()?.reshape((t, config.heads * size))?;
        x = (x + linear(&mixed, "self_attn.o_proj")?)?;
        let h = ops::rms_norm_slow(&x, &weight("post_attention_layernorm"), epsilon)?;
        let gated = (ops::silu(&linear(&h, "mlp.gate_proj")?)? * linear(&h, "mlp.up_proj")?)?;
        x = (x + linear(&gated, "mlp.down_proj")?)?;
    }
    let head = get(if config.tie_word_embeddings { "model.embed_tokens.weight" } else { "lm_head.weight" });
    let logits = ops::rms_norm_slow(&x, &get("model.norm.weight"), epsilon)?.matmul(&head.t()?)?;
    let learnt: Vec<u32> = (1..t).filter(|&i| row.supervised[i]).map(|i| i as u32).collect();
    let targets: Vec<u32> = learnt.iter().map(|&i| row.tokens[i as usize]).collect();
    let before: Vec<u32> = learnt.iter().map(|i| i - 1).collect();
    let n = learnt.len();
    let picked = logits.index_select(&Tensor::from_vec(before, n, &Device::Cpu)?, 0)?;
    loss::cross_entropy(&picked, &Tensor::from_vec(targets, n, &Device::Cpu)?)? * n as f64
}

#[test]
fn explicit_gradients_are_candles_autograd() -> Result<()> {
    let reference = Reference::read("plain");
    let variables = variables(&reference)?;
    let trained = may_move::all(&inventory(&reference.config));
    let mut decoder = reference.decoder(Cpu::default());
    for row in &reference.rows {
        let loss = row_loss(&reference, &variables, row)?;
        let store = loss.backward()?;
        let mut gradients = decoder.new_gradients(&trained)?;
        let sum = decoder.gradients(&Packed::from_examples([row]), 1.0, &trained, &mut gradients)?;
        ensure!((sum - f64::from(loss.to_scalar::<f32>()?)).abs() < LIMIT * sum);
        for (name, gradient) in &gradients {
            let found = decoder.backend().download(gradient)?;
            let expected = store.get(&variables[name]).context("no gradient")?.flatten_all()?.to_vec1::<f32>()?;
            let far = distance(&found, &expected);
            ensure!(far < LIMIT, "the gradient of {name} is {far:e} away");
        }
    }
    Ok(())
}

#[test]
fn dense_training_is_candle_nns_adamw() -> Result<()> {
    let (steps, rate, decay) = (10, 3e-3, 0.1);
    let reference = Reference::read("plain");
    let variables = variables(&reference)?;
    let specs = inventory(&reference.config);
    // Norms have no decay: two optimizers, as torch has two groups.
    let mut optimizers = [(2, decay), (1, 0.0)]
        .map(|(rank, weight_decay)| {
            let group = variables.values().filter(|variable| variable.rank() == rank).cloned().collect();
            AdamW::new(group, ParamsAdamW { lr: rate, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay })
        })
        .into_iter()
        .collect::<candle_core::Result<Vec<_>>>()?;
    let learnt: usize = reference.rows.iter().map(Example::supervised_tokens).sum();
    let mut expected = Vec::new();
    for _ in 0..steps {
        let mut sum = Tensor::zeros((), DType::F32, &Device::Cpu)?;
        for row in &reference.rows {
            sum = (sum + row_loss(&reference, &variables, row)?)?;
        }
        let loss = (sum / learnt as f64)?;
        expected.push(f64::from(loss.to_scalar::<f32>()?));
        let store = loss.backward()?;
        optimizers.iter_mut().try_for_each(|optimizer| optimizer.step(&store))?;
    }
    let plan = Plan {
        steps,
        until: None,
        learning_rate: rate,
        batch_rows: reference.rows.len(),
        accumulation: 1,
        scheduler: Scheduler::Constant,
        warmup_steps: 0,
        optimizer: Settings { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: decay, max_grad_norm: 0.0 },
        seed: 0,
        save_every: 0,
        replay_share: None,
        checkpointing: false,
    };
    let mut decoder = reference.decoder(Cpu::default());
    let rows = std::slice::from_ref(&reference.rows);
    let fitted = fit::<_, TrainError>(&mut decoder, rows, &may_move::all(&specs), &plan, None, &mut |_, _| Ok(Next::default()))?;
    let losses = fitted.progress.losses;
    ensure!(losses.len() == expected.len() && losses[losses.len() - 1] < losses[0] / 2.0, "it learns: {losses:?}");
    let mut farthest: f64 = 0.0;
    for (found, expected) in losses.iter().zip(&expected) {
        farthest = farthest.max((found - expected).abs() / expected);
    }
    for spec in &specs {
        let after = variables[&spec.name].flatten_all()?.to_vec1::<f32>()?;
        farthest = farthest.max(distance(&decoder.values(&spec.name)?, &after));
    }
    eprintln!("after {steps} steps: losses and weights at most {farthest:.1e} apart");
    ensure!(farthest < 10.0 * LIMIT, "losses or weights {farthest:e} apart");
    Ok(())
}
