//! One question to an endpoint, tried until it is answered or the trouble will not pass.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::{ChatError, Draw, Endpoint, Question, Reply, origin};
use crate::hub::remote::Access;

/// An answer is never larger than this, in bytes.
const LARGEST_ANSWER: u64 = 4 << 20;
const TRIES: u32 = 5;
/// An answer that is no chat completion is seldom mended by asking again.
const TRIES_GARBLED: u32 = 3;
/// What some servers call `max_tokens`, and say when they want it.
const NEWER_LIMIT: &str = "max_completion_tokens";
const LONGEST_WAIT_S: u64 = 60;
/// Most characters of a server's own words in a message.
const SAID: usize = 200;
/// Shorter keys are placeholders (`none`, `EMPTY`), not secrets: they may stand in a text by chance.
const SHORTEST_SECRET: usize = 8;

/// A conversation with an endpoint; several threads share it.
pub(super) struct Client<'a> {
    endpoint: &'a Endpoint,
    url: String,
    key: Option<String>,
    agent: ureq::Agent,
    pause: Duration,
    /// Whether the server wants the limit under its newer name.
    newer: AtomicBool,
}

/// Why there is no reply.
pub(super) enum Trouble {
    /// Of this question only: the server will not answer it, or answers what cannot be read.
    Unusable(String),
    /// Of every question.
    Final(ChatError),
}

enum Again {
    Passing { problem: String, wait: Option<Duration>, garbled: bool },
    Never(Trouble),
}

#[derive(Deserialize)]
struct Answer {
    choices: Vec<Choice>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Choice {
    message: Said,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    content: Option<String>,
}

#[derive(Deserialize, Default)]
struct Tokens {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

impl<'a> Client<'a> {
    /// Reads the key from the environment.
    pub(super) fn new(endpoint: &'a Endpoint, access: &Access) -> Result<Self, ChatError> {
        let key = key(endpoint)?;
        let agent = ureq::Agent::config_builder()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(30)))
            .timeout_global(Some(Duration::from_secs(endpoint.timeout_seconds)))
            .user_agent(concat!("steadfast/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Ok(Self {
            endpoint,
            url: format!("{}/chat/completions", endpoint.url),
            key,
            agent,
            pause: access.pause,
            newer: AtomicBool::new(false),
        })
    }

    /// The reply to a question. `note` hears of tries that failed; `stop` ends the trying.
    pub(super) fn ask(&self, question: &Question, note: &dyn Fn(String), stop: &AtomicBool) -> Result<Reply, Trouble> {
        let (mut pause, mut tries) = (self.pause, 1);
        loop {
            let (problem, wait, garbled) = match self.try_once(question) {
                Ok(reply) => return Ok(reply),
                Err(Again::Never(trouble)) => return Err(trouble),
                Err(Again::Passing { problem, wait, garbled }) => (problem, wait, garbled),
            };
            if garbled && tries >= TRIES_GARBLED {
                return Err(Trouble::Unusable(problem));
            }
            if tries == TRIES || stop.load(Ordering::Relaxed) {
                return Err(Trouble::Final(ChatError::Failed { url: self.url.clone(), problem, tries }));
            }
            let pausing = wait.unwrap_or(pause);
            note(format!("{}: {problem}; again in {:.1} s", self.url, pausing.as_secs_f64()));
            std::thread::sleep(pausing);
            pause *= 2;
            tries += 1;
        }
    }

    fn try_once(&self, question: &Question) -> Result<Reply, Again> {
        let passing = |problem: String| Again::Passing { problem, wait: None, garbled: false };
        let limit = if self.newer.load(Ordering::Relaxed) { NEWER_LIMIT } else { "max_tokens" };
        let mut body = json!({
            "model": self.endpoint.model,
            "messages": question.messages,
            "temperature": 0,
            limit: question.max_tokens,
        });
        if let Some(Draw { temperature, top_p, seed }) = question.draw {
            body["temperature"] = temperature.into();
            body["top_p"] = top_p.into();
            body["seed"] = seed.into();
        }
        if let Some(body) = body.as_object_mut() {
            body.extend(self.endpoint.parameters.clone());
        }
        let body = body.to_string();
        let mut request = self.agent.post(&self.url).header("content-type", "application/json").header("accept", "application/json");
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut response = request.send(body.as_bytes()).map_err(|error| passing(self.problem(error)))?;
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (location, wait) = (header("location"), header("retry-after").and_then(|value| seconds(&value)));
        if (300..400).contains(&status) {
            // Not followed: another host would get prompts, replies and, with a careless client, the key.
            let to = self.words(&location.map(|to| origin(&to).to_owned()).unwrap_or_default());
            return Err(Again::Never(Trouble::Final(ChatError::Redirect { url: self.url.clone(), to })));
        }
        let mut bytes = Vec::new();
        let read = response.body_mut().as_reader().take(LARGEST_ANSWER + 1).read_to_end(&mut bytes);
        if status == 200 {
            read.map_err(|error| passing(self.problem(error.into())))?;
            return self.reply(&bytes).map_err(|problem| Again::Passing { problem, wait, garbled: true });
        }
        // What a failed request says is only told: a part of it does.
        let said = self.words(&reason(&bytes));
        let url = self.url.clone();
        Err(match status {
            401 | 402 => Again::Never(Trouble::Final(ChatError::Denied { url, status, key_env: self.endpoint.key_env.clone(), said })),
            404 | 405 => Again::Never(Trouble::Final(ChatError::Missing { url, model: self.endpoint.model.clone(), status, said })),
            408 | 409 | 425 | 429 | 500.. => Again::Passing { problem: format!("HTTP {status} ({said})"), wait, garbled: false },
            // OpenAI's newer models know the limit under this name alone.
            400 if limit != NEWER_LIMIT && said.contains(NEWER_LIMIT) => {
                self.newer.store(true, Ordering::Relaxed);
                Again::Passing { problem: format!("it wants {NEWER_LIMIT}"), wait: Some(Duration::ZERO), garbled: false }
            }
            // A filter of the provider, a prompt that is too long: of this question.
            _ => Again::Never(Trouble::Unusable(format!("HTTP {status} ({said})"))),
        })
    }

