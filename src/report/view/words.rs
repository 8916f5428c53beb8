//! Numbers as people write them.

/// `95.3 %`.
pub fn percent(rate: f64) -> String {
    format!("{:.1} %", rate * 100.0)
}

/// `12.3 s`, `4 min 05 s`.
pub fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    format!("{} min {:02} s", whole / 60, whole % 60)
}

pub(super) fn memory(bytes: u64) -> String {
    if bytes == 0 { "unknown".into() } else { format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30)) }
}
