#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use safetensors::tensor::TensorView;

use super::DeltaError;
use super::file::Delta;
use super::make::make;
use super::merge::{Merge, Method};
use super::writes::{Direction, Writes};
use crate::model::weights::{Dtype, Weights};

/// A checkpoint of one file: type, shape and bytes by name.
type Stored = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn open(folder: &Path, stored: &Stored) -> Weights {
    std::fs::create_dir_all(folder).unwrap();
    let kind = |dtype| match dtype {
        Dtype::F32 => safetensors::Dtype::F32,
        Dtype::F16 => safetensors::Dtype::F16,
        Dtype::Bf16 => safetensors::Dtype::BF16,
    };
    let views = stored.iter().map(|(name, (dtype, shape, bits))| (name, TensorView::new(kind(*dtype), shape.clone(), bits).unwrap()));
    safetensors::serialize_to_file(views, None, &folder.join("model.safetensors")).unwrap();
    Weights::open(folder).unwrap()
}

fn bf16(values: &[f32]) -> (Dtype, Vec<usize>, Vec<u8>) {
    (Dtype::Bf16, vec![values.len()], Dtype::Bf16.narrow_all(values))
}

fn f32s(values: &[f32]) -> (Dtype, Vec<usize>, Vec<u8>) {
    (Dtype::F32, vec![values.len()], Dtype::F32.narrow_all(values))
}

fn one(name: &str, tensor: (Dtype, Vec<usize>, Vec<u8>)) -> Stored {
    Stored::from([(name.to_owned(), tensor)])
}

fn delta(folder: &Path, name: &str, aligned: &Weights, tuned: &Weights) -> Delta {
    let mut bytes = Vec::new();
    make(aligned, tuned, ("a".into(), name.into())).unwrap().write(&mut bytes).unwrap();
    std::fs::write(folder.join(name), bytes).unwrap();
    Delta::open(&folder.join(name)).unwrap()
}

/// The checkpoint that is written, opened again.
fn written(folder: &Path, write: impl FnOnce(&mut dyn std::io::Write) -> Result<(), DeltaError>) -> Result<Weights, DeltaError> {
    let mut bytes = Vec::new();
    write(&mut bytes)?;
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("model.safetensors"), bytes).unwrap();
    Ok(Weights::open(folder)?)
}

fn applied(folder: &Path, source: &Weights, deltas: &[Delta], direction: Direction) -> Result<Weights, DeltaError> {
    let writes = Writes::new(source, deltas, direction)?;
    written(folder, |out| writes.write(out))
}

fn merged(source: &Weights, deltas: &[Delta], scales: &[f32], method: Method) -> Result<Vec<u8>, DeltaError> {
    let mut bytes = Vec::new();
    Merge::new(source, deltas, scales, method)?.write(&mut bytes)?;
    Ok(bytes)
}

