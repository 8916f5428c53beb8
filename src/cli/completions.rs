//! `steadfast completions SHELL`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Arguments;
use crate::error::{Exit, Failure};
use crate::ui::Ui;

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn carry_out(&self, ui: &Ui) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "steadfast", &mut script);
        ui.result(&String::from_utf8_lossy(&script));
        Ok(Exit::Passed)
    }
}
