//! The record, told: HTML for readers, Markdown for job summaries, JUnit and SARIF for CI.

pub mod annotations;
pub mod chart;
mod csp;
mod equal;
pub mod html;
pub mod joined;
pub mod junit;
pub mod markdown;
pub mod picture;
mod samples;
pub mod sarif;
pub mod view;

#[cfg(test)]
mod tests;

pub use self::samples::Samples;
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

/// Text as a reader may see it: what would be invisible, turn the text around it, or be no character at all, becomes a
/// replacement character.
fn shown(text: &str) -> String {
    let visible = |character: char| match character {
        '\n' | '\t' => character,
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
        // Tags: letters that nobody sees, and that models read.
        '\u{E0000}'..='\u{E007F}' | '\u{FDD0}'..='\u{FDEF}' => char::REPLACEMENT_CHARACTER,
        other if other.is_control() || other as u32 & 0xFFFE == 0xFFFE => char::REPLACEMENT_CHARACTER,
        other => other,
    };
    text.chars().map(visible).collect()
}

impl Explain for ReportError {
    fn code(&self) -> &'static str {
        "report"
    }
}