/// Two checkpoints of random bits, NaNs too, of which a share differs.
fn pair() -> impl Strategy<Value = (Stored, Stored)> {
    let tensor = (prop_oneof![Just(Dtype::F32), Just(Dtype::F16), Just(Dtype::Bf16)], 1usize..70, any::<u64>(), 0u64..5);
    prop::collection::vec(tensor, 1..5).prop_map(|tensors| {
        let (mut aligned, mut tuned) = (Stored::new(), Stored::new());
        for (t, (dtype, len, seed, every)) in tensors.into_iter().enumerate() {
            let byte = |i: usize, salt: u64| crate::random::mix(seed ^ salt ^ i as u64) as u8;
            let old: Vec<u8> = (0..len * dtype.bytes()).map(|i| byte(i, 0)).collect();
            let moved = |i: usize| every > 0 && crate::random::mix(seed ^ (i / dtype.bytes()) as u64).is_multiple_of(every);
            let new = old.iter().enumerate().map(|(i, &old)| if moved(i) { byte(i, 1 << 40) } else { old }).collect();
            aligned.insert(format!("t{t}"), (dtype, vec![len], old));
            tuned.insert(format!("t{t}"), (dtype, vec![len], new));
        }
        (aligned, tuned)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn applying_gives_the_tuned_bits_and_removing_the_aligned_ones((aligned, tuned) in pair()) {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let (before, after) = (open(&at("a"), &aligned), open(&at("t"), &tuned));
        if aligned == tuned {
            let is_refused = matches!(make(&before, &after, (String::new(), String::new())), Err(DeltaError::Same(_)));
            prop_assert!(is_refused);
            return Ok(());
        }
        let deltas = [delta(home.path(), "d", &before, &after)];
        let on = applied(&at("on"), &before, &deltas, Direction::Apply).unwrap();
        prop_assert_eq!(on.digest(), after.digest());
        let off = applied(&at("off"), &on, &deltas, Direction::Remove).unwrap();
        prop_assert_eq!(off.digest(), before.digest());
        // What is in already is not put in twice, nor taken out twice.
        for (model, direction) in [(&on, Direction::Apply), (&before, Direction::Remove)] {
            let refused = applied(&at("again"), model, &deltas, direction);
            let is_known = matches!(refused, Err(DeltaError::Differs(found)) if found.done.is_some());
            prop_assert!(is_known);
        }
    }

    #[test]
    fn a_union_is_the_same_in_any_order((aligned, tuned) in pair(), salt in any::<u64>()) {
        let home = tempfile::tempdir().unwrap();
        let before = open(&home.path().join("a"), &aligned);
        // Each weight that moved belongs to one of three tasks.
        let mut deltas = Vec::new();
        for task in 0..3 {
            let mut own = tuned.clone();
            for (name, (dtype, _, bits)) in &mut own {
                for (i, number) in bits.chunks_exact_mut(dtype.bytes()).enumerate() {
                    if crate::random::below(salt, i as u64, 3) != task {
                        number.copy_from_slice(&aligned[name].2[i * dtype.bytes()..(i + 1) * dtype.bytes()]);
                    }
                }
            }
            if own != aligned {
                let after = open(&home.path().join(format!("t{task}")), &own);
                deltas.push(delta(home.path(), &format!("d{task}"), &before, &after));
            }
        }
        prop_assume!(!deltas.is_empty());
        let bytes = |deltas: &[Delta]| {
            let mut bytes = Vec::new();
            Writes::new(&before, deltas, Direction::Apply).unwrap().write(&mut bytes).unwrap();
            bytes
        };
        let first = bytes(&deltas);
        prop_assert!(safetensors::SafeTensors::deserialize(&first).unwrap().iter().all(|(name, view)| view.data() == tuned[name].2));
        deltas.reverse();
        prop_assert_eq!(&bytes(&deltas), &first);
        deltas.rotate_left(1);
        prop_assert_eq!(&bytes(&deltas), &first);
    }

    #[test]
    fn a_flipped_bit_and_a_missing_end_are_found((aligned, tuned) in pair(), place in any::<prop::sample::Index>(), bit in 0u8..8) {
        prop_assume!(aligned != tuned);
        let home = tempfile::tempdir().unwrap();
        let (before, after) = (open(&home.path().join("a"), &aligned), open(&home.path().join("t"), &tuned));
        let whole = std::fs::read(delta(home.path(), "d", &before, &after).path).unwrap();
        let mut flipped = whole.clone();
        flipped[place.index(whole.len())] ^= 1 << bit;
        for bytes in [&flipped[..], &whole[..place.index(whole.len())]] {
            std::fs::write(home.path().join("damaged"), bytes).unwrap();
            prop_assert!(Delta::open(&home.path().join("damaged")).is_err());
        }
    }
}

#[test]
fn a_delta_over_another_type_gives_that_type_and_back() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let mut aligned = one("a", bf16(&[1.0, -0.0, 2.5, 3.0]));
    aligned.insert("b".into(), bf16(&[4.0, 5.0]));
    let mut tuned = one("a", f32s(&[1.0, 0.0, 2.500_001, 3.0]));
    tuned.insert("b".into(), f32s(&[4.0, 5.0]));
    let (before, after) = (open(&at("a"), &aligned), open(&at("t"), &tuned));
    let deltas = [delta(home.path(), "d", &before, &after)];
    assert_eq!((deltas[0].count(), deltas[0].origin.tensors.len(), deltas[0].origin.weights), (2, 2, 6), "-0 is not 0");
    let on = applied(&at("on"), &before, &deltas, Direction::Apply).unwrap();
    assert_eq!(on.digest(), after.digest());
    assert_eq!(applied(&at("off"), &on, &deltas, Direction::Remove).unwrap().digest(), before.digest());
    // Where a weight outside the delta has a number that bf16 does not hold, the old type cannot come back.
    tuned.insert("b".into(), f32s(&[4.0, 5.000_001]));
    let error = applied(&at("no"), &open(&at("o"), &tuned), &deltas, Direction::Remove).err().unwrap();
    assert!(matches!(&error, DeltaError::Inexact { tensor, index: 1, dtype: Dtype::Bf16, .. } if tensor == "b"), "{error}");
}

#[test]
fn a_copy_of_tied_embeddings_follows_them_and_a_head_of_its_own_does_not() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let (embeddings, head) = ("model.embed_tokens.weight", "lm_head.weight");
    let model = |a: &[f32], b: Option<&[f32]>| {
        let mut stored = one(embeddings, bf16(a));
        stored.extend(b.map(|b| (head.to_owned(), bf16(b))));
        stored
    };
    let copied = open(&at("copied"), &model(&[1.0, 2.0], Some(&[1.0, 2.0])));
    let lean = open(&at("lean"), &model(&[1.0, 2.0], None));
    let tuned = open(&at("tuned"), &model(&[1.0, 3.0], None));
    let deltas = [delta(home.path(), "d", &copied, &tuned)];
    assert_eq!(deltas[0].origin.tensors.keys().collect::<Vec<_>>(), [embeddings]);
    let on = applied(&at("on"), &copied, &deltas, Direction::Apply).unwrap();
    assert_eq!(on.widened(head).unwrap(), [1.0, 3.0], "the copy is one still");
    assert_eq!(applied(&at("off"), &on, &deltas, Direction::Remove).unwrap().digest(), copied.digest());
    assert_eq!(applied(&at("small"), &lean, &deltas, Direction::Apply).unwrap().digest(), tuned.digest());
    let merged = written(&at("m"), |out| Merge::new(&copied, &deltas, &[1.0], Method::TaskArithmetic)?.write(out).map(drop)).unwrap();
    assert_eq!(merged.digest(), on.digest());
    // An untied head that happens to begin equal keeps its bits where training kept them.
    let parted = open(&at("parted"), &model(&[1.0, 3.0], Some(&[1.0, 2.0])));
    let deltas = [delta(home.path(), "p", &copied, &parted)];
    assert_eq!(applied(&at("p-on"), &copied, &deltas, Direction::Apply).unwrap().digest(), parted.digest());
}

