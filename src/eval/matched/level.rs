//! The levels of utility at which arms are compared.

use super::Reason;
use super::curve::{at, most};
use super::points::{Family, Setting};

/// Levels that differ by less are one.
const SAME: f64 = 1e-9;

/// The most utility that a setting reaches in every seed; none where a line between two ends begins beyond that in another seed.
fn reached_by(setting: &Setting) -> Option<f64> {
    let level = setting.curves.iter().map(|curve| most(curve)).collect::<Option<Vec<_>>>()?.into_iter().reduce(f64::min)?;
    setting.curves.iter().all(|curve| at(curve, level).is_some()).then_some(level)
}

/// The most utility that one setting of a family reaches in every seed.
pub(super) fn reached(family: &Family) -> Option<f64> {
    family.settings.iter().filter_map(reached_by).reduce(f64::max)
}

/// The end of the protected arm, the first family's, in the seed that learnt least; and the largest utility that all families reach that have more
/// than one end, where that is another one and more than the aligned model's.
pub(super) fn levels(families: &[&Family], protected: &str) -> Vec<(Reason, f64)> {
    let Some(mine) = families.first() else { return Vec::new() };
    let start = mine.measured.first().and_then(|setting| Some(setting.curves.first()?.first()?.utility));
    let learnt = |level: &f64| start.is_some_and(|start| *level > start + SAME);
    let own = |curve: &Vec<super::points::Point>| curve.iter().rfind(|point| point.arm == protected).map(|point| point.utility);
    // Of a suite's ends, an arm stands on several lines: it is found by its name.
    let end = mine.settings.iter().find_map(|setting| setting.curves.iter().map(own).collect::<Option<Vec<_>>>());
    let end = end.and_then(|ends| ends.into_iter().reduce(f64::min)).filter(learnt);
    let has_more =
        |family: &&&Family| family.measured.len() > 1 || family.measured.iter().flat_map(|one| &one.curves).any(|curve| curve.len() > 2);
    let common = families.iter().filter(has_more).map(|family| reached(family)).collect::<Option<Vec<_>>>();
    let common = common.and_then(|all| all.into_iter().reduce(f64::min)).filter(learnt);
    let common = common.filter(|common| end.is_none_or(|end| (end - common).abs() > SAME));
    end.map(|level| (Reason::End, level)).into_iter().chain(common.map(|level| (Reason::Common, level))).collect()
}
