//! What can go wrong between here and an endpoint. No message holds a key.

use crate::error::Explain;

/// An endpoint that does not answer as it must.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The variable with the key is empty, or not there.
    #[error("the environment variable {variable}, which holds the key for {host}, is not set")]
    NoKey {
        /// Its name.
        variable: String,
        /// The endpoint's host.
        host: String,
    },
    /// The key cannot be sent.
    #[error("what the environment variable {variable} holds cannot be a key: it has a character that no header may have")]
    BadKey {
        /// The variable's name.
        variable: String,
    },
    /// Offline, and something was not asked before.
    #[error("{missing} of {total} answers of {model} at {host} are not in the store, and no request is made offline")]
    Offline {
        /// The model.
        model: String,
        /// The endpoint's host.
        host: String,
        /// Answers that are missing.
        missing: usize,
        /// Answers that are needed.
        total: usize,
    },
    /// The endpoint wants another key, or money.
    #[error("{url} answered {status}{}: {said}", if key_env.is_some() { ", although a key was sent" } else { " (no key was sent)" })]
    Denied {
        /// What was asked.
        url: String,
        /// 401 or 402.
        status: u16,
        /// The variable with the key.
        key_env: Option<String>,
        /// The server's reason.
        said: String,
    },
    /// There is no such URL, or no such model.
    #[error("{url} answered {status} for model {model:?}: {said}")]
    Missing {
        /// What was asked.
        url: String,
        /// The model.
        model: String,
        /// 404 or 405.
        status: u16,
        /// The server's reason.
        said: String,
    },
    /// The endpoint sends elsewhere.
    #[error("{url} sends to {to:?}: prompts, replies and key go to the host that the pipeline names, and to no other")]
    Redirect {
        /// What was asked.
        url: String,
        /// Where it sends.
        to: String,
    },
    /// The endpoint or the way to it failed, several times.
    #[error("{url}: {problem}, after {tries} tries")]
    Failed {
        /// What was asked.
        url: String,
        /// The last answer.
        problem: String,
        /// How often.
        tries: u32,
    },
    /// Not one question was answered.
    #[error("{model} at {host} answered none of {asked} questions: {problem}")]
    Nothing {
        /// The model.
        model: String,
        /// The endpoint's host.
        host: String,
        /// How many were asked.
        asked: usize,
        /// The first answer.
        problem: String,
    },
}

impl Explain for ChatError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoKey { .. } | Self::BadKey { .. } | Self::Denied { .. } => "endpoint-key",
            Self::Offline { .. } => "offline",
            Self::Missing { .. } => "not-at-endpoint",
            Self::Redirect { .. } => "endpoint-redirect",
            Self::Failed { .. } | Self::Nothing { .. } => "endpoint-failed",
        }
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Denied { status: 402, key_env: Some(variable), .. } => {
                format!("pay for what is asked, or set the key of an account that does: export {variable}=KEY")
            }
            Self::NoKey { variable, .. } | Self::BadKey { variable } | Self::Denied { key_env: Some(variable), .. } => {
                format!("set the key, without spaces or line breaks: export {variable}=KEY")
            }
            Self::Denied { key_env: None, .. } => "name the variable that holds the key: endpoint: {key_env: OPENAI_API_KEY}".into(),
            Self::Offline { .. } => "run once without --offline (and without HF_HUB_OFFLINE): what is answered stays in the store".into(),
            Self::Missing { .. } => {
                "mend endpoint.url (https://HOST/v1, without /chat/completions) and endpoint.model in the pipeline".into()
            }
            Self::Redirect { .. } => "write the URL that answers itself: endpoint: {url: https://HOST/v1}".into(),
            Self::Failed { .. } => {
                "run it again: answers that have come are kept; fewer requests at once may help: endpoint: {concurrency: 1}".into()
            }
            Self::Nothing { .. } => "is it the URL of an OpenAI-compatible server (https://HOST/v1), and does it have this model?".into(),
        })
    }
}
