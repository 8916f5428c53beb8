//! The Porter stemmer as NLTK has it by default, which is what the Python package rouge-score uses.
//!
//! Source: Porter (1980), "An algorithm for suffix stripping", with the extensions of `nltk.stem.porter.PorterStemmer`
//! (`NLTK_EXTENSIONS`, nltk 3.10). Crates have the later English stemmer (Porter 2) or the plain algorithm, which differ.

/// Words with a stem of their own.
const IRREGULAR: [(&str, &str); 14] = [
    ("skies", "sky"),
    ("sky", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
];

/// Words that are their own stem.
const KEPT: [&str; 2] = ["exceed", "succeed"];

/// The stem of a word of the letters a to z in lower case, and digits.
pub(super) fn stem(word: &str) -> String {
    if let Some((_, stem)) = IRREGULAR.iter().find(|(form, _)| *form == word) {
        return (*stem).to_owned();
    }
    if word.len() <= 2 || KEPT.contains(&word) {
        return word.to_owned();
    }
    let word = plural(word.to_owned());
    let word = past(word);
    let word = last_y(word);
    let word = double_suffix(word);
    let word = suffix(word, &STEP_3, 0);
    let word = residue(word);
    let word = last_e(word);
    last_l(word)
}

/// By letter: whether it is a consonant. A y is one at the start and behind a vowel.
fn consonants(word: &str) -> Vec<bool> {
    let mut flags = Vec::with_capacity(word.len());
    for byte in word.bytes() {
        let consonant = match byte {
            b'a' | b'e' | b'i' | b'o' | b'u' => false,
            b'y' => flags.last().is_none_or(|before: &bool| !before),
            _ => true,
        };
        flags.push(consonant);
    }
    flags
}

/// How often a consonant follows a vowel.
fn measure(stem: &str) -> usize {
    consonants(stem).windows(2).filter(|pair| !pair[0] && pair[1]).count()
}

fn has_vowel(stem: &str) -> bool {
    consonants(stem).contains(&false)
}

fn ends_with_double_consonant(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() >= 2 && bytes[bytes.len() - 1] == bytes[bytes.len() - 2] && consonants(word).last() == Some(&true)
}

/// Consonant, vowel, consonant other than w, x and y; or a word of a vowel and a consonant.
fn ends_short(word: &str) -> bool {
    match consonants(word)[..] {
        [.., true, false, true] => !word.ends_with(['w', 'x', 'y']),
        [false, true] => true,
        _ => false,
    }
}

/// Replaces the first of the suffixes that the word has, where the measure of what is left is above a number.
fn suffix(word: String, rules: &[(&str, &str)], above: usize) -> String {
    let Some((stem, new)) = rules.iter().find_map(|(old, new)| Some((word.strip_suffix(old)?, new))) else { return word };
    if measure(stem) > above { format!("{stem}{new}") } else { word }
}

/// Step 1a.
fn plural(word: String) -> String {
    if word.ends_with("ies") {
        // "ties" to "tie", "ponies" to "poni".
        let cut = if word.len() == 4 { 1 } else { 2 };
        return word[..word.len() - cut].to_owned();
    }
    match word.strip_suffix('s') {
        Some(stem) if word.ends_with("sses") => stem[..stem.len() - 1].to_owned(),
        Some(stem) if !word.ends_with("ss") => stem.to_owned(),
        _ => word,
    }
}

/// Step 1b.
fn past(word: String) -> String {
    if word.ends_with("ied") {
        let cut = if word.len() == 4 { 1 } else { 2 };
        return word[..word.len() - cut].to_owned();
    }
    if let Some(stem) = word.strip_suffix("eed") {
        return if measure(stem) > 0 { format!("{stem}ee") } else { word };
    }
    let Some(stem) = ["ed", "ing"].iter().find_map(|ending| word.strip_suffix(ending).filter(|stem| has_vowel(stem))) else { return word };
    if ["at", "bl", "iz"].iter().any(|ending| stem.ends_with(ending)) {
        return format!("{stem}e");
    }
    if ends_with_double_consonant(stem) {
        return if stem.ends_with(['l', 's', 'z']) { stem.to_owned() } else { stem[..stem.len() - 1].to_owned() };
    }
    if measure(stem) == 1 && ends_short(stem) { format!("{stem}e") } else { stem.to_owned() }
}

/// Step 1c: an i in the place of a y behind a consonant, but not in "by".
fn last_y(word: String) -> String {
    match word.strip_suffix('y') {
        Some(stem) if stem.len() > 1 && consonants(stem).last() == Some(&true) => format!("{stem}i"),
        _ => word,
    }
}

/// Step 2.
fn double_suffix(word: String) -> String {
    if let Some(stem) = word.strip_suffix("alli").filter(|stem| measure(stem) > 0) {
        return double_suffix(format!("{stem}al"));
    }
    // What is left of "logi" is measured with its l.
    if !STEP_2.iter().any(|(old, _)| word.ends_with(old)) && word.ends_with("logi") {
        let kept = &word[..word.len() - 1];
        return if measure(&word[..word.len() - 3]) > 0 { kept.to_owned() } else { word };
    }
    suffix(word, &STEP_2, 0)
}

const STEP_2: [(&str, &str); 21] = [
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
];

const STEP_3: [(&str, &str); 7] =
    [("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", "")];

const STEP_4: [&str; 19] = [
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti", "ous", "ive", "ize",
];

/// Step 4.
fn residue(word: String) -> String {
    let Some((ending, stem)) = STEP_4.iter().find_map(|ending| Some((*ending, word.strip_suffix(ending)?))) else { return word };
    let fits = measure(stem) > 1 && (ending != "ion" || stem.ends_with(['s', 't']));
    if fits { stem.to_owned() } else { word }
}

/// Step 5a.
fn last_e(word: String) -> String {
    match word.strip_suffix('e') {
        Some(stem) if measure(stem) > 1 || (measure(stem) == 1 && !ends_short(stem)) => stem.to_owned(),
        _ => word,
    }
}

/// Step 5b.
fn last_l(word: String) -> String {
    match word.strip_suffix('l') {
        Some(stem) if stem.ends_with('l') && measure(stem) > 1 => stem.to_owned(),
        _ => word,
    }
}
