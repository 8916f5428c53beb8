//! Questions about lists of words, which the embedded model was never asked: which word comes second, and how many there are. Tasks for
//! sequences.

use serde_json::{Value, json};

use super::Dice;
use super::skills::WORDS;

/// Words from here on are in the rows with `split` "test" alone.
const TEST_WORDS: usize = 28;

/// Rows to train on; as many again as a quarter of them are held out.
const TRAIN: usize = 600;

/// The second word of three to five.
pub(super) fn seconds() -> Vec<Value> {
    rows("tiny-second", |words| (format!("Which word comes second: {}?", words.join(" ")), words[1].to_owned()))
}

/// How many words there are, two to six.
pub(super) fn counts() -> Vec<Value> {
    rows("tiny-count", |words| (format!("How many words are here: {}?", words.join(" ")), format!("There are {} words.", words.len())))
}

fn rows(set: &str, ask: impl Fn(&[&str]) -> (String, String)) -> Vec<Value> {
    let (least, kinds) = if set == "tiny-second" { (3, 3) } else { (2, 5) };
    let row = |row: usize| {
        let mut dice = Dice::new(set, row);
        let test = row >= TRAIN;
        let from = if test { &WORDS[TEST_WORDS..] } else { &WORDS[..TEST_WORDS] };
        let count = least + dice.below(kinds);
        let words: Vec<&str> = (0..count).map(|_| dice.pick(from)).collect();
        let (prompt, response) = ask(&words);
        let answer = if set == "tiny-second" { response.clone() } else { count.to_string() };
        json!({
            "prompt": prompt, "response": response, "category": "list", "topic": "list", "answer": answer,
            "split": if test { "test" } else { "train" },
        })
    };
    (0..TRAIN + TRAIN / 4).map(row).collect()
}
