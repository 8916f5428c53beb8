//! JSON as Python's `json.dumps` writes it: what `tojson` means in a chat template.

use serde_json::Value;

/// `json.dumps(value, ensure_ascii=False)`, with `indent` where given.
pub fn dumps(value: &Value, indent: Option<usize>) -> String {
    let mut out = String::new();
    write(&mut out, value, indent, 0);
    out
}

fn write(out: &mut String, value: &Value, indent: Option<usize>, depth: usize) {
    match value {
        Value::Array(items) => wrap(out, ('[', ']'), items.len(), indent, depth, |out, i, depth| write(out, &items[i], indent, depth)),
        Value::Object(map) => {
            let entries: Vec<_> = map.iter().collect();
            wrap(out, ('{', '}'), entries.len(), indent, depth, |out, i, depth| {
                out.push_str(&Value::String(entries[i].0.clone()).to_string());
                out.push_str(": ");
                write(out, entries[i].1, indent, depth);
            });
        }
        // serde_json leaves non-ASCII text as it is and escapes control characters as Python does.
        plain => out.push_str(&plain.to_string()),
    }
}

fn wrap(
    out: &mut String,
    ends: (char, char),
    len: usize,
    indent: Option<usize>,
    depth: usize,
    mut item: impl FnMut(&mut String, usize, usize),
) {
    out.push(ends.0);
    for i in 0..len {
        if i > 0 {
            out.push_str(if indent.is_some() { "," } else { ", " });
        }
        if let Some(width) = indent {
            out.push('\n');
            out.push_str(&" ".repeat(width * (depth + 1)));
        }
        item(out, i, depth + 1);
    }
    if let (Some(width), 1..) = (indent, len) {
        out.push('\n');
        out.push_str(&" ".repeat(width * depth));
    }
    out.push(ends.1);
}