#[test]
fn every_problem_names_the_thing_and_both_values() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let aligned = open(&at("a"), &one("t", bf16(&[1.0, 2.0, 3.0])));
    let tuned = |name: &str, values: &[f32]| open(&at(name), &one("t", bf16(values)));
    let first = || delta(home.path(), "first", &aligned, &tuned("t1", &[1.5, 2.0, 3.5]));
    let second = || delta(home.path(), "second", &aligned, &tuned("t2", &[1.0, 2.5, 4.0]));
    let refused = |source: &Weights, deltas: &[Delta]| applied(&at("x"), source, deltas, Direction::Apply).err().unwrap().to_string();

    let overlap = refused(&aligned, &[first(), second()]);
    assert!(overlap.contains("both write t[2], the first of 1 weights"), "{overlap}");
    assert!(refused(&aligned, &[first(), first()]).contains("the same delta"));
    let other = tuned("other", &[1.0, 2.0, 7.0]);
    let differs = refused(&other, &[first()]);
    assert!(differs.contains("t[2] is 7 in the model, the delta expects 3") && differs.contains("1 of its 2"), "{differs}");
    assert!(differs.contains(&aligned.digest()) && differs.contains(&other.digest()), "{differs}");
    let longer = refused(&tuned("long", &[1.0, 2.0, 3.0, 4.0]), &[first()]);
    assert!(longer.contains("shape of t: [4], expected [3]"), "{longer}");
    let wide = refused(&open(&at("wide"), &one("t", f32s(&[1.0, 2.0, 3.0]))), &[first()]);
    assert!(wide.contains("type of t: f32, expected bf16"), "{wide}");
    let named = open(&at("named"), &one("u", bf16(&[1.0, 2.0, 3.0])));
    assert!(refused(&named, &[first()]).contains("missing: t"));
    let unlike = make(&aligned, &named, (String::new(), String::new())).err().unwrap().to_string();
    assert!(unlike.contains("missing in the tuned model: t") && unlike.contains("only in the tuned model: u"), "{unlike}");

    let merge = |scales: &[f32], method| merged(&aligned, &[first(), second()], scales, method).err().unwrap().to_string();
    assert_eq!(merge(&[1.0], Method::Ties { density: 0.0 }), "density 0 is not in (0, 1]");
    assert_eq!(merge(&[1.0; 3], Method::TaskArithmetic), "there are 3 scales for 2 deltas");
    let huge = merge(&[3e38, 3e38], Method::TaskArithmetic);
    assert!(huge.contains("bf16"), "{huge}");
}