    /// Why a request failed; a server that is too slow for what the pipeline grants it is told as that.
    fn problem(&self, error: ureq::Error) -> String {
        match error {
            ureq::Error::Timeout(ureq::Timeout::Global) => {
                format!("no whole answer within {} s (endpoint: {{timeout_seconds: …}} grants more)", self.endpoint.timeout_seconds)
            }
            other => self.without_key(&other.to_string()),
        }
    }

    /// Reads a chat completion.
    fn reply(&self, bytes: &[u8]) -> Result<Reply, String> {
        if bytes.len() as u64 > LARGEST_ANSWER {
            return Err(format!("an answer of more than {LARGEST_ANSWER} bytes"));
        }
        let answer: Answer = serde_json::from_slice(bytes).map_err(|error| self.words(&format!("no chat completion: {error}")))?;
        let choice = answer.choices.into_iter().next().ok_or("a chat completion without a choice")?;
        let tokens = answer.usage.unwrap_or_default();
        Ok(Reply {
            text: self.without_key(&choice.message.content.unwrap_or_default()),
            ended: choice.finish_reason.as_deref() != Some("length"),
            prompt_tokens: tokens.prompt_tokens,
            completion_tokens: tokens.completion_tokens,
        })
    }

    /// A server's words as they may be shown: short, in one line, without the key.
    fn words(&self, text: &str) -> String {
        let plain: String = self.without_key(text).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if plain.chars().count() > SAID { plain.chars().take(SAID).chain(['…']).collect() } else { plain }
    }

    /// A server may send back what it was sent: the key stays out of messages, record and store.
    fn without_key(&self, text: &str) -> String {
        match &self.key {
            Some(key) if key.len() >= SHORTEST_SECRET => text.replace(key.as_str(), "[key]"),
            _ => text.to_owned(),
        }
    }
}

/// The key from the environment variable that the endpoint names; none where it names none.
fn key(endpoint: &Endpoint) -> Result<Option<String>, ChatError> {
    let Some(variable) = &endpoint.key_env else { return Ok(None) };
    match std::env::var_os(variable).map(std::ffi::OsString::into_string) {
        Some(Ok(key)) if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(Some(key)),
        Some(Ok(key)) if !key.is_empty() => Err(ChatError::BadKey { variable: variable.clone() }),
        Some(Err(_)) => Err(ChatError::BadKey { variable: variable.clone() }),
        _ => Err(ChatError::NoKey { variable: variable.clone(), host: endpoint.host().into() }),
    }
}

/// `Retry-After` in seconds; its other form, a date, counts as not given.
fn seconds(value: &str) -> Option<Duration> {
    let seconds: f64 = value.trim().parse().ok()?;
    (seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(LONGEST_WAIT_S as f64)))
}

/// The reason in the body of an error: `error.message`, or the body itself.
fn reason(bytes: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
    let of = |pointer: &str| json.as_ref()?.pointer(pointer)?.as_str().map(str::to_owned);
    of("/error/message")
        .or_else(|| of("/error"))
        .or_else(|| of("/message"))
        .or_else(|| of("/detail"))
        .unwrap_or_else(|| String::from_utf8_lossy(bytes).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting() {
        assert_eq!(seconds("2"), Some(Duration::from_secs(2)));
        assert_eq!(seconds(" 0.5 "), Some(Duration::from_millis(500)));
        assert_eq!(seconds("1e300"), Some(Duration::from_secs(60)));
        for none in ["-1", "NaN", "Wed, 21 Oct 2026 07:28:00 GMT", ""] {
            assert_eq!(seconds(none), None, "{none}");
        }
    }

    #[test]
    fn reasons() {
        assert_eq!(reason(br#"{"error": {"message": "no such model"}}"#), "no such model");
        assert_eq!(reason(br#"{"detail": "busy"}"#), "busy");
        assert_eq!(reason(b" <html> "), "<html>");
    }
}
