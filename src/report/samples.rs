//! How much of what was asked and answered a page holds.

/// How much of what was asked and answered `report.html` holds; `run.json` always holds all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, clap::ValueEnum)]
pub enum Samples {
    /// Counts alone.
    None,
    /// Each prompt's id, category and verdicts, without any text.
    Ids,
    /// Prompts and completions too.
    #[default]
    All,
}
