//! A judge behind a URL, as the pipeline names it.

use serde::Serialize;

use super::settings::{Endpoint, Rubric};
use crate::artifact::digest::sha256;
use crate::eval::judge::pairwise;
use crate::record::JudgeInfo;

/// A language model behind a URL that judges completions. Unlike the judges that run here it sees the prompt too.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndpointJudge {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub endpoint: Endpoint,
    /// What it is asked.
    pub template: Rubric,
}

impl EndpointJudge {
    /// sha256 of what decides its verdicts, as far as it is known: template, model name, host, further fields.
    pub fn digest(&self) -> String {
        digest(self.template.template(), &self.endpoint)
    }

    /// What the record tells of it.
    pub fn told(&self) -> JudgeInfo {
        JudgeInfo {
            kind: format!(
                "language model behind an endpoint, which sees prompt and completion, asked by the template {}",
                self.template.name()
            ),
            version: format!("{} at {}", self.endpoint.model, self.endpoint.host()),
            digest: format!("sha256:{}", self.digest()),
            calibration: "not calibrated".into(),
            measured: None,
            template: Some(self.template.name().into()),
            usage: None,
        }
    }
}

/// A language model behind a URL that says which of two replies to a prompt is better.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparer {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub endpoint: Endpoint,
}

impl Comparer {
    /// sha256 of what decides its answers, as far as it is known: template, model name, host, further fields.
    pub fn digest(&self) -> String {
        digest(pairwise::TEMPLATE, &self.endpoint)
    }

    /// What the record tells of it.
    pub fn told(&self) -> JudgeInfo {
        JudgeInfo {
            kind:
                "language model behind an endpoint, which compares two replies to a prompt in both orders, asked by the template pairwise"
                    .into(),
            version: format!("{} at {}", self.endpoint.model, self.endpoint.host()),
            digest: format!("sha256:{}", self.digest()),
            calibration: "not calibrated".into(),
            measured: None,
            template: Some(pairwise::NAME.into()),
            usage: None,
        }
    }
}

fn digest(template: &str, endpoint: &Endpoint) -> String {
    let more = if endpoint.parameters.is_empty() { String::new() } else { format!("\n{:?}", endpoint.parameters) };
    sha256(format!("{template}\n{}\n{}{more}", endpoint.model, endpoint.host()).as_bytes())
}
