//! Which points no other is better than.

/// Whether each point (both coordinates: larger is better) is on the front: no other is at least as good in both and better in one.
/// Equal points are on it together; a point that is not finite is not.
pub fn front(points: &[(f64, f64)]) -> Vec<bool> {
    let finite = |point: &(f64, f64)| point.0.is_finite() && point.1.is_finite();
    let beats = |a: &(f64, f64), b: &(f64, f64)| a.0 >= b.0 && a.1 >= b.1 && (a.0 > b.0 || a.1 > b.1);
    points.iter().map(|point| finite(point) && !points.iter().any(|other| finite(other) && beats(other, point))).collect()
}

#[cfg(test)]
mod tests {
    use super::front;

    #[test]
    fn what_another_beats_is_not_on_the_front() {
        let points = [(0.0, 1.0), (0.5, 0.9), (0.5, 0.8), (0.9, 0.2), (0.9, 0.2), (0.4, 0.9), (f64::NAN, 2.0)];
        assert_eq!(front(&points), [true, true, false, true, true, false, false]);
        assert!(front(&[]).is_empty());
    }
}
