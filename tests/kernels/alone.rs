//! The kernels with their tests, and no other crate: so little that an interpreter and sanitizers can run it. Built by `.ci/kernels` alone;
//! left out are the two files that hand everything to another library.
#![allow(dead_code, unreachable_pub, unused_imports, unused_macros)]

#[path = "../../src/model/backend/cpu/kernels/dots.rs"]
pub mod dots;
#[path = "../../src/model/backend/cpu/kernels/fused.rs"]
pub mod fused;
#[path = "../../src/model/backend/cpu/kernels/pairs.rs"]
pub mod pairs;
#[path = "../../src/model/backend/cpu/kernels/q8_0.rs"]
pub mod q8_0;
#[path = "../../src/model/backend/cpu/kernels/simd.rs"]
pub mod simd;
#[path = "../../src/model/backend/cpu/kernels/skinny.rs"]
pub mod skinny;
#[path = "../../src/model/backend/cpu/kernels/square.rs"]
pub mod square;
#[cfg(test)]
#[path = "../../src/model/backend/cpu/kernels/tests.rs"]
mod tests;
#[path = "../../src/model/backend/cpu/kernels/tile.rs"]
pub mod tile;

/// Where the program has them.
pub mod model {
    /// As above.
    pub mod backend {
        /// As above.
        pub mod cpu {
            pub use crate as kernels;
        }
    }
}
