//! Fine-tunes an aligned language model on custom data, keeps its refusals, and proves whether it worked.

pub mod artifact;
pub mod cli;
pub mod data;
pub mod error;
pub mod eval;
pub mod event;
pub mod hub;
pub mod mask;
pub mod model;
pub mod pipeline;
pub mod record;
pub mod report;
pub mod run;
pub mod stage;
pub mod ticket;
pub mod train;
pub mod ui;
