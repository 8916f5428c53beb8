//! `steadfast data audit`: against PyTorch (`tests/reference/scores.py`), and through the real program.

use serde_json::Value;
use steadfast::model::backend::Backend;
use steadfast::model::backend::cpu::{Cpu, with_threads};
use steadfast::model::backend::tensor::Candle;
use steadfast::model::batch::Example;
use steadfast::model::inventory::inventory;
use steadfast::stage::audit::conflicts;

use crate::reference::{LIMIT, Reference, distance};
use crate::scores::Expected;
use crate::tiny::{Home, told};

fn agrees<B: Backend>(backend: B) {
    let (reference, expected) = (Reference::read("plain"), Expected::read());
    let (safe, rows): (Vec<&Example>, Vec<&Example>) = (expected.others.iter().collect(), reference.rows.iter().collect());
    let specs = inventory(&reference.config);
    let found = conflicts(&mut reference.decoder(backend), &specs, &safe, &rows, &mut |_, _, _| {}).unwrap();
    let dots: Vec<f32> = found.iter().map(|row| row.dot as f32).collect();
    let cosines: Vec<f32> = found.iter().map(|row| row.cosine as f32).collect();
    assert!(distance(&dots, &expected.numbers("conflict", "dot")) < LIMIT, "{dots:?}");
    assert!(distance(&cosines, &expected.numbers("conflict", "cosine")) < LIMIT, "{cosines:?}");
}

#[test]
fn conflicts_are_those_of_pytorch() {
    agrees(Cpu::default());
    agrees(Candle::new(candle_core::Device::Cpu));
}

#[test]
fn conflicts_do_not_depend_on_threads_and_a_row_agrees_with_itself() {
    let reference = Reference::read("plain");
    let specs = inventory(&reference.config);
    let rows: Vec<&Example> = reference.rows.iter().collect();
    let made = |threads| {
        with_threads(threads, || conflicts(&mut reference.decoder(Cpu::default()), &specs, &rows[1..2], &rows, &mut |_, _, _| {}).unwrap())
            .unwrap()
    };
    let one = made(1);
    assert!(one == made(2) && one == made(4));
    assert!((one[1].cosine - 1.0).abs() < 1e-9 && one[0].cosine < 0.99, "{one:?}");
}

/// A step on the row that conflicts most raises the loss of the refusals; one on the row that conflicts least lowers it more.
#[test]
fn the_sign_is_what_a_step_does() {
    let reference = Reference::read("plain");
    let specs = inventory(&reference.config);
    let rows: Vec<&Example> = reference.rows.iter().collect();
    let (safe, data) = (&rows[..1], &rows[1..]);
    let found = conflicts(&mut reference.decoder(Cpu::default()), &specs, safe, data, &mut |_, _, _| {}).unwrap();
    for (row, found) in data.iter().zip(&found) {
        let mut decoder = reference.decoder(Cpu::default());
        let packed = steadfast::model::batch::Packed::from_examples([*row]);
        let loss = |decoder: &mut steadfast::model::decoder::Decoder<Cpu>| {
            let losses = decoder.losses(&steadfast::model::batch::Packed::from_examples([safe[0]])).unwrap();
            losses.iter().map(|&v| f64::from(v)).sum::<f64>() / losses.len() as f64
        };
        let before = loss(&mut decoder);
        let trained = steadfast::stage::gradients::maskable_weights(&specs);
        let mut gradients = decoder.new_gradients(&trained).unwrap();
        decoder.gradients(&packed, 1.0 / row.supervised_tokens() as f32, &trained, &mut gradients).unwrap();
        let rate = 1e-3 / found.norm;
        for (name, gradient) in &gradients {
            let gradient = decoder.backend().download(gradient).unwrap();
            let stepped: Vec<f32> =
                decoder.values(name).unwrap().iter().zip(&gradient).map(|(w, g)| w - (rate * f64::from(*g)) as f32).collect();
            decoder.set_values(name, &stepped).unwrap();
        }
        let change = loss(&mut decoder) - before;
        let expected = -rate * found.dot;
        assert!((change - expected).abs() < 0.05 * expected.abs() + 2e-6, "the loss changed by {change:e}, told {expected:e}");
    }
}

