//! What every chart stands in: two axes with their ticks, names and grid.

use std::fmt::Write;

use super::axis::Axis;

/// The width of a chart.
pub(in crate::report) const WIDTH: f64 = 480.0;
/// Its height.
pub(in crate::report) const HEIGHT: f64 = 300.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;
/// A figure beyond this is no measurement but a model that diverged.
const LARGEST: f64 = 1e9;

/// Whether a point is a measurement that can be drawn.
pub(super) fn drawable(point: &(f64, f64)) -> bool {
    point.0.abs() < LARGEST && point.1.abs() < LARGEST
}

/// The two axes around some points.
pub(super) struct Frame {
    x: Axis,
    y: Axis,
}

impl Frame {
    /// Axes that hold every drawable point; `counted` where the horizontal values are whole numbers.
    pub(super) fn around(points: impl Iterator<Item = (f64, f64)> + Clone, counted: bool) -> Self {
        let points = points.filter(drawable);
        let x = Axis::over(points.clone().map(|point| point.0), counted, LEFT, WIDTH - RIGHT);
        let y = Axis::over(points.map(|point| point.1), false, HEIGHT - BOTTOM, TOP);
        Self { x, y }
    }

    /// Where a point is drawn.
    pub(super) fn place(&self, point: (f64, f64)) -> (f64, f64) {
        (self.x.place(point.0), self.y.place(point.1))
    }

    /// The whole chart as one `<svg>` element: the frame, and `inside` it.
    pub(super) fn svg(&self, x_name: &str, y_name: &str, inside: &str) -> String {
        let (x_name, y_name) = (escape(x_name), escape(y_name));
        let size = format!(r#"viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}""#);
        let mut svg = format!(r#"<svg {size} role="img" aria-label="{y_name} against {x_name}" class="chart">"#);
        for (at, label) in self.y.ticks() {
            let _ = write!(svg, r#"<line class="grid" x1="{LEFT}" x2="{:.1}" y1="{at:.1}" y2="{at:.1}"/>"#, WIDTH - RIGHT);
            let _ = write!(svg, r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{label}</text>"#, LEFT - 7.0, at + 4.0);
        }
        for (at, label) in self.x.ticks() {
            let _ = write!(svg, r#"<text x="{at:.1}" y="{:.1}" text-anchor="middle">{label}</text>"#, HEIGHT - BOTTOM + 18.0);
        }
        let (middle_x, middle_y) = ((LEFT + WIDTH - RIGHT) / 2.0, (TOP + HEIGHT - BOTTOM) / 2.0);
        let _ = write!(svg, r#"<text x="{middle_x:.1}" y="{:.1}" text-anchor="middle">{x_name}</text>"#, HEIGHT - 8.0);
        let _ = write!(svg, r#"<text transform="translate(14 {middle_y:.1}) rotate(-90)" text-anchor="middle">{y_name}</text>"#);
        svg + inside + "</svg>"
    }
}

/// Text from outside inside an SVG.
pub(in crate::report) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
