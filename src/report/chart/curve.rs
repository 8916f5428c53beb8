//! Line charts.

use std::fmt::Write;

use super::frame::{Frame, drawable};
use super::mark::{class, mark};

/// A line chart.
pub struct Curve {
    /// Name of the horizontal axis.
    pub x: String,
    /// Whether the horizontal values are counted (steps, runs): then there are no ticks between whole numbers.
    pub counted: bool,
    /// Name of the vertical axis.
    pub y: String,
    /// The lines.
    pub lines: Vec<Line>,
}

/// One line.
pub struct Line {
    /// Its place among the page's colours and marks: the same arm looks the same in every chart; none for the aligned model.
    pub style: Option<usize>,
    /// Whether it is drawn stronger than the others.
    pub strong: bool,
    /// Its points, in the order in which they are joined.
    pub points: Vec<(f64, f64)>,
}

impl Curve {
    /// The chart as one `<svg>` element; points that are no measurement (not finite, or beyond 10⁹) are left out.
    pub fn svg(&self) -> String {
        let frame = Frame::around(self.lines.iter().flat_map(|line| line.points.iter().copied()), self.counted);
        let mut inside = String::new();
        for line in &self.lines {
            let class = format!("{}{}", class(line.style), if line.strong { " strong" } else { "" });
            let points: Vec<(f64, f64)> = line.points.iter().filter(|point| drawable(point)).map(|&point| frame.place(point)).collect();
            let joined: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let _ = write!(inside, r#"<polyline class="line {class}" points="{}"/>"#, joined.join(" "));
            for &(x, y) in &points {
                let _ = write!(inside, r#"<path class="{class}" d="{}"/>"#, mark(line.style, x, y));
            }
        }
        frame.svg(&self.x, &self.y, &inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diverged_arm_does_not_flatten_the_others() {
        let line = |points: &[(f64, f64)]| Line { style: Some(0), strong: false, points: points.to_vec() };
        let curve = |lines| Curve { x: "a<b".into(), counted: false, y: "\"y\"".into(), lines }.svg();
        let good = [(0.0, 1.0), (1.0, 2.0)];
        let svg = curve(vec![line(&good), line(&[(1.0, 1e30), (f64::NAN, 1.0)])]);
        assert!(svg.contains("a&lt;b") && svg.contains("&quot;y&quot;") && !svg.contains("NaN"), "{svg}");
        assert!(svg.contains(curve(vec![line(&good)]).split("<polyline").nth(1).unwrap_or("none").trim_end_matches("</svg>")), "{svg}");
    }
}
