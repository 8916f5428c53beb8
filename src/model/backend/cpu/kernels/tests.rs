//! Each kernel beside its twin in plain Rust, in shapes so small that an interpreter runs them too (`.ci/kernels`).

use super::dots::{dots, dots_f32, plain as plain_dots, plain_f32};
use super::fused::{Wide, wide_step};
use super::pairs::{Ahead, COLUMNS, DEPTH, Pair, Place, ROWS, Strides, plain, round, step, widen};
use super::q8_0;
use super::simd::{LANES, dispatched, dot, exp, exponentiate, fetch, level, max};
use super::skinny;
use super::square;
use super::tile::{Tile, every};

/// Numbers between −1 and 1, each bfloat16's own.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        widen(round((state >> 8) as f32 / (1u32 << 23) as f32 - 1.0))
    };
    (0..count).map(|_| next()).collect()
}

fn paired(numbers: &[f32]) -> Vec<Pair> {
    numbers.chunks(2).map(|two| round(two[0]) | (round(two[1]) << 16)).collect()
}

#[test]
fn tiles_have_every_number_of_a_matrix_once() {
    let (rows, columns, stride) = (7, 11, 13);
    let mut data = vec![0u32; rows * stride];
    let tiles = Tile::cut(&mut data, stride, &[0, 3, 3, rows], &every(4, columns));
    assert_eq!(tiles.len(), 9);
    std::thread::scope(|scope| {
        for mut tile in tiles {
            scope.spawn(move || {
                let (row, column) = tile.place();
                for i in 0..tile.rows() {
                    let width = tile.columns();
                    let numbers = tile.row(i);
                    assert_eq!(numbers.len(), width);
                    for (j, number) in numbers.iter_mut().enumerate() {
                        *number += (100 * (row + i) + column + j + 1) as u32;
                    }
                }
            });
        }
    });
    for (at, &number) in data.iter().enumerate() {
        let (row, column) = (at / stride, at % stride);
        assert_eq!(number as usize, if column < columns { 100 * row + column + 1 } else { 0 }, "{row}, {column}");
    }
    let mut one = Tile::whole(&mut data[..20], 2, 7, 13);
    assert_eq!(one.row(1), [101, 102, 103, 104, 105, 106, 107]);
    assert_eq!((every(4, 8), every(4, 9), every(4, 0)), (vec![0, 4, 8], vec![0, 4, 8, 9], vec![0]));
}

#[test]
fn tiles_outside_of_a_matrix_are_refused() {
    let refused = |work: fn(&mut [f32])| std::panic::catch_unwind(|| work(&mut [0.0; 20])).is_err();
    assert!(!refused(|data| _ = Tile::whole(data, 2, 7, 13)));
    assert!(refused(|data| _ = Tile::whole(data, 2, 8, 13)), "a row too long");
    assert!(refused(|data| _ = Tile::whole(data, 3, 7, 6)), "rows that overlap");
    assert!(refused(|data| _ = Tile::whole(data, 2, 1, usize::MAX)), "a stride that overflows");
    assert!(refused(|data| _ = Tile::cut(data, 5, &[0, 3, 2, 4], &[0, 5])), "cuts that descend");
    assert!(refused(|data| _ = Tile::cut(data, 5, &[0, 5], &[0, 5])), "a row too many");
    assert!(refused(|data| _ = Tile::whole(data, 4, 5, 5).row(4)), "a row that is not there");
    assert!(refused(|data| _ = Tile::whole(data, 4, 5, 5).part(3, 2, 1, 4)), "a part past the last column");
}

/// Of very different sizes: their products and sums reach below the smallest normal number.
fn small_numbers(count: usize, seed: u32) -> Vec<f32> {
    numbers(count, seed).iter().zip(numbers(count, seed + 1)).map(|(x, size)| widen(round(x * (40.0 * size - 60.0).exp2()))).collect()
}

