//! A model's text side: tokenizer, chat template, system message.

use std::path::Path;

use jiff::civil::Date;
use serde_json::Value;
use tokenizers::{PostProcessorWrapper, Tokenizer};

use super::DataError;
use super::rows::Message;
use super::template::ChatTemplate;
use crate::artifact::digest::sha256;

/// A token id with its byte range in the text.
pub type Placed = (u32, (usize, usize));

/// Everything between text and tokens.
#[derive(Clone)]
pub struct TextModel {
    tokenizer: Tokenizer,
    /// The template, or why there is none: that matters only where a conversation is rendered.
    template: Result<ChatTemplate, String>,
    /// Whether the template is the user's, not the folder's.
    given: bool,
    /// The begin and the end token.
    special: (String, String),
    /// What the tokenizer puts before a plain text by itself.
    begin: Vec<u32>,
    /// What `strftime_now` shows.
    date: Date,
    system: Option<String>,
    /// Digest of tokenizer.json.
    tokenizer_digest: String,
}

impl TextModel {
    /// Reads `tokenizer.json`, `tokenizer_config.json` and the chat template of a Hugging Face folder. Truncation and
    /// padding that the file may ask for are switched off. A folder without a chat template, or with one that does not
    /// compile, is good until a conversation is rendered.
    ///
    /// # Errors
    /// When the tokenizer is missing, or a file is invalid.
    pub fn from_folder(folder: &Path, date: Date) -> Result<Self, DataError> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path).map_err(|source| DataError::Io { path, source })
        };
        let (mut tokenizer, text) = open(folder)?;
        let broken = |error: String| DataError::Tokenizer(format!("{}: {error}", folder.join("tokenizer.json").display()));
        let begin = begin(&tokenizer).map_err(|error| broken(error.to_string()))?;
        // It adds special tokens, which templates write themselves, and may trim the places of tokens: a reply's spaces
        // would seem to stand nowhere, and not be learnt.
        tokenizer.with_post_processor(None::<PostProcessorWrapper>);
        tokenizer.with_truncation(None).map_err(|error| DataError::Tokenizer(error.to_string()))?;
        let config: Value = match read("tokenizer_config.json") {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|error| DataError::Tokenizer(format!("{}: {error}", folder.join("tokenizer_config.json").display())))?,
            Err(_) => Value::Null,
        };
        let special = (special(&config["bos_token"]), special(&config["eos_token"]));
        // As transformers 5: a flag that is written, either of the two, takes the place of the tokenizer's own rule.
        let begin = match (&config["add_bos_token"], &config["add_eos_token"]) {
            (Value::Null, Value::Null) => begin,
            (Value::Bool(true), _) => tokenizer.token_to_id(&special.0).into_iter().collect(),
            _ => Vec::new(),
        };
        let source = template_of(&config, read("chat_template.jinja").ok(), read("chat_template.json").ok())
            .ok_or_else(|| format!("{} has none: no chat_template.jinja, no chat_template in tokenizer_config.json", folder.display()));
        let template = source.and_then(|source| {
            ChatTemplate::new(&source, &special.0, &special.1, date).map_err(|error| match error {
                DataError::Template(problem) => format!("that of {}: {problem}", folder.display()),
                other => other.to_string(),
            })
        });
        Ok(Self { tokenizer, template, given: false, special, begin, date, system: None, tokenizer_digest: sha256(text.as_bytes()) })
    }

    /// The same tokenizer with the user's chat template.
    ///
    /// # Errors
    /// When the template is invalid.
    pub fn with_template(self, source: &str) -> Result<Self, DataError> {
        let template = ChatTemplate::new(source, &self.special.0, &self.special.1, self.date)?;
        Ok(Self { template: Ok(template), given: true, ..self })
    }

    /// Whether there is a chat template.
    pub fn has_template(&self) -> bool {
        self.template.is_ok()
    }

    /// Whether the tokenizer knows this token.
    pub fn knows(&self, token: &str) -> bool {
        self.tokenizer.token_to_id(token).is_some()
    }

    /// What the tokenizer puts before a plain text by itself: the begin token or nothing.
    pub fn begin_tokens(&self) -> &[u32] {
        &self.begin
    }

    /// What the tokenizer puts before this text: nothing where the text has the begin token, written out.
    pub fn begin_before(&self, text: &str) -> &[u32] {
        if !self.special.0.is_empty() && text.starts_with(&self.special.0) { &[] } else { &self.begin }
    }

    /// The begin token, or else the end token; none of a tokenizer without both.
    pub fn prefix_token(&self) -> Option<u32> {
        [&self.special.0, &self.special.1].into_iter().find_map(|token| self.tokenizer.token_to_id(token))
    }

    /// The user's chat template, where it takes the place of the folder's.
    pub fn given_template(&self) -> Option<&str> {
        self.template.as_ref().ok().filter(|_| self.given).map(ChatTemplate::source)
    }

    /// The same with a system message for conversations that have none; `None` leaves it to the template.
    #[must_use]
    pub fn with_system(self, system: Option<String>) -> Self {
        Self { system, ..self }
    }

    /// Digest of the tokenizer's file.
    pub fn tokenizer_digest(&self) -> &str {
        &self.tokenizer_digest
    }

    /// Digest of everything that decides which tokens a conversation becomes. What stands before a plain text is not among it:
    /// [`Self::begin_tokens`] belong into the key of what is made from plain text.
    pub fn digest(&self) -> String {
        let template = self.template.as_ref().map_or("", ChatTemplate::source);
        let date = self.template.as_ref().ok().filter(|template| template.shows_date()).map(|_| self.date.to_string());
        sha256(format!("{}\n{template}\n{:?}\n{:?}\n{date:?}", self.tokenizer_digest, self.special, self.system).as_bytes())
    }

    /// The conversation as text; with `prompt`, followed by the beginning of the assistant's turn.
    ///
    /// # Errors
    /// When there is no template, or it fails.
    pub fn render(&self, messages: &[Message], prompt: bool) -> Result<String, DataError> {
        let template = self.template.as_ref().map_err(|problem| DataError::Template(problem.clone()))?;
        match &self.system {
            Some(system) if messages.iter().all(|message| message.role != "system") => {
                let mut all = vec![Message { role: "system".into(), content: system.clone() }];
                all.extend_from_slice(messages);
                template.render(&all, prompt)
            }
            _ => template.render(messages, prompt),
        }
    }

    /// Token ids of a conversation that the model is to go on with, behind the first words of its reply: often none.
    ///
    /// # Errors
    /// When there is no template, or it or the tokenizer fails.
    pub fn encode_prompt(&self, messages: &[Message], prefill: &str) -> Result<Vec<u32>, DataError> {
        Ok(self.encode(&(self.render(messages, true)? + prefill))?.into_iter().map(|(id, _)| id).collect())
    }

    /// Token ids with the byte range of each in the text; no special token is added.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn encode(&self, text: &str) -> Result<Vec<Placed>, DataError> {
        let encoding = self.tokenizer.encode(text, false).map_err(|error| DataError::Tokenizer(error.to_string()))?;
        Ok(encoding.get_ids().iter().copied().zip(encoding.get_offsets().iter().copied()).collect())
    }

    /// Token ids of plain text, behind the begin token where the tokenizer puts one there, ended by the end token.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn encode_text(&self, text: &str) -> Result<Vec<u32>, DataError> {
        let encoded = self.encode(&format!("{text}{}", self.special.1))?;
        Ok(self.begin_before(text).iter().copied().chain(encoded.into_iter().map(|(id, _)| id)).collect())
    }

    /// Text of token ids, without special tokens and without white space around it.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn decode(&self, tokens: &[u32]) -> Result<String, DataError> {
        Ok(self.tokenizer.decode(tokens, true).map_err(|error| DataError::Tokenizer(error.to_string()))?.trim().to_owned())
    }
}

