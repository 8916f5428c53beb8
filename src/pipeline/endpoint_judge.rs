//! A judge behind a URL, as the pipeline names it.

use serde::Serialize;

use super::settings::{Endpoint, Rubric};
use crate::artifact::digest::sha256;
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
    /// sha256 of what decides its verdicts, as far as it is known: template, model name, host.
    pub fn digest(&self) -> String {
        let (template, model, host) = (self.template.template(), &self.endpoint.model, self.endpoint.host());
        sha256(format!("{template}\n{model}\n{host}").as_bytes())
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
            usage: None,
        }
    }
}
