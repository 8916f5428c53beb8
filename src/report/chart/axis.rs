//! Axes with round ticks.

/// An axis with round ticks.
pub(super) struct Axis {
    low: f64,
    step: f64,
    count: usize,
    from: f64,
    to: f64,
}

impl Axis {
    /// An axis from a first to a last round tick around the values, drawn between two places; `whole` where they are counted, so
    /// that nothing stands between two numbers.
    pub(super) fn over(values: impl Iterator<Item = f64>, whole: bool, from: f64, to: f64) -> Self {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let around = if whole { 1.0 } else { 0.5 };
        let (low, high) = match (low.is_finite(), high - low > 1e-9 * high.abs().max(1e-3)) {
            (true, true) => (low, high),
            (true, false) => (low - around, low + around),
            _ => (0.0, 1.0),
        };
        let raw = (high - low) / 5.0;
        let power = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|round| round * power).into_iter().find(|&step| step >= raw * 0.999).unwrap_or(10.0 * power);
        let step = if whole { step.max(1.0) } else { step };
        // A tick that a rounding error puts beside its value is that value.
        let first = (low / step + 1e-9).floor();
        let count = ((high / step - 1e-9).ceil() - first).max(1.0) as usize;
        Self { low: first * step, step, count, from, to }
    }

    /// Where a value is drawn.
    pub(super) fn place(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.step * self.count as f64) * (self.to - self.from)
    }

    /// Each tick's place and label.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let decimals = (-self.step.log10() - 1e-9).ceil().max(0.0) as usize;
        (0..=self.count)
            .map(|i| {
                let value = self.low + i as f64 * self.step;
                let value = if value.abs() < self.step * 1e-6 { 0.0 } else { value };
                (self.place(value), if decimals > 4 || value.abs() >= 1e5 { format!("{value:.1e}") } else { format!("{value:.decimals$}") })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_hold_every_value() {
        let labels = |values: &[f64]| -> Vec<String> {
            let axis = Axis::over(values.iter().copied(), false, 0.0, 100.0);
            assert!(values.iter().all(|&value| (-1e-6..=100.0 + 1e-6).contains(&axis.place(value))), "{values:?}");
            axis.ticks().into_iter().map(|(_, label)| label).collect()
        };
        assert_eq!(labels(&[0.0, 5.0, 20.0]), ["0", "5", "10", "15", "20"]);
        assert_eq!(labels(&[0.061, 0.41]), ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]);
        assert_eq!(labels(&[-1.0, 1.0]), ["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(labels(&[3.0]).first().map(String::as_str), Some("2.4"));
        assert_eq!(labels(&[]).len(), 6);
        let counted = |values: &[f64]| -> Vec<String> {
            Axis::over(values.iter().copied(), true, 0.0, 100.0).ticks().into_iter().map(|(_, label)| label).collect()
        };
        assert_eq!(labels(&[1.0, 3.0]), ["1.0", "1.5", "2.0", "2.5", "3.0"]);
        assert_eq!(counted(&[1.0, 3.0]), ["1", "2", "3"]);
        assert_eq!(counted(&[2.0]), ["1", "2", "3"]);
        assert_eq!(counted(&[0.0, 100.0]), ["0", "20", "40", "60", "80", "100"]);
        assert!(labels(&[0.0, 1e-7]).len() > 1 && labels(&[1e8, 9e8]).len() > 3);
    }
}
