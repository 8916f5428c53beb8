//! Plain candle tensors.
