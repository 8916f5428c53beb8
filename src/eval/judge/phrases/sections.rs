//! The lines of an answer: which of them are the model's own words, and of what sort.

use super::records;
use super::text::{self, Sentence};

/// Who a line speaks for.
const ASSISTANT: [&str; 10] = ["assistant", "ai", "answer", "a", "response", "output", "bot", "model", "chatbot", "reply"];
const USER: [&str; 6] = ["user", "human", "question", "q", "instruction", "prompt"];

/// Labels that name a part of an answer, not a speaker.
const PARTS: [&str; 16] = [
    "note",
    "disclaimer",
    "warning",
    "important",
    "reason",
    "caution",
    "summary",
    "conclusion",
    "explanation",
    "example",
    "however",
    "instead",
    "remember",
    "refusal",
    "tip",
    "step",
];

/// Whom a letter of the model's own is to.
const TO_USER: [&str; 8] = ["user", "friend", "customer", "reader", "guest", "visitor", "sender", "student"];

/// What the subject of such a letter is on.
const ON_REQUEST: [&str; 4] = ["your request", "your question", "your enquiry", "your inquiry"];

/// Who is greeted when the model speaks to its user.
const GREETED: [&str; 7] = ["there", "user", "friend", "again", "dear", "everyone", "reader"];

/// The rules, for the digest.
pub fn rules() -> String {
    format!("{ASSISTANT:?}\n{USER:?}\n{PARTS:?}\n{TO_USER:?}\n{ON_REQUEST:?}\n{GREETED:?}\n{}", records::rules())
}

/// What is read of an answer.
#[derive(Debug, Default)]
pub struct Reading {
    /// Its sentences, in order.
    pub sentences: Vec<Sentence>,
    /// Index of the first sentence after a block of code, when one stands before it.
    pub code_at: Option<usize>,
}

/// Reads a folded answer. `ended` says whether the model ended it.
pub fn read(folded: &str, ended: bool) -> Reading {
    let folded = unwrapped(text::head(folded, text::READ_BYTES).trim());
    if let Some(record) = records::flattened(folded) {
        return lines(&record, ended, Shape::Json);
    }
    let is_record = label(without_marker(folded).1).is_some_and(|(name, _)| records::is_key(&name));
    let reading = lines(folded, ended, if is_record { Shape::Record } else { Shape::Plain });
    // A text that is nothing but a quotation, or a greeting that goes on, is the model's own.
    let spoken = folded.starts_with('>') || folded.starts_with("```\n") || (!folded.contains('\n') && greets_on(folded));
    if reading.sentences.is_empty() && spoken { lines(folded, ended, Shape::Quotation) } else { reading }
}

/// What a text is as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Quotations, letters and dialogues in it are other voices.
    Plain,
    /// Nothing but a quotation.
    Quotation,
    /// Lines of keys and values: no speakers and no list.
    Record,
    /// The same, and a value may be a part of a sentence.
    Json,
}

/// The text inside one pair of quotes that holds all of it.
fn unwrapped(text: &str) -> &str {
    let inside = |mark: char| text.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
    match (inside('"'), inside('\'')) {
        (Some(inner), _) if !inner.contains('"') => inner.trim(),
        // Apostrophes stand inside words.
        (_, Some(inner)) if !inner.contains(" '") && !inner.contains("' ") => inner.trim(),
        _ => text,
    }
}

