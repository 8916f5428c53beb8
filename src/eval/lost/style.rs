//! Whether a reply reads more like one set of texts than like another: by its form, whatever it is about.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::Untold;

/// The fewest replies to the task, and the fewest answers of the aligned model, from which forms are learnt.
pub const REPLIES: usize = 10;
pub const ANSWERS: usize = 20;

/// A reply is close to one of the two sets where its pieces are on average 1.5 times as frequent there: ln 1.5.
pub const CLOSE: f64 = 0.405_465_108_108_164_4;

/// A mark stands in at least this share of the replies to the task, and in at most this share of the answers.
const MARK_IN_REPLIES: f64 = 0.5;
const MARK_IN_ANSWERS: f64 = 0.1;

/// What must be so on the texts themselves, each left out in turn, for the two to be told apart.
const LEAST_FOUND: f64 = 0.8;
const MOST_MISTAKEN: f64 = 0.05;

/// Tokens of a text that are looked at.
const READ_TOKENS: usize = 2_000;

/// What is added to every count, so that an unseen piece does not decide alone.
const SMOOTHING: f64 = 0.5;

/// Words that show how a sentence is built, not what it is about.
const FUNCTION_WORDS: &str = "a an the and or but if so then than that this these those there here it its he she they we you i his \
her their our your my me him them us one each every all some any no not of in on at to for from by with without into over under up \
out off about as is are was were be been being am has have had do does did will would can could should may might must shall what \
which who when where why how first next also more most same other only just very too because while after before until let's";

static IS_FUNCTION_WORD: LazyLock<HashSet<&str>> = LazyLock::new(|| FUNCTION_WORDS.split(' ').collect());

/// One piece of a text's form, as a number: a function word, `w` for any other word, `0` for a number, a line end, any other
/// character itself. Only whether two are the same, and whether it may be a mark, matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token {
    number: u64,
    markable: bool,
}

