//! Block types: their sizes, and their numbers as f32. The dequantisation is candle's, checked against the reference vectors
//! of `tests/reference/gguf_blocks.json`.

use candle_core::Device;
use candle_core::quantized::GgmlDType;
use candle_core::quantized::ggml_file::qtensor_from_ggml;

use super::GgufError;
use super::container::Gguf;

/// The block types, for messages.
pub(super) const SUPPORTED: &str = "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K";

/// Block types by their number in the file.
const KINDS: [(u32, GgmlDType); 13] = [
    (0, GgmlDType::F32),
    (1, GgmlDType::F16),
    (2, GgmlDType::Q4_0),
    (3, GgmlDType::Q4_1),
    (6, GgmlDType::Q5_0),
    (7, GgmlDType::Q5_1),
    (8, GgmlDType::Q8_0),
    (10, GgmlDType::Q2K),
    (11, GgmlDType::Q3K),
    (12, GgmlDType::Q4K),
    (13, GgmlDType::Q5K),
    (14, GgmlDType::Q6K),
    (30, GgmlDType::BF16),
];

/// How a tensor's numbers are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block(GgmlDType);

impl Block {
    /// The type of a number in the file.
    pub(super) fn of(number: u32) -> Option<Self> {
        KINDS.iter().find(|(known, _)| *known == number).map(|(_, kind)| Self(*kind))
    }

    /// Numbers in a block.
    pub(super) fn values(self) -> usize {
        self.0.block_size()
    }

    /// Bytes of a block.
    pub(super) fn bytes(self) -> usize {
        self.0.type_size()
    }
}

impl Gguf {
    /// A tensor's numbers, row-major, in the order of the file (q and k rows are interleaved there).
    ///
    /// # Errors
    /// When there is no such tensor.
    pub fn tensor(&self, name: &str) -> Result<Vec<f32>, GgufError> {
        let place = self.tensors.get(name).ok_or_else(|| self.missing(name))?;
        let size = place.shape.iter().product();
        qtensor_from_ggml(place.block.0, self.bytes(place), vec![size], &Device::Cpu)
            .and_then(|tensor| tensor.dequantize(&Device::Cpu)?.to_vec1::<f32>())
            .map_err(|error| self.damaged(format!("tensor {name}: {error}")))
    }
}