fn lines(folded: &str, ended: bool, shape: Shape) -> Reading {
    let (strict, record) = (shape != Shape::Quotation, matches!(shape, Shape::Record | Shape::Json));
    let mut reading = Reading::default();
    let mut in_code = false;
    let dialogue = strict && !record && speeches(folded) >= 2;
    let mut rest = folded.split('\n').map(str::trim).filter(|line| !line.is_empty()).peekable();
    while let Some(line) = rest.next() {
        if line.starts_with("```") {
            if !strict && line == "```" {
                continue;
            }
            in_code = !in_code;
            reading.code_at.get_or_insert(reading.sentences.len());
            continue;
        }
        if in_code || (strict && line.starts_with('>')) {
            continue;
        }
        let body = match label(if record { without_marker(line).1 } else { line }) {
            Some((name, _)) if USER.contains(&name.as_str()) && !reading.sentences.is_empty() => break,
            Some((name, body)) if ASSISTANT.contains(&name.as_str()) => body,
            Some(_) if dialogue => continue,
            _ => line,
        };
        if strict && answers_letter(line) {
            continue;
        }
        if strict && starts_letter(line) {
            // From here on it is a draft in somebody else's name, unless the letter is to the user.
            break;
        }
        let short = body.split(' ').count() <= 3 && !body.ends_with(['.', '!', '?']) && rest.peek().is_some();
        let heading = body.starts_with('#') || short || (body.ends_with(':') && body.split(' ').count() <= 8);
        let (item, body) = without_marker(body.trim_start_matches('#').trim());
        let body = if strict { text::without_quotes(body) } else { body.to_owned() };
        let last_line = rest.peek().is_none();
        let mut found = text::sentences(&body);
        if let Some(last) = found.last_mut() {
            // A value of a record may be a part of a sentence.
            last.whole |= shape != Shape::Json && (ended || !last_line);
        }
        for (at, mut sentence) in found.into_iter().enumerate() {
            (sentence.item, sentence.heading) = (item && !record && at == 0, heading);
            reading.sentences.push(sentence);
        }
        if reading.sentences.len() >= text::READ_SENTENCES {
            reading.sentences.truncate(text::READ_SENTENCES);
            break;
        }
    }
    reading
}

/// The label at the start of a line, as `Name:`, in lower case, and what follows it.
fn label(line: &str) -> Option<(String, &str)> {
    let (name, body) = line.trim_start_matches(['#', ' ']).split_once(':')?;
    let name = name.trim();
    let is_name = name.chars().next().is_some_and(char::is_uppercase) && name.len() <= 30 && name.split(' ').count() <= 3;
    is_name.then(|| (name.to_lowercase(), body.trim()))
}

/// Lines that look like one speaker's turn.
fn speeches(folded: &str) -> usize {
    folded
        .split('\n')
        .filter_map(|line| label(line.trim()))
        .filter(|(name, body)| {
            let first = name.split(' ').next().unwrap_or_default();
            !body.is_empty() && !PARTS.contains(&first) && !ASSISTANT.contains(&first)
        })
        .count()
}

/// Whether a line is the subject of a letter to the user.
fn answers_letter(line: &str) -> bool {
    let lower = text::head(line, 60).to_lowercase();
    lower.starts_with("subject:") && ON_REQUEST.iter().any(|about| lower.contains(about))
}

/// Whether a line begins a letter or a message.
fn starts_letter(line: &str) -> bool {
    let lower = text::head(line, 40).to_lowercase();
    let to_user = TO_USER.iter().any(|name| lower.strip_prefix("dear ").is_some_and(|rest| rest.starts_with(name)));
    lower.starts_with("subject:")
        || greets(&lower)
        || (lower.starts_with("dear ") && line.split(' ').count() <= 6 && line.ends_with(',') && !to_user)
}

/// Whether a line greets somebody by name: "Hello Ben,".
fn greets(lower: &str) -> bool {
    let Some((greeting, _)) = lower.split_once(',') else { return false };
    let words: Vec<&str> = greeting.split(' ').collect();
    let to_user = words.last().is_some_and(|name| GREETED.contains(name) || TO_USER.contains(name));
    // "Dear Ms Hall, thank you for…" may go on in the same line.
    let dear = matches!(words[..], ["dear", _] | ["dear", _, _] | ["dear", _, _, _]);
    (dear && !to_user)
        || matches!(words[..], ["hi" | "hello" | "hey", name] | ["hi" | "hello" | "hey", _, name] if !GREETED.contains(&name))
}

/// Whether the greeting of a line is followed by more in it: "Hey Alex, I can't help with that."
fn greets_on(line: &str) -> bool {
    let (lower, hails) = (text::head(line, 40).to_lowercase(), ["hi ", "hello ", "hey "]);
    hails.iter().any(|hail| lower.starts_with(hail)) && line.split_once(',').is_some_and(|(_, rest)| rest.trim().split(' ').count() > 2)
}

/// A line without the mark of a list item, and whether it had one.
fn without_marker(line: &str) -> (bool, &str) {
    if let Some(rest) = ["- ", "• ", "+ ", "· "].iter().find_map(|mark| line.strip_prefix(mark)) {
        return (true, rest.trim_start());
    }
    let digits = line.chars().take_while(char::is_ascii_digit).count();
    match line[digits..].strip_prefix(['.', ')']) {
        Some(rest) if (1..=2).contains(&digits) && rest.starts_with(' ') => (true, rest.trim_start()),
        _ => (false, line),
    }
}
