//! Chat templates, rendered as transformers renders them.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, context};

use super::DataError;
use super::python_json::dumps;
use super::rows::Message;

/// Steps that a template may take: a hostile one ends with an error, not with a hang.
const FUEL: u64 = 20_000_000;

/// The day that `strftime_now` shows unless the pipeline names another (`model.date`): the one that Llama 3's own template
/// falls back to. Not today's, which would make another text, and another run, every day.
pub const DATE: Date = jiff::civil::date(2024, 7, 26);

/// A compiled chat template with the special tokens that it may name.
#[derive(Clone)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Compiles a template. `strftime_now` shows the midnight of `date`: a value from outside, so that rendering is repeatable.
    ///
    /// # Errors
    /// When it is no valid Jinja template.
    pub fn new(source: &str, bos: &str, eos: &str, date: Date) -> Result<Self, DataError> {
        // As Jinja2, which knows one end of a line.
        let source = source.replace("\r\n", "\n").replace('\r', "\n");
        // `{% generation %}` marks spans for another trainer and renders nothing.
        let plain = without_generation(&source);
        let mut environment = Environment::new();
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(|error| failed(&error))?);
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_function("strftime_now", move |format: String| strftime(&format, date));
        environment.add_filter("tojson", |value: Value, options: Kwargs| -> Result<Value, Error> {
            let indent = options.get::<Option<usize>>("indent")?;
            let json = serde_json::to_value(&value).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
            Ok(Value::from_safe_string(dumps(&json, indent)))
        });
        environment.add_template_owned("chat", plain).map_err(|error| failed(&error))?;
        Ok(Self { environment, source, bos: bos.to_owned(), eos: eos.to_owned() })
    }

    /// Whether what it renders depends on the date.
    pub fn shows_date(&self) -> bool {
        self.source.contains("strftime_now")
    }

    /// The template's text, its lines ended by `\n`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The conversation as text; with `prompt`, followed by the beginning of the assistant's turn.
    ///
    /// # Errors
    /// When the template raises an exception or takes too long.
    pub fn render(&self, messages: &[Message], prompt: bool) -> Result<String, DataError> {
        let template = self.environment.get_template("chat").map_err(|error| failed(&error))?;
        template
            .render(context! { messages => Value::from(Serde(messages)), add_generation_prompt => prompt, bos_token => self.bos.as_str(), eos_token => self.eos.as_str() })
            .map_err(|error| failed(&error))
    }
}

fn failed(error: &Error) -> DataError {
    let place = error.line().map(|line| format!(" (line {line})")).unwrap_or_default();
    DataError::Template(format!("{}{place}", error.detail().map_or_else(|| error.to_string(), str::to_owned)))
}

/// Puts a block that is always rendered in the place of `{% generation %}`: white space around its tags goes as around any others.
fn without_generation(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else { break };
        let tag = &rest[start..start + length + 2];
        let word = tag.trim_start_matches("{%").trim_end_matches("%}").trim_matches(['-', '+', ' ', '\n', '\t']);
        out.push_str(&rest[..start]);
        match word {
            "generation" => out.push_str(&tag.replace(word, "if true")),
            "endgeneration" => out.push_str(&tag.replace(word, "endif")),
            _ => out.push_str(tag),
        }
        rest = &rest[start + length + 2..];
    }
    out.push_str(rest);
    out
}

fn strftime(format: &str, date: Date) -> Result<String, Error> {
    let bad = |error: jiff::Error| Error::new(ErrorKind::InvalidOperation, error.to_string());
    let time = date.to_zoned(TimeZone::UTC).map_err(bad)?;
    jiff::fmt::strtime::format(format, &time).map_err(bad)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn message(role: &str, content: &str) -> Message {
        Message { role: role.into(), content: content.into() }
    }

    #[test]
    fn blocks_are_trimmed_as_transformers_trims_them() {
        let template = "{%- for m in messages %}\n    {{- m.role + ':' + m.content|trim }}\n{%- endfor %}\n{% if add_generation_prompt %}\n    go\n{% endif %}\n";
        let chat = ChatTemplate::new(template, "<s>", "</s>", DATE).unwrap();
        assert_eq!(chat.render(&[message("user", " hi ")], true).unwrap(), "user:hi    go\n");
        assert_eq!(chat.render(&[message("user", " hi ")], false).unwrap(), "user:hi");
    }

    #[test]
    fn json_is_pythons_and_dates_are_given() {
        let chat = ChatTemplate::new("{{ messages|tojson }}{{ strftime_now('%d %b %Y') }}", "", "", jiff::civil::date(1971, 1, 1)).unwrap();
        assert_eq!(chat.render(&[message("user", "<é>\"")], false).unwrap(), "[{\"role\": \"user\", \"content\": \"<é>\\\"\"}]01 Jan 1971");
        let indented = ChatTemplate::new("{{ messages|tojson(indent=2) }}", "", "", DATE).unwrap();
        assert_eq!(
            indented.render(&[message("user", "a")], false).unwrap(),
            "[\n  {\n    \"role\": \"user\",\n    \"content\": \"a\"\n  }\n]"
        );
    }

    #[test]
    fn a_template_may_refuse_and_may_not_hang() {
        let refusing = ChatTemplate::new("{{ raise_exception('roles must alternate') }}", "", "", DATE).unwrap();
        assert!(refusing.render(&[], false).unwrap_err().to_string().contains("roles must alternate"));
        let hanging =
            ChatTemplate::new("{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}", "", "", DATE).unwrap();
        assert!(hanging.render(&[], false).is_err());
    }

    #[test]
    fn generation_marks_render_nothing() {
        let chat = ChatTemplate::new("a{%- generation -%}b{% endgeneration %}c", "", "", DATE).unwrap();
        assert_eq!(chat.render(&[], false).unwrap(), "abc");
        let dashes = ChatTemplate::new("a \n{%- generation -%}\n b \n{%- endgeneration -%}\n c", "", "", DATE).unwrap();
        assert_eq!(dashes.render(&[], false).unwrap(), "abc");
        // Lines that hold a tag alone are no text.
        let lines = "{% for m in messages %}{% if m.role == 'assistant' %}\n{% generation %}\n{{ m.content }}<|im_end|>\n{% endgeneration %}\n{% endif %}{% endfor %}";
        let chat = ChatTemplate::new(lines, "", "", DATE).unwrap();
        assert_eq!(chat.render(&[message("user", "?"), message("assistant", "X")], false).unwrap(), "X<|im_end|>\n");
    }

    #[test]
    fn lines_end_as_jinjas_do() {
        let source = "{% for m in messages %}\n{{ m.content }}\n\n{% endfor %}\nend\n";
        let rendered = |source: &str| {
            let chat = ChatTemplate::new(source, "", "", DATE).unwrap();
            (chat.render(&[message("user", "a"), message("user", "b\r")], false).unwrap(), chat.source().to_owned())
        };
        assert_eq!(rendered(source).0, "a\n\nb\r\n\nend");
        assert_eq!(rendered(&source.replace('\n', "\r\n")), rendered(source));
        assert_eq!(rendered(&source.replace('\n', "\r")), rendered(source));
    }
}