/// Whatever instructions multiply, and however small the numbers are.
#[test]
fn a_step_has_the_bits_of_its_plain_twin() {
    let rows_of = |height: usize, pairs: usize, interleaved: bool| {
        if interleaved { Strides { row: 1, pair: height } } else { Strides { row: pairs, pair: 1 } }
    };
    for (height, width, pairs) in [(ROWS, COLUMNS, 1), (ROWS, 31, 50), (ROWS, COLUMNS, 500), (3, 20, 50)] {
        for (add, interleaved, make) in [
            (true, true, numbers as fn(usize, u32) -> _),
            (false, false, numbers),
            (true, false, small_numbers),
            (false, true, small_numbers),
        ] {
            // An interpreter takes a millisecond for a pair.
            let pairs = if cfg!(miri) { pairs.min(7) } else { pairs };
            let (left, right) = (paired(&make(2 * height * pairs, 7)), paired(&make(2 * pairs * COLUMNS, 8)));
            let strides = rows_of(height, pairs, interleaved);
            let begin = small_numbers(height * COLUMNS, 9);
            let (mut found, mut twin) = (begin.clone(), begin.clone());
            let place = Place { row: 0, column: 0, height, width };
            let ahead = Ahead { distance: 8 * COLUMNS, step: COLUMNS };
            step(&mut Tile::whole(&mut found, height, COLUMNS, COLUMNS), place, &left, strides, &right, add, ahead);
            plain(&mut Tile::whole(&mut twin, height, COLUMNS, COLUMNS), place, &left, strides, &right, add);
            let same = |other: &[f32]| other.iter().zip(&twin).all(|(other, twin)| other.to_bits() == twin.to_bits());
            let shape = format!("{height}×{width}×{pairs}, interleaved {interleaved}, added {add}");
            assert!(same(&found), "{shape}");
            assert!(
                twin.iter().any(|twin| *twin != 0.0) && !twin.iter().any(|twin| twin.is_subnormal() && !begin.contains(twin)),
                "{shape}"
            );
            // On processors that prefer their own instruction too, where they have registers for it.
            if height == ROWS && pairs <= DEPTH {
                let (mut wide, mut found) = (Wide::default(), begin.clone());
                wide.fill(&left, strides, pairs);
                wide_step(&mut Tile::whole(&mut found, height, COLUMNS, COLUMNS), place, &wide, &right, add, ahead);
                assert!(same(&found), "{shape}, widened");
            }
        }
    }
}

#[test]
fn a_step_is_the_sum_of_its_products() {
    for (height, width, pairs) in [(1, 1, 1), (ROWS, COLUMNS, 7), (5, 17, 20), (7, 33, 24), (2, 16, 3), (3, 40, 4), (4, 32, 5), (6, 47, 6)]
    {
        for add in [false, true] {
            let (left, right) = (paired(&numbers(2 * height * pairs, 5)), paired(&numbers(2 * pairs * COLUMNS, 6)));
            let strides = Strides { row: pairs, pair: 1 };
            let mut found = vec![1.0f32; (height + 2) * 53];
            let mut twin = found.clone();
            let place = Place { row: 1, column: 2, height, width };
            // As far past the panel as a prefetch may point.
            let ahead = Ahead { distance: 64 * COLUMNS, step: COLUMNS };
            step(&mut Tile::whole(&mut found, height + 2, 50, 53), place, &left, strides, &right, add, ahead);
            plain(&mut Tile::whole(&mut twin, height + 2, 50, 53), place, &left, strides, &right, add);
            for (at, (found, twin)) in found.iter().zip(&twin).enumerate() {
                let (row, column) = (at / 53, at % 53);
                if !(1..=height).contains(&row) || !(2..2 + width).contains(&column) {
                    assert_eq!((*found, *twin), (1.0, 1.0), "outside of the place: {row}, {column}");
                    continue;
                }
                let term = |p: usize| {
                    let (a, b) = (left[(row - 1) * pairs + p], right[p * COLUMNS + column - 2]);
                    f64::from(widen(a & 0xffff)) * f64::from(widen(b & 0xffff)) + f64::from(widen(a >> 16)) * f64::from(widen(b >> 16))
                };
                let exact = (0..pairs).map(term).sum::<f64>() + f64::from(u8::from(add));
                let near = 1e-5 * (pairs as f64).sqrt().max(1.0);
                assert!((f64::from(*found) - exact).abs() < near, "{height}×{width}×{pairs} at {at}: {found} for {exact}");
                assert!((f64::from(*twin) - exact).abs() < near, "{height}×{width}×{pairs} at {at}: the twin has {twin} for {exact}");
            }
        }
    }
}

#[test]
fn dots_have_the_bits_of_their_plain_twin() {
    for (pairs, make) in [(LANES, numbers as fn(usize, u32) -> Vec<f32>), (3 * LANES, small_numbers), (8 * LANES, numbers)] {
        let columns: Vec<Vec<Pair>> = (0..4).map(|i| paired(&make(2 * pairs, 20 + i))).collect();
        let others: [&[Pair]; 3] = [&columns[1], &columns[2], &columns[3]];
        let bits = |sums: [f32; 3]| sums.map(f32::to_bits);
        assert_eq!(bits(dots(&columns[0], others)), bits(plain_dots(&columns[0], others)), "{pairs} pairs");
        let exact: f64 = columns[0]
            .iter()
            .zip(others[0])
            .map(|(&a, &b)| {
                f64::from(widen(a & 0xffff)) * f64::from(widen(b & 0xffff)) + f64::from(widen(a >> 16)) * f64::from(widen(b >> 16))
            })
            .sum();
        assert!((f64::from(dots(&columns[0], others)[0]) - exact).abs() < 1e-5 * (pairs as f64).sqrt());
    }
}

