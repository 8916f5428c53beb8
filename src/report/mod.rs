//! The record, told: HTML for readers, Markdown for job summaries, JUnit for CI.

pub mod chart;
pub mod html;
pub mod junit;
pub mod markdown;
pub mod view;

use crate::error::Explain;

/// A report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The HTML template failed: a defect of the program.
    #[error("the report's template failed: {0:#}")]
    Template(#[from] minijinja::Error),
    /// JUnit could not be serialised: a defect of the program.
    #[error("junit.xml could not be written: {0}")]
    Junit(String),
}

impl Explain for ReportError {
    fn code(&self) -> &'static str {
        "report"
    }
}
