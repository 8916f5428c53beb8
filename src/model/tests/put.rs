//! Numbers that are put in the place of selected weights, on every backend.

use candle_core::Device;

use super::noise;
use crate::mask::Mask;
use crate::model::backend::cpu::{Cpu, Precision};
use crate::model::backend::tensor::Candle;
use crate::model::backend::{Backend, Selection};

const LEN: usize = 9 * 33;

fn put<B: Backend>(mut backend: B, coarse: bool) {
    let exact = |value: f32| if coarse { f32::from_bits(value.to_bits() & 0xffff_0000) } else { value };
    let start: Vec<f32> = (0..LEN).map(|i| exact(noise(1, i))).collect();
    for (rows, columns) in [(9, 33), (1, LEN)] {
        for selection in [Selection::Nothing, Selection::Everything, Selection::Subset(Mask::from_fn(LEN, |i| i % 5 == 2))] {
            let what = format!("{:?} of {rows}×{columns} on {}", selection.count(LEN), backend.numerics());
            let positions: Vec<usize> = match &selection {
                Selection::Nothing => Vec::new(),
                Selection::Everything => (0..LEN).collect(),
                Selection::Subset(mask) => mask.positions().collect(),
            };
            let fresh: Vec<f32> = positions.iter().map(|&i| noise(2, i)).collect();
            let mut expected = start.clone();
            positions.iter().zip(&fresh).for_each(|(&i, &value)| expected[i] = value);
            let mut w = backend.load(&start, rows, columns).unwrap();
            // Twice: the second time f32 numbers are kept already.
            for _ in 0..2 {
                backend.put(&mut w, &selection, &fresh).unwrap();
                assert_eq!(backend.values(&w).unwrap(), expected, "{what}");
            }
            let (x, loaded) = (backend.upload(&start[..columns], 1, columns).unwrap(), backend.load(&expected, rows, columns).unwrap());
            let [found, wanted] = backend.linear(&x, [(&w, None), (&loaded, None)]).unwrap();
            assert_eq!(backend.download(&found).unwrap(), backend.download(&wanted).unwrap(), "products see them: {what}");
            assert!(backend.put(&mut w, &selection, &[0.5]).is_err(), "{what}");
        }
    }
}

#[test]
fn selected_weights_are_replaced_and_the_others_keep_their_bits() {
    for coarse in [false, true] {
        put(Cpu::default(), coarse);
        put(Cpu::new(Precision::Bf16), coarse);
        put(Candle::new(Device::Cpu), coarse);
    }
}
