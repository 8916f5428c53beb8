//! A rate with its interval as a small bar, for the cells of a table.

/// A bar from 0 to 1 with the interval, the rate as a dot and the aligned model's rate as a tick, as one `<svg>` element. It
/// repeats what its cell says in numbers, so it is hidden from readers of text.
pub fn interval_bar(rate: f64, low: f64, high: f64, aligned: Option<f64>) -> String {
    let place = |rate: f64| 4.0 + rate.clamp(0.0, 1.0) * 112.0;
    let tick = aligned.map(|rate| format!(r#"<path class="tick" d="M{:.1} 1v10"/>"#, place(rate))).unwrap_or_default();
    format!(
        r#"<svg viewBox="0 0 120 12" class="bar" aria-hidden="true"><path class="grid" d="M4 6h112"/>{tick}<path class="range" d="M{:.1} 6H{:.1}"/><circle cx="{:.1}" cy="6" r="3"/></svg>"#,
        place(low),
        place(high),
        place(rate)
    )
}
