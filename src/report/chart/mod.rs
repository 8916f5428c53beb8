//! Charts as SVG, written by hand: no script, colours from the page's style.

mod axis;
mod curve;
mod frame;
mod interval;
mod mark;
mod scatter;
mod stack;

pub use self::curve::{Curve, Line};
pub use self::interval::interval_bar;
pub use self::mark::sign;
pub use self::scatter::{Scatter, Spot};
pub use self::stack::stacked_bar;
