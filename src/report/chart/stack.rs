//! Parts of a whole as one bar, for the cells of a table.

use std::fmt::Write;

/// A bar that is parted as the numbers are, each part in a colour of the page's style (`s-NAME`), as one `<svg>` element; parts of
/// nothing are left out. It repeats what its row says in numbers, so it is hidden from readers of text.
pub fn stacked_bar(parts: &[(&str, usize)]) -> String {
    let all: usize = parts.iter().map(|(_, count)| count).sum();
    let mut svg = String::from(r#"<svg viewBox="0 0 240 14" class="stack" aria-hidden="true" preserveAspectRatio="none">"#);
    let mut before = 0;
    for (name, count) in parts.iter().filter(|(_, count)| *count > 0) {
        let place = |count: usize| count as f64 / all as f64 * 240.0;
        let _ = write!(svg, r#"<rect class="s-{name}" x="{:.1}" width="{:.1}" height="14"/>"#, place(before), place(*count));
        before += count;
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fill_the_bar() {
        let svg = stacked_bar(&[("kept", 3), ("b", 0), ("u", 1)]);
        assert!(
            svg.contains(r#"<rect class="s-kept" x="0.0" width="180.0""#) && svg.contains(r#"<rect class="s-u" x="180.0" width="60.0""#)
        );
        assert!(!svg.contains("s-b") && !stacked_bar(&[("kept", 0)]).contains("NaN"));
    }
}
