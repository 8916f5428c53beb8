//! Chat templates of the great families, for models that bring none: told by the special tokens that their tokenizers have.

/// A chat template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Its name, also of the file that it is written to.
    pub name: &'static str,
    /// Jinja.
    pub template: &'static str,
    /// The tokens that only this family's conversations are written with.
    tokens: [&'static str; 2],
}

const FAMILIES: [Family; 3] = [
    Family { name: "chatml", template: include_str!("../../templates/chat/chatml.jinja"), tokens: ["<|im_start|>", "<|im_end|>"] },
    Family { name: "llama-3", template: include_str!("../../templates/chat/llama-3.jinja"), tokens: ["<|start_header_id|>", "<|eot_id|>"] },
    Family { name: "mistral", template: include_str!("../../templates/chat/mistral.jinja"), tokens: ["[INST]", "[/INST]"] },
];

/// The family whose tokens a tokenizer knows; none where it knows those of no family.
pub fn family(knows: impl Fn(&str) -> bool) -> Option<Family> {
    FAMILIES.into_iter().find(|family| family.tokens.iter().all(|token| knows(token)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::data::rows::Message;
    use crate::data::template::{ChatTemplate, DATE};

    fn rendered(token: &str) -> (String, String) {
        let family = family(|known| known.trim_matches(['<', '|', '>', '[', ']', '/']).starts_with(token)).unwrap();
        let message = |role: &str, content: &str| Message { role: role.into(), content: content.into() };
        let messages = [message("system", "S"), message("user", "U"), message("assistant", "A")];
        let template = ChatTemplate::new(family.template, "<s>", "</s>", DATE).unwrap();
        (template.render(&messages, false).unwrap(), template.render(&messages[..2], true).unwrap())
    }

    #[test]
    fn conversations_look_as_their_families_write_them() {
        let chatml = "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n";
        assert_eq!(rendered("im_"), (format!("{chatml}A<|im_end|>\n"), chatml.into()));
        let mistral = "<s>[INST] S\n\nU [/INST]";
        assert_eq!(rendered("INST"), (format!("{mistral} A</s>"), mistral.into()));
        let turn = |role: &str, text: &str| format!("<|start_header_id|>{role}<|end_header_id|>\n\n{text}");
        let open = format!("<s>{}<|eot_id|>{}<|eot_id|>{}", turn("system", "S"), turn("user", "U"), turn("assistant", ""));
        let llama = family(|known| known.contains("header") || known.contains("eot")).unwrap();
        let template = ChatTemplate::new(llama.template, "<s>", "</s>", DATE).unwrap();
        let message = |role: &str, content: &str| Message { role: role.into(), content: content.into() };
        assert_eq!(template.render(&[message("system", "S"), message("user", "U")], true).unwrap(), open);
        assert_eq!(family(|_| false), None);
    }
}
