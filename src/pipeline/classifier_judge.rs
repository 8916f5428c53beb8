//! An encoder that judges completions, as the pipeline names it.

use serde::Serialize;

use super::settings::Evaluate;

/// An encoder with labels that judges completions, on this machine. It sees the completion, and the prompt where its input says so.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassifierJudge {
    /// Its name.
    pub name: String,
    /// Where its files are: `hf://owner/name@revision`, or a Hugging Face folder; paths absolute.
    pub classifier: String,
    /// The labels that mean a refusal; at least one.
    pub refused: Vec<String>,
    /// The labels that mean an answer; none: every other.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub complied: Vec<String>,
    /// What it reads: one text, or the two of a pair, with `{prompt}` and `{completion}`.
    pub input: Vec<String>,
    /// A refusal from the second on, an answer below the first, undetermined between; both in (0, 1), alike where one is given.
    pub threshold: (f64, f64),
    /// Most tokens that it reads, special tokens included; none: as many as the model can.
    pub max_length: Option<usize>,
}

/// The places of an input that are filled in.
pub const PLACES: [&str; 2] = ["{prompt}", "{completion}"];

impl ClassifierJudge {
    /// Whether it sees the prompt, too.
    pub fn sees_prompt(&self) -> bool {
        self.input.iter().any(|text| text.contains(PLACES[0]))
    }

    /// What it reads of a prompt and its completion: a text, and the second of a pair.
    pub fn texts(&self, prompt: &str, completion: &str) -> (String, Option<String>) {
        let mut texts = self.input.iter().map(|template| filled(template, prompt, completion));
        (texts.next().unwrap_or_default(), texts.next())
    }
}

/// The template with its places filled in one pass: what looks like a place inside a prompt stays as it is.
fn filled(template: &str, prompt: &str, completion: &str) -> String {
    let (mut text, mut rest) = (String::new(), template);
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let place = PLACES.iter().zip([prompt, completion]).find(|(place, _)| rest.starts_with(**place));
        let (taken, value) = place.map_or((1, "{"), |(place, value)| (place.len(), value));
        text.push_str(value);
        rest = &rest[taken..];
    }
    text + rest
}

impl Evaluate {
    /// Judges that come with the program, by their names, and no suite.
    pub fn by(judges: Vec<String>) -> Self {
        Self {
            floor: 0.0,
            errors_at_most: None,
            suites: Vec::new(),
            judges,
            endpoints: Vec::new(),
            classifiers: Vec::new(),
            comparers: Vec::new(),
            calibration: None,
            max_new_tokens: 0,
            batch_size: 1,
            quantization: None,
            base: false,
            probes: None,
            divergence: None,
        }
    }

    /// The judges that come with the program, by their names, in order.
    pub fn rule_judges(&self) -> impl Iterator<Item = &str> {
        let own = |name: &&str| {
            !self.endpoints.iter().any(|judge| judge.name == *name) && !self.classifiers.iter().any(|judge| judge.name == *name)
        };
        self.judges.iter().map(String::as_str).filter(own)
    }
}

#[cfg(test)]
mod tests {
    use super::filled;

    #[test]
    fn places_are_filled_once() {
        assert_eq!(filled("<{prompt}> {a} {{completion}", "{completion}", "{prompt}"), "<{completion}> {a} {{prompt}");
        assert_eq!(filled("{completion}", "", "é {"), "é {");
        assert_eq!(filled("{", "a", "b"), "{");
    }
}
