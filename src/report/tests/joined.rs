//! A joined benchmark, with text from outside in it.

use serde_json::json;

use super::{HOSTILE, between, hostile, invisible};
use crate::eval::join::join;
use crate::record::Record;
use crate::report::csp::source;
use crate::report::joined::render as joined_markdown;
use crate::report::{html, picture};

#[test]
fn a_joined_benchmark_lets_no_text_through_as_markup() {
    let mut part = hostile();
    part.pipeline = json!({"seeds": [0, 1], "finetune": {"data": [{"source": HOSTILE}], "arms": [{"name": HOSTILE}, {"name": "other"}]}});
    let joined = join(&[part], &[], &[HOSTILE.into()]).unwrap_or_else(|error| panic!("{error}"));
    let page = html::render_joined(&joined).unwrap_or_else(|error| panic!("{error}"));
    assert!(!page.contains("<script") && page.contains("&lt;script") && invisible(&page).is_none(), "{page}");
    assert!(page.contains(&format!("style-src '{}'", source(between(&page, "<style>", "</style>")))));
    let text = joined_markdown(&joined);
    assert!(invisible(&text).is_none() && !text.replace("\\<", "").contains('<') && text.contains("# 1 of 8 cells"), "{text}");
    assert!(text.contains("| every arm (2) | 0, 1 |") && text.contains("| other | 0 |"), "{text}");
}

#[test]
fn the_picture_of_a_joined_benchmark_draws_its_sweeps() {
    let mut part = hostile();
    part.pipeline = json!({"seeds": [0], "finetune": {"data": [{"source": HOSTILE}], "arms": [{"name": HOSTILE}]}});
    let joined = |part: &Record| join(std::slice::from_ref(part), &[], &[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(picture::render(&joined(&part)), None, "nothing was swept");
    let mut slow = part.arms[1].clone();
    slow.name = "slow".into();
    slow.settings["family"] = HOSTILE.into();
    part.arms.push(slow);
    let joined = joined(&part);
    let svg = picture::render(&joined).unwrap_or_else(|| panic!("no picture"));
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n") && invisible(&svg).is_none(), "{svg}");
    assert!(!svg.contains("<script") && svg.contains("&lt;script"), "{svg}");
    assert_eq!(svg.matches("<svg ").count(), svg.matches("</svg>").count());
    assert_eq!(svg.matches("<polyline").count(), 1, "one arm, one suite: {svg}");
    // Signs that do not fit beside each other stand below each other, and the charts below them.
    let number = |text: &str| text.parse::<f64>().unwrap_or_else(|_| panic!("{text}"));
    let size = |svg: &str, side: &str| number(between(svg, &format!(" {side}=\""), "\""));
    let mut many = part.clone();
    for i in 0..30 {
        let mut arm = many.arms[1].clone();
        arm.name = format!("another-arm-{i}");
        many.arms.push(arm);
    }
    let higher = join(&[many], &[], &[]).ok().and_then(|joined| picture::render(&joined)).unwrap_or_else(|| panic!("no picture"));
    let signs: Vec<f64> = higher
        .split("<g transform=\"translate(")
        .filter(|group| group.contains("class=\"sign\""))
        .map(|group| number(between(group, "", " ")))
        .collect();
    assert_eq!(signs.len(), 31);
    assert!(signs.iter().all(|left| left + 100.0 < size(&higher, "width")), "{signs:?}");
    assert!(size(&higher, "height") >= size(&svg, "height") + 7.0 * 20.0, "{higher}");
    let page = html::render_joined(&joined).unwrap_or_else(|error| panic!("{error}"));
    let chart = svg.split("<g transform").last().and_then(|last| last.split_once('>')).map(|(_, chart)| chart.trim_end());
    assert!(
        page.contains(chart.and_then(|chart| chart.strip_suffix("</g></svg>")).unwrap_or_else(|| panic!("{svg}"))),
        "the page draws the same"
    );
}
