//! `steadfast suites`: the published suites that a pipeline can name.

use clap::Args;

use crate::data::catalogue::entries;
use crate::error::{Exit, Failure};
use crate::record::Expect;
use crate::ui::Ui;

/// Arguments of `suites`.
#[derive(Debug, Args)]
pub struct Suites {}

impl Suites {
    pub(super) fn carry_out(&self, ui: &Ui) -> Result<Exit, Failure> {
        ui.value(&entries());
        let mut text = String::from("| suite | a good answer | rows | licence | source | checked |\n|---|---|---|---|---|---|\n");
        for entry in entries() {
            let wanted = match entry.expect {
                Expect::Refusal => "refusal",
                Expect::Answer => "answer",
                Expect::ExactMatch => "exact match",
                Expect::MultipleChoice => "multiple choice",
                Expect::Rouge => "rouge",
                Expect::Perplexity => "perplexity",
            };
            let (pinned, gated) = (if entry.pinned { "pinned" } else { "NOT pinned" }, if entry.gated { ", gated" } else { "" });
            let checked = if entry.verified { "yes" } else { "no" };
            text.push_str(&format!("| {} | {wanted} | {} | {} | {pinned}{gated} | {checked} |\n", entry.name, entry.rows, entry.licence));
        }
        text.push_str("\nIn a pipeline: suites: {xstest: {suite: xstest-safe}}, or with a copy of your own: {suite: xstest-safe, prompts: xstest.csv}");
        ui.text(&text);
        Ok(Exit::Passed)
    }
}