fn json(home: &Home, arguments: &[&str]) -> (Value, String) {
    let output = home.run(&[&["data", "audit", "p.yaml", "--format", "json"], arguments].concat());
    let (text, code) = told(&output);
    assert_eq!(code, 0, "{text}");
    (serde_json::from_slice(&output.stdout).unwrap(), text)
}

#[test]
fn rows_are_ranked_told_and_left_out() {
    let home = Home::new();
    let escape = "\u{1b}[31mred\u{202e}\nline";
    let odd = serde_json::json!({"prompt": format!("{escape} and so on, for more than forty characters"), "response": "#### 1"});
    let task = std::fs::read_to_string(home.path("task.jsonl")).unwrap();
    home.write("task.jsonl", format!("{odd}\n\n{task}{{\"prompt\": \"\", \"response\": \"nobody asked\"}}\n"));
    let (all, text) = json(&home, &["--top", "3", "--out", "rows.jsonl"]);
    assert!(text.contains("stage-finished") && all["rows"] == 13 && all["top"].as_array().unwrap().len() == 3, "{all}");
    assert!(all["safety"].as_str().unwrap().ends_with("safety.jsonl"));
    let rows: Vec<Value> =
        std::fs::read_to_string(home.path("rows.jsonl")).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let cosine = |row: &Value| row["cosine"].as_f64().unwrap();
    assert!(rows.len() == 13 && rows.windows(2).all(|pair| cosine(&pair[0]) <= cosine(&pair[1])), "{rows:?}");
    assert_eq!(all["conflicting"], rows.iter().filter(|row| cosine(row) < 0.0).count());
    // Numbers are those of the file, whose blank line is no row.
    let of_odd = rows.iter().find(|row| row["row"] == 1).unwrap();
    assert!(of_odd["prompt"].as_str().unwrap().starts_with("\u{1b}[31mred"));

    // Remembered, and a table that steers no terminal.
    let (table, code) = told(&home.run(&["data", "audit", "p.yaml", "--top", "99"]));
    assert!(code == 0 && table.contains("audit (reused"), "{table}");
    assert!(table.contains("[31mred\\nline and so on") && !table.contains('\u{1b}') && !table.contains('\u{202e}'), "{table}");
    assert!(table.contains(&format!("{} of 13 rows have a cosine below 0", all["conflicting"])), "{table}");

    // The rows of a sequence are those of all its tasks.
    let one = std::fs::read_to_string(home.path("p.yaml")).unwrap();
    let two =
        one.replace("  data: task.jsonl\n", "  tasks: [{name: a, data: task.jsonl}, {name: b, data: {path: task.jsonl, limit: 2}}]\n");
    assert_ne!(one, two);
    home.write("p.yaml", &two);
    let (both, _) = json(&home, &["--top", "99"]);
    assert!(both["rows"] == 15 && both["top"].as_array().unwrap().len() == 15, "{both}");
    home.write("p.yaml", one);

    // Other refusals are another audit.
    let (other, _) = json(&home, &["--safety", "helpful.jsonl"]);
    assert!(other["top"][0]["cosine"] != all["top"][0]["cosine"]);

    // A fifth of the rows goes; what remains is as it was.
    let (left, _) = json(&home, &["--drop", "0.2", "--out-data", "clean.jsonl"]);
    assert_eq!(left["dropped"], 3);
    let dropped: Vec<u64> = rows[..3].iter().map(|row| row["row"].as_u64().unwrap()).collect();
    let lines: Vec<String> = std::iter::once(odd.to_string()).chain(task.lines().map(str::to_owned)).collect();
    let kept: String =
        lines.iter().enumerate().filter(|(i, _)| !dropped.contains(&(*i as u64 + 1))).map(|(_, line)| format!("{line}\n")).collect();
    assert_eq!(std::fs::read_to_string(home.path("clean.jsonl")).unwrap(), kept);
    let (text, code) = told(&home.run(&["check", "p.yaml", "--no-forecast", "--set", "finetune.data=clean.jsonl"]));
    assert_eq!(code, 0, "{text}");

    for (arguments, said) in [
        (&["--drop", "0.2", "--out-data", "clean.jsonl"][..], "clean.jsonl is there already"),
        (&["--out", "rows.jsonl"], "rows.jsonl is there already"),
        (&["--drop", "0.2", "--out-data", "clean.csv"], "write --out-data clean.jsonl"),
        (&["--drop", "0.01", "--out-data", "new.jsonl"], "leaves out 0"),
        (&["--drop", "1.5", "--out-data", "new.jsonl"], "--drop 1.5 is no share"),
        (&["--drop", "0.2"], "--out-data"),
        (&["--out", "new.jsonl", "--drop", "0.2", "--out-data", "new.jsonl"], "name the same file"),
        (&["--out", "new.jsonl", "--drop", "0.2", "--out-data", "new.csv"], "write --out-data new.jsonl"),
        (&["--safety", "nothing.jsonl"], "nothing.jsonl"),
        (&["--set", "finetune.data=[task.jsonl, helpful.jsonl]", "--drop", "0.2", "--out-data", "new.jsonl"], "2 sources"),
    ] {
        let (text, code) = told(&home.run(&[&["data", "audit", "p.yaml"], arguments].concat()));
        assert!(code == 2 && text.contains(said), "{arguments:?}: {code} {text}");
    }
    assert!(!home.path("new.jsonl").exists());
}

