//! Selection: exactly k weights by (score, then lower row-major index).

use super::TicketError;
use super::mask_set::MaskSet;
use super::score::Scores;
use crate::mask::Mask;

/// Within what the top of the scores is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// All maskable weights together.
    Global,
    /// The tensors of each layer together.
    Layer,
    /// Each tensor by itself.
    Tensor,
}

/// k = floor(density · n + 0.5), in f64.
///
/// # Errors
/// When the density is not in (0, 1].
pub fn count_for(density: f64, n: usize) -> Result<usize, TicketError> {
    if !(density > 0.0 && density <= 1.0) {
        return Err(TicketError::Density(density));
    }
    Ok(((density * n as f64 + 0.5).floor() as usize).min(n))
}

/// The top `density` of the scores; the scores come in the canonical order of the tensors. With `within`, only weights of
/// that set are candidates, but the density stays a share of all.
///
/// # Errors
/// When the density is not in (0, 1], or fewer candidates than k have a score above 0.
pub fn select(scores: &[Scores], density: f64, scope: Scope, within: Option<&MaskSet>) -> Result<MaskSet, TicketError> {
    let groups: Vec<&[Scores]> = match scope {
        Scope::Global => vec![scores],
        Scope::Layer => scores.chunk_by(|a, b| layer(&a.tensor) == layer(&b.tensor)).collect(),
        Scope::Tensor => scores.chunks(1).collect(),
    };
    let mut chosen = MaskSet::default();
    for group in groups {
        let n = group.iter().map(|scores| scores.values.len()).sum();
        let k = count_for(density, n)?;
        let candidate = |scores: &Scores, i: usize| within.is_none_or(|set| set.0.get(&scores.tensor).is_some_and(|mask| mask.contains(i)));
        let histogram = Histogram::of(group, &candidate);
        if histogram.total < k {
            let scope = match scope {
                Scope::Global => "all maskable weights".into(),
                Scope::Layer => format!("layer {}", layer(&group[0].tensor)),
                Scope::Tensor => group[0].tensor.clone(),
            };
            return Err(TicketError::TooFew { scope, wanted: k, scored: histogram.total });
        }
        let (threshold, mut at_threshold) = histogram.threshold(group, &candidate, k);
        for scores in group {
            let mask = Mask::from_fn(scores.values.len(), |i| {
                let bits = scores.values[i].to_bits();
                if k == 0 || bits < threshold || bits == 0 || !candidate(scores, i) {
                    return false;
                }
                // Ties at the threshold: the lower index first, until k are taken.
                bits > threshold
                    || (at_threshold > 0 && {
                        at_threshold -= 1;
                        true
                    })
            });
            chosen.0.insert(scores.tensor.clone(), mask);
        }
    }
    Ok(chosen)
}

/// `4` of `model.layers.4.mlp.up_proj.weight`.
fn layer(tensor: &str) -> &str {
    tensor.split_once("layers.").map_or("", |(_, rest)| rest.split('.').next().unwrap_or_default())
}

/// The share of a selection that has the same score as its last weight, over all tensors together: only their place decided
/// between them. 0 where the lowest score is one weight's alone, and of nothing.
pub fn tied_share(scores: &[Scores], chosen: &MaskSet) -> f64 {
    let values = || scores.iter().filter_map(|scores| Some((scores, chosen.0.get(&scores.tensor)?)));
    let lowest = values().flat_map(|(scores, mask)| mask.positions().map(|i| scores.values[i])).fold(f32::INFINITY, f32::min);
    let tied = values().flat_map(|(scores, mask)| mask.positions().filter(|&i| scores.values[i] == lowest)).count();
    tied.saturating_sub(1) as f64 / chosen.count().max(1) as f64
}

/// Counts of non-zero scores by the upper half of their bits; bits of non-negative numbers order as the numbers do.
struct Histogram {
    counts: Vec<usize>,
    total: usize,
}

impl Histogram {
    fn of(group: &[Scores], candidate: &dyn Fn(&Scores, usize) -> bool) -> Self {
        let mut counts = vec![0; 1 << 16];
        for scores in group {
            for (i, value) in scores.values.iter().enumerate() {
                if value.to_bits() != 0 && candidate(scores, i) {
                    counts[(value.to_bits() >> 16) as usize] += 1;
                }
            }
        }
        let total = counts.iter().sum();
        Self { counts, total }
    }

