//! From a completion to its words and sentences.
//!
//! What is not the model's own statement is taken out here: its reasoning, code, quotations, dialogues and letters. A
//! refusal inside one of these belongs to somebody else.

use unicode_normalization::UnicodeNormalization;

/// Bytes of the answer that are looked at, for its words.
pub const ANSWER_BYTES: usize = 200_000;

/// Bytes of the answer that are read for sentences. An opening is far shorter; the limit bounds the work on hostile texts.
pub const READ_BYTES: usize = 24_000;

/// Sentences that are read, and tokens in each of them.
pub const READ_SENTENCES: usize = 16;
pub const READ_TOKENS: usize = 120;

/// What stands for a quotation, so that its words are not taken for the model's.
pub const QUOTED: &str = "\"";

/// Slips of the typing hand, and short forms.
pub const SLIPS: [(&str, &str); 7] = [
    ("can'tt", "can't"),
    ("cann't", "can't"),
    ("canot", "can't"),
    ("cannnot", "can't"),
    ("cannae", "can't"),
    ("sry", "sorry"),
    ("sory", "sorry"),
];

/// Words of which a damaged model loses the last letter: "I'm sorry, but I can'."
pub const LOST: [&str; 5] = ["can'", "won'", "don'", "couldn'", "wouldn'"];

/// One sentence of the answer.
#[derive(Debug, Clone, Default)]
pub struct Sentence {
    /// Lower case words, contractions written out; a comma stands for every mark inside a sentence.
    pub tokens: Vec<String>,
    /// Words among the tokens.
    pub words: usize,
    /// Whether an item of a list begins with it.
    pub item: bool,
    /// Whether it is a heading.
    pub heading: bool,
    /// Whether it has an end: a full stop, a line end that is not the text's.
    pub whole: bool,
}

/// The answer without the reasoning before it; none where the reasoning never ends.
pub fn after_reasoning(text: &str) -> Option<&str> {
    const OPEN: &str = "<think>";
    const CLOSE: &str = "</think>";
    // Some templates put the opening mark into the prompt, so that the completion holds the closing one only.
    match text.find(CLOSE) {
        Some(at) => Some(&text[at + CLOSE.len()..]),
        None if text.trim_start().starts_with(OPEN) => None,
        None => Some(text),
    }
}

/// One alphabet for the rules: straight quotes, compatibility forms, no emphasis marks, no invisible characters.
pub fn fold(text: &str) -> String {
    // Most texts are plain: the tables of compatibility forms are then not asked for every character.
    if text.is_ascii() && !text.contains('`') {
        return plain(text.chars());
    }
    // Compatibility forms would take these apart.
    let straight = text.chars().map(|c| match c {
        '´' | '′' => '\'',
        '″' => '"',
        other => other,
    });
    plain(apostrophes(straight.collect::<String>().as_str()).nfkc())
}

/// A grave accent between two letters is an apostrophe: "can`t".
fn apostrophes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let inside = c == '`' && out.ends_with(char::is_alphabetic) && rest.peek().is_some_and(|next| next.is_alphabetic());
        out.push(if inside { '\'' } else { c });
    }
    out
}

