//! Everything that a person sees while it runs: progress, colour, errors; or JSON events for a machine.

use std::cell::RefCell;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::error::{Exit, Failure};
use crate::event::Event;
use crate::report::view::duration;

/// A line on standard error; when nobody can read it any more, it is dropped.
macro_rules! told {
    ($($part:tt)*) => {{
        let _ = writeln!(std::io::stderr().lock(), $($part)*);
    }};
}

/// What results and progress are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document on standard output; one JSON event a line on standard error.
    Json,
}

/// How the program speaks: results on standard output, progress and errors on standard error.
pub struct Ui {
    format: Format,
    quiet: bool,
    colour: bool,
    terminal: bool,
    bar: RefCell<Option<(String, ProgressBar)>>,
    last_line: RefCell<Option<(String, Instant)>>,
}

/// Between two plain progress lines of the same work, where standard error is no terminal.
const PLAIN_INTERVAL: Duration = Duration::from_secs(15);

impl Ui {
    /// Colour and bars only where standard error is a terminal, and no colour when `no_color` says so.
    pub fn new(format: Format, quiet: bool, no_color: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { format, quiet, colour: terminal && !no_color, terminal, bar: RefCell::default(), last_line: RefCell::default() }
    }

    /// Whether results are JSON.
    pub fn json(&self) -> bool {
        self.format == Format::Json
    }

    /// Shows one event.
    pub fn event(&self, event: &Event) {
        if self.format == Format::Json {
            if let Ok(line) = serde_json::to_string(event) {
                told!("{line}");
            }
            return;
        }
        if let Event::Progress { what, done, total, note } = event {
            return self.progress(what, *done, *total, note);
        }
        self.close_bar();
        match event {
            Event::Warning { message } => told!("{} {}", self.paint("33;1", "warning:"), clean(message)),
            _ if self.quiet => {}
            Event::StageStarted { stage } => told!("{} {}", self.paint("36", "▸"), clean(stage)),
            Event::StageReused { stage, key } => told!("{} {} (reused, {key})", self.paint("32", "✓"), clean(stage)),
            Event::StageFinished { stage, seconds, note } => {
                told!("{} {} in {} {}", self.paint("32", "✓"), clean(stage), duration(*seconds), clean(note));
            }
            Event::Note { message } => told!("  {}", clean(message)),
            Event::Progress { .. } => {}
        }
    }

    /// Prints a result for people, without what could steer the terminal; nothing when results are JSON.
    pub fn text(&self, text: &str) {
        if self.format == Format::Text {
            self.close_bar();
            put(&clean(text));
        }
    }

    /// Prints a result that has one form only.
    pub fn result(&self, text: &str) {
        self.close_bar();
        put(&clean(text));
    }

    /// Prints a result for machines; nothing when results are text.
    pub fn value(&self, value: &impl Serialize) {
        if self.format == Format::Json {
            put(&serde_json::to_string_pretty(value).unwrap_or_default());
        }
    }

    /// Prints one of several results for machines, on a line of its own.
    pub fn line(&self, value: &serde_json::Value) {
        put(&value.to_string());
    }

    /// Shows a failure with its code, place and remedy.
    pub fn failure(&self, failure: &Failure) {
        self.close_bar();
        if self.format == Format::Json {
            let value = serde_json::json!({
                "event": "error", "code": failure.code, "message": failure.message, "context": failure.context,
                "remedy": failure.remedy, "exit": failure.exit as u8,
            });
            told!("{value}");
            return;
        }
        told!("{} {}", self.paint("31;1", &format!("error[{}]:", failure.code)), clean(&failure.to_string()));
        if let Some(remedy) = &failure.remedy {
            told!("{} {}", self.paint("36;1", "  help:"), clean(remedy));
        }
    }

    fn progress(&self, what: &str, done: u64, total: u64, note: &str) {
        if self.quiet {
            return;
        }
        if self.terminal {
            let mut bar = self.bar.borrow_mut();
            if bar.as_ref().is_none_or(|(name, _)| name != what) {
                let fresh = ProgressBar::new(total);
                if let Ok(style) = ProgressStyle::with_template("  {msg:32!} {bar:30} {pos}/{len} {eta}") {
                    fresh.set_style(style);
                }
                if let Some((_, old)) = bar.replace((what.to_owned(), fresh)) {
                    old.finish_and_clear();
                }
            }
            if let Some((_, bar)) = bar.as_ref() {
                bar.set_length(total);
                bar.set_message(clean(&format!("{what} {note}")));
                bar.set_position(done);
            }
            return;
        }
        let mut last = self.last_line.borrow_mut();
        let due = last.as_ref().is_none_or(|(name, at)| name != what || at.elapsed() >= PLAIN_INTERVAL);
        if due || (total > 0 && done >= total) {
            told!("  {} {done}/{total} {}", clean(what), clean(note));
            *last = Some((what.to_owned(), Instant::now()));
        }
    }

    fn close_bar(&self) {
        if let Some((_, bar)) = self.bar.borrow_mut().take() {
            bar.finish_and_clear();
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Standard output may be closed early (`| head`): that is the reader's choice and no error. Any other trouble is one.
fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush())
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        told!("error[file]: cannot write to standard output: {error}");
        std::process::exit(Exit::CouldNotRun as i32);
    }
}

/// Text from outside without control characters and marks of direction, so that it cannot steer the terminal or show its words in
/// another order.
pub fn clean(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|&c| (!c.is_control() && !turns(c)) || c == '\n' || c == '\t').collect()
}
