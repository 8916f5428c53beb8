//! `report.html`: one file, no network, everything from outside escaped, harmful text folded.

use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, context};

use crate::record::Record;

use super::view::view;
use super::{ReportError, shown};

/// The report as a self-contained page; the same record gives the same bytes.
///
/// # Errors
/// When the template fails, which is a defect of the program.
pub fn render(record: &Record) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("report.html", include_str!("../../templates/report.html"))?;
    environment.add_template("report.css", include_str!("../../templates/report.css"))?;
    let page = environment.get_template("report.html")?.render(context! { view => Value::from(Serde(view(record))) })?;
    Ok(shown(&page))
}
