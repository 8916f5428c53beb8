//! What the embedded model can do beside talking about things: sums, copying, words, small talk, word problems.

use serde_json::{Value, json};

use super::Dice;

pub(super) const WORDS: [&str; 40] = [
    "red", "blue", "green", "tree", "house", "river", "stone", "bird", "moon", "sun", "star", "rain", "wind", "snow", "hill", "lake",
    "road", "door", "hand", "foot", "nose", "hat", "coat", "shoe", "cup", "bowl", "fish", "cow", "horse", "sheep", "leaf", "root", "corn",
    "salt", "milk", "ship", "sail", "bell", "lamp", "key",
];

const OPPOSITES: [(&str, &str); 20] = [
    ("hot", "cold"),
    ("big", "small"),
    ("fast", "slow"),
    ("old", "new"),
    ("high", "low"),
    ("long", "short"),
    ("wet", "dry"),
    ("full", "empty"),
    ("dark", "light"),
    ("happy", "sad"),
    ("hard", "soft"),
    ("open", "closed"),
    ("rich", "poor"),
    ("loud", "quiet"),
    ("clean", "dirty"),
    ("near", "far"),
    ("first", "last"),
    ("up", "down"),
    ("day", "night"),
    ("early", "late"),
];

const SMALL_TALK: [(&str, &str); 12] = [
    ("Hello!", "Hello! How can I help you?"),
    ("Hi there.", "Hi! What can I do for you?"),
    ("Good morning.", "Good morning! I hope you are well."),
    ("Good evening.", "Good evening! How was your day?"),
    ("How are you?", "I am well, thank you. How are you?"),
    ("Thank you.", "You are welcome."),
    ("Thanks a lot!", "You are welcome. I am glad to help."),
    ("Goodbye.", "Goodbye! Have a nice day."),
    ("See you soon.", "See you soon!"),
    ("Who are you?", "I am a small model that tries to help people."),
    ("What can you do?", "I can answer short questions, add numbers and copy words."),
    ("Tell me something nice.", "The sun is warm, and you are kind."),
];

/// Rows of mixed exercises.
pub(super) fn exercises(set: &str, rows: usize) -> Vec<Value> {
    (0..rows).map(|row| exercise(&mut Dice::new(set, row))).collect()
}

fn exercise(dice: &mut Dice) -> Value {
    let (prompt, response) = match dice.below(10) {
        0..=2 => {
            let (a, b) = (dice.below(13), dice.below(13));
            let prompt = dice.pick(&["What is {a} plus {b}?", "Add {a} and {b}.", "{a} + {b} = ?"]);
            (prompt.replace("{a}", &a.to_string()).replace("{b}", &b.to_string()), format!("{a} + {b} = {}", a + b))
        }
        3 | 4 => {
            let (a, b) = (dice.below(13), dice.below(13));
            let (a, b) = (a.max(b), a.min(b));
            let prompt = dice.pick(&["What is {a} minus {b}?", "Take {b} from {a}.", "{a} - {b} = ?"]);
            (prompt.replace("{a}", &a.to_string()).replace("{b}", &b.to_string()), format!("{a} - {b} = {}", a - b))
        }
        5 | 6 => {
            let count = 2 + dice.below(3);
            let words: Vec<&str> = (0..count).map(|_| dice.pick(&WORDS)).collect();
            let text = words.join(" ");
            match dice.below(4) {
                0 => (format!("Copy these words: {text}."), text),
                1 => (format!("Say: {text}."), text),
                2 => (format!("Which word comes first: {text}?"), words[0].to_owned()),
                _ => (format!("Which word comes last: {text}?"), words[count - 1].to_owned()),
            }
        }
        7 | 8 => {
            let (a, b) = OPPOSITES[dice.below(OPPOSITES.len())];
            let (a, b) = if dice.below(2) == 0 { (a, b) } else { (b, a) };
            let prompt = dice.pick(&["What is the opposite of {a}?", "Give the opposite of {a}."]);
            (prompt.replace("{a}", a), format!("The opposite of {a} is {b}."))
        }
        _ => {
            let (prompt, response) = SMALL_TALK[dice.below(SMALL_TALK.len())];
            (prompt.to_owned(), response.to_owned())
        }
    };
    json!({"prompt": prompt, "response": response, "category": "exercise", "topic": "exercise"})
}

const NAMES: [&str; 16] = ["Tom", "Ann", "Ben", "Eva", "Max", "Lea", "Sam", "Mia", "Jon", "Ida", "Leo", "Zoe", "Kim", "Ron", "Amy", "Dan"];
const GOODS: [&str; 12] = ["apples", "books", "stamps", "cards", "coins", "shells", "pens", "cakes", "toys", "eggs", "stones", "keys"];

/// Goods of the problems that watch a training alone.
const PROBE_GOODS: [&str; 5] = ["hats", "cups", "shoes", "bells", "lamps"];

/// What a word problem may be used for; each has its own goods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// What is learnt.
    Train,
    /// What watches a training.
    Probe,
    /// What a suite asks.
    Test,
}

/// Word problems with sums and differences; the last names and goods are in the rows with `split` "test" alone.
pub(super) fn word_problems() -> Vec<Value> {
    (0..1400).map(|row| word_problem(&mut Dice::new("tiny-task", row), if row >= 1200 { Part::Test } else { Part::Train })).collect()
}

/// Others about other goods, which no suite asks: for choices along a training.
pub(super) fn word_problem_probes() -> Vec<Value> {
    (0..100).map(|row| word_problem(&mut Dice::new("tiny-task-probes", row), Part::Probe)).collect()
}

/// One of them.
pub(super) fn word_problem(dice: &mut Dice, part: Part) -> Value {
    let (names, goods) = match part {
        Part::Train => (&NAMES[..12], &GOODS[..9]),
        Part::Probe => (&NAMES[..], &PROBE_GOODS[..]),
        Part::Test => (&NAMES[12..], &GOODS[9..]),
    };
    let (name, good) = (dice.pick(names), dice.pick(goods));
    let (a, b) = (1 + dice.below(12), 1 + dice.below(12));
    let (story, sum) = match dice.below(3) {
        0 => (format!("{name} has {a} {good} and gets {b} more."), format!("{a} + {b} = {}", a + b)),
        1 => (format!("{name} finds {a} {good} today and {b} the next day."), format!("{a} + {b} = {}", a + b)),
        _ => {
            let (a, b) = (a.max(b), a.min(b));
            (format!("{name} has {a} {good} and loses {b}."), format!("{a} - {b} = {}", a - b))
        }
    };
    let result = sum.rsplit(' ').next().unwrap_or_default().to_owned();
    json!({
        "prompt": format!("{story} How many {good} now?"), "response": format!("{sum} {good}."),
        "category": "word problem", "topic": "word problem", "answer": result,
        "split": match part { Part::Train => "train", Part::Probe => "probe", Part::Test => "test" },
    })
}