/// The form of a text: its tokens, behind a sign for the beginning.
pub fn tokens(text: &str) -> Vec<Token> {
    let token = |text: &str, markable: bool| Token { number: number(text), markable };
    let mut found = vec![token("beginning", false)];
    let mut rest = text;
    while let (Some(first), true) = (rest.chars().next(), found.len() <= READ_TOKENS) {
        let length = if first == '\n' {
            found.push(token("\n", false));
            rest.len() - rest.trim_start_matches('\n').len()
        } else if first.is_numeric() {
            found.push(token("0", true));
            number_length(rest)
        } else if first.is_alphabetic() {
            let length = word_length(rest);
            let word = rest[..length].to_lowercase().replace('’', "'");
            found.push(token(if IS_FUNCTION_WORD.contains(word.as_str()) { &word } else { "w" }, false));
            length
        } else {
            if !first.is_whitespace() {
                found.push(token(&rest[..first.len_utf8()], true));
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    found
}

/// Bytes of the digits that a text begins with, with commas and points between them.
fn number_length(text: &str) -> usize {
    let mut length = 0;
    for (at, character) in text.char_indices() {
        match character {
            c if c.is_numeric() => length = at + c.len_utf8(),
            ',' | '.' => {}
            _ => break,
        }
    }
    length
}

/// Bytes of the letters that a text begins with, with apostrophes between them.
fn word_length(text: &str) -> usize {
    let mut characters = text.char_indices().peekable();
    let mut length = 0;
    while let Some((at, character)) = characters.next() {
        let inside = matches!(character, '\'' | '’') && characters.peek().is_some_and(|(_, next)| next.is_alphabetic());
        if !character.is_alphabetic() && !inside {
            break;
        }
        length = at + character.len_utf8();
    }
    length
}

/// FNV-1a.
fn number(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Three tokens in a row, as one number; a shorter text is one piece.
fn pieces(tokens: &[Token]) -> Vec<u64> {
    let piece =
        |window: &[Token]| window.iter().fold(0u64, |all, token| (all.rotate_left(21) ^ token.number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    if tokens.len() < 3 { vec![piece(tokens)] } else { tokens.windows(3).map(piece).collect() }
}

/// How the forms of two sets of texts differ: an arm's replies to the task, and the aligned model's answers to benign prompts.
///
/// A text's closeness is the mean, over its pieces (three tokens in a row), of the logarithm of how frequent the piece is among the
/// replies ÷ among the answers, with half a piece added to every count: 0 is as much like the one as like the other, ln 1.5 is pieces
/// that are 1.5 times as frequent among the replies. It depends on the two sets and the text alone.
#[derive(Debug, Clone)]
pub struct Contrast {
    /// By piece: times in the replies, in the answers.
    counts: HashMap<u64, [u32; 2]>,
    /// Pieces of the replies, of the answers.
    totals: [f64; 2],
    /// Numbers and signs that most replies and few answers hold.
    marks: HashSet<Token>,
    /// Replies and answers that it was learnt from.
    pub texts: [usize; 2],
    /// Replies that are found to be in the task's format, and answers that are mistaken for it, each by what the others show.
    pub found: [usize; 2],
}

impl Contrast {
    /// Learns the difference.
    ///
    /// # Errors
    /// Where there are too few texts, or where the texts themselves cannot be told apart: under 80 % of the replies would be found, or
    /// more than 5 % of the answers would be taken for replies.
    pub fn between(replies: &[&str], answers: &[&str]) -> Result<Self, Untold> {
        if replies.len() < REPLIES {
            return Err(Untold::FewReplies);
        }
        if answers.len() < ANSWERS {
            return Err(Untold::FewAnswers);
        }
        let read = [replies, answers].map(|texts| texts.iter().map(|text| tokens(text)).collect::<Vec<_>>());
        let mut contrast = Self {
            counts: HashMap::new(),
            totals: [0.0; 2],
            marks: marks(&read[0], &read[1]),
            texts: [replies.len(), answers.len()],
            found: [0; 2],
        };
        for (side, texts) in read.iter().enumerate() {
            for piece in texts.iter().flat_map(|text| pieces(text)) {
                contrast.counts.entry(piece).or_default()[side] += 1;
                contrast.totals[side] += 1.0;
            }
        }
        let found = |side: usize| {
            let close = |text: &&Vec<Token>| contrast.has_mark(text) && contrast.closeness_without(text, Some(side)) > CLOSE;
            read[side].iter().filter(close).count()
        };
        contrast.found = [found(0), found(1)];
        let share = |side: usize| contrast.found[side] as f64 / contrast.texts[side] as f64;
        if share(0) < LEAST_FOUND || share(1) > MOST_MISTAKEN { Err(Untold::Alike) } else { Ok(contrast) }
    }

    /// Whether a text holds a mark of the task.
    pub fn has_mark(&self, text: &[Token]) -> bool {
        text.iter().any(|token| self.marks.contains(token))
    }

    /// How much closer a text is to the replies than to the answers; above 0 is closer to the replies.
    pub fn closeness(&self, text: &[Token]) -> f64 {
        self.closeness_without(text, None)
    }

    /// The same, of a text that one side was learnt from, as if it had not been.
    fn closeness_without(&self, text: &[Token], side: Option<usize>) -> f64 {
        let pieces = pieces(text);
        let mut own: HashMap<u64, f64> = HashMap::new();
        if side.is_some() {
            pieces.iter().for_each(|&piece| *own.entry(piece).or_default() += 1.0);
        }
        let kinds = SMOOTHING * (self.counts.len() + 1) as f64;
        let frequency = |piece: u64, of: usize| {
            let (out, all) = if side == Some(of) { (own.get(&piece).copied().unwrap_or(0.0), pieces.len() as f64) } else { (0.0, 0.0) };
            let count = self.counts.get(&piece).map_or(0.0, |counts| f64::from(counts[of]));
            (count - out + SMOOTHING) / (self.totals[of] - all + kinds)
        };
        let sum: f64 = pieces.iter().map(|&piece| (frequency(piece, 0) / frequency(piece, 1)).ln()).sum();
        sum / pieces.len() as f64
    }
}

/// The numbers and signs that most replies and few answers hold.
fn marks(replies: &[Vec<Token>], answers: &[Vec<Token>]) -> HashSet<Token> {
    let texts_with = |texts: &[Vec<Token>]| {
        let mut counts: HashMap<Token, usize> = HashMap::new();
        for text in texts {
            let held: HashSet<Token> = text.iter().copied().filter(|token| token.markable).collect();
            held.into_iter().for_each(|token| *counts.entry(token).or_default() += 1);
        }
        counts
    };
    let (here, there) = (texts_with(replies), texts_with(answers));
    let share = |count: usize, of: usize| count as f64 / of as f64;
    here.into_iter()
        .filter(|&(token, count)| {
            share(count, replies.len()) >= MARK_IN_REPLIES
                && share(there.get(&token).copied().unwrap_or(0), answers.len()) <= MARK_IN_ANSWERS
        })
        .map(|(token, _)| token)
        .collect()
}
