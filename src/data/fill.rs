//! Texts with `{column}` in them, filled with a row's values.

use super::rows::Row;

/// The text with every `{column}` replaced by the row's value. `{column|capitalize}` has a capital at first and small letters behind
/// it, as Python's `str.capitalize` makes them. A brace that is not closed on its line stands for itself.
///
/// # Errors
/// Names a column that the row has no plain value in, or a word behind `|` that is not known.
pub fn fill(template: &str, row: &Row) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        filled.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        let Some(end) = behind.find(['{', '}', '\n']).filter(|&end| behind.as_bytes()[end] == b'}') else {
            filled.push('{');
            rest = behind;
            continue;
        };
        let (column, change) = behind[..end].split_once('|').unwrap_or((&behind[..end], ""));
        let value = row.value(column)?;
        match change {
            "" => filled.push_str(value),
            "capitalize" => filled.push_str(&capitalize(value)),
            other => return Err(format!("{{{column}|{other}}}: {other:?} is not known; write {{{column}|capitalize}}")),
        }
        rest = &behind[end + 1..];
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The first letter large, all others small.
fn capitalize(text: &str) -> String {
    let Some(first) = text.chars().next() else { return String::new() };
    let small: String = text.to_lowercase().chars().skip(first.to_lowercase().count()).collect();
    // A letter that becomes several, such as ß, has one capital.
    let mut large = first.to_uppercase();
    let capital: String = large.next().into_iter().chain(large.flat_map(char::to_lowercase)).collect();
    capital + &small
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_filled_in() {
        let fields = [("a", "x"), ("b c", "ÉTÉ Name")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let row = Row { id: "7".into(), number: 1, messages: Vec::new(), fields: fields.into(), lists: Default::default() };
        assert_eq!(fill("{a}: {b c|capitalize} {\"j\": 1\n}{a}", &row).unwrap(), "x: Été name {\"j\": 1\n}x");
        assert!(fill("{nothing}", &row).unwrap_err().contains("has no value in column \"nothing\"; it has a, b c"));
        assert!(fill("{a|upper}", &row).unwrap_err().contains("\"upper\" is not known"));
        assert_eq!(["", "ß", "ﬁx", "aBC"].map(capitalize), ["", "Ss", "Fix", "Abc"]);
    }
}
