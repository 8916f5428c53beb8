//! Rotary tables.

use super::backend::RopeTable;
use super::config::{ModelConfig, RopeScaling};

/// Tables for positions `0..length`. Source: Su et al. (2104.09864), half-split as in transformers; scaling as transformers' `linear` and `llama3`.
pub fn table(config: &ModelConfig, length: usize) -> RopeTable {
    let half = config.head_dim / 2;
    let frequencies: Vec<f64> =
        (0..half).map(|i| scaled(config, config.rope_theta.powf(-2.0 * i as f64 / config.head_dim as f64))).collect();
    of(&frequencies, length)
}

/// The same without scaling, for heads of 2 · `half` numbers.
pub fn plain_table(theta: f64, half: usize, length: usize) -> RopeTable {
    let frequencies: Vec<f64> = (0..half).map(|i| theta.powf(-(i as f64) / half as f64)).collect();
    of(&frequencies, length)
}

fn of(frequencies: &[f64], length: usize) -> RopeTable {
    let half = frequencies.len();
    let (mut cos, mut sin) = (Vec::with_capacity(length * half), Vec::with_capacity(length * half));
    for position in 0..length {
        for frequency in frequencies {
            // transformers multiplies in f32.
            let angle = f64::from(position as f32 * *frequency as f32);
            cos.push(angle.cos() as f32);
            sin.push(angle.sin() as f32);
        }
    }
    RopeTable { cos, sin, half }
}

fn scaled(config: &ModelConfig, frequency: f64) -> f64 {
    match config.rope_scaling {
        None => frequency,
        Some(RopeScaling::Linear { factor }) => frequency / factor,
        Some(RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings }) => {
            let original = original_max_position_embeddings as f64;
            let wavelength = 2.0 * std::f64::consts::PI / frequency;
            if wavelength < original / high_freq_factor {
                frequency
            } else if wavelength > original / low_freq_factor {
                frequency / factor
            } else {
                let smooth = (original / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
                (1.0 - smooth) * frequency / factor + smooth * frequency
            }
        }
    }
}
