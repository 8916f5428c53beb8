//! Language models behind a URL that speaks OpenAI's chat completions (`POST {url}/chat/completions`).
//!
//! Source: the interface that platform.openai.com/docs/api-reference/chat describes and vLLM, llama.cpp, Ollama and others
//! offer; only `model`, `messages`, `temperature` and `max_tokens` are sent, and `top_p` and `seed` where replies are drawn, which
//! all of them know. What a server does beside that (llama-cpp-python penalises repetitions unless it is told not to) is for the
//! pipeline's `parameters` to say.

mod error;
mod many;
mod transfer;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::error::ChatError;
pub use self::many::{Heard, ask};
use super::remote::origin;
use crate::data::rows::Message;
use crate::record::Sampled;

/// A model behind a URL.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Endpoint {
    /// `https://api.openai.com/v1`, without `/chat/completions`, a slash at the end, a query or a password.
    pub url: String,
    /// The model's name there.
    pub model: String,
    /// The environment variable that holds the key; none sends no key.
    pub key_env: Option<String>,
    /// Requests at once.
    pub concurrency: usize,
    /// A request that takes longer is given up, and made again.
    pub timeout_seconds: u64,
    /// What tokens cost; none where nobody said.
    pub price: Option<Price>,
    /// Further fields of every request, as the server knows them: `repeat_penalty`, `chat_template_kwargs`. Never one of [`OURS`].
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
}

/// The fields of a request that the program sets itself, or that would make another kind of answer.
pub const OURS: [&str; 9] = ["model", "messages", "temperature", "top_p", "seed", "max_tokens", "max_completion_tokens", "stream", "n"];

/// What a million tokens cost, in the currency of whoever wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Price {
    /// Tokens that are sent.
    pub input: f64,
    /// Tokens that come back.
    pub output: f64,
}

impl Price {
    /// What so many tokens cost.
    pub fn of(self, prompt_tokens: u64, completion_tokens: u64) -> f64 {
        (prompt_tokens as f64 * self.input + completion_tokens as f64 * self.output) / 1e6
    }
}

impl Endpoint {
    /// What decides an answer beside the question and the model's name: the URL, and the further fields where there are any.
    pub fn identity(&self) -> String {
        if self.parameters.is_empty() { self.url.clone() } else { format!("{} {}", self.url, Value::Object(self.parameters.clone())) }
    }

    /// Host and port.
    pub fn host(&self) -> &str {
        let origin = origin(&self.url);
        origin.split_once("://").map_or(origin, |(_, host)| host)
    }

    /// Whether the host is this machine, by its name.
    pub fn is_this_machine(&self) -> bool {
        let host = self.host();
        let name = host.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or_else(|| host.split(':').next().unwrap_or(host));
        name == "localhost" || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    }
}

/// Why a text cannot be the URL of an endpoint, without what may be secret in it; none where it can.
pub fn bad_url(url: &str) -> Option<&'static str> {
    let Some((scheme, rest)) = url.split_once("://") else { return Some("is no URL") };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if scheme != "http" && scheme != "https" {
        Some("is neither http:// nor https://")
    } else if host.contains('@') || rest.contains(['?', '#']) {
        Some("holds a user, a query or a fragment: a key there would be written into the record")
    } else if host.is_empty() || url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Some("names no host")
    } else if url.ends_with("/chat/completions") {
        Some("ends in /chat/completions, which is added to it")
    } else {
        None
    }
}

/// How one reply is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Draw {
    /// Greater than 0.
    pub temperature: f64,
    /// In (0, 1].
    pub top_p: f64,
    /// Which of the replies to the same prompt, from 0. A server that heeds it gives the same reply again.
    pub seed: usize,
}

impl Draw {
    /// One of the replies that a suite draws.
    pub fn of(sampled: Sampled, seed: usize) -> Self {
        Self { temperature: sampled.temperature, top_p: sampled.top_p, seed }
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The conversation, which ends with the user's turn.
    pub messages: Vec<Message>,
    /// Most tokens of the reply.
    pub max_tokens: usize,
    /// How the reply is drawn; none: at temperature 0.
    pub draw: Option<Draw>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The text; empty where the server gave none.
    pub text: String,
    /// Whether the model ended it itself (else the token limit).
    pub ended: bool,
    /// Tokens sent, as the server counts them; 0 where it does not say.
    pub prompt_tokens: u64,
    /// Tokens of the reply, likewise.
    pub completion_tokens: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for good in ["http://127.0.0.1:8000/v1", "https://api.openai.com/v1", "http://[::1]:8000"] {
            assert_eq!(bad_url(good), None, "{good}");
        }
        for bad in
            ["api.openai.com", "ftp://a/v1", "https://me:pass@a/v1", "https://a/v1?key=x", "https://", "https://a/v1/chat/completions"]
        {
            assert!(bad_url(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn hosts() {
        let at = |url: &str| Endpoint {
            url: url.into(),
            model: String::new(),
            key_env: None,
            concurrency: 1,
            timeout_seconds: 1,
            price: None,
            parameters: Map::new(),
        };
        assert_eq!(at("https://api.openai.com:1/v1").host(), "api.openai.com:1");
        for (url, here) in
            [("http://127.0.0.1:8/v1", true), ("http://[::1]:8", true), ("http://localhost", true), ("https://127.evil/", false)]
        {
            assert_eq!(at(url).is_this_machine(), here, "{url}");
        }
        assert!(!at("http://localhost.example").is_this_machine());
        assert!((Price { input: 0.15, output: 0.6 }.of(2_000_000, 500_000) - 0.6).abs() < 1e-12);
    }
}
