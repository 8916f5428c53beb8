//! The learning rate over the steps.

/// Shape of the learning rate after warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheduler {
    /// Stays.
    Constant,
    /// Falls to 0 in a line.
    Linear,
    /// Falls to 0 along half a cosine.
    Cosine,
}

/// The factor of the learning rate at a step, from 1 to `steps`. Source: transformers' `get_{constant,linear,cosine}_schedule_with_warmup`,
/// where the first step has number 0: with warm-up the first step has factor 0.
pub fn factor(scheduler: Scheduler, step: u64, warmup: u64, steps: u64) -> f64 {
    let done = (step - 1) as f64;
    if step - 1 < warmup {
        return done / warmup.max(1) as f64;
    }
    let rest = steps.saturating_sub(warmup).max(1) as f64;
    let progress = (done - warmup as f64) / rest;
    match scheduler {
        Scheduler::Constant => 1.0,
        Scheduler::Linear => (1.0 - progress).max(0.0),
        Scheduler::Cosine => (0.5 * (1.0 + (std::f64::consts::PI * progress).cos())).max(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// transformers 5: `[round(lr, 6) for lr in get_X_schedule_with_warmup(opt(lr=1), 2, 6)]` over steps 0..6.
    #[test]
    fn factors_are_transformers() {
        let factors = |scheduler| -> Vec<f64> { (1..=6).map(|step| (factor(scheduler, step, 2, 6) * 1e6).round() / 1e6).collect() };
        assert_eq!(factors(Scheduler::Linear), [0.0, 0.5, 1.0, 0.75, 0.5, 0.25]);
        assert_eq!(factors(Scheduler::Cosine), [0.0, 0.5, 1.0, 0.853553, 0.5, 0.146447]);
        assert_eq!(factors(Scheduler::Constant), [0.0, 0.5, 1.0, 1.0, 1.0, 1.0]);
    }
}
