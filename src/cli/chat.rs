//! `steadfast chat MODEL`: a conversation on standard input and output, with one model or two side by side.

use std::io::BufRead;
use std::path::PathBuf;

use clap::Args;

use super::Machine;
use super::run::context;
use crate::data::rows::Message;
use crate::delta::file::Delta;
use crate::delta::writes::{Direction, Writes};
use crate::error::{Exit, Failure};
use crate::event::Event;
use crate::model::decoder::Decoder;
use crate::model::generate::{Sampling, generate};
use crate::pipeline::settings;
use crate::stage::engine::Engine;
use crate::stage::evaluate::backend_failed;
use crate::stage::fetch::{Model, fetch};
use crate::stage::manner::{asked_tokens, end_tokens};
use crate::ui::Ui;

/// Arguments of `chat`.
#[derive(Debug, Args)]
pub struct Chat {
    /// The model: hf://OWNER/NAME@COMMIT, a folder, or a .gguf file.
    model: String,
    /// A second model that answers the same messages.
    #[arg(long, value_name = "MODEL")]
    compare: Option<String>,
    /// A delta that is applied to the first model, in memory. May be given again.
    #[arg(long = "delta", value_name = "FILE")]
    deltas: Vec<PathBuf>,
    /// The system message.
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// The chat template, for a model that brings none.
    #[arg(long, value_name = "FILE")]
    chat_template: Option<PathBuf>,
    /// The most tokens of a reply.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    max_new_tokens: u32,
    /// 0 takes the likeliest token each time.
    #[arg(long, value_name = "T", default_value_t = 0.0, value_parser = temperature)]
    temperature: f64,
    /// Keeps the likeliest tokens whose probabilities reach this share.
    #[arg(long, value_name = "P", default_value_t = 1.0, value_parser = share)]
    top_p: f64,
    /// Seed of the sampler.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The folder whose store keeps models made from GGUF files.
    #[arg(long, value_name = "FOLDER", default_value = "runs")]
    runs: PathBuf,
}

/// A model with its own conversation.
struct Speaker {
    name: String,
    model: Model,
    decoder: Decoder<Engine>,
    messages: Vec<Message>,
}

impl Chat {
    pub(super) fn carry_out(&self, ui: &Ui, machine: Machine) -> Result<Exit, Failure> {
        let listener = |event: Event| ui.event(&event);
        let context = context(&self.runs, &listener, machine, settings::ComputeDtype::Auto);
        let deltas = self.deltas.iter().map(|path| Delta::open(path)).collect::<Result<Vec<_>, _>>()?;
        let mut speakers = Vec::new();
        for (i, name) in std::iter::once(&self.model).chain(&self.compare).enumerate() {
            let settings =
                settings::Model { chat_template: self.chat_template.clone(), system: self.system.clone(), ..settings::Model::of(name) };
            let (model, _) = fetch(&context, "model", name, &settings)?;
            let applied = if i == 0 { deltas.as_slice() } else { &[] };
            let writes = Writes::new(&model.weights, applied, Direction::Apply)?;
            let decoder = context.compute.load_with(&model, |spec| writes.widened(&spec.name))?;
            let name = applied.iter().fold(name.clone(), |name, delta| format!("{name} + {}", delta.path.display()));
            speakers.push(Speaker { name, model, decoder, messages: Vec::new() });
        }
        for line in std::io::stdin().lock().lines() {
            let line = line.map_err(|error| Failure::new("file", format!("cannot read standard input: {error}")))?;
            if line.trim().is_empty() {
                continue;
            }
            let several = speakers.len() > 1;
            for speaker in &mut speakers {
                let reply = self.reply(speaker, &line)?;
                if ui.json() {
                    ui.line(&serde_json::json!({"model": speaker.name, "message": line, "reply": reply}));
                } else {
                    ui.result(&if several { format!("[{}] {reply}", speaker.name) } else { reply });
                }
            }
        }
        Ok(Exit::Passed)
    }

    fn reply(&self, speaker: &mut Speaker, line: &str) -> Result<String, Failure> {
        speaker.messages.push(Message { role: "user".into(), content: line.into() });
        let prompt = asked_tokens(&speaker.model, &speaker.messages)?;
        let sampling = Sampling {
            max_new_tokens: self.max_new_tokens as usize,
            temperature: self.temperature,
            top_p: self.top_p,
            seed: self.seed,
            end_tokens: end_tokens(&speaker.model),
        };
        let replies = generate(&mut speaker.decoder, &[prompt], &sampling, 1, &mut |_, _| {}).map_err(backend_failed)?;
        let text = speaker.model.text.decode(&replies[0].tokens)?;
        speaker.messages.push(Message { role: "assistant".into(), content: text.clone() });
        Ok(text)
    }
}

fn temperature(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "a temperature is a number".to_owned())?;
    if (0.0..=100.0).contains(&value) { Ok(value) } else { Err(format!("a temperature is between 0 and 100, not {text}")) }
}

fn share(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "a share is a number".to_owned())?;
    if value > 0.0 && value <= 1.0 { Ok(value) } else { Err(format!("a share is above 0 and at most 1, not {text}")) }
}
