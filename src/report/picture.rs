//! A joined benchmark as one picture, for a README.

use std::fmt::Write;

use super::chart::{HEIGHT, WIDTH, escape};
use super::shown;
use super::view::{Chart, joined};
use crate::eval::join::Joined;

const STYLE: &str = include_str!("../../templates/chart.css");
/// The heights of a task's name above its charts, and of a line of the arms' signs below the name.
const NAME: f64 = 32.0;
const SIGNS: f64 = 20.0;
/// The place of a legend's entry for each character of its name, and beside it.
const LETTER: f64 = 7.0;
const BESIDE: f64 = 34.0;
const MARGIN: f64 = 14.0;

/// The charts of all tasks below each other as an SVG file that needs nothing else, light or dark as the reader's system is. None
/// where no task has a chart. The same parts give the same bytes.
pub fn render(of: &Joined) -> Option<String> {
    let view = joined(of);
    let tasks: Vec<_> = view.tasks.iter().filter(|task| !task.charts.is_empty()).collect();
    let across = tasks.iter().map(|task| task.charts.len()).max()?;
    let width = across as f64 * WIDTH;
    let (mut inside, mut top) = (String::new(), 0.0);
    for task in &tasks {
        let _ = write!(inside, r#"<text x="{MARGIN}" y="{}" style="font-weight:600">{}</text>"#, top + 20.0, escape(&task.name));
        top += NAME;
        for line in task.charts.first().map(|chart| lines(chart, width)).unwrap_or_default() {
            write_signs(&mut inside, &line, top);
            top += SIGNS;
        }
        for (column, chart) in task.charts.iter().enumerate() {
            let _ = write!(inside, r#"<g transform="translate({} {top})">{}</g>"#, column as f64 * WIDTH, chart.svg);
        }
        top += HEIGHT;
    }
    let head =
        format!(r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" width="{width}" height="{top}" class="chart">"#);
    Some(shown(&format!("{head}<style>{STYLE}svg{{background:var(--bg)}}</style>{inside}</svg>\n")))
}

/// How far an entry of a legend reaches.
fn reach((_, name): &(String, String)) -> f64 {
    BESIDE + LETTER * name.chars().count() as f64
}

/// The entries of a legend, in as many lines as fit the width.
fn lines(chart: &Chart, width: f64) -> Vec<Vec<&(String, String)>> {
    let (mut lines, mut left) = (vec![Vec::new()], MARGIN);
    for entry in &chart.legend {
        if left > MARGIN && left + reach(entry) > width {
            lines.push(Vec::new());
            left = MARGIN;
        }
        left += reach(entry);
        if let Some(line) = lines.last_mut() {
            line.push(entry);
        }
    }
    lines
}

fn write_signs(svg: &mut String, line: &[&(String, String)], top: f64) {
    let mut left = MARGIN;
    for entry in line {
        let (sign, name) = entry;
        let _ = write!(svg, r#"<g transform="translate({left} {top})">{sign}<text x="17" y="10">{}</text></g>"#, escape(name));
        left += reach(entry);
    }
}
