//! What is learnt of a row: the reply with its end, and all of a plain text but what the tokenizer puts before it.

use serde_json::{Value, json};
use steadfast::data::DataError;
use steadfast::data::example::encode;
use steadfast::data::rows::{Message, Row};
use steadfast::data::template::DATE;
use steadfast::data::tokenizer::TextModel;

use crate::tiny::Home;

/// The tokenizer of bytes with a change to its file.
fn tokenizer(change: impl FnOnce(&mut Value)) -> TextModel {
    let home = Home::new();
    let path = home.path("model/tokenizer.json");
    let mut written: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut written);
    std::fs::write(&path, written.to_string()).unwrap();
    TextModel::from_folder(&home.path("model"), DATE).unwrap()
}

fn row(number: usize, turns: &[(&str, &str)]) -> Row {
    let messages = turns.iter().map(|(role, content)| Message { role: (*role).into(), content: (*content).into() }).collect();
    Row { id: "7f3c9a01b2de".into(), number, messages, fields: Default::default(), lists: Default::default() }
}

fn bytes(text: &str) -> Vec<u32> {
    text.bytes().map(u32::from).collect()
}

#[test]
fn an_end_token_that_takes_white_space_along_is_learnt() {
    const END: u32 = 258;
    for rstrip in [false, true] {
        let text = tokenizer(|tokenizer| {
            tokenizer["model"]["vocab"]["<|end|>"] = END.into();
            tokenizer["added_tokens"].as_array_mut().unwrap().push(json!({"id": END, "content": "<|end|>", "single_word": false,
                "lstrip": false, "rstrip": rstrip, "normalized": false, "special": true}));
        });
        let text = text
            .with_template(
                "{% for m in messages %}{{ m.role + ':' + m.content + '<|end|>\\n' }}{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}",
            )
            .unwrap();
        let conversation = row(1, &[("user", "a"), ("assistant", "yes"), ("user", "b"), ("assistant", "no")]);
        let example = encode(&text, &[conversation], 99).unwrap().examples.remove(0);
        let learnt: Vec<u32> = example.tokens.iter().zip(&example.supervised).filter(|(_, learn)| **learn).map(|(id, _)| *id).collect();
        assert_eq!(learnt, [bytes("yes"), vec![END], bytes("no"), vec![END]].concat(), "rstrip {rstrip}");
        // The white space behind the end token is a token of its own, or a part of that one.
        assert_eq!(example.tokens.last(), Some(if rstrip { &END } else { &10 }));
    }
}

#[test]
fn plain_text_is_learnt_from_the_begin_token_on() {
    let text = tokenizer(|tokenizer| {
        tokenizer["post_processor"] = json!({"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [256], "tokens": ["<s>"]}}});
    });
    let of = |plain: &str| encode(&text, &[row(1, &[("text", plain)])], 99).unwrap().examples.remove(0);
    let expected = [vec![256], bytes("ab"), vec![257]].concat();
    let example = of("ab");
    assert_eq!((&example.tokens, &example.supervised), (&expected, &vec![false, true, true, true]));
    assert_eq!(example.supervised_tokens(), 3);
    // A text that has it has it once.
    assert_eq!(of("<s>ab").tokens, expected);
}

#[test]
fn rows_are_named_by_their_number() {
    let text = tokenizer(|_| {});
    let rows = [row(1, &[("user", "a"), ("assistant", "b")]), row(2, &[("user", "a")])];
    let fails = |text: &TextModel, rows: &[Row]| encode(text, rows, 99).unwrap_err();
    assert_eq!(fails(&text, &rows).to_string(), "training data, row 2: it has no reply to learn from");
    assert!(fails(&text, &[row(1, &[])]).to_string().contains("row 1:"));
    let mut named = rows[1].clone();
    named.fields.insert("key".into(), named.id.clone());
    assert!(fails(&text, &[named]).to_string().contains("row 2 (id 7f3c9a01b2de):"));
    let refusing = "{% if messages[0].content == 'b' %}{{ raise_exception('Conversation roles must alternate') }}{% endif %}{% for m in messages %}<s>{{ m.content }}</s>{% endfor %}";
    let rows = [row(1, &[("user", "a"), ("assistant", "x")]), row(2, &[("user", "b"), ("assistant", "x")])];
    let text = text.with_template(refusing).unwrap();
    let error = fails(&text, &rows);
    assert!(matches!(&error, DataError::Row { row, .. } if row == "2"), "{error}");
    assert!(error.to_string().starts_with("training data, row 2: chat template: Conversation roles must alternate"), "{error}");
}
