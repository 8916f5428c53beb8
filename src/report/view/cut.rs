//! How much of each text a page can hold.

/// Bytes of a page, after escaping, that prompts and completions may take.
const BUDGET: usize = 950_000;
/// No text is shown longer, however few there are.
const LONGEST: usize = 4_000;
/// No text is cut shorter, however many there are.
const SHORTEST: usize = 60;

/// The most characters that are shown of any text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut(pub(super) usize);

impl Cut {
    /// The largest cut with which all texts together fit.
    pub(super) fn fitting<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut bytes_at = vec![0; LONGEST];
        for text in texts {
            for (bytes, character) in bytes_at.iter_mut().zip(text.chars()) {
                *bytes += escaped(character);
            }
        }
        let mut total = 0;
        let fits = bytes_at.iter().take_while(|&&bytes| {
            total += bytes;
            total <= BUDGET
        });
        Self(fits.count().max(SHORTEST))
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

/// Bytes of a character in a page.
fn escaped(character: char) -> usize {
    match character {
        '<' | '>' => 4,
        '&' => 5,
        '"' => 6,
        // A replacement character.
        other if other.is_control() => 3,
        other => other.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_long_texts_fit_and_few_are_whole() {
        let few = ["a\u{e9}b", "<"];
        let cut = Cut::fitting(few.iter().copied());
        assert_eq!((cut.0, cut.of(few[0])), (LONGEST, (few[0].to_owned(), 0)));
        let long = "<é".repeat(2_000);
        let cut = Cut::fitting(std::iter::repeat_n(long.as_str(), 1_000));
        // 4 and 2 bytes in turn: two characters take 6 bytes of 950.
        assert_eq!(cut.0, 316);
        let (shown, left_out) = cut.of(&long);
        assert_eq!((shown.chars().count(), left_out), (316, 3_684));
        assert_eq!(Cut::fitting(std::iter::repeat_n(long.as_str(), 100_000)).0, SHORTEST);
        assert_eq!((Cut(2).signed("abc"), Cut(3).signed("abc")), ("ab…".into(), "abc".into()));
    }
}
