//! The token that ends an assistant's turn, as the chat template writes it.

use super::rows::Message;
use super::tokenizer::TextModel;

/// A reply that no template writes by itself.
const REPLY: &str = "quince";

/// The token behind a reply, which is learnt with it. None where the turn ends in nothing, in several tokens, or in one that could stand
/// in a reply's text, and where no conversation can be rendered.
pub fn turn_end(text: &TextModel) -> Option<u32> {
    let message = |role: &str, content: &str| Message { role: role.into(), content: content.into() };
    let whole = text.render(&[message("user", "What is it?"), message("assistant", REPLY)], false).ok()?;
    // White space behind it belongs to the template.
    let end = whole.rsplit_once(REPLY)?.1.trim();
    let tokens = text.encode(end).ok()?;
    let &[(token, _)] = tokens.as_slice() else { return None };
    // Text that the vocabulary lacks may become a special token too; and these alone are no text again.
    (text.knows(end) && text.decode(&[token]).ok()?.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;
    use crate::data::template::DATE;

    #[test]
    fn a_turn_ends_in_one_special_token_or_in_none() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/tiny-model"));
        let text = TextModel::from_folder(folder, DATE).unwrap();
        assert_eq!(turn_end(&text), Some(0), "its own template");
        let given = |template: &str| turn_end(&text.clone().with_template(template).unwrap());
        for (end, token) in [
            ("<|end|>", Some(0)),
            (" <|system|>\n", Some(3)),
            ("", None),
            ("\n", None),
            (".", None),
            (".<|end|>", None),
            ("<|end|><|user|>", None),
            ("<|im_end|>", None),
        ] {
            let template = format!("{{% for m in messages %}}{{{{ '<|' + m.role + '|>' + m.content }}}}{end}{{% endfor %}}");
            assert_eq!(given(&template), token, "{end:?}");
        }
        assert_eq!(given("{{ raise_exception('no') }}"), None);
        assert_eq!(given("{{ messages[0].content }}"), None, "replies are not written");
    }
}