#[test]
fn dots_in_f32_have_the_bits_of_their_plain_twin() {
    for length in [LANES, 3 * LANES, 8 * LANES] {
        let columns: Vec<Vec<f32>> = (0..9).map(|i| numbers(length, 30 + i)).collect();
        let others: [&[f32]; 8] = std::array::from_fn(|i| columns[i + 1].as_slice());
        let bits = |sums: [f32; 8]| sums.map(f32::to_bits);
        let found = bits(dots_f32(&columns[0], others));
        assert_eq!(found, bits(plain_f32(&columns[0], others)), "{length} numbers");
        assert_eq!(dots_f32(&columns[0], [others[7]])[0].to_bits(), found[7], "{length} numbers, alone");
        let exact: f64 = columns[0].iter().zip(others[0]).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        assert!((f64::from(f32::from_bits(found[0])) - exact).abs() < 1e-5 * (length as f64).sqrt());
    }
}

#[test]
fn a_square_turned_in_registers_is_turned() {
    let mut found = std::array::from_fn(|i| std::array::from_fn(|j| (100 * i + j) as Pair));
    let twin = square::plain(&found);
    square::transpose(&mut found);
    assert!(found == twin && found[3][5] == 503);
}

#[test]
fn few_rows_have_the_products_of_many() {
    if !skinny::available() {
        let refused = std::panic::catch_unwind(|| skinny::multiply(&mut Tile::whole(&mut [0.0], 1, 1, 1), &[1.0], &[1.0], 1, false));
        assert!(refused.is_err(), "without its instructions the kernel does not run");
        return;
    }
    for (rows, outputs, k) in [(1, 1, 1), (4, 6, 16), (5, 13, 35), (9, 7, 48)] {
        let (x, w) = (numbers(rows * k, 1), numbers(outputs * k, 2));
        let mut found = vec![2.0f32; rows * (outputs + 3)];
        let mut twin = found.clone();
        for add in [false, true] {
            skinny::multiply(&mut Tile::whole(&mut found, rows, outputs, outputs + 3), &x, &w, k, add);
            let times = if add { 2.0 } else { 1.0 };
            skinny::plain(&mut Tile::whole(&mut twin, rows, outputs, outputs + 3), &x, &w, k, add);
            assert!(found.iter().zip(&twin).all(|(found, twin)| found.to_bits() == twin.to_bits()), "{rows}×{outputs}×{k} and its twin");
            for (at, &found) in found.iter().enumerate() {
                let (t, o) = (at / (outputs + 3), at % (outputs + 3));
                let exact = if o < outputs { times * (0..k).map(|l| x[t * k + l] * w[o * k + l]).sum::<f32>() } else { 2.0 };
                assert!((found - exact).abs() < 1e-4, "{rows}×{outputs}×{k} at {t}, {o}: {found} for {exact}");
            }
        }
    }
}

dispatched! {
    /// A row's softmax, and its sum of squares before.
    fn softened(row: &mut [f32]) -> f32 {
        let squares = dot(row, row);
        let peak = max(row);
        let sum = exponentiate(row, 1.0, peak);
        row.iter_mut().for_each(|x| *x /= sum);
        squares
    }
}

/// Whatever instructions were picked, lanes are added in one order.
#[test]
fn loops_for_instruction_sets_are_loops() {
    for count in [1, 15, 16, 33, 70] {
        let row = numbers(count, 9);
        let mut found = row.clone();
        let squares = softened(&mut found);
        assert_eq!(squares.to_bits(), dot(&row, &row).to_bits(), "{} against the baseline", level());
        let all: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
        for (&x, &found) in row.iter().zip(&found) {
            assert!((f64::from(found) - f64::from(x).exp() / all).abs() < 1e-6, "{x} of {count}: {found}");
        }
        fetch(&row, 1 << 20);
    }
    assert!((exp(1.0) - std::f32::consts::E).abs() < 1e-6);
}

