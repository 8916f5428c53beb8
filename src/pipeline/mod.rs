//! What the user wrote: the file as a tree, read into settings, checked as a whole; every problem at once, at its place.

mod check;
mod check_auto;
mod check_endpoints;
pub mod check_sweep;
mod classifier_judge;
mod data;
mod endpoint_judge;
mod node;
mod reader;
mod resolve;
pub mod schema;
pub mod settings;

use std::path::Path;

use self::node::{Node, Place, Value};
use self::reader::{Findings, Problem};
use self::settings::Pipeline;
use crate::error::Failure;

/// A pipeline that was read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The settings.
    pub pipeline: Pipeline,
    /// Aliases that were made canonical.
    pub notes: Vec<String>,
    /// What should be known before it runs: sentences with a remedy, each about the file as a whole.
    pub warnings: Vec<String>,
}

/// Reads and checks a pipeline file. `sets` are `--set` overrides as (`a.b.0.c`, YAML value); paths in the file are
/// relative to it, paths in overrides to the current folder.
///
/// # Errors
/// Every problem of the file at once, each with an excerpt, a caret and a remedy.
pub fn load(path: &Path, sets: &[(String, String)]) -> Result<Loaded, Failure> {
    load_for(path, sets, None)
}

/// [`load`] of a pipeline of which only the suites and judges are used, to ask another model: warnings are about these, and that model.
///
/// # Errors
/// As [`load`].
pub fn load_to_ask(path: &Path, sets: &[(String, String)], model: &str) -> Result<Loaded, Failure> {
    load_for(path, sets, Some(model))
}

fn load_for(path: &Path, sets: &[(String, String)], other: Option<&str>) -> Result<Loaded, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new("file", format!("cannot read the pipeline {}: {error}", path.display()))
            .remedy("give the path of a pipeline file: steadfast run FILE")
    })?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    let here = std::path::absolute(".").unwrap_or_default();
    read(&text, &path.display().to_string(), (&folder, &here), sets, other)
}

fn read(text: &str, file: &str, (folder, here): (&Path, &Path), sets: &[(String, String)], other: Option<&str>) -> Result<Loaded, Failure> {
    let bad = |message: String| Failure::new("bad-pipeline", message).remedy("see pipelines/ for examples");
    let mut root = Node::parse(text)
        .map_err(|message| bad(format!("{file} is no valid YAML: {}", message.trim_start_matches("error: ").replace("<input>", file))))?;
    for (key, value) in sets {
        let mut node = Node::parse(value).map_err(|message| bad(format!("--set {key}={value}: {message}")))?;
        let inside = key.split('.').any(|part| OPAQUE_KEYS.contains(&part));
        from_command_line(&mut node, here, key.rsplit('.').find(|part| !inside && part.parse::<usize>().is_err()));
        root.set(&key.split('.').collect::<Vec<_>>(), node).map_err(|message| bad(format!("--set {key}={value}: {message}")))?;
    }
    let mut findings = Findings::default();
    let pipeline = resolve::pipeline(&root, folder, other, &mut findings);
    if other.is_some() {
        findings.warnings.retain(|warning| warning.path.starts_with("evaluate"));
    }
    // What is found by looking at the settings as a whole is known by its path alone.
    for problem in findings.problems.iter_mut().filter(|problem| problem.place == root.place) {
        problem.place = root.place_of(&problem.path).unwrap_or(problem.place);
    }
    findings.problems.sort_by_key(|problem| problem.place);
    match pipeline {
        Some(pipeline) if findings.problems.is_empty() => Ok(Loaded {
            pipeline,
            notes: findings.notes,
            warnings: findings.warnings.into_iter().map(|warning| sentence(warning, file)).collect(),
        }),
        _ => {
            let rendered: Vec<String> = findings.problems.iter().map(|problem| render(problem, file, text)).collect();
            let count = match rendered.len() {
                1 => "1 problem".to_owned(),
                n => format!("{n} problems"),
            };
            Err(Failure::new("bad-pipeline", format!("{count} in {file}\n{}", rendered.join("\n"))))
        }
    }
}

/// Keys whose values are paths, or lists of paths.
const PATH_KEYS: [&str; 14] = [
    "path",
    "data",
    "prompts",
    "base",
    "aligned",
    "chat_template",
    "file",
    "harmful",
    "benign",
    "task",
    "calibration",
    "classifier",
    "minus",
    "over",
];

/// Keys below which keys are what columns or an endpoint's fields are called, and nothing is a path.
const OPAQUE_KEYS: [&str; 3] = ["filter", "columns", "parameters"];

/// Values from the command line have no place in the file, and paths among them are made absolute here; none below an opaque key.
fn from_command_line(node: &mut Node, here: &Path, key: Option<&str>) {
    node.place = Place::default();
    match &mut node.value {
        Value::Text(text) if key.is_some_and(|key| PATH_KEYS.contains(&key)) && !text.contains("://") && !text.starts_with("builtin:") => {
            *text = here.join(&*text).to_string_lossy().into_owned()
        }
        Value::List(items) => items.iter_mut().for_each(|item| from_command_line(item, here, key)),
        Value::Map(entries) => entries.iter_mut().for_each(|(inside, place, value)| {
            *place = Place::default();
            from_command_line(value, here, key.filter(|_| !OPAQUE_KEYS.contains(&inside.as_str())).map(|_| inside.as_str()));
        }),
        _ => {}
    }
}

/// A warning as a line that stands by itself, in a terminal and in a report.
fn sentence(warning: Problem, file: &str) -> String {
    let remedy = warning.remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default();
    format!("{file}, {}: {}{remedy}", warning.path, warning.message)
}

/// A problem with its line and a caret.
fn render(problem: &Problem, file: &str, text: &str) -> String {
    let mut out = String::new();
    match (problem.place.line, text.lines().nth(problem.place.line.wrapping_sub(1))) {
        (line @ 1.., Some(source)) => {
            let number = line.to_string();
            let margin = " ".repeat(number.len());
            let indent: String =
                source.chars().take(problem.place.column.saturating_sub(1)).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            out.push_str(&format!(
                "{margin}--> {file}:{line}:{}\n{number} | {source}\n{margin} | {indent}^ {}",
                problem.place.column, problem.message
            ));
        }
        // An empty file has no line to show; what came from the command line has no place in the file.
        _ if text.trim().is_empty() => out.push_str(&format!("--> {file}\n  | {}", problem.message)),
        _ => out.push_str(&format!("--> --set {}\n  | {}", problem.path, problem.message)),
    }
    if let Some(remedy) = &problem.remedy {
        out.push_str(&format!("\n  = help: {remedy}"));
    }
    out
}
