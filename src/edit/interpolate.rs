//! Between the aligned weights and the tuned ones.

/// θ_aligned + w · (θ_tuned − θ_aligned) for each weight, in f64 and rounded once, so that w = 0 gives the aligned bits and w = 1 the
/// tuned ones; a weight that tuning left alone keeps its bits at every w.
///
/// Source: Wortsman et al., WiSE-FT (2109.01903), there between a zero-shot and a fine-tuned model; here every parameter is
/// interpolated, norms and embeddings too.
pub fn interpolate(aligned: &[f32], tuned: &[f32], weight: f64) -> Vec<f32> {
    let one = |(&aligned, &tuned): (&f32, &f32)| {
        if aligned.to_bits() == tuned.to_bits() || weight == 1.0 {
            return tuned;
        }
        if weight == 0.0 {
            return aligned;
        }
        let (from, to) = (f64::from(aligned), f64::from(tuned));
        (from + weight * (to - from)) as f32
    };
    aligned.iter().zip(tuned).map(one).collect()
}