/// Bytes with the values between −127 and 127, or, `offset` higher, between 1 and 255.
fn fours(count: usize, seed: u32, offset: i32) -> Vec<q8_0::Four> {
    let bytes: Vec<u8> = numbers(4 * count, seed).iter().map(|x| ((x * 127.0) as i32 + offset) as u8).collect();
    bytes.chunks(4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
}

/// Whatever instructions were picked, the bits are the twin's: every height, ragged widths, and the largest numbers of either sign.
#[test]
fn a_step_of_whole_numbers_is_its_plain_twin() {
    use q8_0::{FOURS, Left, OFFSET, OUTPUTS, Panel};
    let ragged = [(1, 1, 1), (2, 16, 2), (3, 5, 3), (4, 16, 1), (5, 9, 2), (6, 15, 1), (7, 2, 2), (8, 16, 2), (9, 3, 1), (10, 16, 1)];
    let more = [(11, 4, 1), (12, 7, 1), (13, 1, 1), (14, 8, 1), (15, 2, 1), (q8_0::ROWS, OUTPUTS, 3)];
    // An interpreter takes minutes for all of them.
    let few = if cfg!(miri) { vec![(1, 1, 1), (5, 3, 2)] } else { ragged.into_iter().chain(more).collect::<Vec<_>>() };
    for (height, width, blocks) in few {
        let mut x = fours(height * blocks * FOURS, 31, 0);
        let mut w = fours(blocks * OUTPUTS * FOURS, 32, OFFSET);
        x[..4].copy_from_slice(&[0x7f7f_7f7f, 0x8181_8181, 0x7f81_7f81, 0]);
        w[..4].copy_from_slice(&[0xffff_ffff, 0x0101_0101, 0xff01_ff01, 0x8080_8080]);
        let (left_scales, scales) = (numbers(height * blocks, 33), numbers(blocks * OUTPUTS, 34));
        let sum = |block: &[u32]| block.iter().flat_map(|four| four.to_le_bytes()).map(|byte| i32::from(byte as i8)).sum::<i32>();
        let starts: Vec<i32> = x.chunks(FOURS).map(|block| -OFFSET * sum(block)).collect();
        let left = Left { fours: &x, scales: &left_scales, starts: &starts };
        let panel = Panel { fours: &w, scales: &scales };
        for add in [false, true] {
            let mut found = vec![1.5f32; (height + 2) * 23];
            q8_0::step(&mut Tile::whole(&mut found, height + 2, 20, 23), (1, 2, width), left, panel, add);
            let mut twin = [[if add { 1.5 } else { 0.0 }; OUTPUTS]; q8_0::ROWS];
            q8_0::plain(&mut twin[..height], left, panel);
            for (at, found) in found.iter().enumerate() {
                let (row, column) = (at / 23, at % 23);
                let inside = (1..=height).contains(&row) && (2..2 + width).contains(&column);
                let expected = if inside { twin[row - 1][column - 2] } else { 1.5 };
                assert_eq!(found.to_bits(), expected.to_bits(), "{height}×{width}×{blocks}, {row}, {column}");
            }
            // The first output of the first row, from the bytes themselves.
            let value = |block: usize| -> f64 {
                let products = (0..FOURS).flat_map(|g| {
                    let four = w[(block * FOURS + g) * OUTPUTS].to_le_bytes();
                    x[block * FOURS + g].to_le_bytes().into_iter().zip(four).map(|(x, w)| i32::from(x as i8) * (i32::from(w) - OFFSET))
                });
                f64::from(products.sum::<i32>()) * f64::from(left_scales[block]) * f64::from(scales[block * OUTPUTS])
            };
            let exact = (0..blocks).map(value).sum::<f64>() + if add { 1.5 } else { 0.0 };
            assert!((f64::from(twin[0][0]) - exact).abs() < 1e-3 * exact.abs().max(1.0), "{exact} and {}", twin[0][0]);
        }
    }
    let refused = |fours: &[u32], width: usize| {
        let work = || {
            let (left, panel) =
                (Left { fours, scales: &[1.0], starts: &[0] }, Panel { fours: &[0; FOURS * OUTPUTS], scales: &[1.0; OUTPUTS] });
            q8_0::step(&mut Tile::whole(&mut [0.0; 20], 1, 20, 20), (0, 0, width), left, panel, false);
        };
        std::panic::catch_unwind(work).is_err()
    };
    assert!(!refused(&[0; FOURS], OUTPUTS));
    assert!(refused(&[0; FOURS - 1], OUTPUTS), "a row that is too short");
    assert!(refused(&[0; FOURS], OUTPUTS + 1), "more columns than a panel has");
}
