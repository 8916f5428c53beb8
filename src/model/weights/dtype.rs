//! The floating-point types of stored weights.

use std::fmt;

use half::{bf16, f16};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// A stored type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Dtype {
    /// IEEE single.
    F32,
    /// IEEE half.
    F16,
    /// bfloat16.
    Bf16,
}

/// Numbers that one task converts.
const CHUNK: usize = 1 << 16;

impl Dtype {
    /// The type of a safetensors tensor; none for integers and quantised types.
    pub fn of(dtype: safetensors::Dtype) -> Option<Self> {
        match dtype {
            safetensors::Dtype::F32 => Some(Self::F32),
            safetensors::Dtype::F16 => Some(Self::F16),
            safetensors::Dtype::BF16 => Some(Self::Bf16),
            _ => None,
        }
    }

    /// Its name in a safetensors header.
    pub fn header_name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }

    /// Bytes of one number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// Stored bytes as f32, exactly.
    pub fn widen(self, bits: &[u8]) -> Vec<f32> {
        match self {
            Self::F32 => each(bits, f32::from_le_bytes),
            Self::F16 => each(bits, |bits| f16::from_le_bytes(bits).to_f32()),
            // The same bits, and zeros behind them.
            Self::Bf16 => each(bits, |bits| f32::from_bits(u32::from(u16::from_le_bytes(bits)) << 16)),
        }
    }

    /// One stored number, [`Dtype::bytes`] long, as f32, exactly.
    pub fn widen_one(self, bits: &[u8]) -> f32 {
        match self {
            Self::F32 => f32::from_le_bytes([bits[0], bits[1], bits[2], bits[3]]),
            Self::F16 => f16::from_le_bytes([bits[0], bits[1]]).to_f32(),
            Self::Bf16 => bf16::from_le_bytes([bits[0], bits[1]]).to_f32(),
        }
    }

    /// One number rounded to the nearest of this type, ties to even, as little-endian bytes in the first [`Dtype::bytes`] places.
    pub fn narrow(self, value: f32) -> [u8; 4] {
        match self {
            Self::F32 => value.to_le_bytes(),
            Self::F16 => pair(f16::from_f32(value).to_le_bytes()),
            Self::Bf16 => pair(bf16::from_f32(value).to_le_bytes()),
        }
    }
}

/// Every N bytes as a number.
fn each<const N: usize>(bits: &[u8], number: impl Fn([u8; N]) -> f32 + Sync) -> Vec<f32> {
    let (places, _) = bits.as_chunks::<N>();
    let mut values = vec![0.0; places.len()];
    values.par_chunks_mut(CHUNK).zip(places.par_chunks(CHUNK)).for_each(|(values, places)| {
        for (value, &bits) in values.iter_mut().zip(places) {
            *value = number(bits);
        }
    });
    values
}

impl Dtype {
    /// Many numbers, each as [`Dtype::narrow`] rounds it.
    pub fn narrow_all(self, values: &[f32]) -> Vec<u8> {
        let size = self.bytes();
        let mut out = vec![0; values.len() * size];
        for (place, &value) in out.chunks_exact_mut(size).zip(values) {
            place.copy_from_slice(&self.narrow(value)[..size]);
        }
        out
    }
}

fn pair(bytes: [u8; 2]) -> [u8; 4] {
    [bytes[0], bytes[1], 0, 0]
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}
