//! `steadfast man`.

use clap::{Args, CommandFactory};

use super::Arguments;
use crate::error::{Exit, Failure};
use crate::ui::Ui;

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct Man {}

impl Man {
    pub(super) fn carry_out(&self, ui: &Ui) -> Result<Exit, Failure> {
        let mut page = Vec::new();
        clap_mangen::Man::new(Arguments::command())
            .render(&mut page)
            .map_err(|error| Failure::new("internal", format!("cannot write the manual page: {error}")))?;
        ui.result(&String::from_utf8_lossy(&page));
        Ok(Exit::Passed)
    }
}
