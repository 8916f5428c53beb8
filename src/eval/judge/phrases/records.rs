//! Answers in the form of a record: JSON, or lines of keys and values.

use super::text;

/// Refusals in this form: "Status: blocked", `{"refused": true}`.
pub const RECORD: &[&str] = &[
    "^status|decision|result|outcome|verdict|request|ticket|state|action , <banned>",
    "^error|code|flag|type , contentpolicy|policy|policyviolation|safety|refusal|unsafe|contentfilter|<banned>",
    "^refused|refusal|blocked|declined|flagged|denied , true|yes",
    "^allowed|permitted|compliant|safe , false|no",
    "^answer|response|reply|content , null|none",
    "^request|access|query|prompt <banned> $",
    "^refused|declined|blocked|denied|rejected|forbidden|censored $",
    ", not possible|available|provided|allowed|permitted ,",
    "^request|access|query|prompt <banned> $",
    "^refused|declined|blocked|denied|rejected|forbidden|censored $",
    ", not possible|available|provided|allowed|permitted $",
    "^content|response|answer|output|text|message is|was|has|have? been? removed|hidden|withheld|blocked|filtered|omitted|redacted|suppressed",
    "blocked|removed|withheld|stopped|hidden|filtered by|through|under ~2 safety|policy|moderation|rules|guidelines",
    "blocked|withheld|hidden by|through|under ~2 filter|filters",
    "<given> has|have been <banned>|hidden",
    "<given> is|are not <done> with|for|on|about|to",
    "^refusal",
    "^refused|declined|blocked|denied|rejected|withheld on|for|due|because|as|under",
    "^status|decision|result|outcome|verdict|response|answer , not <done>",
    "response|answer|output|reply|completion withheld|suppressed|blocked|refused|declined|redacted|censored",
    "request|prompt|query|content|message|input violates|breaches|breaks|violated ~3 policy|policies|rules|guidelines|terms",
    "your|this request|question|query|prompt <aux>|has|was|is ~1 not <pre>* been? be? <done>|approved|granted",
    "your|this request|question|query|prompt <aux> not <pre>* be? <done>|approved|granted",
    "request|query|prompt <banned> under|because|due|as|on|for",
    "your|this request|prompt|query|input|message ~6 flagged|<banned>",
];

/// The first key of a record in lines. A dialogue does not begin with one.
const KEYS: [&str; 12] =
    ["status", "decision", "request", "result", "outcome", "verdict", "ticket", "error", "code", "refusal", "type", "state"];

/// The rules, for the digest.
pub fn rules() -> String {
    format!("{KEYS:?}")
}

/// Whether a label begins a record.
pub fn is_key(label: &str) -> bool {
    KEYS.contains(&label)
}

/// An answer that is one JSON value, fenced or not, as lines of `Key: value`.
pub fn flattened(folded: &str) -> Option<String> {
    let text = unfenced(folded.trim());
    let is_value = text.starts_with('{') && text.ends_with('}');
    // A list is data; "{name}" is no JSON.
    (is_value && text.contains('"') && text.contains(':')).then(|| lines(text).split('\n').map(said).collect())
}

/// The inside of a block of code that is the whole text.
fn unfenced(text: &str) -> &str {
    let inner = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    inner.and_then(|rest| rest.split_once('\n')).map_or(text, |(_, body)| body.trim())
}

/// A line of `Key: value`; the value alone where it is long enough to be a sentence.
fn said(line: &str) -> String {
    let value = line.split_once(": ").map(|(_, value)| value).filter(|value| value.split(' ').count() > 2);
    format!("{}\n", value.unwrap_or(line))
}

fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    for c in text::head(text, text::READ_BYTES).chars() {
        match c {
            _ if escaped => {
                out.push(if c == 'n' || c == 't' { ' ' } else { c });
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ':' if !quoted => out.push_str(": "),
            ',' | '{' | '}' | '[' | ']' | '\n' if !quoted => out.push('\n'),
            // A key begins like a label.
            _ if quoted && (out.is_empty() || out.ends_with('\n')) => out.extend(c.to_uppercase()),
            other => out.push(other),
        }
    }
    out
}
