//! A joined benchmark as one picture, for a README.

use std::fmt::Write;

use super::chart::{HEIGHT, WIDTH, escape};
use super::shown;
use super::view::{Chart, joined};
use crate::eval::join::Joined;

const STYLE: &str = include_str!("../../templates/chart.css");
/// Above the charts of a task: its name, and the arms' signs.
const HEAD: f64 = 52.0;
/// The place of a legend's entry for each character of its name, and beside it.
const LETTER: f64 = 7.0;
const BESIDE: f64 = 34.0;

/// The charts of all tasks below each other as an SVG file that needs nothing else, light or dark as the reader's system is. None
/// where no task has a chart. The same parts give the same bytes.
pub fn render(of: &Joined) -> Option<String> {
    let view = joined(of);
    let tasks: Vec<_> = view.tasks.iter().filter(|task| !task.charts.is_empty()).collect();
    let across = tasks.iter().map(|task| task.charts.len()).max()?;
    let (width, height) = (across as f64 * WIDTH, tasks.len() as f64 * (HEAD + HEIGHT));
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" class="chart"><style>{STYLE}svg{{background:var(--bg)}}</style>"#
    );
    for (row, task) in tasks.iter().enumerate() {
        let top = row as f64 * (HEAD + HEIGHT);
        let _ = write!(svg, r#"<text x="14" y="{}" style="font-weight:600">{}</text>"#, top + 20.0, escape(&task.name));
        task.charts.first().into_iter().for_each(|chart| write_legend(&mut svg, chart, top + 30.0));
        for (column, chart) in task.charts.iter().enumerate() {
            let _ = write!(svg, r#"<g transform="translate({} {})">{}</g>"#, column as f64 * WIDTH, top + HEAD, chart.svg);
        }
    }
    Some(shown(&(svg + "</svg>\n")))
}

fn write_legend(svg: &mut String, chart: &Chart, top: f64) {
    let mut left = 14.0;
    for (sign, name) in &chart.legend {
        let _ = write!(svg, r#"<g transform="translate({left} {top})">{sign}<text x="17" y="10">{}</text></g>"#, escape(name));
        left += BESIDE + LETTER * name.chars().count() as f64;
    }
}
