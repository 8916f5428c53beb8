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
    /// Its place among the page's colours and marks: the same arm looks the same in every chart.
    pub style: usize,
    /// Whether it is drawn stronger than the others.
    pub strong: bool,
    /// Its points, in the order in which they are joined.
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;
/// A figure beyond this is no measurement but a model that diverged.
const LARGEST: f64 = 1e9;
/// Colours of the page's style.
const COLOURS: usize = 8;

impl Curve {
    /// The chart as one `<svg>` element; points that are no measurement (not finite, or beyond 10⁹) are left out.
    pub fn svg(&self) -> String {
        let drawn = |point: &&(f64, f64)| point.0.abs() < LARGEST && point.1.abs() < LARGEST;
        let all: Vec<(f64, f64)> = self.lines.iter().flat_map(|line| line.points.iter().filter(drawn)).copied().collect();
        let x = Axis::over(all.iter().map(|point| point.0), LEFT, WIDTH - RIGHT);
        let y = Axis::over(all.iter().map(|point| point.1), HEIGHT - BOTTOM, TOP);
        let mut svg = String::new();
        let (x_name, y_name) = (escape(&self.x), escape(&self.y));
        let _ = write!(svg, r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{y_name} against {x_name}" class="chart">"#);
        for (at, label) in y.ticks() {
            let _ = write!(svg, r#"<line class="grid" x1="{LEFT}" x2="{:.1}" y1="{at:.1}" y2="{at:.1}"/>"#, WIDTH - RIGHT);
            let _ = write!(svg, r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{label}</text>"#, LEFT - 7.0, at + 4.0);
        }
        for (at, label) in x.ticks() {
            let _ = write!(svg, r#"<text x="{at:.1}" y="{:.1}" text-anchor="middle">{label}</text>"#, HEIGHT - BOTTOM + 18.0);
        }
        let (middle_x, middle_y) = ((LEFT + WIDTH - RIGHT) / 2.0, (TOP + HEIGHT - BOTTOM) / 2.0);
        let _ = write!(svg, r#"<text x="{middle_x:.1}" y="{:.1}" text-anchor="middle">{x_name}</text>"#, HEIGHT - 8.0);
        let _ = write!(svg, r#"<text transform="translate(14 {middle_y:.1}) rotate(-90)" text-anchor="middle">{y_name}</text>"#);
        for line in &self.lines {
            let class = format!("c{}{}", line.style % COLOURS, if line.strong { " strong" } else { "" });
            let points: Vec<(f64, f64)> = line.points.iter().filter(drawn).map(|point| (x.place(point.0), y.place(point.1))).collect();
            let joined: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let _ = write!(svg, r#"<polyline class="line {class}" points="{}"/>"#, joined.join(" "));
            for &(x, y) in &points {
                let _ = write!(svg, r#"<path class="{class}" d="{}"/>"#, mark(line.style, x, y));
            }
        }
        svg.push_str("</svg>");
        svg
    }
}

/// The sign of a line for the legend, as one `<svg>` element.
pub fn sign(style: usize) -> String {
    format!(
        r#"<svg viewBox="0 0 12 12" class="sign" aria-hidden="true"><path class="c{}" d="{}"/></svg>"#,
        style % COLOURS,
        mark(style, 6.0, 6.0)
    )
}

/// Circle, square, triangle or diamond, so that lines differ without colour too.
fn mark(style: usize, x: f64, y: f64) -> String {
    match style % 4 {
        0 => format!("M{:.1} {y:.1}a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z", x - 3.5),
        1 => format!("M{:.1} {:.1}h6.4v6.4h-6.4z", x - 3.2, y - 3.2),
        2 => format!("M{x:.1} {:.1}l4.2 7.4h-8.4z", y - 4.6),
        _ => format!("M{x:.1} {:.1}l4.6 4.6l-4.6 4.6l-4.6 -4.6z", y - 4.6),
    }
}

/// An axis with round ticks.
struct Axis {
    low: f64,
    step: f64,
    count: usize,
    from: f64,
    to: f64,
}

impl Axis {
    /// An axis from a first to a last round tick around the values, drawn between two places.
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = match (low.is_finite(), high - low > 1e-9 * high.abs().max(1e-3)) {
            (true, true) => (low, high),
            (true, false) => (low - 0.5, low + 0.5),
            _ => (0.0, 1.0),
        };
        let raw = (high - low) / 5.0;
        let power = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|round| round * power).into_iter().find(|&step| step >= raw * 0.999).unwrap_or(10.0 * power);
        // A tick that a rounding error puts beside its value is that value.
        let first = (low / step + 1e-9).floor();
        let count = ((high / step - 1e-9).ceil() - first).max(1.0) as usize;
        Self { low: first * step, step, count, from, to }
    }

    fn place(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.step * self.count as f64) * (self.to - self.from)
    }

    /// Each tick's place and label.
    fn ticks(&self) -> Vec<(f64, String)> {
        let decimals = (-self.step.log10() - 1e-9).ceil().max(0.0) as usize;
        (0..=self.count)
            .map(|i| {
                let value = self.low + i as f64 * self.step;
                let value = if value.abs() < self.step * 1e-6 { 0.0 } else { value };
                (self.place(value), if decimals > 4 || value.abs() >= 1e5 { format!("{value:.1e}") } else { format!("{value:.decimals$}") })
            })
            .collect()
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_hold_every_value() {
        let labels = |values: &[f64]| -> Vec<String> {
            let axis = Axis::over(values.iter().copied(), 0.0, 100.0);
            assert!(values.iter().all(|&value| (-1e-6..=100.0 + 1e-6).contains(&axis.place(value))), "{values:?}");
            axis.ticks().into_iter().map(|(_, label)| label).collect()
        };
        assert_eq!(labels(&[0.0, 5.0, 20.0]), ["0", "5", "10", "15", "20"]);
        assert_eq!(labels(&[0.061, 0.41]), ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]);
        assert_eq!(labels(&[-1.0, 1.0]), ["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(labels(&[3.0]).first().map(String::as_str), Some("2.4"));
        assert_eq!(labels(&[]).len(), 6);
        assert!(labels(&[0.0, 1e-7]).len() > 1 && labels(&[1e8, 9e8]).len() > 3);
    }

    #[test]
    fn a_diverged_arm_does_not_flatten_the_others() {
        let line = |points: &[(f64, f64)]| Line { style: 0, strong: false, points: points.to_vec() };
        let curve = |lines| Curve { x: "a<b".into(), y: "\"y\"".into(), lines }.svg();
        let good = [(0.0, 1.0), (1.0, 2.0)];
        let svg = curve(vec![line(&good), line(&[(1.0, 1e30), (f64::NAN, 1.0)])]);
        assert!(svg.contains("a&lt;b") && svg.contains("&quot;y&quot;") && !svg.contains("NaN"), "{svg}");
        assert!(svg.contains(curve(vec![line(&good)]).split("<polyline").nth(1).unwrap_or("none").trim_end_matches("</svg>")), "{svg}");
    }
}