/// The tokenizer of a folder, without padding, and the text of its file.
pub(super) fn open(folder: &Path) -> Result<(Tokenizer, String), DataError> {
    let path = folder.join("tokenizer.json");
    let text = std::fs::read_to_string(&path).map_err(|source| DataError::Io { path: path.clone(), source })?;
    let broken = |error: String| DataError::Tokenizer(format!("{}: {error}", path.display()));
    // The crate's own reader panics on some files; broken JSON is found before it.
    serde_json::from_str::<Value>(&text).map_err(|error| broken(error.to_string()))?;
    let mut tokenizer = Tokenizer::from_bytes(&text).map_err(|error| broken(error.to_string()))?;
    tokenizer.with_padding(None);
    Ok((tokenizer, text))
}

/// The special tokens that the tokenizer's post-processor puts first.
fn begin(tokenizer: &Tokenizer) -> tokenizers::Result<Vec<u32>> {
    let encoding = tokenizer.encode("a", true)?;
    let special = encoding.get_special_tokens_mask().iter().take_while(|&&mask| mask == 1).count();
    Ok(encoding.get_ids()[..special].to_vec())
}

/// The template in the order in which transformers looks for it.
fn template_of(config: &Value, jinja: Option<String>, json: Option<String>) -> Option<String> {
    if jinja.is_some() {
        return jinja;
    }
    let from_json = json.and_then(|text| serde_json::from_str::<Value>(&text).ok());
    if let Some(text) = from_json.as_ref().and_then(|json| json["chat_template"].as_str()) {
        return Some(text.to_owned());
    }
    match &config["chat_template"] {
        Value::String(text) => Some(text.clone()),
        Value::Array(named) => {
            named.iter().find(|entry| entry["name"] == "default").and_then(|entry| entry["template"].as_str()).map(str::to_owned)
        }
        _ => None,
    }
}

/// A special token, written as text or as an object.
fn special(value: &Value) -> String {
    value.as_str().or_else(|| value["content"].as_str()).unwrap_or_default().to_owned()
}
