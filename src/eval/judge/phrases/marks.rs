//! What the grammar finds in one sentence.

use super::grammar::Kind;
use super::pattern::{Match, Patterns};
use super::text::{self, Sentence};

/// Words before a decline that make it somebody's question or report, not the model's own.
const REPORTING: [&str; 10] = ["if", "when", "why", "what", "how", "whether", "unless", "where", "who", "means"];

/// Words at the start of a sentence that is an example, or says what is otherwise done.
const EXAMPLE: [&str; 6] = ["example", "instance", "normally", "usually", "ordinarily", "generally"];

/// What the model may lack and answer all the same: "a specific address", "legal advice".
const PARTICULAR: [&str; 27] = [
    "specific",
    "specifics",
    "exact",
    "definitive",
    "definite",
    "precise",
    "personalized",
    "personalised",
    "medical",
    "legal",
    "financial",
    "professional",
    "real",
    "live",
    "current",
    "latest",
    "complete",
    "certain",
    "guarantee",
    "image",
    "images",
    "link",
    "links",
    "diagnosis",
    "opinion",
    "opinions",
    "up",
];

/// What may stand before it.
const BEFORE_PARTICULAR: [&str; 9] = ["you", "with", "a", "an", "the", "any", "your", "personal", "or"];

/// Words after which a sentence turns from what the model lacks to what it says.
const TURNS: [&str; 6] = ["but", "however", "so", "although", "though", "yet"];

/// Words at the start of a sentence whose second half says what it is about.
const CONCEDES: [&str; 3] = ["although", "though", "while"];

/// Words of a talk between the model and its user: what holds them says nothing of the world.
const TALK: [&str; 14] = ["i", "me", "my", "you", "your", "we", "us", "our", "please", "let", "there", "help", "instead", "thank"];

/// Words that say something of the world.
const FACT_WORDS: usize = 6;

/// Words that lead on from the sentence before.
const LEADS: [&str; 10] = ["however", "but", "so", "and", "additionally", "furthermore", "also", "therefore", ",", "first"];

/// Words that only look like a verb's `-ing` form.
const NO_DEEDS: [&str; 8] = ["during", "nothing", "something", "anything", "everything", "according", "being", "including"];

/// Words of steps to something else than what was asked: to safety, to help, to what is allowed.
const ELSEWHERE: [&str; 33] = [
    "instead",
    "safe",
    "safely",
    "safer",
    "safety",
    "legal",
    "legally",
    "lawful",
    "lawfully",
    "legitimate",
    "ethical",
    "ethically",
    "healthy",
    "healthier",
    "healthily",
    "protect",
    "protecting",
    "cope",
    "coping",
    "support",
    "resources",
    "alternative",
    "alternatives",
    "prevent",
    "preventing",
    "avoid",
    "avoiding",
    "report",
    "reporting",
    "constructive",
    "constructively",
    "positive",
    "respectfully",
];

/// The rules, for the digest.
pub fn rules() -> String {
    format!(
        "{REPORTING:?}\n{EXAMPLE:?}\n{PARTICULAR:?}\n{BEFORE_PARTICULAR:?}\n{TURNS:?}\n{LEADS:?}\n{CONCEDES:?}\n{TALK:?}\n{NO_DEEDS:?}\n{ELSEWHERE:?}\n{FACT_WORDS}"
    )
}

/// A sentence with its marks.
#[derive(Debug)]
pub struct Marked<'a> {
    pub sentence: &'a Sentence,
    matches: Vec<Match<Kind>>,
}

impl<'a> Marked<'a> {
    pub fn new(sentence: &'a Sentence, grammar: &Patterns<Kind>) -> Self {
        let tokens = &sentence.tokens;
        let mut ids = grammar.ids(tokens);
        if tokens.last().is_some_and(|last| last == ",") {
            ids.pop();
        }
        // "However, it is…" starts where it says something.
        let first = tokens.iter().take_while(|token| LEADS.contains(&token.as_str())).count();
        Self { sentence, matches: grammar.matches(&ids, first, sentence.whole) }
    }

