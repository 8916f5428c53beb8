//! Scores and selections against PyTorch and numpy (`tests/reference/scores.py`), and tickets of every kind through the real program.

use std::collections::BTreeMap;

use safetensors::SafeTensors;
use serde_json::Value;
use steadfast::mask::Mask;
use steadfast::model::backend::Backend;
use steadfast::model::backend::cpu::{Cpu, with_threads};
use steadfast::model::backend::tensor::Candle;
use steadfast::model::batch::Example;
use steadfast::model::inventory::{TensorSpec, inventory};
use steadfast::stage::gradients::{input_squares, maskable_weights, mean_gradient, mean_squared_gradient};
use steadfast::ticket::TicketError;
use steadfast::ticket::budget::{Budget, Scope, Structure};
use steadfast::ticket::mask_set::{MaskSet, maskable};
use steadfast::ticket::score::{Scores, magnitude, random_of, snip, wanda};
use steadfast::ticket::select::select;

use crate::reference::{LIMIT, Reference, distance};
use crate::tiny::{Home, told};

/// What the script wrote.
pub struct Expected {
    bytes: Vec<u8>,
    pub others: Vec<Example>,
}

impl Expected {
    pub fn read() -> Self {
        let bytes = std::fs::read(format!("{}/tests/reference/scores.safetensors", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = header.metadata().clone().unwrap();
        let tokens: Vec<Vec<u32>> = serde_json::from_str(&metadata["others"]).unwrap();
        let learn: Vec<Vec<bool>> = serde_json::from_str(&metadata["others_learn"]).unwrap();
        let others = tokens.into_iter().zip(learn).map(|(tokens, supervised)| Example { tokens, supervised }).collect();
        Self { bytes, others }
    }

    pub fn numbers(&self, kind: &str, tensor: &str) -> Vec<f32> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = tensors.tensor(&format!("{kind}.{tensor}")).unwrap();
        view.data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    fn masks(&self, kind: &str, specs: &[TensorSpec]) -> MaskSet {
        masks_in(&self.bytes, kind, specs)
    }
}

/// Selections of a kind in a reference file.
pub fn masks(file: &str, kind: &str, specs: &[TensorSpec]) -> MaskSet {
    masks_in(&std::fs::read(format!("{}/tests/reference/{file}.safetensors", env!("CARGO_MANIFEST_DIR"))).unwrap(), kind, specs)
}

fn masks_in(file: &[u8], kind: &str, specs: &[TensorSpec]) -> MaskSet {
    let tensors = SafeTensors::deserialize(file).unwrap();
    let mask = |spec: &TensorSpec| {
        let view = tensors.tensor(&format!("{kind}.{}", spec.name)).unwrap();
        Mask::from_fn(spec.len(), |i| view.data()[i] == 1)
    };
    MaskSet(maskable(specs).map(|spec| (spec.name.clone(), mask(spec))).collect())
}

fn wanda_of<B: Backend>(reference: &Reference, backend: B, rows: &[Example]) -> BTreeMap<String, Vec<f32>> {
    let mut decoder = reference.decoder(backend);
    let squares = input_squares(&mut decoder, &rows.iter().collect::<Vec<_>>(), &mut |_| {}).unwrap();
    squares.into_iter().map(|(name, squares)| (name.clone(), wanda(&decoder.values(&name).unwrap(), &squares))).collect()
}

/// `gradient` and `snip`, over two passes: nine rows that are three times the three have their mean gradient.
fn gradient_and_snip<B: Backend>(reference: &Reference, backend: B) -> [BTreeMap<String, Vec<f32>>; 2] {
    let mut decoder = reference.decoder(backend);
    let rows: Vec<&Example> = (0..9).map(|i| &reference.rows[i % 3]).collect();
    let gradients = mean_gradient(&mut decoder, &inventory(&reference.config), &rows, &mut |_| {}).unwrap();
    let (mut gradient, mut snipped) = (BTreeMap::new(), BTreeMap::new());
    for (name, found) in &gradients {
        let found = decoder.backend().download(found).unwrap();
        snipped.insert(name.clone(), snip(&decoder.values(name).unwrap(), &found));
        gradient.insert(name.clone(), magnitude(&found));
    }
    [gradient, snipped]
}

fn top(specs: &[TensorSpec], scores: &BTreeMap<String, Vec<f32>>, budget: Budget, within: Option<&MaskSet>) -> MaskSet {
    select(specs, budget, within, |spec| -> Result<_, TicketError> { Scores::new(&spec.name, scores[&spec.name].clone()) }).unwrap().masks
}

/// Those of SHiRA (Bhardwaj et al., 2406.13175, section 3.1): the top 2 % by the gradient (SHiRA-Grad), by SNIP (SHiRA-SNIP), by the
/// weights' magnitudes (SHiRA-WM) or by chance (SHiRA-Rand); of all tensors together, and of each. Exactly k, here the same for both.
fn has_the_masks_of_shira(specs: &[TensorSpec], expected: &Expected, kind: &str, scores: &BTreeMap<String, Vec<f32>>) {
    for (which, scope) in [("top", Scope::Global), ("each", Scope::Tensor)] {
        let found = top(specs, scores, Budget { scope, ..Budget::of(0.02) }, None);
        assert!(found == expected.masks(&format!("{which}.{kind}"), specs), "{which} {kind}");
        assert_eq!(found.count(), 154, "{which} {kind}");
    }
}

fn agrees<B: Backend>(make: impl Fn() -> B) {
    let (reference, expected) = (Reference::read("plain"), Expected::read());
    let specs = inventory(&reference.config);
    let rows: Vec<&Example> = reference.rows.iter().collect();
    let fisher = mean_squared_gradient(&mut reference.decoder(make()), &maskable_weights(&specs), &rows, &mut |_| {}).unwrap();
    let [gradient, snipped] = gradient_and_snip(&reference, make());
    let (safety, utility) = (wanda_of(&reference, make(), &reference.rows), wanda_of(&reference, make(), &expected.others));
    for (kind, found) in [("gradient", &gradient), ("snip", &snipped), ("fisher", &fisher), ("wanda", &safety), ("utility", &utility)] {
        assert_eq!(found.len(), maskable(&specs).count(), "{kind}");
        for (tensor, found) in found {
            let far = distance(found, &expected.numbers(kind, tensor));
            assert!(far < LIMIT, "{kind} of {tensor} is {far:e} away");
        }
    }
    has_the_masks_of_shira(&specs, &expected, "gradient", &gradient);
    has_the_masks_of_shira(&specs, &expected, "snip", &snipped);
    let outside = top(&specs, &utility, Budget::of(0.4), None).complement();
    for (kind, scope, structure, within) in [
        ("minus", Scope::Global, Structure::Weight, Some(&outside)),
        ("row", Scope::Row, Structure::Weight, None),
        ("rows", Scope::Tensor, Structure::Row, None),
        ("columns", Scope::Global, Structure::Column, None),
    ] {
        assert!(top(&specs, &safety, Budget { density: 0.3, scope, structure }, within) == expected.masks(kind, &specs), "{kind}");
    }
}

#[test]
fn the_slice_backend_scores_as_pytorch_does() {
    agrees(Cpu::default);
}

#[test]
fn the_tensor_backend_scores_as_pytorch_does() {
    agrees(|| Candle::new(candle_core::Device::Cpu));
}

/// What needs no gradients. SHiRA-Rand draws each weight by itself (appendix B.2); here it is exactly k.
#[test]
fn weights_and_chance_select_as_numpy_does() {
    let (reference, expected) = (Reference::read("plain"), Expected::read());
    let specs = inventory(&reference.config);
    let scored = |score: &dyn Fn(&TensorSpec, &[f32]) -> Vec<f32>| -> BTreeMap<String, Vec<f32>> {
        maskable(&specs).map(|spec| (spec.name.clone(), score(spec, &reference.tensors[&format!("weight.{}", spec.name)]))).collect()
    };
    has_the_masks_of_shira(&specs, &expected, "magnitude", &scored(&|_, weights| magnitude(weights)));
    has_the_masks_of_shira(&specs, &expected, "random", &scored(&|spec, _| random_of(5, spec, Structure::Weight)));
    // Six weights of three tensors share the last score, and four of them are taken: those of the lower row-major indices.
    let rounded = |weights: &[f32]| weights.iter().map(|&weight| half::bf16::from_f32(weight).to_f32()).collect::<Vec<f32>>();
    let coarse = top(&specs, &scored(&|_, weights| magnitude(&rounded(weights))), Budget::of(0.02), None);
    assert!(coarse == expected.masks("top.coarse", &specs) && coarse != expected.masks("top.magnitude", &specs));
}

#[test]
fn scores_do_not_depend_on_threads() {
    let reference = Reference::read("plain");
    let specs = inventory(&reference.config);
    let rows: Vec<Example> = (0..30).map(|i| reference.rows[i % 3].clone()).collect();
    let made = |threads| {
        with_threads(threads, || {
            let rows: Vec<&Example> = rows.iter().collect();
            let mut decoder = reference.decoder(Cpu::default());
            let squares = input_squares(&mut decoder, &rows, &mut |_| {}).unwrap();
            (squares, mean_squared_gradient(&mut decoder, &maskable_weights(&specs), &rows, &mut |_| {}).unwrap())
        })
        .unwrap()
    };
    let one = made(1);
    assert!(one == made(2) && one == made(4));
}

const TICKETS: &str = "\
ticket: {score: snip, data: safety.jsonl, density: 0.5}
tickets:
  fisher: {score: fisher, data: safety.jsonl, density: 0.3}
  wanda: {score: wanda, data: safety.jsonl, density: 0.25, scope: row}
  minus: {score: snip, data: safety.jsonl, density: 0.5, minus: {data: helpful.jsonl, density: 0.3}}
  taken: {score: snip, data: helpful.jsonl, density: 0.3}
  rows: {score: wanda, data: safety.jsonl, density: 0.5, scope: tensor, structure: row}
  columns: {score: magnitude, density: 0.5, structure: column}
  benign: {twin_of: ticket, data: helpful.jsonl}
";

fn with_tickets(home: &Home, tickets: &str) {
    home.pipeline("ticket: {score: snip, data: safety.jsonl, density: 0.5}\n", tickets);
}

#[test]
fn tickets_of_every_kind_are_made_and_told() {
    let home = Home::new();
    with_tickets(&home, TICKETS);
    let pipeline = std::fs::read_to_string(home.path("p.yaml")).unwrap();
    home.write(
        "p.yaml",
        pipeline.replace("    gentle:", "    whole: {like: control, ticket: rows}\n    twin: {like: dense, ticket: benign}\n    drawn: {like: dense, ticket: columns}\n    gentle:"),
    );
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert_ne!(code, 2, "{text}");
    let latest = home.path("runs/tiny/latest");
    let record: Value = serde_json::from_slice(&std::fs::read(latest.join("run.json")).unwrap()).unwrap();
    let ticket = |name: &str| &record["tickets"][name];
    for (name, score, share, about) in
        [("fisher", "fisher", 0.3, 1e-4), ("wanda", "wanda", 0.25, 0.02), ("minus", "snip", 0.5, 1e-4), ("rows", "wanda", 0.5, 1e-9)]
    {
        let told = ticket(name);
        assert_eq!(told["score"], score, "{told}");
        assert!((told["density"].as_f64().unwrap() - share).abs() < about, "{told}");
    }
    assert_eq!((&ticket("wanda")["scope"], &ticket("rows")["structure"]), (&"row".into(), &"row".into()));
    assert_eq!(ticket("minus")["minus"][1], 0.3);
    assert_eq!(ticket("benign")["twin_of"], "ticket");
    assert_eq!(ticket("benign")["density"], record["tickets"]["ticket"]["density"]);
    assert!(ticket("ticket").get("structure").is_none() && ticket("ticket").get("minus").is_none());
    assert!(record["digests"]["data.tickets.minus.minus"].is_string());
    // So small a model refuses nothing, so nothing beats anything: the ticket is not called a safety ticket.
    let html = std::fs::read_to_string(latest.join("report.html")).unwrap();
    assert!(html.contains("sensitive weights: ticket") && !html.contains("safety ticket: ticket"), "{:?}", record["gate"]);
    let summary = std::fs::read_to_string(latest.join("summary.md")).unwrap();
    assert!(summary.contains("sensitive weights") && summary.contains("beside twin around its twin"), "{summary}");
    // What is taken away is not in it.
    let file = |name: &str| steadfast::ticket::file::Ticket::read(&latest.join("tickets").join(name).join("ticket.safetensors")).unwrap();
    let (minus, taken) = (file("minus"), file("taken"));
    assert!(minus.masks.0.iter().all(|(name, mask)| mask.intersection(&taken.masks.0[name]).count() == 0));
    assert_eq!(minus.masks.count(), (0.5 * minus.masks.len() as f64 + 0.5) as usize);
    let (text, code) = told(&home.run(&["ticket", "show", latest.join("tickets/minus/ticket.safetensors").to_str().unwrap()]));
    assert!(code == 0 && text.contains("minus the top 0.3 of the same score on"), "{text}");
    // Nothing is scored again; names and twins are no part of a key.
    let pipeline = std::fs::read_to_string(home.path("p.yaml")).unwrap();
    home.write("p.yaml", pipeline.replace("twin_of: ticket, data", "score: snip, density: 0.5, data"));
    let (text, _) = told(&home.run(&["run", "p.yaml"]));
    assert!(!text.contains("▸ extract"), "{text}");
}

#[test]
fn a_random_ticket_beside_whole_rows_has_whole_rows() {
    let home = Home::new();
    with_tickets(&home, "ticket: {score: wanda, data: safety.jsonl, density: 0.5, scope: tensor, structure: row}\n");
    let pipeline = std::fs::read_to_string(home.path("p.yaml")).unwrap();
    home.write("p.yaml", pipeline.replace("    gentle:", "    drawn: {like: dense, ticket: random}\n    gentle:"));
    let (text, code) = told(&home.run(&["run", "p.yaml"]));
    assert_ne!(code, 2, "{text}");
    let latest = home.path("runs/tiny/latest");
    let read = |file: std::path::PathBuf| std::fs::read(file).unwrap();
    let (aligned, drawn) = (read(latest.join("aligned/model.safetensors")), read(latest.join("arms/drawn/model.safetensors")));
    let (aligned, drawn) = (SafeTensors::deserialize(&aligned).unwrap(), SafeTensors::deserialize(&drawn).unwrap());
    let mut frozen = 0;
    for (name, view) in aligned.iter().filter(|(name, _)| name.contains("_proj")) {
        let (rows, width) = (view.shape()[0], view.data().len() / view.shape()[0]);
        let same: Vec<bool> =
            view.data().chunks(width).zip(drawn.tensor(name).unwrap().data().chunks(width)).map(|(a, b)| a == b).collect();
        frozen += same.iter().filter(|&&same| same).count();
        // Half of the rows, exactly, are frozen; few of the trained ones can have kept all their bits by rounding.
        let kept = same.iter().filter(|&&same| same).count();
        assert!(kept >= rows / 2 && kept <= rows / 2 + rows / 8, "{name}: {kept} of {rows} rows kept their bits");
    }
    let all: usize = aligned.iter().filter(|(name, _)| name.contains("_proj")).map(|(_, view)| view.shape()[0]).sum();
    assert!(frozen < all, "{frozen} of {all} rows were frozen");
}

#[test]
fn what_no_ticket_can_be_is_an_error_with_a_remedy() {
    let home = Home::new();
    for (tickets, said, remedy) in [
        ("ticket: {score: fischer, data: safety.jsonl}", "fischer", "did you mean fisher?"),
        ("ticket: {score: wanda}", "a wanda score needs data", "write data: builtin:refusals"),
        ("ticket: {score: wanda, data: safety.jsonl, scope: rows}", "expected one of global, layer, tensor, row", "did you mean row?"),
        ("ticket: {score: magnitude, structure: row, scope: row}", "chooses inside each row", "write scope: tensor"),
        ("ticket: {score: magnitude, minus: helpful.jsonl}", "magnitude is scored on none", "remove minus"),
        (
            "ticket: {score: snip, data: safety.jsonl, density: 0.6, minus: {data: helpful.jsonl, density: 0.5}}",
            "density 0.6 and minus.density 0.5",
            "lower one",
        ),
        ("ticket: {score: snip, data: safety.jsonl, minus: {density: 0.1}}", "ticket.minus has no data", "write minus:"),
        ("ticket: {score: snip, data: safety.jsonl, minus: {data: helpful.jsonl, densty: 0.1}}", "densty", "did you mean density?"),
        ("ticket: {score: snip, data: safety.jsonl, twin_of: other}", "there is no ticket \"other\" above", "write ticket:"),
        (
            "ticket: {score: random}\ntickets: {twin: {twin_of: ticket, data: helpful.jsonl}}",
            "on no data that a twin could differ in",
            "remove twin_of",
        ),
        (
            "ticket: {score: snip, data: safety.jsonl}\ntickets: {twin: {twin_of: tickt, data: helpful.jsonl}}",
            "no ticket \"tickt\"",
            "tickets above are ticket",
        ),
        (
            "ticket: {score: snip, data: safety.jsonl}\ntickets: {twin: {twin_of: ticket, data: safety.jsonl}}",
            "it would be the same ticket",
            "name benign data",
        ),
        ("ticket: {score: snip, data: safety.jsonl}\ntickets: {twin: {twin_of: ticket}}", "a snip score needs data", "write data"),
        (
            "ticket: {score: snip, data: safety.jsonl, density: 0.3, minus: helpful.jsonl}\ntickets: {twin: {twin_of: ticket, data: helpful.jsonl}}",
            "what is left of it is no fair twin",
            "name other benign rows",
        ),
        (
            "ticket: {score: snip, data: safety.jsonl}\ntickets: {twin: {twin_of: ticket, data: helpful.jsonl, density: 0.1}}",
            "another density than ticket ticket",
            "remove density",
        ),
        ("tickets: {random: {score: snip, data: safety.jsonl}}", "a ticket cannot be named \"random\"", "choose another name"),
        (
            "ticket: {score: snip, data: safety.jsonl}\ntickets: {ticket: {score: fisher, data: safety.jsonl}}",
            "a ticket cannot be named \"ticket\"",
            "choose another name",
        ),
        (
            "ticket: {file: safety.jsonl, density: 0.1}",
            "has density, and a ticket from a file is as it was extracted",
            "remove density, or file",
        ),
        ("ticket: {score: magnitude, data: safety.jsonl}", "has data, and a magnitude score is taken on no data", "write score: snip"),
        ("ticket: {score: random, max_length: 64}", "has max_length, and a random score is taken on no data", "remove max_length"),
        (
            "ticket: {score: snip, data: safety.jsonl, calibration_steps: 5}",
            "has calibration_steps, and a snip score trains nothing",
            "write score: calibrate",
        ),
    ] {
        with_tickets(&home, &format!("{tickets}\n"));
        let (text, code) = told(&home.run(&["check", "p.yaml", "--no-forecast"]));
        assert!(code == 2 && text.contains(said) && text.contains(remedy), "{tickets}: {code} {text}");
    }
    // A twin that nothing is compared around is a warning.
    with_tickets(&home, "ticket: {score: snip, data: safety.jsonl}\ntickets: {plain: {twin_of: ticket, data: helpful.jsonl}}\n");
    let (text, code) = told(&home.run(&["check", "p.yaml", "--no-forecast"]));
    assert!(code == 0 && text.contains("they are not compared; add plain: {like: protected, ticket: plain}"), "{text}");
    // Found when it is scored: the rest has too few scores, or the density rounds to nothing.
    for (tickets, said) in [
        ("ticket: {score: random, scope: tensor, structure: column, density: 0.001}", "density 0.001 selects nothing"),
        (
            "ticket: {score: snip, data: safety.jsonl, density: 0.515625, minus: {data: safety.jsonl, density: 0.484375}, scope: row}",
            "outside of what minus takes away only",
        ),
    ] {
        with_tickets(&home, &format!("{tickets}\n"));
        let (text, code) = told(&home.run(&["ticket", "extract", "p.yaml"]));
        assert!(code == 2 && text.contains(said) && text.contains("help:"), "{tickets}: {code} {text}");
    }
}

#[test]
fn the_first_ticket_that_is_extracted_is_written_whatever_it_is_called() {
    let home = Home::new();
    with_tickets(&home, "tickets: {safety: {score: snip, data: safety.jsonl, density: 0.5}}\n");
    let (text, code) = told(&home.run(&["ticket", "extract", "p.yaml", "--out", "t.safetensors"]));
    assert!(code == 0 && home.path("t.safetensors").is_file(), "{text}");
    with_tickets(&home, "tickets: {safety: {file: t.safetensors}}\n");
    let (text, code) = told(&home.run(&["ticket", "extract", "p.yaml", "--out", "other.safetensors"]));
    assert!(code == 2 && text.contains("the pipeline extracts no ticket") && !home.path("other.safetensors").exists(), "{text}");
}
