//! The final answer of a text, and whether it equals the reference.

use super::rule::Extract;

/// (what was extracted, whether it equals the reference's answer). Numbers are compared as numbers: 18 = 18.0 = `$18`.
/// A completion without the answer's mark is wrong.
pub fn exact_match(reference: &str, completion: &str, extract: Extract) -> (Option<String>, bool) {
    let found = answer(completion, extract);
    let expected = reference_answer(reference, extract);
    let correct = found.as_ref().is_some_and(|found| !found.is_empty() && *found == expected);
    (found, correct)
}

/// The reference's answer, as it is compared; a reference may be the bare answer.
pub fn reference_answer(reference: &str, extract: Extract) -> String {
    let whole = if extract == Extract::Text { None } else { whole_number(reference) };
    whole.or_else(|| answer(reference, extract)).or_else(|| number(reference)).unwrap_or_else(|| fold(reference))
}

fn answer(text: &str, extract: Extract) -> Option<String> {
    match extract {
        Extract::Gsm8k => {
            let after = &text[text.find("####")? + 4..];
            number(after.lines().next().unwrap_or_default())
        }
        Extract::LastNumber => last_number(text),
        Extract::Text => Some(fold(text)),
    }
}

fn fold(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text that begins with a number, as that number in one form.
fn number(text: &str) -> Option<String> {
    let plain: String = text.trim().chars().filter(|c| !matches!(c, ',' | '$')).collect();
    let end =
        plain.char_indices().find(|(i, c)| !(c.is_ascii_digit() || *c == '.' || (*i == 0 && *c == '-'))).map_or(plain.len(), |(i, _)| i);
    canonical(plain[..end].trim_end_matches('.'))
}

/// A text that is nothing but a number, also with an exponent (`1e3`), in one form.
fn whole_number(text: &str) -> Option<String> {
    let text = text.trim();
    text.ends_with(|c: char| c.is_ascii_digit()).then(|| canonical(text)).flatten()
}

/// The last number of a text. A sign stands directly before a number and not behind one: `10-15` ends with 15. Commas set off
/// thousands alone: `1,234` is one number, `3,4` are two.
fn last_number(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |place: usize| bytes.get(place).is_some_and(u8::is_ascii_digit);
    let behind = |place: usize| place > 0 && digit(place - 1);
    let mut plain = String::with_capacity(text.len());
    for (place, &byte) in bytes.iter().enumerate() {
        match byte {
            b'0'..=b'9' | b'.' => plain.push(char::from(byte)),
            b'-' if !behind(place) && (digit(place + 1) || (bytes.get(place + 1) == Some(&b'.') && digit(place + 2))) => {
                plain.push_str(" -");
            }
            b',' if behind(place) && (1..=3).all(|i| digit(place + i)) && !digit(place + 4) => {}
            _ => plain.push(' '),
        }
    }
    plain.split_whitespace().filter_map(|part| canonical(part.trim_matches('.'))).next_back()
}

/// `18.0`, `018` and `18` are `18`.
fn canonical(digits: &str) -> Option<String> {
    let value: f64 = digits.parse().ok().filter(|value: &f64| value.is_finite())?;
    Some(if value.fract() == 0.0 && value.abs() < 1e15 { format!("{}", value as i64) } else { format!("{value}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gsm8k_answers() {
        for (completion, correct) in [
            ("5 + 13 = 18\n#### 18", true),
            ("#### 18.0", true),
            ("#### $18.", true),
            ("#### 18 apples\nNo: #### 7", true),
            ("#### 7\nNo: #### 18", false),
            ("The answer is 18", false),
            ("#### eighteen", false),
            ("#### 181", false),
            ("#### -18", false),
            ("", false),
        ] {
            assert_eq!(exact_match("x\n#### 18", completion, Extract::Gsm8k).1, correct, "{completion:?}");
        }
        assert!(exact_match("#### 1,234", "#### 1234", Extract::Gsm8k).1);
        assert!(exact_match("18", "#### 18", Extract::Gsm8k).1);
        assert_eq!(exact_match("#### 1", "no mark", Extract::Gsm8k).0, None);
    }

    #[test]
    fn other_answers() {
        assert!(exact_match("so 7", "3 and then 7.", Extract::LastNumber).1);
        for (number, text) in [
            ("3", "a 3-day trip"),
            ("15", "pages 10-15"),
            ("4", "3,4"),
            ("-5", "it is -5."),
            ("-0.5", "it is -.5"),
            ("7", "8 - 1 = 7"),
            ("1234.5", "1,234.5"),
            ("-1234567", "-1,234,567"),
            ("2345", "1,2345"),
            ("1000", "$1,000."),
        ] {
            assert_eq!(last_number(text).as_deref(), Some(number), "{text}");
        }
        assert_eq!(last_number("none - at, all."), None);
        assert!(exact_match("1e3", "it is 1,000", Extract::LastNumber).1 && exact_match("1.50", "#### 1.5", Extract::Gsm8k).1);
        assert!(exact_match("a  b", " a b\n", Extract::Text).1);
        assert!(!exact_match("a b", "", Extract::Text).1);
    }
}
