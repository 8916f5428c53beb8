//! What a person reads when something goes wrong: a code, the thing, both values, and a remedy that can be pasted.

use std::fmt;

/// The exit codes of the program; they are an API (README, "Exit codes").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Every gate rule passed, or the command did what it was asked.
    Passed = 0,
    /// A gate rule failed, or `verify` found a difference.
    Failed = 1,
    /// The command could not run: usage, configuration, input or I/O.
    CouldNotRun = 2,
    /// The sample cannot decide, or there is nothing to preserve.
    Inconclusive = 3,
}

/// What every module's own error says of itself, so that it can be shown without knowing the module.
pub trait Explain: std::error::Error {
    /// A stable, searchable name, in kebab case: `unknown-tensor`.
    fn code(&self) -> &'static str;
    /// What to do about it, as a sentence or a command that can be pasted.
    fn remedy(&self) -> Option<String> {
        None
    }
    /// Whether the remedy names another source that may stand in the place of this one.
    fn replaceable(&self) -> bool {
        false
    }
    /// The exit code that the program ends with when this reaches the top.
    fn exit(&self) -> Exit {
        Exit::CouldNotRun
    }
}

/// A path as a shell takes it for one word: what a remedy's command is about.
pub fn shell_word(path: &std::path::Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=@%:,".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// An error on its way to the person: everything that is shown, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// See [`Explain::code`].
    pub code: &'static str,
    /// What happened, naming the thing and both values; it may have several lines (a source excerpt with carets).
    pub message: String,
    /// Where, from the outermost step to the innermost: `finetune arm "protected"`, `reading data/my.csv`.
    pub context: Vec<String>,
    /// See [`Explain::remedy`].
    pub remedy: Option<String>,
    /// See [`Explain::replaceable`].
    pub replaceable: bool,
    /// See [`Explain::exit`].
    pub exit: Exit,
}

impl Failure {
    /// A failure that no module's own error describes.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), context: Vec::new(), remedy: None, replaceable: false, exit: Exit::CouldNotRun }
    }

    /// The same failure with a remedy.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The same failure, whose remedy names another source, with the words under which its user writes that: `--set model.base=SOURCE`.
    #[must_use]
    pub fn placed(mut self, written: &str) -> Self {
        if let Some(remedy) = self.remedy.as_mut().filter(|_| self.replaceable) {
            *remedy = format!("{remedy}: {written}");
            self.replaceable = false;
        }
        self
    }

    /// The same failure with another exit code.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// The same failure inside an outer step.
    #[must_use]
    pub fn within(mut self, step: impl Into<String>) -> Self {
        self.context.insert(0, step.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.context {
            write!(f, "{step}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl<E: Explain> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let text = inner.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            cause = inner.source();
        }
        let replaceable = error.replaceable();
        Self { code: error.code(), message, context: Vec::new(), remedy: error.remedy(), replaceable, exit: error.exit() }
    }
}

/// Adds the outer step to whatever went wrong inside it.
pub trait Within<T> {
    /// `reading the pipeline`, `finetune arm "protected"`.
    ///
    /// # Errors
    /// The same failure, with the step in front of its context.
    fn within(self, step: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Into<Failure>> Within<T> for Result<T, E> {
    fn within(self, step: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| error.into().within(step()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::shell_word;

    #[test]
    fn a_path_is_one_word_for_a_shell() {
        for (path, word) in [
            ("runs/a-1/run.json", "runs/a-1/run.json"),
            ("/my models/x", "'/my models/x'"),
            ("it's; rm", r"'it'\''s; rm'"),
            ("$HOME", "'$HOME'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(Path::new(path)), word);
        }
    }
}