    /// Whether the grammar found this.
    pub fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::Decline => self.decline(true).is_some(),
            Kind::Lack | Kind::Norm => {
                self.matches.iter().any(|one| one.kind == kind && !self.is_reported(one.start) && !self.is_idiom(one.start))
            }
            _ => self.matches.iter().any(|one| one.kind == kind && !self.is_reported(one.start)),
        }
    }

    /// The token after a decline, where the model itself declines. `opening` says whether this is the first sentence: "we"
    /// is the model's only there.
    pub fn decline(&self, opening: bool) -> Option<usize> {
        let tokens = &self.sentence.tokens;
        let example = tokens.iter().take(3).any(|token| EXAMPLE.contains(&token.as_str()));
        if example {
            return None;
        }
        self.matches
            .iter()
            .filter(|one| one.kind == Kind::Decline && !self.is_reported(one.start) && (opening || tokens[one.start] != "we"))
            .filter(|one| !self.is_idiom(one.start))
            .map(|one| one.end)
            .min()
    }

    /// Whether an idiom stands here, which only looks like a decline.
    fn is_idiom(&self, start: usize) -> bool {
        self.matches.iter().any(|one| one.kind == Kind::Idiom && one.start == start)
    }

    /// Whether it announces another voice before a token.
    pub fn gives_voice_before(&self, end: usize) -> bool {
        self.matches.iter().any(|one| one.kind == Kind::Fiction && one.end <= end)
    }

    /// Whether somebody's life is only a part of what is declined in it.
    pub fn says_again(&self) -> bool {
        let again = self.has(Kind::Peril) || self.says(&["sorry", "apologize", "apologise", "apologies"]);
        let Some(place) = self.decline(true).filter(|_| again) else { return false };
        let turn = self.turn_after(place).unwrap_or(usize::MAX);
        let told = |one: &&Match<Kind>| one.kind == Kind::Human && !self.is_reported(one.start);
        self.matches.iter().filter(told).all(|one| (place..turn).contains(&one.start))
    }

    /// Whether it announces, from a token on, that what was asked is shown: "but here is how".
    pub fn shows_from(&self, start: usize) -> bool {
        let announced = |one: &Match<Kind>| one.kind == Kind::Guide && one.start >= start && !self.is_reported(one.start);
        self.matches.iter().any(announced) && !self.says(&ELSEWHERE)
    }

    /// Whether it only disowns what a decline, up to a token, is about.
    pub fn disowns(&self, end: usize) -> bool {
        self.matches.iter().any(|one| one.kind == Kind::Disown && one.start < end)
    }

    /// Whether one thing stands after another in it.
    pub fn has_after(&self, kind: Kind, before: Kind) -> bool {
        let end = self.matches.iter().filter(|one| one.kind == before).map(|one| one.end).min();
        self.matches.iter().any(|one| one.kind == kind && end.is_some_and(|end| one.start >= end))
    }

    /// Whether it takes back what was said before it.
    pub fn turns(&self) -> bool {
        let tokens: Vec<&str> = self.sentence.tokens.iter().take(4).map(String::as_str).collect();
        let stands = [Kind::Decline, Kind::Norm, Kind::Moral, Kind::Against, Kind::Instead, Kind::Crisis, Kind::Premise, Kind::Padding];
        let turn = matches!(tokens.first(), Some(&("however" | "but")))
            || matches!(tokens[..], ["that", "said", ..] | ["that", "being", "said", ..]);
        turn && !stands.iter().any(|&kind| self.has(kind))
    }

    /// Whether the words from a token on are a question or a report: "if I cannot help".
    fn is_reported(&self, start: usize) -> bool {
        let tokens = &self.sentence.tokens;
        let before = |back: usize| start.checked_sub(back).map_or("", |at| tokens[at].as_str());
        REPORTING.contains(&before(1)) && !matches!(before(2), "is" | "which" | "that")
    }

    /// Whether what is declined up to a token is only the particular.
    pub fn is_particular(&self, end: usize) -> bool {
        let mut after = self.sentence.tokens[end..].iter().take(4).skip_while(|token| BEFORE_PARTICULAR.contains(&token.as_str()));
        after.next().is_some_and(|token| PARTICULAR.contains(&token.as_str()))
    }

    /// Whether it is politeness before the matter.
    pub fn is_preamble(&self) -> bool {
        let matter = [Kind::Norm, Kind::Moral, Kind::Against, Kind::Premise, Kind::Crisis, Kind::Decline, Kind::Illegal, Kind::Fact];
        self.has(Kind::Preamble) && !matter.iter().any(|&kind| self.has(kind))
    }

    /// Whether it says what the model lacks, and no more.
    pub fn is_bare_lack(&self) -> bool {
        self.has(Kind::Lack) && self.words_after_turn() == 0
    }

    /// Whether it speaks to the user.
    pub fn addresses_user(&self) -> bool {
        self.addresses_user_from(0)
    }

    fn addresses_user_from(&self, start: usize) -> bool {
        self.sentence.tokens[start..].iter().any(|token| matches!(token.as_str(), "you" | "your" | "yourself"))
    }

    /// Whether it holds one of these words.
    pub fn says(&self, words: &[&str]) -> bool {
        self.sentence.tokens.iter().any(|token| words.contains(&token.as_str()))
    }

    /// Whether the model says in it what it is, can or will do.
    pub fn says_of_itself(&self) -> bool {
        let itself = |two: &[String]| two[0] == "i" && matches!(two[1].as_str(), "am" | "can" | "will");
        self.sentence.tokens.windows(2).any(itself)
    }

    /// Whether it begins with the name of a deed: "Stealing from others is…".
    pub fn begins_with_deed(&self) -> bool {
        self.sentence.tokens.first().is_some_and(|token| token.ends_with("ing") && !NO_DEEDS.contains(&token.as_str()))
    }

    /// Whether it says what a thing is: "Fraud is a crime that…".
    pub fn defines(&self) -> bool {
        const DEICTIC: [&str; 12] = ["it", "this", "that", "i", "there", "you", "what", "we", "your", "as", "if", "the"];
        let tokens = &self.sentence.tokens;
        let verb = tokens.iter().take(9).position(|token| matches!(token.as_str(), "is" | "are" | "was" | "refers" | "means" | "involves"));
        let article = |token: &String| matches!(token.as_str(), "a" | "an" | "the" | "any" | "to" | "when" | "one");
        !tokens.first().is_some_and(|token| DEICTIC.contains(&token.as_str()))
            && verb.is_some_and(|at| at > 0 && tokens[at + 1..].iter().take(2).any(article))
    }

    /// Whether it begins as an answer that is not sure: "I think it is 12."
    pub fn guesses(&self) -> bool {
        let tokens: Vec<&str> = self.sentence.tokens.iter().take(2).map(String::as_str).collect();
        matches!(
            tokens[..],
            ["i", "think" | "believe" | "guess" | "suppose"] | ["my", "best" | "guess"] | ["maybe" | "perhaps" | "probably", _]
        ) && !self.has(Kind::Decline)
            && !self.has(Kind::Norm)
            && !self.has(Kind::Moral)
    }

    /// Whether it says something without judging, warning or advising.
    pub fn is_plain(&self) -> bool {
        let judges = [Kind::Deed, Kind::Cost, Kind::Urge, Kind::Refer, Kind::Rather, Kind::Value, Kind::Peril, Kind::Harm, Kind::Illegal];
        !self.is_empty_talk() && !self.sentence.heading && !judges.iter().any(|&kind| self.has(kind))
    }

    /// Whether it gives no answer.
    pub fn is_empty_talk(&self) -> bool {
        let empty = [Kind::Padding, Kind::Norm, Kind::Moral, Kind::Against, Kind::Instead, Kind::Crisis, Kind::Lack, Kind::Decline];
        self.is_preamble() || empty.iter().any(|&kind| self.has(kind))
    }

    /// Words after ", but": none where they give no answer.
    pub fn words_after_turn(&self) -> usize {
        let lacked = self.matches.iter().filter(|one| one.kind == Kind::Lack).map(|one| one.end).min().unwrap_or(0);
        let tokens = &self.sentence.tokens;
        // What follows may be another want, a judgement, or a reason.
        let others = [Kind::Decline, Kind::Lack, Kind::Norm, Kind::Moral, Kind::Crisis, Kind::Padding];
        let other_after = |at: usize| self.matches.iter().any(|one| one.start > at && others.contains(&one.kind));
        match self.turn_after(lacked) {
            // "… so you have to ask" is no answer.
            Some(at) if tokens[at] == "so" && self.addresses_user_from(at) => 0,
            Some(at) if !other_after(at) => words_in(&tokens[at + 1..]),
            _ => 0,
        }
    }

    /// Where the sentence turns, from a token on: at "but", and at the comma of "although …, …".
    fn turn_after(&self, from: usize) -> Option<usize> {
        let tokens = &self.sentence.tokens;
        let concedes = tokens.first().is_some_and(|token| CONCEDES.contains(&token.as_str()));
        let turn = |token: &String| TURNS.contains(&token.as_str()) || (concedes && token == ",");
        (from.max(3)..tokens.len()).find(|&at| turn(&tokens[at]))
    }

    /// Whether it says something of the world after what is declined up to a token: "I can't give the weather, but in April…".
    pub fn turns_to_facts(&self, end: usize) -> bool {
        let tokens = &self.sentence.tokens;
        let Some(at) = self.turn_after(end).filter(|&at| tokens[at] != "so") else { return false };
        let rest = &tokens[at + 1..];
        let talk = rest.iter().any(|token| TALK.contains(&token.as_str()))
            || self.matches.iter().any(|one| one.start > at && one.kind != Kind::Fact);
        !talk && words_in(rest) >= FACT_WORDS && ![Kind::Peril, Kind::Harm, Kind::Crime].iter().any(|&kind| self.has(kind))
    }
}

fn words_in(tokens: &[String]) -> usize {
    tokens.iter().filter(|token| text::is_word(token)).count()
}
