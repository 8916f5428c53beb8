//! Fine-tunes an aligned language model on custom data, keeps its refusals, and proves whether it worked.
//!
//! The program is `steadfast`; [`cli::main`] is all of it, and this library is how it is built.
//!
//! # The flow
//!
//! ```text
//! pipeline.yaml
//!   → pipeline::settings::Pipeline   read and checked: every problem at once, before anything is fetched
//!   → run::run                       the stages one after another, each remembered by the key of what made it:
//!       fetch      the base, or the aligned model, as a Hugging Face folder
//!       pretrain   the base is made from nothing (where the pipeline says so)
//!       align      the base learns to refuse (where the pipeline says so)
//!       evaluate   the aligned model; under the floor there is nothing to preserve, and the run stops
//!       extract    the tickets
//!       finetune   one arm after another, each on one task after another, saved and measured on its saved files
//!       evaluate   every arm on every suite
//!       gate       the rules
//!   → record::Record (run.json)      everything that was measured, and nothing else
//!   → report.html · summary.md · junit.xml · report.sarif · the exit code
//! ```
//!
//! The record is the narrow waist: reports and the gate read nothing else, so each can be made again from `run.json` alone.
//!
//! # The rooms
//!
//! From the bottom to the top; a room imports from rooms below it, never from one above (`tests/layering.rs` holds the table).
//!
//! | room | holds |
//! |---|---|
//! | [`error`], [`event`] | what a person reads when something goes wrong; what is told while work goes on |
//! | [`mask`] | a set of positions in a tensor |
//! | [`random`] | numbers that depend on counters alone |
//! | [`record`] | what a run measured, versioned |
//! | [`artifact`] | files written whole, digests, the store of finished stages, run folders: the only writer to disk |
//! | [`model`] | configuration, weights, the decoder's explicit passes over a backend, generation; encoders that classify |
//! | [`data`] | tables, rows, chat templates, tokens, what is learnt of them, the builtin sets |
//! | [`ticket`] | scores, selection, ticket files |
//! | [`delta`] | what a fine-tuning changed, as files; applied, removed, merged; a ticket's weights restored |
//! | [`edit`] | tuned weights made of other weights, without training: interpolation, restored tickets, safety vectors, projections |
//! | [`train`] | what may move, data order, schedule, AdamW at the trained positions, checkpoints |
//! | [`eval`] | judges, metrics, intervals, rules, the gate: pure, from the record |
//! | [`hub`] | where models and data sets come from: the hub, a folder, a GGUF file, the program, a URL that answers prompts; the only network code |
//! | [`report`] | the record told as HTML, Markdown, JUnit and SARIF |
//! | [`pipeline`] | the user's file, with places, to settings |
//! | [`stage`] | the stages of a run, one public function each |
//! | [`run`] | their order, from fetch to verdict |
//! | [`cli`], [`ui`] | the commands; everything that a person sees while they work: the only printing |
//!
//! # The words
//!
//! * **base, aligned, tuned**: the model before safety alignment, the one to be protected, the one after fine-tuning.
//! * **arm**: one way from aligned to tuned. The arms of a run share their data and its order.
//! * **family**: an arm with the settings that a sweep makes of it. Families are compared at **equal utility**, along their curves.
//! * **task vector**: tuned minus aligned, weight by weight, in f32.
//! * **maskable**: the weights that a mask may hold: attention and MLP matrices, never embeddings, the head, norms or biases.
//! * **delta**: what a fine-tuning changed: the mask, the old and the new bits, and the digests of both models.
//! * **score**: how much a weight matters to a behaviour; larger is more.
//! * **mask**: a set of maskable weights; a set bit is in it. **Complement**: the maskable weights that are not.
//! * **ticket**: a mask with its origin, that is which model, data and score it comes from. It says which weights carry a behaviour;
//!   whether they are frozen or trained is the arm's affair.
//! * **twin**: the same ticket scored on other data, its control. A ticket that beats its twin is a **safety ticket**, one that does not is
//!   **sensitive weights**.
//! * **density**: the share of maskable weights in a mask, above 0 and at most 1.
//! * **suite**: prompts, and what a good answer to them is. **Judge**: says of a completion that it `refused`, `complied`, or is
//!   `undetermined`, which counts against every rule. **Endpoint**: a language model behind a URL, as a judge or as the model.
//!   **Classifier**: an encoder with labels, as a judge.
//! * **refusal rate, over-refusal rate, answered rate**: shares of harmful prompts refused, of benign ones refused, of benign ones
//!   answered. None of them is the success of an attack.
//! * **probe**: a figure along the training. **Drift** is KL(aligned ‖ tuned) per token along the aligned model's own refusals,
//!   which the record keeps; **refusal log-odds** the logit of the probability of their first tokens; **task loss** the nats per
//!   token of held-out answers; **refusal rate** and **answered rate** of the probe prompts, by a judge.
//! * **drop, rise**: how far a rate fell or rose from the aligned model to an arm, on the same prompts.
//! * **gate, rule, verdict**: the conditions of a pipeline, one of them, and `pass`, `fail` or `inconclusive`.
//! * **task, sequence, merge**: what an arm learns; several of them, each from the weights that the one before it left; or each from the
//!   aligned model, and what they changed in one model.
//! * **cell**: the unit of the record: arm × seed × after-task × step, with what was measured there.
//! * **digest, key**: SHA-256 of some bytes, SHA-256 of everything that made a stage's result.
//!
//! # Exit codes
//!
//! | code | [`error::Exit`] | |
//! |---|---|---|
//! | 0 | [`Passed`](error::Exit::Passed) | every rule holds, or the command did what it was asked |
//! | 1 | [`Failed`](error::Exit::Failed) | a rule does not hold, or `verify` found a changed weight |
//! | 2 | [`CouldNotRun`](error::Exit::CouldNotRun) | usage, configuration, input, network or disk; the message says what to do |
//! | 3 | [`Inconclusive`](error::Exit::Inconclusive) | the sample cannot decide, or there is nothing to preserve |
//!
//! # From a script
//!
//! A record on disk decides its gate again, and tells its report again:
//!
//! ```no_run
//! use steadfast::eval::{gate::decide, rule::Rule};
//! use steadfast::record::Record;
//! use steadfast::report::{Samples, html};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let record: Record = serde_json::from_str(&std::fs::read_to_string("runs/keep-refusals/latest/run.json")?)?;
//! let rules: Vec<Rule> = serde_json::from_value(record.pipeline["gate"].clone())?;
//! let outcome = decide(&record, &rules, None);
//! assert_eq!(Some(&outcome), record.gate.as_ref());
//! println!("{:?}: {}", outcome.decision, outcome.headline);
//! let page = html::render(&record, Samples::All)?;
//! # let _ = page;
//! # Ok(())
//! # }
//! ```

pub mod artifact;
pub mod cli;
pub mod data;
pub mod delta;
pub mod edit;
pub mod error;
pub mod eval;
pub mod event;
pub mod hub;
pub mod mask;
pub mod model;
pub mod pipeline;
pub mod random;
pub mod record;
pub mod report;
pub mod run;
pub mod stage;
pub mod ticket;
pub mod train;
pub mod ui;