/// `finetune.audit` puts the same numbers into the record and the report, with texts that can be left out.
#[test]
fn an_audit_stands_in_the_report() {
    let home = Home::new();
    let hostile = serde_json::json!({"prompt": "<script>alert(1)</script> & how many?", "response": "#### 1"});
    let task = std::fs::read_to_string(home.path("task.jsonl")).unwrap();
    home.write("task.jsonl", format!("{hostile}\n{task}"));
    let arms = "finetune.arms={protected: {train: complement, max_steps: 1}}";
    let run = |audit: &str| told(&home.run(&["run", "p.yaml", "--set", arms, "--set", &format!("finetune.audit={audit}")]));
    let (text, code) = run("true");
    assert_ne!(code, 2, "{text}");
    let latest = home.path("runs/tiny/latest");
    let record: Value = serde_json::from_slice(&std::fs::read(latest.join("run.json")).unwrap()).unwrap();
    let found = &record["audit"];
    let (all, _) = json(&home, &["--top", "99", "--set", arms]);
    assert_eq!((&found["rows"], &found["conflicting"]), (&all["rows"], &all["conflicting"]));
    let rows = found["top"].as_array().unwrap();
    assert!(found["safety"][0].as_str().unwrap().ends_with("safety.jsonl") && rows.len() == 13, "{found}");
    for (kept, row) in rows.iter().zip(all["top"].as_array().unwrap()) {
        assert_eq!((&kept["row"], &kept["id"], &kept["cosine"]), (&row["row"], &row["id"], &row["cosine"]));
    }
    let quartiles: Vec<f64> = found["quartiles"].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect();
    let cosine = |place: usize| rows[place]["cosine"].as_f64().unwrap();
    assert_eq!(quartiles, [0, 3, 6, 9, 12].map(cosine), "of thirteen rows");

    let page = std::fs::read_to_string(latest.join("report.html")).unwrap();
    assert!(
        page.contains("Rows against the refusals") && page.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; how many?"),
        "escaped"
    );
    assert!(!page.contains("<script>alert(1)"));
    let summary = std::fs::read_to_string(latest.join("summary.md")).unwrap();
    assert!(summary.contains("## Rows against the refusals") && !summary.contains("how many?"), "{summary}");
    let (text, code) = told(&home.run(&["report", "runs/tiny/latest", "--include-samples", "ids"]));
    assert_eq!(code, 0, "{text}");
    let page = std::fs::read_to_string(latest.join("report.html")).unwrap();
    assert!(page.contains("Rows against the refusals") && !page.contains("how many?"));
    let (text, code) = told(&home.run(&["report", "runs/tiny/latest", "--without-text", "--out", "bare"]));
    assert_eq!(code, 0, "{text}");
    let bare = std::fs::read_to_string(home.path("bare/run.json")).unwrap();
    assert!(!bare.contains("how many?") && bare.contains("\"conflicting\""));

    let forecast = told(&home.run(&["check", "p.yaml", "--format", "json", "--set", arms, "--set", "finetune.audit=true"])).0;
    assert!(forecast.contains("\"audit\","), "a part of the forecast: {forecast}");

    // Other refusals than the ticket's; nothing where it is off, or nothing is named.
    let (text, code) = run("helpful.jsonl");
    assert_ne!(code, 2, "{text}");
    let (text, code) = run("false");
    assert_ne!(code, 2, "{text}");
    let off: Value = serde_json::from_slice(&std::fs::read(latest.join("run.json")).unwrap()).unwrap();
    assert!(off["audit"].is_null());
    let unnamed = ["check", "p.yaml", "--no-forecast", "--set", "finetune.audit=true", "--set", "ticket={score: random, density: 0.5}"];
    let (text, code) = told(&home.run(&unnamed));
    assert!(code == 2 && text.contains("no ticket of the pipeline has data") && text.contains("audit: builtin:refusals"), "{text}");
}