    /// The bits of the k-th largest score, and how many scores of exactly these bits are taken.
    fn threshold(&self, group: &[Scores], candidate: &dyn Fn(&Scores, usize) -> bool, k: usize) -> (u32, usize) {
        let mut above = 0;
        let mut upper = 0;
        for (bits, &count) in self.counts.iter().enumerate().rev() {
            upper = bits as u32;
            if above + count >= k {
                break;
            }
            above += count;
        }
        let mut lower_counts = vec![0; 1 << 16];
        for scores in group {
            for (i, value) in scores.values.iter().enumerate() {
                let bits = value.to_bits();
                if bits >> 16 == upper && bits != 0 && candidate(scores, i) {
                    lower_counts[(bits & 0xFFFF) as usize] += 1;
                }
            }
        }
        for (lower, &count) in lower_counts.iter().enumerate().rev() {
            if above + count >= k {
                return (upper << 16 | lower as u32, k - above);
            }
            above += count;
        }
        (upper << 16, 0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn scores(values: &[f32]) -> Scores {
        Scores::new("t", values.to_vec()).unwrap()
    }

    #[test]
    fn k_is_rounded_half_up_in_f64() {
        assert_eq!(count_for(0.1, 40).unwrap(), 4);
        // (1 − 0.9)·40 is 3.999…: cutting it off gives 3, a known trap.
        assert_eq!(count_for(1.0 - 0.9, 40).unwrap(), 4);
        assert_eq!(count_for(0.5, 5).unwrap(), 3);
        assert_eq!(count_for(1.0, 7).unwrap(), 7);
        assert!(count_for(0.0, 7).is_err() && count_for(1.1, 7).is_err() && count_for(f64::NAN, 7).is_err());
    }

    #[test]
    fn ties_go_to_the_lower_index_and_zeros_are_never_taken() {
        let set = select(&[scores(&[1.0, 2.0, 1.0, 1.0, 0.0])], 0.6, Scope::Global, None).unwrap();
        assert_eq!(set.0["t"].positions().collect::<Vec<_>>(), [0, 1, 2]);
        let error = select(&[scores(&[1.0, 0.0, 0.0])], 1.0, Scope::Global, None).unwrap_err();
        assert_eq!(error.to_string(), "all maskable weights: 3 weights are to be selected, but only 1 have a score above 0");
        assert!(Scores::new("t", vec![1.0, f32::NAN]).unwrap_err().to_string().contains("t[1]"));
    }

    /// The rule of LoTA's reference code, in the shared golden file: k = int((1 − s) · n), then every score that reaches the k-th.
    #[test]
    fn the_reference_takes_the_same_weights_where_its_k_is_ours_and_nothing_ties() {
        let a = [
            0.001, 0.299, -0.274, -0.891, -0.455, -0.992, 0.06, 1.34, -0.492, -0.62, 0.49, 0.357, 0.105, -0.93, -0.029, 0.695, -1.344,
            -0.458, -1.901, -1.29,
        ];
        let b = [
            -1.842, -0.235, -1.267, 0.271, 0.157, -0.187, -2.517, -0.539, -0.049, 0.113, -1.53, -0.478, -0.979, -0.809, 1.061, -0.808,
            -0.033, 0.884, -0.584, -0.112,
        ];
        let all = [Scores::new("a", a.to_vec()).unwrap(), Scores::new("b", b.to_vec()).unwrap()];
        let taken = |density: f64| -> [Vec<usize>; 2] {
            let set = select(&all, density, Scope::Global, None).unwrap();
            ["a", "b"].map(|name| set.0[name].positions().collect())
        };
        assert_eq!(taken(0.5), [vec![3, 5, 7, 9, 13, 15, 16, 18, 19], vec![0, 2, 6, 7, 10, 12, 13, 14, 15, 17, 18]]);
        // At sparsity 0.9 the reference takes 3, the whole part of 3.999…; we take 4, of which these are the first 3.
        assert_eq!(taken(3.0 / 40.0), [vec![18], vec![0, 6]]);
        assert_eq!(taken(1.0 - 0.9), [vec![18], vec![0, 6, 10]]);
        let ties = Scores::new("t", vec![1.0, -1.0, 0.5, 2.0]).unwrap();
        assert_eq!(select(&[ties], 0.5, Scope::Global, None).unwrap().count(), 2, "the reference keeps 3");
    }

    #[test]
    fn the_top_is_taken_within_the_scope() {
        let of = |name: &str, values: &[f32]| Scores::new(name, values.to_vec()).unwrap();
        let all = [
            of("model.layers.0.a.weight", &[9.0, 8.0]),
            of("model.layers.0.b.weight", &[7.0, 6.0]),
            of("model.layers.1.a.weight", &[2.0, 1.0]),
            of("model.layers.1.b.weight", &[4.0, 3.0]),
        ];
        let taken = |scope| -> Vec<Vec<usize>> {
            let set = select(&all, 0.5, scope, None).unwrap();
            all.iter().map(|scores| set.0[&scores.tensor].positions().collect()).collect()
        };
        assert_eq!(taken(Scope::Global), [vec![0, 1], vec![0, 1], vec![], vec![]]);
        assert_eq!(taken(Scope::Layer), [vec![0, 1], vec![], vec![], vec![0, 1]]);
        assert_eq!(taken(Scope::Tensor), [vec![0], vec![0], vec![0], vec![0]]);
        let error = select(&[of("model.layers.3.a.weight", &[1.0, 0.0])], 1.0, Scope::Layer, None).unwrap_err();
        assert!(error.to_string().starts_with("layer 3: 2 weights"), "{error}");
    }

    #[test]
    fn the_share_of_ties_is_told() {
        let made = [scores(&[1.0, 2.0, 1.0, 1.0, 0.5])];
        let share = |density| tied_share(&made, &select(&made, density, Scope::Global, None).unwrap());
        assert_eq!((share(0.2), share(0.6), share(0.8), share(1.0)), (0.0, 1.0 / 3.0, 0.5, 0.0));
        assert_eq!(tied_share(&made, &MaskSet::default()), 0.0);
    }

    #[test]
    fn a_random_ticket_depends_on_seed_and_place_alone() {
        use super::super::score::random;
        assert_eq!(random(1, "a", 9)[..5], random(1, "a", 5)[..]);
        assert!(random(1, "a", 9) != random(2, "a", 9) && random(1, "a", 9) != random(1, "b", 9));
        assert!(random(3, "x", 100_000).iter().all(|&v| v > 0.0 && v < 1.0));
    }

    proptest! {
        #[test]
        fn exactly_the_top_k(values in prop::collection::vec(prop_oneof![Just(0.5f32), Just(0.25), 1e-30f32..10.0], 1..200), density in 0.01f64..=1.0) {
            let half = values.len() / 2;
            let all: Vec<Scores> = [("a", &values[..half]), ("b", &values[half..])]
                .into_iter()
                .map(|(name, part)| Scores::new(name, part.to_vec()).unwrap())
                .collect();
            let set = select(&all, density, Scope::Global, None).unwrap();
            let k = count_for(density, values.len()).unwrap();
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by(|&i, &j| values[j].total_cmp(&values[i]).then(i.cmp(&j)));
            let mut expected = order[..k].to_vec();
            expected.sort_unstable();
            let got: Vec<usize> = set.0["a"].positions().chain(set.0["b"].positions().map(|i| i + half)).collect();
            prop_assert_eq!(got, expected);
        }

        #[test]
        fn candidates_lie_inside_the_given_set(values in prop::collection::vec(0.1f32..1.0, 64..200), seed in 0usize..7) {
            let inside = MaskSet([("t".to_owned(), Mask::from_fn(values.len(), |i| i % 7 != seed))].into());
            let set = select(&[scores(&values)], 0.3, Scope::Global, Some(&inside)).unwrap();
            prop_assert_eq!(set.count(), count_for(0.3, values.len()).unwrap());
            prop_assert_eq!(set.0["t"].difference(&inside.0["t"]).count(), 0);
        }
    }
}
