//! Weights on disk: safetensors, memory-mapped, widened to f32 and narrowed back.
