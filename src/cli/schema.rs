//! `steadfast schema`.

use clap::Args;

use crate::error::{Exit, Failure};
use crate::pipeline::schema::schema;
use crate::ui::Ui;

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub struct Schema {}

impl Schema {
    pub(super) fn carry_out(&self, ui: &Ui) -> Result<Exit, Failure> {
        let text = serde_json::to_string_pretty(&schema()).map_err(|error| Failure::new("internal", error.to_string()))?;
        ui.result(&text);
        Ok(Exit::Passed)
    }
}
