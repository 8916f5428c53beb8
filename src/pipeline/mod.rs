//! What the user wrote: schema, check, caret rendering; and what it resolves to.

pub mod settings;
