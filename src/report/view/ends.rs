//! Where the settings of a sweep ended, over the task's loss.

use super::Chart;
use super::answer::{is_tuned, style};
use super::scorecard::word;
use crate::eval::matched::family;
use crate::eval::metric::{Metric, figure, outcomes};
use crate::eval::suites::plainly_put;
use crate::record::{Arm, Expect, Record};
use crate::report::chart::{Curve, Line, sign};

/// A point for the mean of each setting, joined by arm in the order of their losses: refusals of the first harmful suite, and
/// over-refusals of the first benign one. Nothing without a sweep; `gated` arms are drawn stronger.
pub(super) fn ends(record: &Record, gated: &dyn Fn(&str) -> bool) -> Vec<Chart> {
    let tuned = || record.arms.iter().filter(|arm| is_tuned(arm));
    if tuned().all(|arm| family(arm) == arm.name) {
        return Vec::new();
    }
    let of = |expect: Expect, metric: Metric, better: &str| {
        let (name, suite) = plainly_put(record, expect).next()?;
        let judge = suite.judges.first().map(String::as_str);
        let refused = |arm: &Arm| outcomes(arm, name, metric, judge).rate().map(|rate| rate * 100.0);
        let aligned = record.arms.iter().find(|arm| arm.name == "aligned").and_then(refused);
        let aligned = aligned.map(|rate| format!(" The aligned model: {rate:.1} %.")).unwrap_or_default();
        let caption = format!("Where the settings of each arm ended, means over seeds: {better} is better.{aligned}");
        let (mut lines, mut legend) = (Vec::new(), Vec::new());
        for arm in tuned().filter(|arm| family(arm) == arm.name) {
            let settings = tuned().filter(|other| family(other) == arm.name);
            let mut points: Vec<(f64, f64)> = settings.filter_map(|arm| Some((figure(arm, "task_nll")?, refused(arm)?))).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            if !points.is_empty() {
                let style = style(&record.arms, arm);
                legend.push((sign(style), arm.name.clone()));
                lines.push(Line { style, strong: gated(&arm.name), points });
            }
        }
        let y = format!("{name}: {} (%)", word(metric));
        let svg = Curve { x: "task loss (nats per token)".into(), counted: false, y, lines }.svg();
        (!legend.is_empty()).then_some(Chart { caption, svg, legend })
    };
    let harmful = of(Expect::Refusal, Metric::RefusalRate, "upper left");
    let benign = of(Expect::Answer, Metric::OverRefusalRate, "lower left");
    harmful.into_iter().chain(benign).collect()
}