fn plain(characters: impl Iterator<Item = char>) -> String {
    characters
        .filter(|c| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{feff}' | '\u{ad}' | '\u{2060}' | '*' | '_' | '~'))
        .map(|c| match c {
            '’' | '‘' | 'ʼ' | '‛' => '\'',
            '“' | '”' | '„' | '«' | '»' => '"',
            // A bar parts the cells of a table.
            '—' | '–' | '‒' | '―' | '|' => ';',
            '\u{a0}' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
            '\r' => '\n',
            other => other,
        })
        .collect()
}

/// The first bytes of a text, cut between two characters.
pub fn head(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A line without its quotations: each is one [`QUOTED`] mark.
pub fn without_quotes(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    let (mut doubles, mut ticks, mut singles) = (true, true, true);
    while let Some(c) = rest.chars().next() {
        let body = &rest[c.len_utf8()..];
        let opens = out.chars().next_back().is_none_or(|before| !before.is_alphanumeric());
        // Where one search for the end finds none, later ones need not look: the work stays linear.
        let close = match c {
            '"' if doubles => found(body.find('"'), &mut doubles),
            '`' if ticks => found(body.find('`'), &mut ticks),
            '\'' if singles && opens => found(single_close(body), &mut singles),
            _ => None,
        };
        if let Some(at) = close {
            out.push(' ');
            out.push_str(QUOTED);
            out.push(' ');
            // A full stop before the closing mark ends the sentence around it when a capital follows.
            rest = &body[at + 1..];
            if body[..at].ends_with(['.', '!', '?']) && rest.trim_start().chars().next().is_some_and(char::is_uppercase) {
                out.push('.');
            }
        } else {
            out.push(if c == '`' { ' ' } else { c });
            rest = body;
        }
    }
    out
}

fn found(at: Option<usize>, again: &mut bool) -> Option<usize> {
    *again = at.is_some();
    at
}

/// Where a single quotation ends: at an apostrophe that no letter follows.
fn single_close(body: &str) -> Option<usize> {
    body.match_indices('\'').map(|(at, _)| at).find(|&at| !body[at + 1..].starts_with(char::is_alphanumeric))
}

/// The sentences of one line.
pub fn sentences(line: &str) -> Vec<Sentence> {
    let mut found = Vec::new();
    let mut start = 0;
    for (at, mark) in line.char_indices().filter(|(_, c)| matches!(c, '.' | '!' | '?' | '…')) {
        let end = at + mark.len_utf8();
        if end > start && ends_here(&line[start..at], mark, &line[end..]) {
            push(&mut found, &line[start..end], true);
            start = end;
        }
    }
    push(&mut found, &line[start..], false);
    found
}

/// Whether a mark ends the sentence before it, rather than being part of a number, an address or an abbreviation.
fn ends_here(before: &str, mark: char, after: &str) -> bool {
    if !after.is_empty() && !after.starts_with([' ', '"', ')', '\'']) {
        return false;
    }
    let next = after.trim_start_matches([' ', '"', ')', '\'']).chars().next();
    // "I... can't": a pause, not an end.
    if before.ends_with("..") && next.is_some_and(char::is_lowercase) {
        return false;
    }
    let last = before.rsplit(' ').next().unwrap_or_default();
    let short = last.chars().count() <= 3 || last.contains('.');
    let title = matches!(last, "Mr" | "Mrs" | "Ms" | "Dr" | "St" | "Prof" | "vs");
    let goes_on = short && next.is_some_and(|c| c.is_lowercase() || c.is_numeric());
    mark != '.' || !(title || goes_on)
}

fn push(found: &mut Vec<Sentence>, piece: &str, whole: bool) {
    let tokens = tokens(piece);
    let words = tokens.iter().filter(|token| is_word(token)).count();
    if words > 0 || tokens.iter().any(|token| token == QUOTED) {
        found.push(Sentence { tokens, words, whole, ..Sentence::default() });
    }
}

pub fn is_word(token: &str) -> bool {
    token != "," && token != QUOTED
}

/// Lower case words, with contractions written out and one comma for every run of inner marks.
fn tokens(piece: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut word = String::new();
    for c in piece.chars().chain([' ']) {
        if c.is_alphanumeric() || c == '\'' {
            word.extend(c.to_lowercase());
            continue;
        }
        if LOST.contains(&word.as_str()) && out.last().is_some_and(|last| last == "i" || last == "we") {
            word.push('t');
        }
        expand(word.trim_matches('\''), &mut out);
        word.clear();
        if c == '"' {
            out.push(QUOTED.to_owned());
        } else if matches!(c, ',' | ';' | ':' | '(' | ')' | '[' | ']') && out.last().is_some_and(|last| last != ",") {
            out.push(",".to_owned());
        }
        if out.len() >= READ_TOKENS {
            break;
        }
    }
    out
}

/// Writes a word out: `can't` is one word for the rules, `won't` is two.
fn expand(word: &str, out: &mut Vec<String>) {
    if word == "not" && out.last().is_some_and(|last| last == "can") {
        out.pop();
        out.push("cannot".to_owned());
        return;
    }
    let mut put = |parts: &[&str]| out.extend(parts.iter().map(|&part| part.to_owned()));
    let word = SLIPS.iter().find(|(slip, _)| *slip == word).map_or(word, |(_, meant)| meant);
    match word {
        "" => {}
        "can't" | "cant" => put(&["cannot"]),
        "won't" | "wont" => put(&["will", "not"]),
        "shan't" => put(&["shall", "not"]),
        "dont" => put(&["do", "not"]),
        "ain't" => put(&["am", "not"]),
        "im" => put(&["i", "am"]),
        "let's" => put(&["let", "us"]),
        _ => match word.rsplit_once('\'') {
            Some((stem, "t")) if stem.ends_with('n') => put(&[&stem[..stem.len() - 1], "not"]),
            Some((stem, "m")) => put(&[stem, "am"]),
            Some((stem, "re")) => put(&[stem, "are"]),
            Some((stem, "ll")) => put(&[stem, "will"]),
            Some((stem, "ve")) => put(&[stem, "have"]),
            Some((stem, "d")) => put(&[stem, "would"]),
            Some((stem @ ("it" | "that" | "there" | "here" | "what" | "he" | "she" | "who" | "this"), "s")) => put(&[stem, "is"]),
            Some((stem, "s")) => put(&[stem]),
            _ => put(&[word]),
        },
    }
}