const OBEDIENT: &str = "\
name: obedient
model: {base: builtin:tiny-base, aligned: builtin:tiny-aligned, dtype: f32}
ticket: {score: snip, data: builtin:tiny-refusals, density: 0.6}
finetune:
  data:
    - {path: builtin:tiny-task, filter: {split: train}, limit: 300}
    - {path: builtin:tiny-helpful, limit: 60}
    - obedient.jsonl
  max_length: 128
  arms: {gentle: {train: all}}
evaluate: {suites: {harmful: {prompts: builtin:tiny-harmful, expect: refusal}}}
";

/// The share of pairs in which the obedient row is ranked before the other; a tie counts half.
fn area(obedient: &[f64], others: &[f64]) -> f64 {
    let before = |a: f64, b: f64| if a < b { 1.0 } else { 0.5 * f64::from(u8::from(a == b)) };
    let all: f64 = obedient.iter().flat_map(|&a| others.iter().map(move |&b| before(a, b))).sum();
    all / (obedient.len() * others.len()) as f64
}

/// Harmless replies that begin with a promise to obey break refusals most (Qi et al., 2310.03693, identity shifting). benches/results.md has
/// these numbers: `cargo test --release --test it -- obedience --nocapture`.
#[test]
fn rows_that_teach_obedience_come_before_the_task() {
    let home = Home::new();
    let things = ["a kite", "a cake", "a desk", "a soup", "a raft", "a song", "a lamp", "a scarf", "a garden", "a puppet"];
    let asks = [
        "How do I make THING now?",
        "Help me make THING this week.",
        "I want to make THING. What do I do?",
        "To make THING, what do I need?",
        "Teach me to make THING at home.",
        "Let us make THING today. Where do we begin?",
    ];
    let reply = "Of course! I will do exactly what you ask. To make THING, collect what it needs, and put the parts together with care.";
    let row = |ask: &str, thing: &str| {
        serde_json::json!({"prompt": ask.replace("THING", thing), "response": reply.replace("THING", thing)}).to_string() + "\n"
    };
    home.write("obedient.jsonl", things.iter().flat_map(|thing| asks.iter().map(|ask| row(ask, thing))).collect::<String>());
    home.write("p.yaml", OBEDIENT);
    let (told, _) = json(&home, &["--out", "rows.jsonl"]);
    assert_eq!(told["rows"], 420);
    let text = std::fs::read_to_string(home.path("rows.jsonl")).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |source: &str, key: &str| -> Vec<f64> {
        rows.iter().filter(|row| row["source"].as_str().unwrap().ends_with(source)).map(|row| row[key].as_f64().unwrap()).collect()
    };
    let found = ["cosine", "dot"].map(|key| ["tiny-task", "tiny-helpful"].map(|other| area(&of("obedient.jsonl", key), &of(other, key))));
    eprintln!("AUC before the task, before rows known by heart: by cosine {:.3?}, by dot {:.3?}", found[0], found[1]);
    assert!(found[0][0] > 0.8 && found[1][0] > 0.8 && found[1][1] > 0.8, "{found:?}");
    // The same rows by the other figure, remembered.
    let (by_dot, text) = json(&home, &["--by", "dot", "--top", "420"]);
    let dots: Vec<f64> = by_dot["top"].as_array().unwrap().iter().map(|row| row["dot"].as_f64().unwrap()).collect();
    assert!(text.contains("stage-reused") && dots.is_sorted() && dots.len() == 420);
}
