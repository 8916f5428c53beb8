//! Numbers and verdicts as people write them.

use crate::record::Decision;

/// A decision in capitals, and the name of its style.
pub(super) fn verdict(decision: Option<Decision>) -> (&'static str, &'static str) {
    match decision {
        Some(Decision::Pass) => ("PASS", "pass"),
        Some(Decision::Fail) => ("FAIL", "fail"),
        Some(Decision::Inconclusive) => ("INCONCLUSIVE", "inconclusive"),
        Some(Decision::Error) => ("ERROR", "error"),
        None => ("NO GATE", "inconclusive"),
    }
}

/// `95.3 %`.
pub fn percent(rate: f64) -> String {
    format!("{:.1} %", rate * 100.0)
}

/// A difference of rates in points, with its sign: `−2.8`.
pub(super) fn points(difference: f64) -> String {
    format!("{:+.1}", difference * 100.0).replace('-', "−")
}

/// `12.3 s`, `4 min 05 s`.
pub fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    format!("{} min {:02} s", whole / 60, whole % 60)
}

/// `1.40 GiB`.
pub(super) fn memory(bytes: u64) -> String {
    if bytes == 0 { "unknown".into() } else { format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30)) }
}

/// Thousands apart: `134 515 008`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1000, 1_234_567].map(|n| count(n).replace('\u{202f}', " ")), ["0", "999", "1 000", "1 234 567"]);
        assert_eq!((points(-0.185), points(0.02), points(0.0)), ("−18.5".into(), "+2.0".into(), "+0.0".into()));
        assert_eq!((duration(59.94), duration(245.2)), ("59.9 s".into(), "4 min 05 s".into()));
    }
}
