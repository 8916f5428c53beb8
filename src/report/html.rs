//! `report.html`: one file, no network, everything from outside escaped, harmful text folded and blurred.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, Output, State, context, escape_formatter};

use crate::eval::join::Joined;
use crate::record::Record;

use super::csp::policy;
use super::view::{audit, comparison, joined, probes, prompts, view};
use super::{ReportError, Samples, shown};

const TEMPLATES: [(&str, &str); 15] = [
    ("report.html", include_str!("../../templates/report.html")),
    ("report/chart.html", include_str!("../../templates/report/chart.html")),
    ("report/scorecard.html", include_str!("../../templates/report/scorecard.html")),
    ("report/races.html", include_str!("../../templates/report/races.html")),
    ("report/equal.html", include_str!("../../templates/report/equal.html")),
    ("report/matched.html", include_str!("../../templates/report/matched.html")),
    ("report/audit.html", include_str!("../../templates/report/audit.html")),
    ("report/changes.html", include_str!("../../templates/report/changes.html")),
    ("report/replaced.html", include_str!("../../templates/report/replaced.html")),
    ("report/flips.html", include_str!("../../templates/report/flips.html")),
    ("report/agreement.html", include_str!("../../templates/report/agreement.html")),
    ("report/comparison.html", include_str!("../../templates/report/comparison.html")),
    ("report/joined.html", include_str!("../../templates/report/joined.html")),
    ("report/prompts.html", include_str!("../../templates/report/prompts.html")),
    ("report/sources.html", include_str!("../../templates/report/sources.html")),
];
const STYLE: &str = concat!(include_str!("../../templates/chart.css"), include_str!("../../templates/report.css"));
const SCRIPT: &str = include_str!("../../templates/report.js");

/// The report as a self-contained page with as much text of prompts and completions as `samples` allows; the same record gives
/// the same bytes. Of a record without texts, at most the prompts' ids.
///
/// # Errors
/// When the template fails, which is a defect of the program.
pub fn render(record: &Record, samples: Samples) -> Result<String, ReportError> {
    let samples = if record.without_text { samples.min(Samples::Ids) } else { samples };
    let page = environment()?.get_template("report.html")?.render(context! {
        view => Value::from(Serde(view(record))),
        prompts => Value::from(Serde(prompts(record, samples))),
        audit => Value::from(Serde(audit(record, samples))),
        probes => Value::from(Serde(probes(record, samples))),
        style => Value::from_safe_string(STYLE.into()),
        script => Value::from_safe_string(SCRIPT.into()),
        policy => Value::from_safe_string(policy(STYLE, SCRIPT)),
    })?;
    Ok(shown(&page))
}

/// Several runs beside each other, as a page without prompts and without a script.
///
/// # Errors
/// When the template fails, which is a defect of the program.
pub fn render_comparison(records: &[Record]) -> Result<String, ReportError> {
    let page = environment()?.get_template("report/comparison.html")?.render(context! {
        view => Value::from(Serde(comparison(records))),
        style => Value::from_safe_string(STYLE.into()),
        policy => Value::from_safe_string(policy(STYLE, "")),
    })?;
    Ok(shown(&page))
}

/// A joined benchmark as a page without prompts and without a script.
///
/// # Errors
/// When the template fails, which is a defect of the program.
pub fn render_joined(of: &Joined) -> Result<String, ReportError> {
    let page = environment()?.get_template("report/joined.html")?.render(context! {
        view => Value::from(Serde(joined(of))),
        style => Value::from_safe_string(STYLE.into()),
        policy => Value::from_safe_string(policy(STYLE, "")),
    })?;
    Ok(shown(&page))
}

fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(escaped);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    for (name, text) in TEMPLATES {
        environment.add_template(name, text)?;
    }
    Ok(environment)
}

/// Writes a value so that it is text in an element and in an attribute in double quotes, the only places where the templates put
/// one. Apostrophes and slashes stay: escaped, they would make a page of English a tenth larger.
fn escaped(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let Some(text) = value.as_str().filter(|_| !value.is_safe()) else { return escape_formatter(out, state, value) };
    for part in text.split_inclusive(['<', '>', '&', '"']) {
        let special = part.chars().next_back().and_then(|last| ESCAPES.iter().find(|(character, _)| *character == last));
        match special {
            Some((character, escape)) => {
                out.write_str(part.strip_suffix(*character).unwrap_or_default())?;
                out.write_str(escape)?;
            }
            None => out.write_str(part)?,
        }
    }
    Ok(())
}

const ESCAPES: [(char, &str); 4] = [('<', "&lt;"), ('>', "&gt;"), ('&', "&amp;"), ('"', "&quot;")];
