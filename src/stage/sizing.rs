//! How long and in which pieces an unknown set of rows is trained on, from a forecast on the machine at hand.

use super::forecast::Forecast;

/// How much is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Rows of a micro-batch.
    pub batch: usize,
    /// Micro-batches of a step.
    pub accumulation: usize,
    /// Optimizer steps.
    pub steps: usize,
}

/// What a run may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Wall time, in seconds.
    pub seconds: f64,
    /// Resident memory, in bytes; 0 = not known.
    pub memory_bytes: u64,
}

/// Rows of an optimizer step.
const ROWS: usize = 8;
/// Fewer steps teach nothing, more are no first try.
const STEPS: (usize, usize) = (10, 200);
/// A larger share of the memory is not planned for.
const MEMORY_SHARE: f64 = 0.8;

impl Size {
    /// About once through the rows.
    pub fn of(rows: usize) -> Self {
        Self { batch: ROWS, accumulation: 1, steps: (rows / ROWS).clamp(STEPS.0, STEPS.1) }
    }

    /// Smaller where the forecast of this size is beyond the limits: fewer steps, or the same steps in smaller pieces. Ten steps stay,
    /// however long they take.
    #[must_use]
    pub fn within(self, forecast: &Forecast, limits: Limits) -> Self {
        let training: f64 = forecast.parts.iter().filter(|(what, _)| what.starts_with("finetune ")).map(|(_, seconds)| seconds).sum();
        let left = limits.seconds - (forecast.seconds - training);
        let share = if training > 0.0 { (left / training).clamp(0.0, 1.0) } else { 1.0 };
        let steps = ((self.steps as f64 * share) as usize).max(STEPS.0).min(self.steps);
        let tight = limits.memory_bytes > 0 && forecast.memory_bytes as f64 > MEMORY_SHARE * limits.memory_bytes as f64;
        let (batch, accumulation) = if tight { (1, self.batch * self.accumulation) } else { (self.batch, self.accumulation) };
        Self { batch, accumulation, steps }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forecast(training: f64, rest: f64, memory_bytes: u64) -> Forecast {
        let parts = vec![("finetune protected".to_owned(), training), ("evaluate harmful, 2 models".to_owned(), rest)];
        Forecast { seconds: training + rest, parts, memory_bytes, disk_bytes: 0 }
    }

    #[test]
    fn what_fits_stays_and_what_does_not_is_cut() {
        let size = Size::of(1600);
        assert_eq!(size, Size { batch: 8, accumulation: 1, steps: 200 });
        let limits = Limits { seconds: 3600.0, memory_bytes: 10 << 30 };
        assert_eq!(size.within(&forecast(1000.0, 1000.0, 1 << 30), limits), size);
        assert_eq!(size.within(&forecast(5200.0, 1000.0, 1 << 30), limits).steps, 100);
        assert_eq!(size.within(&forecast(5200.0, 4000.0, 1 << 30), limits).steps, 10);
        let tight = size.within(&forecast(10.0, 10.0, 9 << 30), limits);
        assert_eq!((tight.batch, tight.accumulation, tight.steps), (1, 8, 200));
        assert_eq!(Size::of(3).steps, 10);
    }
}
