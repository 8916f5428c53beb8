//! How much of each text a page can hold.

/// No text is shown longer, however few there are.
const LONGEST: usize = 4_000;

/// The most characters that are shown of any text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cut(pub(super) usize);

impl Cut {
    /// No text is cut shorter, however many there are.
    pub(super) const SHORTEST: Self = Self(60);

    /// The largest cut with which all texts together take at most `room` bytes of JSON; none where even the shortest takes more.
    pub(super) fn fitting<'a>(texts: impl Iterator<Item = &'a str>, room: usize) -> Option<Self> {
        let mut bytes_at = vec![0; LONGEST];
        for text in texts {
            for (bytes, character) in bytes_at.iter_mut().zip(text.chars()) {
                *bytes += escaped(character);
            }
        }
        let mut total = 0;
        let fits = bytes_at.iter().take_while(|&&bytes| {
            total += bytes;
            total <= room
        });
        Some(Self(fits.count())).filter(|&cut| cut >= Self::SHORTEST)
    }

    /// The most characters, where they are fewer than the most of any page.
    pub(super) fn cuts(self) -> Option<usize> {
        (self.0 < LONGEST).then_some(self.0)
    }

    /// A text's beginning, and how many characters are left out.
    pub(super) fn of(self, text: &str) -> (String, usize) {
        match text.char_indices().nth(self.0) {
            Some((end, _)) => (text[..end].into(), text[end..].chars().count()),
            None => (text.into(), 0),
        }
    }

    /// A text's beginning, with a sign where something is left out.
    pub(super) fn signed(self, text: &str) -> String {
        let (shown, left_out) = self.of(text);
        if left_out > 0 { shown + "…" } else { shown }
    }
}

/// Bytes of a character in the page's JSON.
fn escaped(character: char) -> usize {
    match character {
        '<' => 6,
        '"' | '\\' | '\n' | '\t' => 2,
        // A replacement character.
        other if other.is_control() => 3,
        other => other.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn many_long_texts_fit_and_few_are_whole() {
        let few = ["a\u{e9}b", "<"];
        let cut = Cut::fitting(few.iter().copied(), 10).unwrap();
        assert_eq!((cut.0, cut.of(few[0])), (LONGEST, (few[0].to_owned(), 0)));
        let long = "\"é\\".repeat(2_000);
        // Each character takes 2 bytes.
        let cut = Cut::fitting(std::iter::repeat_n(long.as_str(), 1_000), 632_500).unwrap();
        assert_eq!(cut.0, 316);
        let (shown, left_out) = cut.of(&long);
        assert_eq!((shown.chars().count(), left_out), (316, 5_684));
        assert_eq!(Cut::fitting(std::iter::repeat_n(long.as_str(), 100_000), 950_000), None);
        assert_eq!((Cut(2).signed("abc"), Cut(3).signed("abc")), ("ab…".into(), "abc".into()));
    }
}
