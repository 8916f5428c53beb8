//! Marks and colours: the same arm looks the same in every chart, and differs from the others without colour too.

/// Colours of the page's style.
const COLOURS: usize = 8;

/// The class of a style's colour; none is the aligned model, in the colour of text.
pub(super) fn class(style: Option<usize>) -> String {
    style.map_or_else(|| "ref".into(), |style| format!("c{}", style % COLOURS))
}

/// The sign of a style for a legend, as one `<svg>` element.
pub fn sign(style: Option<usize>) -> String {
    format!(
        r#"<svg viewBox="0 0 12 12" width="12" height="12" class="sign" aria-hidden="true"><path class="{}" d="{}"/></svg>"#,
        class(style),
        mark(style, 6.0, 6.0)
    )
}

/// The path of a mark: circle, square, triangle or diamond; a cross for the aligned model.
pub(super) fn mark(style: Option<usize>, x: f64, y: f64) -> String {
    match style.map(|style| style % 4) {
        None => format!("M{:.1} {y:.1}h10M{x:.1} {:.1}v10", x - 5.0, y - 5.0),
        Some(0) => format!("M{:.1} {y:.1}a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z", x - 3.5),
        Some(1) => format!("M{:.1} {:.1}h6.4v6.4h-6.4z", x - 3.2, y - 3.2),
        Some(2) => format!("M{x:.1} {:.1}l4.2 7.4h-8.4z", y - 4.6),
        Some(_) => format!("M{x:.1} {:.1}l4.6 4.6l-4.6 4.6l-4.6 -4.6z", y - 4.6),
    }
}
