//! The decoder: explicit forward and backward passes over a [`Backend`].

use std::collections::BTreeMap;

use super::backend::{Backend, Selection};

/// Which weights are trained, by tensor name; a tensor that is not named is not trained.
pub type Trained = BTreeMap<String, Selection>;

/// Compact gradients (1, k) by tensor name, for the tensors that are trained.
pub type Gradients<B> = BTreeMap<String, <B as Backend>::Buffer>;
