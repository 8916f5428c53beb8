//! How freely a prediction may leave the aligned model's: the token-wise constrained objective.

/// The loss of one prediction becomes −(2/β)·log σ(β·Δ) with Δ = log π − log π_aligned of its token. Its gradient is that of the ordinary
/// loss, times a weight that falls from 1 as the token becomes likelier than the aligned model has it: the sooner, the larger β is. With
/// β = 0 it is the ordinary loss, up to a constant.
/// Source: Qi et al. (2406.05946), section 4.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Constraint {
    /// The prediction's loss under the aligned model, in nats.
    pub aligned_loss: f32,
    /// β ≥ 0.
    pub beta: f32,
}

impl Constraint {
    /// 2·(1 − σ(β·Δ)) of a prediction with this loss, in nats: from 0 to 2, and 1 where it is the aligned model's.
    pub fn weight(self, loss: f32) -> f32 {
        2.0 / (1.0 + (self.beta * (self.aligned_loss - loss)).exp())
    }
}

/// How much the gradients of some predictions count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale<'a> {
    /// That of all of them.
    pub factor: f32,
    /// One a prediction, or none at all.
    pub constraints: &'a [Constraint],
}

impl Scale<'_> {
    /// Of the i-th prediction, which has this loss.
    pub fn of(self, i: usize, loss: f32) -> f32 {
        self.constraints.get(i).map_or(self.factor, |constraint| self.factor * constraint.weight(loss))
    }
}

impl From<f32> for Scale<'_> {
    fn from(factor: f32) -> Self {
        Self { factor, constraints: &[] }
    }
}

#[cfg(test)]
mod tests {
    use super::Constraint;

    /// The slope of −(2/β)·log σ(β·(log π − log π_aligned)) with log π = −loss, by differences in f64.
    #[test]
    fn the_weight_is_the_slope_of_the_objective() {
        for (aligned, beta) in [(0.3, 0.5), (2.0, 2.0), (5.0, 2.0), (1.0, 0.1)] {
            let objective = |loss: f64| -2.0 / beta * (1.0 / (1.0 + (-beta * (aligned - loss)).exp())).ln();
            for loss in [0.01, 0.3, 1.0, 2.5, 6.0] {
                let slope = (objective(loss + 1e-5) - objective(loss - 1e-5)) / 2e-5;
                let weight = f64::from(Constraint { aligned_loss: aligned as f32, beta: beta as f32 }.weight(loss as f32));
                assert!((weight - slope).abs() < 1e-5, "aligned {aligned}, beta {beta}, loss {loss}: {weight}, {slope}");
            }
        }
        assert_eq!(Constraint { aligned_loss: 1.5, beta: 2.0 }.weight(1.5), 1.0);
        assert_eq!(Constraint { aligned_loss: 9.0, beta: 0.0 }.weight(1.5), 1.0);
    }
}