#[test]
fn merges_do_not_depend_on_the_order_given() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let values = |salt: u64| -> Vec<f32> { (0..200).map(|i| crate::random::normal(salt, i)).collect() };
    let base = values(1);
    let aligned = open(&at("a"), &one("t", f32s(&base)));
    let mut deltas: Vec<Delta> = (2..5)
        .map(|salt| {
            // Of very different sizes, so that the order of a sum shows.
            let moved: Vec<f32> = base.iter().zip(values(salt)).map(|(a, b)| a + b * 10f32.powi(salt as i32 * 2 - 6)).collect();
            delta(home.path(), &format!("d{salt}"), &aligned, &open(&at(&format!("t{salt}")), &one("t", f32s(&moved))))
        })
        .collect();
    let mut scales = vec![0.5, 1.5, -0.25];
    let methods = [Method::TaskArithmetic, Method::Ties { density: 0.3 }, Method::Dare { density: 0.4, seed: 3 }];
    let all = |deltas: &[Delta], scales: &[f32]| methods.map(|method| merged(&aligned, deltas, scales, method).unwrap());
    let first = all(&deltas, &scales);
    for _ in 0..3 {
        deltas.swap(0, 1);
        scales.swap(0, 1);
        assert!(all(&deltas, &scales) == first);
        deltas.rotate_left(1);
        scales.rotate_left(1);
        assert!(all(&deltas, &scales) == first);
    }
    let another = merged(&aligned, &deltas, &scales, Method::Dare { density: 0.4, seed: 4 }).unwrap();
    assert!(another != first[2], "another seed draws others");
    // Each method at its neutral setting is the plain sum of one delta.
    let alone = &deltas[..1];
    let plain = merged(&aligned, alone, &[1.0], Method::TaskArithmetic).unwrap();
    assert!(merged(&aligned, alone, &[1.0], Method::Ties { density: 1.0 }).unwrap() == plain);
    assert!(merged(&aligned, alone, &[1.0], Method::Dare { density: 1.0, seed: 0 }).unwrap() == plain);
}

/// The numbers of `golden.rs` through the files: what is dropped hangs on a delta's digest, the tensor's name, and a weight's place in it.
#[test]
fn a_merge_by_dare_draws_by_digest_name_and_place() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let (name, seed, density) = ("t", 3, 0.5);
    let base: Vec<f32> = (0..90).map(|i| crate::random::normal(1, i)).collect();
    let aligned = open(&at("a"), &one(name, f32s(&base)));
    // Each changes two of three weights, and both a third; a weight's place in the tensor is not its place among the changed ones.
    let tuned = |salt: u64| -> Vec<f32> {
        let moved = |i: usize| i % 3 != salt as usize && i > 6;
        (0..90).map(|i| if moved(i) { base[i] + crate::random::normal(salt, i as u64) } else { base[i] }).collect()
    };
    let made = |salt: u64| {
        let after = open(&at(&format!("t{salt}")), &one(name, f32s(&tuned(salt))));
        delta(home.path(), &format!("d{salt}"), &aligned, &after)
    };
    let deltas = [made(1), made(2)];
    let scales = [1.5f32, -0.25];
    let bytes = merged(&aligned, &deltas, &scales, Method::Dare { density, seed }).unwrap();
    let found = safetensors::SafeTensors::deserialize(&bytes).unwrap().tensor(name).unwrap().data().to_vec();
    let mut ordered: Vec<_> = deltas.iter().map(|delta| delta.origin.digest.as_str()).zip(scales).zip([tuned(1), tuned(2)]).collect();
    ordered.sort_by(|a, b| a.0.0.cmp(b.0.0));
    let expected: Vec<f32> = (0..90)
        .map(|i| {
            let mut sum = 0.0f32;
            for ((digest, scale), tuned) in &ordered {
                let draws = crate::random::stream(seed, &format!("{digest} {name}"));
                let drawn = (crate::random::mix(draws ^ i as u64) >> 11) as f64 / (1u64 << 53) as f64;
                if drawn < density {
                    sum += scale * ((tuned[i] - base[i]) / density as f32);
                }
            }
            base[i] + sum
        })
        .collect();
    assert!(found == Dtype::F32.narrow_all(&expected));
    let kept = expected.iter().zip(&base).filter(|(a, b)| a == b).count();
    assert!((7..83).contains(&kept), "{kept} weights kept their bits");
}

#[test]
fn a_merge_tells_what_overlapped_and_what_rounding_erased() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let aligned = open(&at("a"), &one("t", bf16(&[1.0, 2.0, 3.0, 4.0])));
    let first = delta(home.path(), "d1", &aligned, &open(&at("t1"), &one("t", bf16(&[1.5, 2.5, 3.0, 4.0]))));
    let second = delta(home.path(), "d2", &aligned, &open(&at("t2"), &one("t", bf16(&[1.0, 1.5, 3.5, 4.0]))));
    let mut bytes = Vec::new();
    let done = Merge::new(&aligned, &[first, second], &[1.0, 1e-4], Method::TaskArithmetic).unwrap().write(&mut bytes).unwrap();
    assert_eq!((done.weights, done.shared, done.opposed, done.changed, done.erased), (3, 1, 1, 2, 1));
}
