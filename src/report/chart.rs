//! Line charts as SVG, written by hand: no script, colours from the page's style.

use std::fmt::Write;

/// A line chart.
pub struct Curve {
    /// Name of the horizontal axis.
    pub x: String,
    /// Name of the vertical axis.
    pub y: String,
    /// The lines.
    pub lines: Vec<Line>,
}

/// One line.
pub struct Line {
    /// Its name, for the legend.
    pub name: String,
    /// Its points, in the order in which they are joined.
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 44.0;
const TICKS: usize = 5;

impl Curve {
    /// The chart as one `<svg>` element; points that are not finite are left out.
    pub fn svg(&self) -> String {
        let finite = |point: &&(f64, f64)| point.0.is_finite() && point.1.is_finite();
        let all: Vec<(f64, f64)> = self.lines.iter().flat_map(|line| line.points.iter().filter(finite)).copied().collect();
        let (x0, x1) = span(all.iter().map(|point| point.0));
        let (y0, y1) = span(all.iter().map(|point| point.1));
        let px = |x: f64| LEFT + (x - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT);
        let py = |y: f64| HEIGHT - BOTTOM - (y - y0) / (y1 - y0) * (HEIGHT - TOP - BOTTOM);
        let mut svg = String::new();
        let _ = write!(
            svg,
            r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{} against {}" class="chart">"#,
            escape(&self.y),
            escape(&self.x)
        );
        for i in 0..TICKS {
            let part = i as f64 / (TICKS - 1) as f64;
            let (x, y) = (x0 + part * (x1 - x0), y0 + part * (y1 - y0));
            let _ = write!(svg, r#"<line class="grid" x1="{LEFT}" x2="{:.1}" y1="{:.1}" y2="{:.1}"/>"#, WIDTH - RIGHT, py(y), py(y));
            let _ =
                write!(svg, r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#, LEFT - 6.0, py(y) + 4.0, number(y));
            let _ = write!(
                svg,
                r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
                px(x),
                HEIGHT - BOTTOM + 16.0,
                number(x)
            );
        }
        let _ = write!(
            svg,
            r#"<text class="axis" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 8.0,
            escape(&self.x)
        );
        let _ = write!(
            svg,
            r#"<text class="axis" transform="translate(14 {:.1}) rotate(-90)" text-anchor="middle">{}</text>"#,
            (TOP + HEIGHT - BOTTOM) / 2.0,
            escape(&self.y)
        );
        for (i, line) in self.lines.iter().enumerate() {
            let class = i % 8;
            let points: Vec<String> =
                line.points.iter().filter(finite).map(|point| format!("{:.1},{:.1}", px(point.0), py(point.1))).collect();
            let _ = write!(svg, r#"<polyline class="line c{class}" points="{}"/>"#, points.join(" "));
            for point in line.points.iter().filter(finite) {
                let _ = write!(svg, r#"<circle class="dot c{class}" cx="{:.1}" cy="{:.1}" r="3"/>"#, px(point.0), py(point.1));
            }
            let y = TOP + 10.0 + i as f64 * 18.0;
            let _ = write!(svg, r#"<circle class="dot c{class}" cx="{:.1}" cy="{:.1}" r="4"/>"#, WIDTH - RIGHT + 16.0, y - 4.0);
            let _ = write!(svg, r#"<text class="legend" x="{:.1}" y="{y:.1}">{}</text>"#, WIDTH - RIGHT + 26.0, escape(&line.name));
        }
        svg.push_str("</svg>");
        svg
    }
}

/// The range of the values, never empty.
fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    match (low.is_finite(), high > low) {
        (true, true) => (low, high),
        (true, false) => (low - 0.5, low + 0.5),
        _ => (0.0, 1.0),
    }
}

fn number(value: f64) -> String {
    if value.abs() >= 100.0 || value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
