//! Spots with their intervals in both directions.

use std::fmt::Write;

use super::frame::{Frame, drawable, escape};
use super::mark::{class, mark};

/// A scatter chart.
pub struct Scatter {
    /// Name of the horizontal axis.
    pub x: String,
    /// Name of the vertical axis.
    pub y: String,
    /// The spots.
    pub spots: Vec<Spot>,
}

/// One measured thing.
pub struct Spot {
    /// What it is, shown where the pointer rests.
    pub name: String,
    /// Its place among the page's colours and marks; none for the aligned model.
    pub style: Option<usize>,
    /// Across: low, measured, high.
    pub x: [f64; 3],
    /// Upwards: low, measured, high.
    pub y: [f64; 3],
    /// Whether no other is better; those that are so are joined.
    pub front: bool,
}

impl Scatter {
    /// The chart as one `<svg>` element; spots that are no measurement (not finite, or beyond 10⁹) are left out.
    pub fn svg(&self) -> String {
        let corners = |spot: &Spot| [(spot.x[0], spot.y[0]), (spot.x[2], spot.y[2])];
        let spots = || self.spots.iter().filter(|spot| corners(spot).iter().all(drawable));
        let frame = Frame::around(spots().flat_map(corners), false);
        let mut inside = String::new();
        for spot in spots() {
            let [(left, bottom), (x, y), (right, top)] = [0, 1, 2].map(|i| frame.place((spot.x[i], spot.y[i])));
            let (class, name) = (class(spot.style), escape(&spot.name));
            let _ = write!(inside, r#"<g class="{class}"><title>{name}</title>"#);
            let _ = write!(inside, r#"<path class="range" d="M{left:.1} {y:.1}H{right:.1}M{x:.1} {bottom:.1}V{top:.1}"/>"#);
            let _ = write!(inside, r#"<path d="{}"/></g>"#, mark(spot.style, x, y));
        }
        let mut joined: Vec<(f64, f64)> = spots().filter(|spot| spot.front).map(|spot| frame.place((spot.x[1], spot.y[1]))).collect();
        joined.sort_by(|a, b| a.0.total_cmp(&b.0));
        let joined: Vec<String> = joined.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        if joined.len() > 1 {
            let _ = write!(inside, r#"<polyline class="front" points="{}"/>"#, joined.join(" "));
        }
        frame.svg(&self.x, &self.y, &inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spots_have_names_and_intervals_and_the_diverged_are_left_out() {
        let spot = |name: &str, x: f64| Spot { name: name.into(), style: None, x: [x, x, x + 1.0], y: [0.0, 0.5, 1.0], front: true };
        let svg = Scatter { x: "x".into(), y: "y".into(), spots: vec![spot("<a>", 1.0), spot("gone", f64::NAN)] }.svg();
        assert!(svg.contains("<title>&lt;a&gt;</title>") && !svg.contains("gone") && !svg.contains("NaN"), "{svg}");
        assert!(svg.contains("M62.0 134.0H466.0M62.0 254.0V14.0"), "from corner to corner: {svg}");
        assert!(!svg.contains("front"), "one spot is no line");
    }
}
