//! Charts as SVG, written by hand: no script, colours from the style in `templates/chart.css`.

mod axis;
mod curve;
mod frame;
mod interval;
mod mark;
mod scatter;
mod stack;

pub use self::curve::{Curve, Line};
pub(super) use self::frame::{HEIGHT, WIDTH, escape};
pub use self::interval::interval_bar;
pub use self::mark::sign;
pub use self::scatter::{Scatter, Spot};
pub use self::stack::stacked_bar;
